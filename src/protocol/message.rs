//! Every frame of the protocol. One struct a frame; the two enums name the directions.
//!
//! Strings are borrowed from the text they were read from where that is possible. `payload` and
//! `data` are the publisher's bytes, never parsed and never written anew (promise I7).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::codes::ErrorCode;
use super::names::{Epoch, NameError, SeqNo};

/// A frame from a client.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum ClientMessage<'a> {
    /// Who is there, and which topics to begin with.
    Setup(Setup<'a>),
    /// Go on with an earlier session.
    Resume(Resume<'a>),
    /// Receive a topic.
    Subscribe(Subscribe<'a>),
    /// Stop receiving a topic.
    Unsubscribe(TopicOnly<'a>),
    /// Send a message to a topic.
    Publish(Publish<'a>),
    /// Everything up to this position was received.
    Ack(ClientAck<'a>),
    /// A new token of the same user.
    Refresh(TokenOnly<'a>),
    /// Are you there? Answered by `pong`.
    Ping,
}

/// `setup`: the first frame.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Setup<'a> {
    /// The token; with demo auth any non-empty text, which becomes the user.
    pub token: Cow<'a, str>,
    /// Topics to subscribe at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "ssr", schema(required = false))]
    pub topics: Vec<Cow<'a, str>>,
    /// Quality of service of those topics: 0 (default) or 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false, maximum = 1))]
    pub qos: Option<u8>,
}

/// `resume`: the first frame instead of `setup`, after a cut.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Resume<'a> {
    /// A token of the session's user.
    pub token: Cow<'a, str>,
    /// The session's id from `ready`.
    pub session_id: Cow<'a, str>,
    /// The last seqNo received of each topic.
    #[cfg_attr(feature = "ssr", schema(value_type = BTreeMap<String, u64>))]
    pub last_seq_per_topic: BTreeMap<Cow<'a, str>, SeqNo>,
    /// The epoch of each of those positions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "ssr", schema(value_type = BTreeMap<String, String>, required = false))]
    pub epochs: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// `subscribe`: receive a topic, from now on or from a position.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Subscribe<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// Replay what came after this seqNo first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub last_seq: Option<SeqNo>,
    /// The epoch of `lastSeq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub epoch: Option<Cow<'a, str>>,
    /// Quality of service: 0 (default) or 1, at least once with client acks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false, maximum = 1))]
    pub qos: Option<u8>,
}

/// A frame that carries nothing but a topic: `unsubscribe`, `unsubscribed`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct TopicOnly<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
}

/// A frame that carries nothing but a token: `refresh`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct TokenOnly<'a> {
    /// A new token of the same user.
    pub token: Cow<'a, str>,
}

/// `publish`: send a message. One `messageId` has one effect per user within the dedup window.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Publish<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// The publisher's own name for this message, 1 to 128 bytes.
    #[cfg_attr(feature = "ssr", schema(min_length = 1, max_length = 128))]
    pub message_id: Cow<'a, str>,
    /// Any JSON value; it reaches subscribers byte for byte.
    #[cfg_attr(feature = "ssr", schema(value_type = AnyJson))]
    pub payload: &'a RawValue,
    /// A signature that travels with the message unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub sig: Option<Cow<'a, str>>,
}

/// `ack` from a client: everything up to `seqNo` was received.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct ClientAck<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// The last seqNo received.
    pub seq_no: SeqNo,
}

