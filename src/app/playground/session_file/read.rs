//! Reads a file. Whoever wrote it: nothing in it is believed, and what does not fit is named.

use std::fmt;

use serde_json::{Map, Value};

use super::super::client::ClientId;
use super::super::log::{MAX_ROWS, Way};
use super::super::text::visible;
use super::{FORMAT, Line, MAX_FILE_BYTES, MAX_LINE_BYTES, Session, VERSION, moment};

/// Bytes of a user's name or a note's type.
const MAX_NAME: usize = 255;
/// Characters of a wrong value that are repeated to the reader.
const SHOWN: usize = 40;

/// Why a file cannot be read, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1; 0 is the whole file.
    pub line: usize,
    /// What is wrong and what mends it.
    pub words: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "Line {}: ", self.line)?;
        }
        f.write_str(&self.words)
    }
}

/// Whether a file of so many bytes may be read.
///
/// # Errors
/// [`Problem`], when it is too large.
pub fn check_size(bytes: usize) -> Result<(), Problem> {
    if bytes <= MAX_FILE_BYTES {
        return Ok(());
    }
    Err(Problem {
        line: 0,
        words: format!(
            "The file has {bytes} bytes; at most {} MiB are read. Keep its first line and fewer of the others.",
            MAX_FILE_BYTES >> 20
        ),
    })
}

/// Reads a file.
///
/// # Errors
/// [`Problem`], which names the first line that is not in order.
pub fn read(text: &str) -> Result<Session, Problem> {
    check_size(text.len())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    let Some((header, number)) = lines.next() else {
        return Err(Problem {
            line: 0,
            words: "The file is empty. Choose one that Export wrote.".into(),
        });
    };
    let at = |line| move |words| Problem { line, words };
    let mut session = Session {
        dropped: Fields::read(header)
            .and_then(|fields| fields.header())
            .map_err(at(number))?,
        ..Session::default()
    };
    for (line, number) in lines {
        take(&mut session, line).map_err(at(number))?;
    }
    Ok(session)
}

fn take(session: &mut Session, line: &str) -> Result<(), String> {
    if session.lines.len() == MAX_ROWS {
        return Err(format!(
            "a file has at most {MAX_ROWS} rows. Delete this line and those below it."
        ));
    }
    let fields = Fields::read(line)?;
    let line = fields.line()?;
    if let Some(user) = fields.name("user")? {
        user.clone_into(&mut session.users[line.client.place()]);
    }
    session.lines.push(line);
    Ok(())
}

/// The fields of a line.
struct Fields(Map<String, Value>);

impl Fields {
    fn read(line: &str) -> Result<Self, String> {
        if line.len() > MAX_LINE_BYTES {
            return Err(format!(
                "it has {} bytes; at most {} KiB are read. Delete it.",
                line.len(),
                MAX_LINE_BYTES >> 10
            ));
        }
        match serde_json::from_str(line) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err("it is no JSON object. A row is one: {\"time\":…}.".into()),
            Err(error) => {
                let what = error.to_string();
                let what = what.split(" at line ").next().unwrap_or_default();
                Err(format!(
                    "it is no JSON: {} at column {}. Mend or delete it.",
                    visible(what),
                    error.column()
                ))
            }
        }
    }

    /// Reads the header; returns how many rows were lost before it was written.
    fn header(&self) -> Result<u64, String> {
        if self.0.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(format!(
                "the file's first line must be its header, {{\"format\":\"{FORMAT}\",\"version\":{VERSION}}}. Choose a file that Export wrote."
            ));
        }
        match self.0.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            _ => {
                return Err(format!(
                    "`version` is {}; this page reads version {VERSION}. Open the file in the page that wrote it.",
                    shown(self.0.get("version"))
                ));
            }
        }
        Ok(self.0.get("dropped").and_then(Value::as_u64).unwrap_or(0))
    }

    fn line(&self) -> Result<Line, String> {
        let time = self.text("time")?;
        let at = moment::parse(time).ok_or_else(|| {
            self.wrong("time", "a moment such as 2026-03-01T10:00:00.000Z, in UTC")
        })?;
        let client = ClientId::from_letter(self.text("client")?)
            .ok_or_else(|| self.wrong("client", "A, B, C or D"))?;
        let way = [Way::Sent, Way::Received, Way::Note];
        let word = self.text("direction")?;
        let way = way
            .into_iter()
            .find(|way| way.word() == word)
            .ok_or_else(|| self.wrong("direction", "sent, received or note"))?;
        Ok(Line {
            client,
            at,
            way,
            kind: self.name("type")?.unwrap_or("note").to_owned(),
            text: self.text("text")?.to_owned(),
        })
    }

    fn text(&self, field: &str) -> Result<&str, String> {
        match self.0.get(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(self.wrong(field, "a text in quotes")),
            None => Err(format!("`{field}` is missing. Add it, or delete the line.")),
        }
    }

    /// A short text that may be missing.
    fn name(&self, field: &str) -> Result<Option<&str>, String> {
        if !self.0.contains_key(field) {
            return Ok(None);
        }
        let text = self.text(field)?;
        if text.len() > MAX_NAME {
            return Err(self.wrong(field, "at most 255 bytes long"));
        }
        Ok(Some(text))
    }

    fn wrong(&self, field: &str, expected: &str) -> String {
        format!(
            "`{field}` must be {expected}; it is {}.",
            shown(self.0.get(field))
        )
    }
}

/// A value as it may be repeated to the reader.
fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "missing".into();
    };
    let text = value.to_string();
    let short: String = text.chars().take(SHOWN).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{}{more}", visible(&short))
}
