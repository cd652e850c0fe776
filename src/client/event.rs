//! What a program sees of its socket.

use std::borrow::Cow;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::receipts::Receipt;
use crate::protocol::{
    DecodeError, ErrorFrame, MessageFrame, PublishAck, Ready, SeqNo, ServerMessage, Subscribed,
};

/// One thing that happened to a socket, in the order in which it happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The WebSocket is open. Nothing is set up yet.
    Opened,
    /// The gateway accepted `setup`, or goes on with the session (`resumed`). Comes again after
    /// each reconnect.
    Ready(Ready<'static>),
    /// A topic is subscribed. After a reconnect `recovered` says whether everything missed
    /// follows; `Some(false)` means that messages up to `seq_no` are lost to this program.
    Subscribed(Subscribed<'static>),
    /// A topic is no longer subscribed.
    Unsubscribed {
        /// The topic.
        topic: String,
    },
    /// A message of a subscribed topic: in order, each once.
    Message(Message),
    /// Messages are missing although the gateway promised them. A fault to report.
    Gap {
        /// The topic.
        topic: String,
        /// The last message before the hole.
        after: SeqNo,
        /// The first message after it.
        before: SeqNo,
    },
    /// A publish was accepted that no [`Publishing`](super::Publishing) waits for: one sent with
    /// `send_raw`.
    Acked(PublishAck<'static>),
    /// The answer to a `ping` that was sent with `send_raw`.
    Pong,
    /// The gateway refused something. Refused publishes go to their own future instead.
    Error(ErrorFrame<'static>),
    /// A text frame that is not one of the gateway's.
    Undecodable(DecodeError),
    /// A binary frame. The gateway never sends one.
    Binary(Vec<u8>),
    /// The socket is gone, or could not be opened (code 1006).
    Closed {
        /// The close code; 1005 for none, 1006 for a cut.
        code: u16,
        /// The reason in words, as far as there is one.
        reason: String,
        /// Whether both sides closed in order.
        was_clean: bool,
        /// When the next attempt begins; `None` ends the stream.
        reconnect_in: Option<Duration>,
    },
    /// With `trace`: the text of a frame that goes out.
    Sent(String),
    /// With `trace`: the text of a frame that came in, readable or not.
    Received(String),
}

impl Event {
    /// About how many bytes it holds, for bounding queues.
    pub(super) fn cost(&self) -> usize {
        64 + match self {
            Self::Message(message) => message.data.get().len() + message.topic.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Sent(text) | Self::Received(text) => text.len(),
            _ => 0,
        }
    }
}

/// A message of a subscribed topic.
#[derive(Debug, Clone)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// Its place in the topic.
    pub seq_no: SeqNo,
    /// The place of the message before it, where that is not `seq_no` - 1; 0 where none before it is kept.
    pub prev_seq: Option<SeqNo>,
    /// The publisher's name for it.
    pub message_id: String,
    /// When the gateway accepted it, in milliseconds since the Unix epoch.
    pub ts: Option<u64>,
    /// The publisher's signature, if it sent one.
    pub sig: Option<String>,
    /// The payload that was published, byte for byte.
    pub data: Box<RawValue>,
    /// With qos 1: what says that the program took it.
    pub(super) receipt: Option<Receipt>,
}

impl Message {
    /// Reads the payload as `T`.
    ///
    /// # Errors
    /// When the payload is not a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.data.get())
    }

    /// The place of the message before it.
    pub(crate) fn previous(&self) -> SeqNo {
        self.prev_seq
            .unwrap_or_else(|| self.seq_no.saturating_sub(1))
    }
}

impl From<MessageFrame<'_>> for Message {
    fn from(frame: MessageFrame<'_>) -> Self {
        Self {
            topic: frame.topic.into_owned(),
            seq_no: frame.seq_no,
            prev_seq: frame.prev_seq,
            message_id: frame.message_id.into_owned(),
            ts: frame.ts,
            sig: frame.sig.map(Cow::into_owned),
            data: frame.data.into_owned(),
            receipt: None,
        }
    }
}

/// A frame of the gateway as the event that it is.
pub(crate) fn from_frame(frame: ServerMessage<'_>) -> Event {
    match frame {
        ServerMessage::Ready(ready) => Event::Ready(own_ready(ready)),
        ServerMessage::Subscribed(subscribed) => Event::Subscribed(own_subscribed(subscribed)),
        ServerMessage::Unsubscribed(only) => Event::Unsubscribed {
            topic: only.topic.into_owned(),
        },
        ServerMessage::Message(message) => Event::Message(message.into()),
        ServerMessage::Ack(ack) => Event::Acked(own_ack(ack)),
        ServerMessage::Pong => Event::Pong,
        ServerMessage::Error(error) => Event::Error(own_error(error)),
    }
}

fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

fn own_ready(ready: Ready<'_>) -> Ready<'static> {
    Ready {
        session_id: own(ready.session_id),
        user_id: own(ready.user_id),
        resumed: ready.resumed,
        expires_in: ready.expires_in,
        durability: ready.durability.map(own),
        node: ready.node.map(own),
    }
}

fn own_subscribed(subscribed: Subscribed<'_>) -> Subscribed<'static> {
    Subscribed {
        topic: own(subscribed.topic),
        epoch: subscribed.epoch,
        seq_no: subscribed.seq_no,
        recovered: subscribed.recovered,
        replayed: subscribed.replayed,
        reason: subscribed.reason,
    }
}

fn own_ack(ack: PublishAck<'_>) -> PublishAck<'static> {
    PublishAck {
        message_id: own(ack.message_id),
        topic: own(ack.topic),
        epoch: ack.epoch,
        status: ack.status,
        seq_no: ack.seq_no,
    }
}

fn own_error(error: ErrorFrame<'_>) -> ErrorFrame<'static> {
    ErrorFrame {
        code: error.code,
        message: own(error.message),
        topic: error.topic.map(own),
        message_id: error.message_id.map(own),
        retryable: error.retryable,
    }
}
