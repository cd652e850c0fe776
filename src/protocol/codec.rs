//! JSON text to frames and back.
//!
//! Reading is one pass over a flat envelope that holds the fields of every frame. Where that fails
//! (a cold path), the frame is read again on its own: fields that its type does not have are
//! ignored, and the error names the field that is wrong.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

use super::codes::ErrorCode;
use super::message::{
    AckStatus, ClientAck, ClientMessage, ErrorFrame, MessageFrame, Publish, PublishAck, Ready,
    Resume, ServerMessage, Setup, Subscribe, Subscribed, TokenOnly, TopicOnly, UnrecoveredReason,
};
use super::names::Epoch;

/// Why a text is not a frame. The text of the error is what the sender reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON, but no object.
    #[error("a frame must be a JSON object such as {{\"type\":\"ping\"}}")]
    NotObject,
    /// A required field is not there.
    #[error("{frame} needs the field `{field}`")]
    Missing {
        /// The frame's type, or "a frame".
        frame: &'static str,
        /// The field's name on the wire.
        field: &'static str,
    },
    /// A field is of the wrong kind.
    #[error("field `{field}` must be {expected}")]
    Wrong {
        /// The field's name on the wire.
        field: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The `type` is none of ours.
    #[error("unknown type {0:?}; see the reference at /docs for the types of frames")]
    UnknownType(String),
}

/// Reads a client's frame.
///
/// # Errors
/// [`DecodeError`], whose text names what is wrong and where.
pub fn decode_client(text: &str) -> Result<ClientMessage<'_>, DecodeError> {
    if let Some(publish) = Publishing::read(text) {
        return Ok(ClientMessage::Publish(publish));
    }
    let fields = Envelope::read(text, CLIENT_FIELDS)?;
    let kind = fields.kind()?;
    Ok(match kind {
        "publish" => ClientMessage::Publish(Publish {
            topic: need(fields.topic, "publish", "topic")?,
            message_id: need(fields.message_id, "publish", "messageId")?,
            payload: fields.payload.ok_or(DecodeError::Missing {
                frame: "publish",
                field: "payload",
            })?,
            sig: fields.sig.map(Text::take),
        }),
        "ack" => ClientMessage::Ack(ClientAck {
            topic: need(fields.topic, "ack", "topic")?,
            seq_no: need_value(fields.seq_no, "ack", "seqNo")?,
        }),
        "subscribe" => ClientMessage::Subscribe(Subscribe {
            topic: need(fields.topic, "subscribe", "topic")?,
            last_seq: fields.last_seq,
            epoch: fields.epoch.map(Text::take),
            qos: checked_qos(fields.qos)?,
        }),
        "unsubscribe" => ClientMessage::Unsubscribe(TopicOnly {
            topic: need(fields.topic, "unsubscribe", "topic")?,
        }),
        "setup" => ClientMessage::Setup(Setup {
            // No token and an empty one are the same mistake; authentication answers both.
            token: fields.token.map(Text::take).unwrap_or_default(),
            topics: take_all(fields.topics.unwrap_or_default()),
            qos: checked_qos(fields.qos)?,
        }),
        "resume" => ClientMessage::Resume(Resume {
            token: fields.token.map(Text::take).unwrap_or_default(),
            session_id: need(fields.session_id, "resume", "sessionId")?,
            last_seq_per_topic: need_value(fields.last_seq_per_topic, "resume", "lastSeqPerTopic")?
                .into_iter()
                .map(|(topic, seq)| (topic.take(), seq))
                .collect(),
            epochs: fields
                .epochs
                .unwrap_or_default()
                .into_iter()
                .map(|(topic, epoch)| (topic.take(), epoch.take()))
                .collect(),
        }),
        "refresh" => ClientMessage::Refresh(TokenOnly {
            token: fields.token.map(Text::take).unwrap_or_default(),
        }),
        "ping" => ClientMessage::Ping,
        other => return Err(unknown(other)),
    })
}

