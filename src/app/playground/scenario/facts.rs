//! What a run has seen of one client.

use super::super::continuity::Continuity;
use crate::protocol::{AckStatus, ErrorCode, SeqNo, ServerMessage};

/// Answers of one kind that are kept; no scenario asks for more.
const MAX: usize = 256;

/// One `ack`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) message_id: String,
    pub(super) status: AckStatus,
    pub(super) seq_no: SeqNo,
}

/// One `error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) topic: String,
    pub(super) message: String,
}

/// What was seen of one client since the run began, unless it says otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Its messages.
    pub(super) continuity: Continuity,
    /// The session of its last `ready`.
    pub(super) session: String,
    /// The user of its last `ready`.
    pub(super) user: String,
    pub(super) acks: Vec<Acked>,
    pub(super) errors: Vec<Refused>,
    /// The codes that its connections ended with.
    pub(super) closes: Vec<u16>,
    /// Whether the run has asked for a connection and it does not begin yet.
    pub(super) asked: bool,
    /// What to send once the connection is open (the first) and once it is ready (the others).
    pub(super) pending: Vec<String>,
    /// On this connection: whether `ready` came, and whether it was a resume.
    pub(super) ready: Option<bool>,
    /// On this connection: whether a topic was subscribed.
    pub(super) subscribed: bool,
    /// On this connection: the topics that were subscribed from a position. One that was not is the URL's,
    /// which setup subscribes by itself.
    pub(super) returned: Vec<String>,
    /// On this connection: whether it has ended.
    pub(super) closed: bool,
    /// On this connection: whether a fault was inflicted.
    pub(super) inflicted: bool,
}

impl Facts {
    /// A new connection begins.
    pub(super) fn begin(&mut self, pending: Vec<String>) {
        self.continuity.opening();
        self.asked = true;
        self.pending = pending;
        self.ready = None;
        self.subscribed = false;
        self.returned.clear();
        self.closed = false;
        self.inflicted = false;
    }

    /// Takes note of a frame.
    pub(super) fn received(&mut self, frame: &ServerMessage<'_>) {
        self.continuity.received(frame);
        match frame {
            ServerMessage::Ready(f) => {
                self.session = f.session_id.to_string();
                self.user = f.user_id.to_string();
                self.ready = Some(f.resumed);
            }
            ServerMessage::Subscribed(f) => {
                self.subscribed = true;
                if f.recovered.is_some() {
                    self.returned.push(f.topic.to_string());
                }
            }
            ServerMessage::Ack(f) if self.acks.len() < MAX => self.acks.push(Acked {
                message_id: f.message_id.to_string(),
                status: f.status,
                seq_no: f.seq_no,
            }),
            ServerMessage::Error(f) if self.errors.len() < MAX => self.errors.push(Refused {
                code: f.code,
                topic: f.topic.as_deref().unwrap_or_default().to_owned(),
                message: f.message.to_string(),
            }),
            _ => {}
        }
    }
}
