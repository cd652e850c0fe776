//! The frame that is being composed: its type, its fields, and the text they make.
//!
//! Which fields a type has, and which of them it needs, is the reference catalogue's knowledge.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::client::Client;
use crate::protocol::reference::{Direction, FRAMES, FieldDoc, FrameDoc, frame};
use crate::protocol::{DecodeError, MessageId, Topic, decode_client};

/// The types a client can send, in the order a newcomer needs them.
pub fn kinds() -> impl Iterator<Item = &'static FrameDoc> {
    FRAMES
        .iter()
        .filter(|frame| frame.direction == Direction::ToServer)
}

/// What is written in the fields, by their names on the wire. A field keeps its value when the
/// type changes: the topic of `subscribe` is the topic of `publish`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    kind: &'static str,
    values: BTreeMap<&'static str, String>,
}

impl Default for Draft {
    /// What makes the first tour work without typing.
    fn default() -> Self {
        let values = [
            ("token", "demo-user"),
            ("topics", "prices, alerts"),
            ("topic", "prices"),
            ("payload", r#"{"bid":100,"ask":101}"#),
            ("seqNo", "1"),
            ("lastSeqPerTopic", "{}"),
        ];
        Self {
            kind: "setup",
            values: values.map(|(name, value)| (name, value.to_owned())).into(),
        }
    }
}

impl Draft {
    /// The type of the frame.
    #[must_use]
    pub fn kind(&self) -> &'static FrameDoc {
        frame(Direction::ToServer, self.kind).unwrap_or(&FRAMES[0])
    }

    /// Chooses the type; an unknown one changes nothing.
    pub fn choose(&mut self, name: &str) {
        if let Some(kind) = kinds().find(|kind| kind.name == name) {
            self.kind = kind.name;
        }
    }

    /// What is written in a field.
    #[must_use]
    pub fn get(&self, field: &str) -> &str {
        self.values.get(field).map_or("", String::as_str)
    }

    /// Writes into a field.
    pub fn set(&mut self, field: &'static str, value: impl Into<String>) {
        self.values.insert(field, value.into());
    }

    /// What is written in all fields, by their names on the wire.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Fills in `resume` from what a client knows, if it had a session.
    pub fn fill_in_resume(&mut self, client: &Client) {
        if client.session_id().is_empty() {
            return;
        }
        let text = |map: serde_json::Map<_, _>| serde_json::Value::Object(map).to_string();
        let topics = client.topics();
        let last = topics
            .iter()
            .map(|(name, at)| (name.clone(), at.seq_no.into()));
        let epochs = topics
            .iter()
            .map(|(name, at)| (name.clone(), at.epoch.clone().into()));
        self.set("sessionId", client.session_id());
        self.set("lastSeqPerTopic", text(last.collect()));
        self.set("epochs", text(epochs.collect()));
    }

    /// Fills in `ack` with a client's place in the topic that is written, if it is subscribed.
    pub fn fill_in_ack(&mut self, client: &Client) {
        if let Some(standing) = client.topics().get(self.get("topic")) {
            self.set("seqNo", standing.seq_no.to_string());
        }
    }

    /// The frame that the fields make. Not JSON where a field is not: sending such a frame on
    /// purpose must be possible.
    #[must_use]
    pub fn frame(&self) -> String {
        let mut out = format!("{{\"type\":\"{}\"", self.kind);
        for field in self.kind().fields {
            let value = self.get(field.name);
            if !field.required && value.trim().is_empty() {
                continue;
            }
            out.push_str(",\"");
            out.push_str(field.name);
            out.push_str("\":");
            out.push_str(&written(field, value));
        }
        out.push('}');
        out
    }

    /// What is wrong with a field, in words for the person who fills it.
    #[must_use]
    pub fn problem(&self, field: &FieldDoc) -> Option<String> {
        let value = self.get(field.name);
        if !field.required && value.trim().is_empty() {
            return None;
        }
        problem(field.name, value)
    }

    /// The first field with a problem, and the problem.
    #[must_use]
    pub fn first_problem(&self) -> Option<(&'static FieldDoc, String)> {
        self.kind()
            .fields
            .iter()
            .find_map(|field| Some((field, self.problem(field)?)))
    }

    /// The topics of the `Topics` field.
    #[must_use]
    pub fn topics(&self) -> Vec<&str> {
        list(self.get("topics")).collect()
    }
}

/// The fields by their names on the wire, with their labels on the page.
pub const LABELS: [(&str, &str); 13] = [
    ("token", "Token"),
    ("topics", "Topics"),
    ("topic", "Topic"),
    ("messageId", "Message ID"),
    ("payload", "Payload"),
    ("lastSeq", "Last seq"),
    ("epoch", "Epoch"),
    ("qos", "QoS"),
    ("sessionId", "Session ID"),
    ("lastSeqPerTopic", "Last seq per topic"),
    ("epochs", "Epochs"),
    ("seqNo", "Seq no"),
    ("sig", "Signature"),
];

/// The field's label on the page.
#[must_use]
pub fn label(field: &str) -> &'static str {
    LABELS
        .iter()
        .find_map(|(name, label)| (*name == field).then_some(*label))
        .unwrap_or("Field")
}

/// Whether a field stands in view; the others are folded away.
#[must_use]
pub fn in_view(field: &FieldDoc) -> bool {
    field.required || field.name == "topics"
}