/// Reads a frame of the gateway.
///
/// # Errors
/// [`DecodeError`], whose text names what is wrong and where.
pub fn decode_server(text: &str) -> Result<ServerMessage<'_>, DecodeError> {
    let fields = Envelope::read(text, SERVER_FIELDS)?;
    let kind = fields.kind()?;
    Ok(match kind {
        "message" => ServerMessage::Message(MessageFrame {
            topic: need(fields.topic, "message", "topic")?,
            seq_no: need_value(fields.seq_no, "message", "seqNo")?,
            prev_seq: fields.prev_seq,
            message_id: need(fields.message_id, "message", "messageId")?,
            ts: fields.ts,
            sig: fields.sig.map(Text::take),
            data: Cow::Borrowed(fields.data.ok_or(DecodeError::Missing {
                frame: "message",
                field: "data",
            })?),
        }),
        "ack" => ServerMessage::Ack(PublishAck {
            message_id: need(fields.message_id, "ack", "messageId")?,
            status: need_value(fields.status, "ack", "status")?,
            topic: fields.topic.map(Text::take).unwrap_or_default(),
            seq_no: fields.seq_no.unwrap_or_default(),
            epoch: Epoch::new(fields.epoch.as_ref().map_or("", |text| &text.0)),
        }),
        "ready" => ServerMessage::Ready(Ready {
            session_id: need(fields.session_id, "ready", "sessionId")?,
            resumed: fields.resumed.unwrap_or_default(),
            user_id: fields.user_id.map(Text::take).unwrap_or_default(),
            expires_in: fields.expires_in,
            durability: fields.durability.map(Text::take),
            node: fields.node.map(Text::take),
        }),
        "subscribed" => ServerMessage::Subscribed(Subscribed {
            topic: need(fields.topic, "subscribed", "topic")?,
            seq_no: fields.seq_no.unwrap_or_default(),
            epoch: Epoch::new(fields.epoch.as_ref().map_or("", |text| &text.0)),
            recovered: fields.recovered,
            replayed: fields.replayed,
            reason: fields.reason,
        }),
        "unsubscribed" => ServerMessage::Unsubscribed(TopicOnly {
            topic: need(fields.topic, "unsubscribed", "topic")?,
        }),
        "error" => ServerMessage::Error(ErrorFrame {
            code: need_value(fields.code, "error", "code")?,
            message: fields.message.map(Text::take).unwrap_or_default(),
            topic: fields.topic.map(Text::take),
            message_id: fields.message_id.map(Text::take),
            retryable: fields.retryable.unwrap_or_default(),
        }),
        "pong" => ServerMessage::Pong,
        other => return Err(unknown(other)),
    })
}

/// Writes a client's frame as JSON text.
#[must_use]
pub fn encode_client(message: &ClientMessage<'_>) -> String {
    to_json(message)
}

/// Writes a frame of the gateway as JSON text.
#[must_use]
pub fn encode_server(message: &ServerMessage<'_>) -> String {
    to_json(message)
}

/// Appends a frame of the gateway as JSON text.
#[cfg(feature = "ssr")]
pub fn write_server(out: &mut Vec<u8>, message: &ServerMessage<'_>) {
    match message {
        ServerMessage::Ack(ack) => super::writing::push_ack(out, ack),
        // Frames hold strings, numbers and checked JSON only: writing them to memory cannot fail.
        other => serde_json::to_writer(out, other).unwrap_or_default(),
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    // Frames hold strings, numbers and checked JSON only: writing them to memory cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// A string that borrows from the input unless it holds an escape. (serde borrows a bare `Cow`,
/// but not one inside an `Option`, a `Vec` or a map.)
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    fn take(self) -> Cow<'a, str> {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
            fn visit_string<E: de::Error>(self, v: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v)))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Keeps a JSON `null` as a value; an absent field stays `None`.
fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The frame that comes by the million, read without the fields of the others. Whatever is unusual
/// about it is left to the envelope.
#[derive(serde::Deserialize)]
struct Publishing<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    topic: Text<'a>,
    #[serde(borrow, rename = "messageId")]
    message_id: Text<'a>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow, default)]
    sig: Option<Text<'a>>,
}

