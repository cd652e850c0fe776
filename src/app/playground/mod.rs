//! What the playground knows and how events change it. Pure: no clock, no socket, no framework,
//! so that every rule is tested without a browser.
//!
//! Uses: protocol.

pub mod draft;
pub mod log;
mod matching;
mod next_step;
pub mod phase;
pub mod saved;
pub mod text;

use std::collections::BTreeMap;

use crate::protocol::{
    AckStatus, ClientMessage, ErrorCode, ServerMessage, decode_client, decode_server,
};

use log::{Link, Log, Row, Tone, Way};
use matching::Requests;
pub use next_step::{NextStep, Offer};
use phase::{Phase, explain_close};

/// Rows in one batch above which a screen reader is not told of each.
const FLOOD: usize = 5;

/// Something that happened to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection was asked for.
    Opening {
        /// Where to.
        url: String,
    },
    /// The handshake succeeded.
    Opened,
    /// A text went out.
    Sent(String),
    /// A text came in.
    Received(String),
    /// The connection ended.
    Closed {
        /// The close code.
        code: u16,
        /// The reason that came with it.
        reason: String,
    },
    /// Something could not be done, in words.
    Failed(String),
}

/// Where this page stands in a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last seqNo seen.
    pub seq_no: u64,
    /// The epoch of that number; empty while unknown.
    pub epoch: String,
}

/// The state of the playground's connection and everything it said.
#[derive(Debug, Clone, Default)]
pub struct Playground {
    phase: Phase,
    log: Log,
    requests: Requests,
    /// The topics of the session, by name. Kept after a close, for `resume`.
    topics: BTreeMap<String, Standing>,
    /// The topic that was last spoken of: the one to offer next.
    focus: String,
    session_id: String,
    published: bool,
    flooded: bool,
}

impl Playground {
    /// What the connection is doing.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The subscribed topics with this page's place in each.
    #[must_use]
    pub fn topics(&self) -> &BTreeMap<String, Standing> {
        &self.topics
    }

    /// The session's id from the last `ready`; empty before.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Whether the last batch was too much to be read aloud row by row.
    #[must_use]
    pub fn flooded(&self) -> bool {
        self.flooded
    }

    /// Forgets the log's rows.
    pub fn clear_log(&mut self) {
        self.log.clear();
    }

    /// Takes what happened since the last time, oldest first, each with its time in milliseconds
    /// since 1970.
    pub fn apply_all(&mut self, events: impl IntoIterator<Item = (f64, Event)>) {
        let before = self.log.last_id();
        for (at, event) in events {
            self.apply(at, event);
        }
        self.flooded = self.log.last_id() - before > FLOOD as u64;
    }

    /// Takes one event.
    pub fn apply(&mut self, at: f64, event: Event) {
        match event {
            Event::Opening { url } => {
                self.requests.clear();
                self.published = false;
                self.phase = Phase::Connecting;
                self.note(at, "open", &url, Tone::Plain);
            }
            Event::Opened => {
                self.phase = Phase::Connected;
                let words = "The WebSocket is open.";
                self.note(at, "opened", words, Tone::Plain);
            }
            Event::Sent(text) => self.sent(at, &text),
            Event::Received(text) => self.received(at, &text),
            Event::Closed { code, reason } => {
                let words = explain_close(code, &reason);
                let tone = if code == 1000 {
                    Tone::Plain
                } else {
                    Tone::Trouble
                };
                self.requests.clear();
                self.phase = Phase::Closed { code, reason };
                self.note(at, "closed", &words, tone);
            }
            Event::Failed(words) => self.note(at, "failed", &words, Tone::Trouble),
        }
    }

    fn note(&mut self, at: f64, kind: &str, text: &str, tone: Tone) {
        self.push(at, Way::Note, text, About::new(kind, None).tone(tone));
    }

    fn push(&mut self, at: f64, way: Way, text: &str, about: About<'_>) -> u64 {
        self.log.push(Row {
            id: 0,
            at,
            way,
            kind: about.kind.to_owned(),
            topic: about.topic.map(ToOwned::to_owned),
            text: text.into(),
            tone: about.tone,
            code: about.code,
            link: None,
        })
    }