/// A frame from the gateway.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum ServerMessage<'a> {
    /// The socket is set up.
    Ready(Ready<'a>),
    /// The topic is subscribed.
    Subscribed(Subscribed<'a>),
    /// The topic is no longer subscribed.
    Unsubscribed(TopicOnly<'a>),
    /// A message of a subscribed topic.
    Message(MessageFrame<'a>),
    /// The answer to `publish`.
    Ack(PublishAck<'a>),
    /// The answer to `ping`.
    Pong,
    /// Something was refused.
    Error(ErrorFrame<'a>),
}

/// `ready`: after `setup`, `resume` or `refresh`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Ready<'a> {
    /// Names the session for `resume`.
    pub session_id: Cow<'a, str>,
    /// Whether an earlier session goes on.
    pub resumed: bool,
    /// Who the token says you are.
    pub user_id: Cow<'a, str>,
    /// Seconds until the token expires; absent when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub expires_in: Option<u64>,
    /// What an `ack` means, where the log is brought to the disk only now and then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub durability: Option<Cow<'a, str>>,
    /// The gateway that you are on (setting node).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub node: Option<Cow<'a, str>>,
}

/// `subscribed`: the topic's head, and what became of a position that was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Subscribed<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// The seqNo of the topic's newest message; 0 when it has none.
    pub seq_no: SeqNo,
    /// The epoch of that number.
    #[cfg_attr(feature = "ssr", schema(value_type = String))]
    pub epoch: Epoch,
    /// Whether everything after the given position follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub recovered: Option<bool>,
    /// How many messages follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub replayed: Option<u64>,
    /// Why not, when `recovered` is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub reason: Option<UnrecoveredReason>,
}

/// Why a position could not be gone on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub enum UnrecoveredReason {
    /// The numbering is another one than the position's.
    Epoch,
    /// Messages after the position are no longer kept.
    Trimmed,
    /// The position is beyond the topic's head.
    Ahead,
    /// The history cannot be asked now.
    Unknown,
}

/// `message`: one message of a subscribed topic.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct MessageFrame<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// Its place in the topic.
    pub seq_no: SeqNo,
    /// The place of the message before it, where that is not `seqNo` - 1; 0 where none before it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub prev_seq: Option<SeqNo>,
    /// The publisher's name for it.
    pub message_id: Cow<'a, str>,
    /// When the gateway accepted it, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub ts: Option<u64>,
    /// The publisher's signature, if it sent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub sig: Option<Cow<'a, str>>,
    /// The payload that was published, byte for byte.
    #[cfg_attr(feature = "ssr", schema(value_type = AnyJson))]
    pub data: Cow<'a, RawValue>,
}

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub enum AckStatus {
    /// Accepted and kept.
    Ok,
    /// This user published this `messageId` before; the position is the first one's.
    Duplicate,
}

impl AckStatus {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Duplicate => "duplicate",
        }
    }
}

/// `ack` from the gateway: the answer to `publish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct PublishAck<'a> {
    /// The publisher's name for the message.
    pub message_id: Cow<'a, str>,
    /// `ok` or `duplicate`.
    pub status: AckStatus,
    /// The topic it is kept in.
    pub topic: Cow<'a, str>,
    /// Its place in the topic.
    pub seq_no: SeqNo,
    /// The epoch of that number.
    #[cfg_attr(feature = "ssr", schema(value_type = String))]
    pub epoch: Epoch,
}

/// `error`: a request was refused; the socket stays open unless a close frame follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct ErrorFrame<'a> {
    /// Which kind of refusal.
    pub code: ErrorCode,
    /// The cause and the mend, for people.
    pub message: Cow<'a, str>,
    /// The topic it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub topic: Option<Cow<'a, str>>,
    /// The publish it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub message_id: Option<Cow<'a, str>>,
    /// Whether the same request can succeed later.
    pub retryable: bool,
}

impl<'a> ErrorFrame<'a> {
    /// A refusal with its cause in words.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'a, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            topic: None,
            message_id: None,
            retryable: code.retryable(),
        }
    }

    /// The same, about a topic.
    #[must_use]
    pub fn about(mut self, topic: impl Into<Cow<'a, str>>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// The same, about a publish.
    #[must_use]
    pub fn publish(mut self, message_id: impl Into<Cow<'a, str>>) -> Self {
        self.message_id = Some(message_id.into());
        self
    }
}

/// A refusal: what goes into an `error` frame or an HTTP error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which kind.
    pub code: ErrorCode,
    /// The cause and the mend, for people.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its cause in words.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The refusal as an `error` frame.
    #[must_use]
    pub fn into_frame<'a>(self) -> ErrorFrame<'a> {
        ErrorFrame::new(self.code, self.message)
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::new(ErrorCode::BadTopic, error.to_string())
    }
}

/// Any JSON value, for generated documents.
#[cfg(feature = "ssr")]
#[derive(Debug)]
pub struct AnyJson;

#[cfg(feature = "ssr")]
impl utoipa::PartialSchema for AnyJson {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::empty().into()
    }
}

#[cfg(feature = "ssr")]
impl utoipa::ToSchema for AnyJson {}