impl<'a> Publishing<'a> {
    fn read(text: &'a str) -> Option<Publish<'a>> {
        if !text.starts_with(r#"{"type":"publish","#) {
            return None;
        }
        let fields: Self = serde_json::from_str(text).ok()?;
        (fields.kind.0 == "publish").then(|| Publish {
            topic: fields.topic.take(),
            message_id: fields.message_id.take(),
            payload: fields.payload,
            sig: fields.sig.map(Text::take),
        })
    }
}

macro_rules! envelope {
    (
        borrowed { $($bfield:ident $bwire:literal : $bty:ty = $bexpected:literal,)* }
        owned { $($field:ident $wire:literal : $ty:ty = $expected:literal,)* }
    ) => {
        /// The fields of all frames.
        #[derive(serde::Deserialize, Default)]
        struct Envelope<'a> {
            #[serde(borrow, default, rename = "type")]
            kind: Option<Text<'a>>,
            #[serde(borrow, default, deserialize_with = "raw")]
            payload: Option<&'a RawValue>,
            #[serde(borrow, default, deserialize_with = "raw")]
            data: Option<&'a RawValue>,
            $(#[serde(borrow, default, rename = $bwire)] $bfield: Option<$bty>,)*
            $(#[serde(default, rename = $wire)] $field: Option<$ty>,)*
        }

        impl<'a> Envelope<'a> {
            /// The cold path: reads each field that `wanted` names for this type on its own.
            fn read_slowly(
                text: &'a str,
                wanted: fn(&str) -> &'static [&'static str],
            ) -> Result<Self, DecodeError> {
                let members: BTreeMap<Text<'a>, &'a RawValue> = serde_json::from_str(text)
                    .map_err(|e| explain(text, &e))?;
                let member = |name: &str| members.get(&Text(Cow::Borrowed(name))).copied();
                let kind = match member("type") {
                    None => None,
                    Some(value) => Some(field::<Text<'a>>(value, "type", "a string")?),
                };
                let names = kind.as_ref().map_or(&[][..], |k| wanted(&k.0));
                let mut fields = Self {
                    payload: names.contains(&"payload").then(|| member("payload")).flatten(),
                    data: names.contains(&"data").then(|| member("data")).flatten(),
                    kind,
                    ..Self::default()
                };
                $(if let Some(value) = names.contains(&$bwire).then(|| member($bwire)).flatten() {
                    fields.$bfield = field::<Option<$bty>>(value, $bwire, $bexpected)?;
                })*
                $(if let Some(value) = names.contains(&$wire).then(|| member($wire)).flatten() {
                    fields.$field = field::<Option<$ty>>(value, $wire, $expected)?;
                })*
                Ok(fields)
            }
        }
    };
}

envelope! {
    borrowed {
        topic "topic": Text<'a> = "a string",
        message_id "messageId": Text<'a> = "a string",
        sig "sig": Text<'a> = "a string",
        token "token": Text<'a> = "a string",
        topics "topics": Vec<Text<'a>> = "an array of strings",
        epoch "epoch": Text<'a> = "a string",
        session_id "sessionId": Text<'a> = "a string",
        last_seq_per_topic "lastSeqPerTopic": BTreeMap<Text<'a>, u64> = "an object of whole numbers by topic",
        epochs "epochs": BTreeMap<Text<'a>, Text<'a>> = "an object of strings by topic",
        user_id "userId": Text<'a> = "a string",
        durability "durability": Text<'a> = "a string",
        node "node": Text<'a> = "a string",
        message "message": Text<'a> = "a string",
    }
    owned {
        qos "qos": u8 = "0 or 1",
        last_seq "lastSeq": u64 = "a whole number from 0",
        seq_no "seqNo": u64 = "a whole number from 0",
        prev_seq "prevSeq": u64 = "a whole number from 0",
        ts "ts": u64 = "a whole number from 0",
        status "status": AckStatus = "\"ok\" or \"duplicate\"",
        resumed "resumed": bool = "true or false",
        expires_in "expiresIn": u64 = "a whole number from 0",
        recovered "recovered": bool = "true or false",
        replayed "replayed": u64 = "a whole number from 0",
        reason "reason": UnrecoveredReason = "a known reason",
        code "code": ErrorCode = "a known error code",
        retryable "retryable": bool = "true or false",
    }
}

impl<'a> Envelope<'a> {
    fn read(
        text: &'a str,
        wanted: fn(&str) -> &'static [&'static str],
    ) -> Result<Self, DecodeError> {
        // serde would also fill a struct from a JSON array: only an object is a frame.
        if text.trim_ascii_start().starts_with('{')
            && let Ok(fields) = serde_json::from_str(text)
        {
            return Ok(fields);
        }
        Self::read_slowly(text, wanted)
    }

    fn kind(&self) -> Result<&'static str, DecodeError> {
        let Some(kind) = &self.kind else {
            return Err(DecodeError::Missing {
                frame: "a frame",
                field: "type",
            });
        };
        TYPES
            .iter()
            .copied()
            .find(|known| *known == kind.0)
            .ok_or_else(|| unknown(&kind.0))
    }
}