    fn sent(&mut self, at: f64, text: &str) {
        let frame = decode_client(text).ok();
        let about = frame.as_ref().map_or_else(
            || About::new("bad frame", None).tone(Tone::Notable),
            describe_sent,
        );
        let row = self.push(at, Way::Sent, text, about);
        match &frame {
            // What follows are the topics of this session; resume keeps those it had.
            Some(ClientMessage::Setup(_)) if !self.phase_is_ready() => self.topics.clear(),
            Some(ClientMessage::Publish(f)) => {
                self.published = true;
                self.focus = f.topic.to_string();
            }
            Some(ClientMessage::Subscribe(f)) => self.focus = f.topic.to_string(),
            _ => {}
        }
        self.requests.sent(row, at, frame.as_ref());
    }

    fn received(&mut self, at: f64, text: &str) {
        let Ok(frame) = decode_server(text) else {
            let about = About::new("bad frame", None).tone(Tone::Trouble);
            self.push(at, Way::Received, text, about);
            return;
        };
        let row = self.push(at, Way::Received, text, describe_received(&frame));
        if let Some(request) = self.requests.answered_by(&frame) {
            let ms = at - request.at;
            self.log.link(
                row,
                Link {
                    row: request.row,
                    ms,
                },
            );
            if request.done {
                self.log.link(request.row, Link { row, ms });
            }
        }
        self.learn(&frame);
    }

    fn learn(&mut self, frame: &ServerMessage<'_>) {
        match frame {
            ServerMessage::Ready(ready) => {
                self.session_id = ready.session_id.to_string();
                let user_id = ready.user_id.to_string();
                self.phase = Phase::Ready { user_id };
            }
            ServerMessage::Subscribed(f) => {
                if !self.topics.contains_key(&self.focus) {
                    self.focus = f.topic.to_string();
                }
                let standing = self.topics.entry(f.topic.to_string()).or_default();
                // With a position that was recovered, what follows moves the place forward.
                if f.recovered != Some(true) || standing.epoch != f.epoch.as_str() {
                    standing.seq_no = f.seq_no;
                }
                standing.epoch = f.epoch.to_string();
            }
            ServerMessage::Unsubscribed(f) => {
                self.topics.remove(f.topic.as_ref());
            }
            ServerMessage::Message(f) => {
                if let Some(standing) = self.topics.get_mut(f.topic.as_ref()) {
                    standing.seq_no = f.seq_no;
                }
            }
            ServerMessage::Ack(_) | ServerMessage::Pong | ServerMessage::Error(_) => {}
        }
    }

    fn phase_is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }
}

/// What a row is about.
#[derive(Clone, Copy)]
struct About<'a> {
    kind: &'a str,
    topic: Option<&'a str>,
    tone: Tone,
    code: Option<ErrorCode>,
}

impl<'a> About<'a> {
    fn new(kind: &'a str, topic: Option<&'a str>) -> Self {
        Self {
            kind,
            topic,
            tone: Tone::Plain,
            code: None,
        }
    }

    fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    fn notable_if(self, notable: bool) -> Self {
        if notable {
            self.tone(Tone::Notable)
        } else {
            self
        }
    }
}

fn describe_sent<'a>(frame: &'a ClientMessage<'_>) -> About<'a> {
    use ClientMessage as C;
    match frame {
        C::Setup(_) => About::new("setup", None),
        C::Resume(_) => About::new("resume", None),
        C::Subscribe(f) => About::new("subscribe", Some(&f.topic)),
        C::Unsubscribe(f) => About::new("unsubscribe", Some(&f.topic)),
        C::Publish(f) => About::new("publish", Some(&f.topic)),
        C::Ack(f) => About::new("ack", Some(&f.topic)),
        C::Refresh(_) => About::new("refresh", None),
        C::Ping => About::new("ping", None),
    }
}

fn describe_received<'a>(frame: &'a ServerMessage<'_>) -> About<'a> {
    use ServerMessage as S;
    match frame {
        S::Ready(_) => About::new("ready", None),
        S::Subscribed(f) => {
            About::new("subscribed", Some(&f.topic)).notable_if(f.recovered == Some(false))
        }
        S::Unsubscribed(f) => About::new("unsubscribed", Some(&f.topic)),
        S::Message(f) => About::new("message", Some(&f.topic)),
        S::Ack(f) => About::new("ack", Some(f.topic.as_ref()).filter(|t| !t.is_empty()))
            .notable_if(f.status == AckStatus::Duplicate),
        S::Pong => About::new("pong", None),
        S::Error(f) => About {
            kind: "error",
            topic: f.topic.as_deref(),
            tone: Tone::Trouble,
            code: Some(f.code),
        },
    }
}

#[cfg(test)]
mod tests;
