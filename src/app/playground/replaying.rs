//! An imported session sent again: when each of its frames is due, and whether it is answered as it
//! was then.
//!
//! The page asks [`Replay::poll`] what to send, and tells it what happens to the sockets.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use crate::protocol::{
    AckStatus, ClientMessage, ServerMessage, decode_client, decode_server, encode_client,
};

use super::client::ClientId;
use super::describe::{describe_received, describe_sent};
use super::log::{Row, Way};
use super::matching::Requests;
use super::{Event, Happened};

/// Frames that may wait for their answer at once; more wait until some are answered.
const IN_FLIGHT: usize = 500;
/// How long nothing may happen while something is due, in milliseconds: longer than a busy gateway
/// takes, and there is Stop for whoever does not want to wait.
const PATIENCE_MS: f64 = 15_000.0;
/// How long after the last frame an answer that was not expected is still waited for.
const GRACE_MS: f64 = 500.0;
/// The longest time between two looks at the clock.
const TICK_MS: f64 = 250.0;
/// Differences that are told one by one.
const TOLD: usize = 20;

/// How fast a session is sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speed {
    /// With the spaces between the frames as they were.
    #[default]
    AsThen,
    /// Ten times as fast.
    Tenfold,
    /// Without spaces.
    AtOnce,
}

impl Speed {
    /// All of them, the slowest first.
    pub const ALL: [Self; 3] = [Self::AsThen, Self::Tenfold, Self::AtOnce];

    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AsThen => "1x",
            Self::Tenfold => "10x",
            Self::AtOnce => "at once",
        }
    }

    fn scaled(self, ms: f64) -> f64 {
        match self {
            Self::AsThen => ms,
            Self::Tenfold => ms / 10.0,
            Self::AtOnce => 0.0,
        }
    }
}

/// One frame to be sent again.
#[derive(Debug, Clone)]
struct Step {
    /// Its row in the session.
    row: u64,
    client: ClientId,
    /// When, in milliseconds after the first.
    after: f64,
    kind: String,
    text: String,
    /// How it was answered then.
    then: Option<String>,
    /// How it was answered now.
    now: Option<String>,
}

/// A session that is being sent again.
#[derive(Debug, Clone)]
pub struct Replay {
    steps: Vec<Step>,
    began: f64,
    /// Steps that were handed out.
    next: usize,
    /// Frames that were sent and lack an answer that they had then.
    awaited: usize,
    /// Steps of each client that were handed out and not seen to go yet.
    leaving: [VecDeque<usize>; ClientId::ALL.len()],
    answers: Answers,
    /// When something last happened.
    last: f64,
    end: Option<End>,
}

/// How a replay ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Done,
    Cut(String),
}

impl Replay {
    /// Makes ready to send the frames of a session's rows, oldest first. What speaks of a token is left
    /// out: the page's clients are set up with their own. With `salt` each messageId is replaced by a
    /// new one that begins with it, the same by the same.
    #[must_use]
    pub fn new(rows: &[Arc<Row>], speed: Speed, salt: Option<&str>, now: f64) -> Self {
        let then = answers_then(rows);
        let mut ids = Ids {
            salt,
            known: BTreeMap::new(),
        };
        let mut steps: Vec<Step> = Vec::new();
        let (mut after, mut last) = (0.0, None);
        for (row, then) in rows.iter().zip(then) {
            if row.way != Way::Sent {
                continue;
            }
            let frame = decode_client(&row.text).ok();
            if frame.as_ref().is_some_and(opens) {
                continue;
            }
            // Clocks may have been set back between two rows.
            after += last.map_or(0.0, |last| speed.scaled(row.at - last).max(0.0));
            last = Some(row.at);
            steps.push(Step {
                row: row.id,
                client: row.client,
                after,
                kind: frame
                    .as_ref()
                    .map_or("bad frame", |frame| describe_sent(frame).kind)
                    .to_owned(),
                text: ids.renewed(frame).unwrap_or_else(|| row.text.to_string()),
                then,
                now: None,
            });
        }
        Self {
            steps,
            began: now,
            next: 0,
            awaited: 0,
            leaving: Default::default(),
            answers: Answers::default(),
            last: now,
            end: None,
        }
    }