const TYPES: &[&str] = &[
    "publish",
    "message",
    "ack",
    "subscribe",
    "subscribed",
    "unsubscribe",
    "unsubscribed",
    "setup",
    "ready",
    "resume",
    "refresh",
    "ping",
    "pong",
    "error",
];

const CLIENT_FIELDS: fn(&str) -> &'static [&'static str] = |kind| match kind {
    "setup" => &["token", "topics", "qos"],
    "resume" => &["token", "sessionId", "lastSeqPerTopic", "epochs"],
    "subscribe" => &["topic", "lastSeq", "epoch", "qos"],
    "unsubscribe" => &["topic"],
    "publish" => &["topic", "messageId", "payload", "sig"],
    "ack" => &["topic", "seqNo"],
    "refresh" => &["token"],
    _ => &[],
};

#[rustfmt::skip] // A table: a kind a line.
const SERVER_FIELDS: fn(&str) -> &'static [&'static str] = |kind| match kind {
    "ready" => &["sessionId", "resumed", "userId", "expiresIn", "durability", "node"],
    "subscribed" => &["topic", "seqNo", "epoch", "recovered", "replayed", "reason"],
    "unsubscribed" => &["topic"],
    "message" => &["topic", "seqNo", "prevSeq", "messageId", "ts", "sig", "data"],
    "ack" => &["messageId", "status", "topic", "seqNo", "epoch"],
    "error" => &["code", "message", "topic", "messageId", "retryable"],
    _ => &[],
};

fn need<'a>(
    value: Option<Text<'a>>,
    frame: &'static str,
    field: &'static str,
) -> Result<Cow<'a, str>, DecodeError> {
    need_value(value, frame, field).map(Text::take)
}

fn need_value<T>(
    value: Option<T>,
    frame: &'static str,
    field: &'static str,
) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing { frame, field })
}

fn take_all(texts: Vec<Text<'_>>) -> Vec<Cow<'_, str>> {
    texts.into_iter().map(Text::take).collect()
}

fn checked_qos(qos: Option<u8>) -> Result<Option<u8>, DecodeError> {
    match qos {
        None | Some(0 | 1) => Ok(qos),
        Some(_) => Err(DecodeError::Wrong {
            field: "qos".into(),
            expected: "0 or 1",
        }),
    }
}

fn unknown(kind: &str) -> DecodeError {
    DecodeError::UnknownType(kind.chars().take(40).collect())
}

fn field<'a, T: Deserialize<'a>>(
    value: &'a RawValue,
    name: &str,
    expected: &'static str,
) -> Result<T, DecodeError> {
    serde_json::from_str(value.get()).map_err(|_| DecodeError::Wrong {
        field: name.to_owned(),
        expected,
    })
}

/// Why the members of a frame could not be listed: no JSON, or no object.
fn explain(text: &str, error: &serde_json::Error) -> DecodeError {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) if !value.get().starts_with('{') => DecodeError::NotObject,
        _ => DecodeError::NotJson(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
