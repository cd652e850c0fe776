//! What the playground knows and how events change it. Pure: no clock, no socket, no framework,
//! so that every rule is tested without a browser.
//!
//! [`Playground`] is everything; [`client`] is one connection of it, [`continuity`] whether what
//! came on it hangs together, [`log`] what all of them said, [`scenario`] what is worth seeing,
//! [`session_file`] the log as a file and [`replaying`] such a file sent again.
//!
//! Uses: histogram, protocol, verify.

pub mod client;
pub mod continuity;
mod describe;
pub mod draft;
pub mod evidence;
pub mod figures;
pub mod gateway;
pub mod json;
pub mod kept;
pub mod latencies;
pub mod listing;
pub mod log;
mod matching;
mod next_step;
pub mod phase;
pub mod replaying;
pub mod scenario;
pub mod secrets;
pub mod session_file;
pub mod slots;
pub mod takeaway;
pub mod text;
pub mod token;

use std::sync::Arc;

use crate::protocol::{CloseCode, ServerMessage, decode_client, decode_server};
use crate::verify::PROMISES;

use client::{Client, ClientId};
use describe::{About, describe_received, describe_sent};
use evidence::{Evidence, Promise};
use figures::Figures;
use gateway::{Measured, Stats};
use latencies::Latencies;
use log::{Link, Log, Row, Tone, Way};
pub use next_step::{NextStep, Offer};
use phase::explain_close;
use session_file::Line;

/// Rows in one batch above which a screen reader is not told of each.
const FLOOD: usize = 5;

/// Something that happened to a connection.
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

/// An event, when it was, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// The client it happened to.
    pub client: ClientId,
    /// When, in milliseconds since 1970.
    pub at: f64,
    /// What.
    pub event: Event,
}

/// The clients of the page and everything they said.
#[derive(Debug, Clone, Default)]
pub struct Playground {
    clients: [Client; ClientId::ALL.len()],
    /// Whether the clients after the first, which is always there, are there.
    others: [bool; ClientId::ALL.len() - 1],
    log: Log,
    evidence: Evidence,
    figures: Figures,
    flooded: bool,
}

impl Playground {
    /// A client, whether it is there or not.
    #[must_use]
    pub fn client(&self, id: ClientId) -> &Client {
        &self.clients[id.place()]
    }

    /// Whether a client is there.
    #[must_use]
    pub fn has(&self, id: ClientId) -> bool {
        id.place()
            .checked_sub(1)
            .is_none_or(|place| self.others[place])
    }

    /// The clients that are there, in their order.
    pub fn ids(&self) -> impl Iterator<Item = ClientId> {
        ClientId::ALL.into_iter().filter(|id| self.has(*id))
    }

    /// Brings one more client in, as far as there is room.
    pub fn add(&mut self) -> Option<ClientId> {
        let id = ClientId::ALL.into_iter().find(|id| !self.has(*id))?;
        self.bring(id);
        Some(id)
    }

    /// Brings a client in.
    pub fn bring(&mut self, id: ClientId) {
        if let Some(place) = id.place().checked_sub(1) {
            self.others[place] = true;
        }
    }

    /// Sends a client away, with all it knew; its rows stay. The first one stays.
    pub fn remove(&mut self, id: ClientId) {
        if let Some(place) = id.place().checked_sub(1) {
            self.others[place] = false;
            self.evidence.leaves(id, &self.clients[id.place()]);
            self.clients[id.place()] = Client::default();
        }
    }

    /// The log of all clients.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What was seen of each promise, with what the gateway says of its latency.
    #[must_use]
    pub fn promises(&self, gateway: Option<&Measured>) -> [Promise; PROMISES.len()] {
        self.evidence.promises(&self.clients, gateway)
    }

