//! One connection of the page: what it is doing, where it stands, and what it waits for.

use std::collections::BTreeMap;

use crate::protocol::{ClientMessage, ServerMessage};

use super::continuity::Continuity;
use super::matching::{Found, Requests};
use super::phase::Phase;

/// A client's place on the page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u8);

impl ClientId {
    /// The first client, which is always there.
    pub const FIRST: Self = Self(0);
    /// As many as there is room for.
    pub const ALL: [Self; 4] = [Self(0), Self(1), Self(2), Self(3)];

    /// Counted from 0.
    #[must_use]
    pub fn place(self) -> usize {
        usize::from(self.0)
    }

    /// How the client is called on the page: A to D.
    #[must_use]
    pub fn letter(self) -> &'static str {
        ["A", "B", "C", "D"][self.place()]
    }

    /// The client that is called so.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.letter() == letter)
    }
}

/// Where a client stands in a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last seqNo seen.
    pub seq_no: u64,
    /// The epoch of that number; empty while unknown.
    pub epoch: String,
}

/// One connection, and what is kept of it for the next.
#[derive(Debug, Clone, Default)]
pub struct Client {
    phase: Phase,
    requests: Requests,
    /// The topics of the session, by name. Kept after a close, for `resume`.
    topics: BTreeMap<String, Standing>,
    /// The topic that was last spoken of: the one to offer next.
    focus: String,
    session_id: String,
    /// The gateway that it is on, as far as that says so.
    node: String,
    published: bool,
    continuity: Continuity,
    /// When the token ends, in milliseconds since 1970.
    expires_at: Option<f64>,
}

impl Client {
    /// What the connection is doing.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The subscribed topics with the place in each.
    #[must_use]
    pub fn topics(&self) -> &BTreeMap<String, Standing> {
        &self.topics
    }

    /// The topic last spoken of, if it is still subscribed; else any.
    #[must_use]
    pub fn focus(&self) -> Option<&str> {
        let focus = self.topics.get_key_value(&self.focus).map(|(name, _)| name);
        focus
            .or_else(|| self.topics.keys().next())
            .map(String::as_str)
    }

    /// The session's id from the last `ready`; empty before.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Whether what came of each topic hangs together, since the client came to the page.
    #[must_use]
    pub fn continuity(&self) -> &Continuity {
        &self.continuity
    }

    /// The gateway that it is on; empty while it is not set up.
    #[must_use]
    pub fn node(&self) -> &str {
        if self.is_ready() { &self.node } else { "" }
    }

    /// Who the gateway says the client is; empty before.
    #[must_use]
    pub fn user(&self) -> &str {
        match &self.phase {
            Phase::Ready { user_id } => user_id,
            _ => "",
        }
    }

    /// Whether a publish on this connection was acked.
    #[must_use]
    pub fn has_published(&self) -> bool {
        self.published
    }

    /// Whether it is set up.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// In how many seconds its token ends, if it ever does.
    #[must_use]
    pub fn expires_in(&self, now: f64) -> Option<f64> {
        self.expires_at.map(|at| (at - now) / 1000.0)
    }

    /// Whether `setup`, `resume` or `refresh` waits for its `ready`.
    #[must_use]
    pub fn awaits_ready(&self) -> bool {
        self.requests.awaits_ready()
    }

    pub(super) fn opening(&mut self) {
        self.requests.clear();
        self.continuity.opening();
        self.published = false;
        self.phase = Phase::Connecting;
    }

    pub(super) fn opened(&mut self) {
        self.phase = Phase::Connected;
    }

    pub(super) fn closed(&mut self, code: u16, reason: String) {
        self.requests.clear();
        self.phase = Phase::Closed {
            code,
            reason,
            was_open: self.phase.is_open(),
        };
    }

    /// A frame went out; `None` is a text that is no frame.
    pub(super) fn sent(&mut self, row: u64, at: f64, frame: Option<&ClientMessage<'_>>) {
        match frame {
            // What follows are the topics of this session; resume keeps those it had.
            Some(ClientMessage::Setup(_)) if !self.is_ready() => self.topics.clear(),
            Some(ClientMessage::Publish(f)) => self.focus = f.topic.to_string(),
            Some(ClientMessage::Subscribe(f)) => self.focus = f.topic.to_string(),
            _ => {}
        }
        if let Some(frame) = frame {
            self.continuity.sent(frame);
        }
        self.requests.sent(row, at, frame);
    }

    /// A frame came in. Returns the request that it answers.
    pub(super) fn received(&mut self, at: f64, frame: &ServerMessage<'_>) -> Option<Found> {
        let request = self.requests.answered_by(frame);
        self.continuity.received(frame);
        match frame {
            ServerMessage::Ready(ready) => {
                self.session_id = ready.session_id.to_string();
                self.node = ready.node.as_deref().unwrap_or_default().to_owned();
                let user_id = ready.user_id.to_string();
                self.phase = Phase::Ready { user_id };
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a token does not live that long"
                )]
                let expires_at = |seconds| at + seconds as f64 * 1000.0;
                self.expires_at = ready.expires_in.map(expires_at);
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
            ServerMessage::Ack(_) => self.published = true,
            ServerMessage::Pong | ServerMessage::Error(_) => {}
        }
        request
    }
}