    /// The clients that send.
    pub fn clients(&self) -> impl Iterator<Item = ClientId> {
        let sends = |id: &ClientId| self.steps.iter().any(|step| step.client == *id);
        ClientId::ALL.into_iter().filter(sends)
    }

    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it goes on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.end.is_none()
    }

    /// The next frame that is due, and who sends it.
    pub fn poll(&mut self, now: f64) -> Option<(ClientId, String)> {
        if !self.is_on() {
            return None;
        }
        let step = self.steps.get(self.next)?;
        let leaving = self.leaving[step.client.place()].len();
        if now < self.began + step.after || self.awaited.max(leaving) >= IN_FLIGHT {
            return None;
        }
        self.leaving[step.client.place()].push_back(self.next);
        self.awaited += usize::from(step.then.is_some());
        self.next += 1;
        self.last = now;
        Some((step.client, step.text.clone()))
    }

    /// Looks at the clock; returns in how many milliseconds it wants to look again.
    pub fn tick(&mut self, now: f64) -> Option<u32> {
        if !self.is_on() {
            return None;
        }
        let waited = now - self.last;
        match self.steps.get(self.next) {
            None if self.awaited == 0 && waited >= GRACE_MS => self.end = Some(End::Done),
            None if waited >= PATIENCE_MS => self.end = Some(End::Done),
            Some(_) if self.awaited >= IN_FLIGHT && waited >= PATIENCE_MS => {
                self.stop("The gateway does not answer.");
            }
            _ => {}
        }
        let due = self
            .steps
            .get(self.next)
            .map(|step| self.began + step.after);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "1 to TICK_MS"
        )]
        let wait = (due.unwrap_or(f64::INFINITY) - now).clamp(1.0, TICK_MS) as u32;
        self.is_on().then_some(wait)
    }

    /// Takes what happened to a socket.
    pub fn happened(&mut self, happened: &Happened) {
        if !self.is_on() {
            return;
        }
        let client = happened.client;
        match &happened.event {
            Event::Sent(text) => {
                let leaving = &mut self.leaving[client.place()];
                let own = leaving.front().copied();
                let own = own.filter(|step| self.steps[*step].text == *text);
                if own.is_some() {
                    leaving.pop_front();
                }
                self.answers.sent(client, own, text);
            }
            Event::Received(text) => {
                if let Some((step, words)) = self.answers.received(client, text) {
                    let step = &mut self.steps[step];
                    let is_first = step.now.replace(words).is_none();
                    self.awaited -= usize::from(is_first && step.then.is_some());
                    self.last = happened.at;
                }
            }
            Event::Closed { code, .. } if self.clients().any(|id| id == client) => {
                self.stop(&format!("Client {} was closed ({code}).", client.letter()));
            }
            _ => {}
        }
    }

    /// Ends it early; the words say why.
    pub fn stop(&mut self, why: &str) {
        if self.is_on() {
            self.end = Some(End::Cut(why.to_owned()));
        }
    }

    /// How far it is, or how it ended.
    #[must_use]
    pub fn words(&self) -> String {
        let sent = &self.steps[..self.next];
        let progress = format!("{} of {}", sent.len(), self.steps.len());
        let same = sent.iter().filter(|step| step.then == step.now).count();
        let as_then = format!("{same} of {} answered as then.", sent.len());
        match &self.end {
            None => format!("{progress} sent."),
            Some(End::Done) => as_then,
            Some(End::Cut(why)) => format!("{why} {progress} sent; {as_then}"),
        }
    }

    /// What was answered otherwise, once it has ended.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        if self.is_on() {
            return Vec::new();
        }
        let sent = &self.steps[..self.next];
        let differing = sent.iter().filter(|step| step.then != step.now);
        let mut told: Vec<_> = differing.clone().take(TOLD).map(Step::to_string).collect();
        let more = differing.count() - told.len();
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        told
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_nothing = |words: &Option<String>| words.clone().unwrap_or_else(|| "nothing".into());
        write!(
            f,
            "#{} {} of {}: then {}, now {}",
            self.row,
            self.kind,
            self.client.letter(),
            or_nothing(&self.then),
            or_nothing(&self.now)
        )
    }
}