/// Why the gateway would refuse a text as a frame.
#[must_use]
pub fn frame_problem(text: &str) -> Option<DecodeError> {
    decode_client(text).err()
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|t| !t.is_empty())
}

fn json_string(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Whether a field's text is JSON itself rather than a string.
fn is_json(field: &str) -> bool {
    matches!(
        field,
        "payload" | "lastSeq" | "qos" | "seqNo" | "lastSeqPerTopic" | "epochs"
    )
}

fn written(field: &FieldDoc, value: &str) -> String {
    if field.name == "topics" {
        let items: Vec<_> = list(value).map(json_string).collect();
        format!("[{}]", items.join(","))
    } else if is_json(field.name) {
        value.trim().to_owned()
    } else {
        json_string(value)
    }
}

fn problem(field: &str, value: &str) -> Option<String> {
    match field {
        "topic" => Topic::check(value).err().map(|e| capital(&e.to_string())),
        "topics" => list(value).find_map(|topic| {
            let error = Topic::check(topic).err()?;
            Some(capital(&error.to_string()))
        }),
        "messageId" => MessageId::check(value)
            .err()
            .map(|e| capital(&e.to_string())),
        "payload" if value.trim().is_empty() => Some(
            "The payload is empty. Write any JSON value, for example {\"bid\":100} or \"hello\"."
                .into(),
        ),
        "payload" => not_json(value),
        "lastSeq" | "seqNo" => value
            .trim()
            .parse::<u64>()
            .err()
            .map(|_| "Write a whole number from 0.".into()),
        "qos" => (!matches!(value.trim(), "0" | "1")).then(|| "Write 0 or 1.".into()),
        "lastSeqPerTopic" => serde_json::from_str::<BTreeMap<String, u64>>(value)
            .err()
            .map(|_| "Write an object of numbers by topic, for example {\"prices\":7}.".into()),
        "epochs" => serde_json::from_str::<BTreeMap<String, String>>(value)
            .err()
            .map(|_| {
                "Write an object of strings by topic, for example {\"prices\":\"e1\"}.".into()
            }),
        _ => None,
    }
}

fn not_json(value: &str) -> Option<String> {
    let error = serde_json::from_str::<&RawValue>(value).err()?;
    Some(format!("The payload is not valid JSON: {error}."))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).chain(['.']).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ClientMessage;

    fn draft(kind: &str) -> Draft {
        let mut draft = Draft::default();
        draft.choose(kind);
        draft.set("messageId", "m-1");
        draft.set("sessionId", "s-1");
        draft
    }

    #[test]
    fn every_type_starts_as_a_frame_the_gateway_understands() {
        for kind in kinds() {
            let draft = draft(kind.name);
            let text = draft.frame();
            assert!(draft.first_problem().is_none(), "{text}");
            assert!(frame_problem(&text).is_none(), "{text}");
            for field in kind.fields {
                assert_ne!(label(field.name), "Field", "{}", field.name);
            }
        }
    }

    #[test]
    fn the_seed_s_setup_comes_out_of_the_defaults() {
        assert_eq!(
            Draft::default().frame(),
            r#"{"type":"setup","token":"demo-user","topics":["prices","alerts"]}"#
        );
    }

    #[test]
    fn topics_are_separated_by_commas_and_may_be_absent() {
        let mut draft = draft("setup");
        draft.set("topics", " a ,, \"b\" ");
        assert!(draft.frame().ends_with(r#""topics":["a","\"b\""]}"#));
        draft.set("topics", "  ");
        assert_eq!(draft.frame(), r#"{"type":"setup","token":"demo-user"}"#);
    }

    #[test]
    fn the_payload_goes_out_byte_for_byte() {
        let mut draft = draft("publish");
        draft.set("payload", r#" { "x" : 1.50e3 } "#);
        let text = draft.frame();
        let Ok(ClientMessage::Publish(publish)) = decode_client(&text) else {
            panic!("{text}");
        };
        assert_eq!(publish.payload.get(), r#"{ "x" : 1.50e3 }"#);
    }

    #[test]
    fn a_field_keeps_its_value_when_the_type_changes() {
        let mut draft = draft("subscribe");
        draft.set("topic", "orders");
        draft.choose("publish");
        draft.choose("nonsense");
        assert!(
            draft
                .frame()
                .starts_with(r#"{"type":"publish","topic":"orders""#)
        );
    }

    #[test]
    fn problems_name_the_field_and_say_what_is_wrong() {
        let cases = [
            ("publish", "payload", "{bid:1}", "not valid JSON"),
            ("publish", "payload", "", "is empty"),
            ("publish", "messageId", "", "must not be empty"),
            ("subscribe", "topic", "", "Topic must not be empty."),
            ("subscribe", "topic", "a\tb", "control characters"),
            ("subscribe", "lastSeq", "-1", "whole number"),
            ("subscribe", "qos", "2", "0 or 1"),
            ("resume", "lastSeqPerTopic", "[]", "object of numbers"),
            ("resume", "epochs", "{\"a\":1}", "object of strings"),
        ];
        for (kind, field, value, words) in cases {
            let mut draft = draft(kind);
            draft.set(field, value);
            let (found, problem) = draft.first_problem().unwrap();
            assert_eq!(found.name, field);
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn an_empty_token_may_be_sent_to_see_what_happens() {
        let mut draft = draft("setup");
        draft.set("token", "");
        assert!(draft.first_problem().is_none());
        assert!(draft.frame().starts_with(r#"{"type":"setup","token":"""#));
    }
}
