//! Writes a file.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::client::ClientId;
use super::super::log::{Row, Way};
use super::super::secrets::{forms, without, without_query, without_tokens};
use super::super::text::escaped;
use super::{FORMAT, MAX_FILE_BYTES, MAX_LINE_BYTES, VERSION, moment};
use crate::protocol::{ClientMessage, ServerMessage, decode_client, decode_server};

/// Room for the header.
const HEADER_BYTES: usize = 256;

/// What a file is written from.
#[derive(Debug, Clone)]
pub struct Export<'a> {
    /// The rows, oldest first.
    pub rows: &'a [Arc<Row>],
    /// Rows that were lost before these.
    pub dropped: u64,
    /// Whom each client stands for now; empty where it is not set up.
    pub users: [&'a str; ClientId::ALL.len()],
    /// The tokens that the page holds. None of them is written, wherever it stands.
    pub tokens: Vec<String>,
    /// Now, in milliseconds since 1970.
    pub now: f64,
}

/// Writes a file of at most [`MAX_FILE_BYTES`]. The oldest rows give way; they count as dropped.
#[must_use]
pub fn write(mut export: Export<'_>) -> String {
    export
        .tokens
        .extend(export.rows.iter().filter_map(|row| token_of(row)));
    let hidden = forms(export.tokens.iter().map(String::as_str));
    let mut users = Users::new(&export);
    let lines: Vec<String> = export
        .rows
        .iter()
        .map(|row| line(row, users.of(row), &hidden))
        .collect();
    let mut bytes = HEADER_BYTES;
    let fitting = lines.iter().rev().take_while(|line| {
        bytes += line.len();
        bytes <= MAX_FILE_BYTES
    });
    let left_out = lines.len() - fitting.count();
    let mut out = format!(
        "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"exported\":\"{}\",\"dropped\":{}}}\n",
        moment(export.now),
        export.dropped + left_out as u64,
    );
    lines[left_out..].iter().for_each(|line| out.push_str(line));
    out
}

/// Whom each client stood for, row by row.
struct Users([String; ClientId::ALL.len()]);

impl Users {
    /// Who a client is now it was at the first row too, unless the rows tell of a beginning.
    fn new(export: &Export<'_>) -> Self {
        let mut users = export.users.map(ToOwned::to_owned);
        for row in export.rows {
            if matches!(row.kind.as_str(), "open" | "ready") {
                users[row.client.place()].clear();
            }
        }
        Self(users)
    }

    fn of(&mut self, row: &Row) -> &str {
        let user = &mut self.0[row.client.place()];
        match (row.way, row.kind.as_str()) {
            (Way::Note, "open") => user.clear(),
            (Way::Received, "ready") => {
                if let Ok(ServerMessage::Ready(ready)) = decode_server(&row.text) {
                    *user = ready.user_id.into_owned();
                }
            }
            _ => {}
        }
        user
    }
}

fn line(row: &Row, user: &str, hidden: &[String]) -> String {
    let user = &without(user, hidden);
    let written = match public(row) {
        Some(text) => written(row, row.way, &row.kind, user, &without(text, hidden)),
        None => left_out(row, user, "A text that may hold a token was left out."),
    };
    if written.len() > MAX_LINE_BYTES {
        let words = format!(
            "A frame of {} bytes was left out: it is too long.",
            row.text.len()
        );
        return left_out(row, user, &words);
    }
    written
}

fn left_out(row: &Row, user: &str, words: &str) -> String {
    written(row, Way::Note, "left out", user, words)
}

fn written(row: &Row, way: Way, kind: &str, user: &str, text: &str) -> String {
    let user = if user.is_empty() {
        String::new()
    } else {
        format!("\"user\":{},", quoted(user))
    };
    format!(
        "{{\"time\":\"{}\",\"client\":\"{}\",{user}\"direction\":\"{}\",\"type\":{},\"text\":{},\"size\":{}}}\n",
        moment(row.at),
        row.client.letter(),
        way.word(),
        quoted(kind),
        quoted(text),
        row.text.len(),
    )
}

/// A text as JSON, safe to look at in a terminal too.
fn quoted(text: &str) -> String {
    escaped(&serde_json::Value::from(text).to_string())
}

/// The token that a row of this side shows.
fn token_of(row: &Row) -> Option<String> {
    if row.way != Way::Sent {
        return None;
    }
    match decode_client(&row.text) {
        Ok(ClientMessage::Setup(f)) => Some(f.token.into_owned()),
        Ok(ClientMessage::Resume(f)) => Some(f.token.into_owned()),
        Ok(ClientMessage::Refresh(f)) => Some(f.token.into_owned()),
        _ => None,
    }
}

/// A row's text without what opens a session; `None` where that cannot be told apart.
fn public(row: &Row) -> Option<Cow<'_, str>> {
    let text: &str = &row.text;
    match row.way {
        Way::Note if row.kind == "open" => return Some(without_query(text).into()),
        Way::Received | Way::Note => return Some(text.into()),
        Way::Sent => {}
    }
    without_tokens(text, |_| true)
}