/// Whether a frame says who is there. The page's own clients do that themselves.
fn opens(frame: &ClientMessage<'_>) -> bool {
    use ClientMessage as C;
    matches!(frame, C::Setup(_) | C::Resume(_) | C::Refresh(_))
}

/// How each row was answered then.
fn answers_then(rows: &[Arc<Row>]) -> Vec<Option<String>> {
    let mut answers = Answers::default();
    let mut then = vec![None; rows.len()];
    for (at, row) in rows.iter().enumerate() {
        match row.way {
            Way::Sent => answers.sent(row.client, Some(at), &row.text),
            Way::Received => {
                if let Some((request, words)) = answers.received(row.client, &row.text) {
                    then[request] = Some(words);
                }
            }
            Way::Note if matches!(row.kind.as_str(), "open" | "closed") => {
                answers.requests[row.client.place()].clear();
            }
            Way::Note => {}
        }
    }
    then
}

/// Finds the request that is answered, for all clients.
#[derive(Debug, Clone, Default)]
struct Answers {
    requests: [Requests; ClientId::ALL.len()],
}

impl Answers {
    /// Somebody else's frame: it is answered too.
    const OTHER: u64 = u64::MAX;

    fn sent(&mut self, client: ClientId, request: Option<usize>, text: &str) {
        let number = request.map_or(Self::OTHER, |request| request as u64);
        let frame = decode_client(text).ok();
        self.requests[client.place()].sent(number, 0.0, frame.as_ref());
    }

    /// The request that a text answers in full, and the answer in words.
    fn received(&mut self, client: ClientId, text: &str) -> Option<(usize, String)> {
        let frame = decode_server(text).ok()?;
        let found = self.requests[client.place()].answered_by(&frame)?;
        let is_own = found.done && found.row != Self::OTHER;
        is_own
            .then(|| usize::try_from(found.row).ok())?
            .map(|request| (request, words(&frame)))
    }
}

/// An answer in words: its type, and what of it matters.
fn words(frame: &ServerMessage<'_>) -> String {
    match frame {
        ServerMessage::Error(f) => format!("error {}", f.code.as_str()),
        ServerMessage::Ack(f) if f.status == AckStatus::Duplicate => "ack duplicate".into(),
        ServerMessage::Subscribed(f) if f.recovered == Some(false) => {
            "subscribed, not recovered".into()
        }
        other => describe_received(other).kind.to_owned(),
    }
}

/// New messageIds for old ones, the same for the same.
struct Ids<'a> {
    salt: Option<&'a str>,
    known: BTreeMap<String, String>,
}

impl Ids<'_> {
    /// A publish with its new messageId; `None` for what keeps its text.
    fn renewed(&mut self, frame: Option<ClientMessage<'_>>) -> Option<String> {
        let salt = self.salt?;
        let Some(ClientMessage::Publish(mut publish)) = frame else {
            return None;
        };
        let number = self.known.len() + 1;
        let known = self.known.entry(publish.message_id.into_owned());
        let id = known.or_insert_with(|| format!("{salt}-{number}"));
        publish.message_id = id.as_str().into();
        Some(encode_client(&ClientMessage::Publish(publish)))
    }
}

#[cfg(test)]
#[path = "replaying_tests.rs"]
mod tests;