    /// How long the page's own messages took, from publish to deliver.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        self.evidence.latencies()
    }

    /// What the gateway says of itself, as far as the promises are judged by it.
    pub fn heed(&mut self, gateway: &Stats) {
        self.evidence.remembers_for(gateway.dedup_ttl_ms);
    }

    /// Forgets what was seen of the promises.
    pub fn begin_evidence(&mut self) {
        self.evidence.begin(&self.clients);
    }

    /// What passed, in figures; all clients together.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Whether the last batch was too much to be read aloud row by row.
    #[must_use]
    pub fn flooded(&self) -> bool {
        self.flooded
    }

    /// Pins a row of the log, or lets it go again. Tells whether there was room for it.
    pub fn toggle_pin(&mut self, row: &Arc<Row>) -> bool {
        if self.log.is_pinned(row.id) {
            self.log.unpin(row.id);
            return true;
        }
        self.log.pin(row)
    }

    /// Forgets the log's rows.
    pub fn clear_log(&mut self) {
        self.log.clear();
    }

    /// Takes what happened since the last time, oldest first.
    pub fn apply_all(&mut self, events: impl IntoIterator<Item = Happened>) {
        let before = self.log.last_id();
        for happened in events {
            self.apply(happened);
        }
        self.flooded = self.log.last_id() - before > FLOOD as u64;
    }

    /// Takes one event.
    pub fn apply(&mut self, happened: Happened) {
        let Happened { client, at, event } = happened;
        let place = client.place();
        match event {
            Event::Opening { url } => {
                self.clients[place].opening();
                self.note(client, at, "open", &url, Tone::Plain);
            }
            Event::Opened => {
                self.clients[place].opened();
                let words = "The WebSocket is open.";
                self.note(client, at, "opened", words, Tone::Plain);
            }
            Event::Sent(text) => self.sent(client, at, &text),
            Event::Received(text) => self.received(client, at, &text),
            Event::Closed { code, reason } => {
                let was_open = self.clients[place].phase().is_open();
                let words = explain_close(code, &reason, was_open);
                let tone = if code == 1000 {
                    Tone::Plain
                } else {
                    Tone::Trouble
                };
                self.clients[place].closed(code, reason);
                self.note(client, at, "closed", &words, tone);
            }
            Event::Failed(words) => self.note(client, at, "failed", &words, Tone::Trouble),
        }
    }

    /// What the rows of an imported session say. Nothing in it is live.
    #[must_use]
    pub fn of_session(lines: Vec<Line>) -> Self {
        let mut playground = Self::default();
        for line in lines {
            playground.recall(&line);
        }
        playground.flooded = true;
        playground
    }

    fn recall(&mut self, line: &Line) {
        let (client, at, text) = (line.client, line.at, line.text.as_str());
        self.bring(client);
        match line.way {
            Way::Sent => self.sent(client, at, text),
            Way::Received => self.received(client, at, text),
            Way::Note => {
                let one = &mut self.clients[client.place()];
                let in_order = match line.kind.as_str() {
                    "open" => {
                        one.opening();
                        true
                    }
                    "closed" => {
                        one.closed(CloseCode::Normal.code(), String::new());
                        text.starts_with("1000:")
                    }
                    kind => kind == "opened",
                };
                let tone = if in_order { Tone::Plain } else { Tone::Trouble };
                self.note(client, at, &line.kind, text, tone);
            }
        }
    }

    fn note(&mut self, client: ClientId, at: f64, kind: &str, text: &str, tone: Tone) {
        let about = About::new(kind, None).tone(tone);
        self.push(client, at, Way::Note, text, about);
    }

    fn push(&mut self, client: ClientId, at: f64, way: Way, text: &str, about: About<'_>) -> u64 {
        self.log.push(Row {
            id: 0,
            client,
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

    fn sent(&mut self, client: ClientId, at: f64, text: &str) {
        self.figures.sent(at);
        let frame = decode_client(text).ok();
        let about = frame.as_ref().map_or_else(
            || About::new("bad frame", None).tone(Tone::Notable),
            describe_sent,
        );
        let row = self.push(client, at, Way::Sent, text, about);
        if let Some(frame) = &frame {
            self.evidence.sent(client, at, frame);
        }
        self.clients[client.place()].sent(row, at, frame.as_ref());
    }

    fn received(&mut self, client: ClientId, at: f64, text: &str) {
        self.figures.received(at);
        let Ok(frame) = decode_server(text) else {
            let about = About::new("bad frame", None).tone(Tone::Trouble);
            self.push(client, at, Way::Received, text, about);
            return;
        };
        let row = self.push(client, at, Way::Received, text, describe_received(&frame));
        if let ServerMessage::Message(f) = &frame {
            self.figures.message(at, &f.topic, f.seq_no, f.data.get());
        }
        let one = &mut self.clients[client.place()];
        let request = one.received(at, &frame);
        self.evidence.received(client, at, one, &frame);
        if let Some(request) = request {
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
    }
}

#[cfg(test)]
mod tests;
