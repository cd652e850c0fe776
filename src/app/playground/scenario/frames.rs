//! The frames that a run sends.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Role;
use super::run::Run;
use crate::protocol::{ClientMessage, Publish, Resume, Setup, Subscribe, encode_client};

impl Run {
    pub(super) fn setup(&self, user: Role, topics: Vec<String>) -> String {
        encode_client(&ClientMessage::Setup(Setup {
            token: self.cast.tokens[user].as_str().into(),
            topics: topics.into_iter().map(Into::into).collect(),
            qos: None,
        }))
    }

    pub(super) fn publish(&self, n: u32, bytes: usize) -> String {
        let payload = match bytes {
            0 => format!(r#"{{"n":{n}}}"#),
            _ => format!(r#"{{"n":{n},"fill":"{}"}}"#, "x".repeat(bytes)),
        };
        let payload = RawValue::from_string(payload);
        payload.map_or_else(
            |_| String::new(),
            |payload| {
                encode_client(&ClientMessage::Publish(Publish {
                    topic: self.topic().into(),
                    message_id: self.id(n).into(),
                    payload: &payload,
                    sig: None,
                }))
            },
        )
    }

    pub(super) fn resume(&self, of: Role) -> String {
        let places = self.places(of);
        let last = places
            .iter()
            .map(|(topic, (seq_no, _))| (topic.into(), *seq_no));
        let epochs = places
            .iter()
            .map(|(topic, (_, epoch))| (topic.into(), epoch.into()));
        encode_client(&ClientMessage::Resume(Resume {
            token: self.cast.tokens[of].as_str().into(),
            session_id: self.facts[of].session.as_str().into(),
            last_seq_per_topic: last.collect(),
            epochs: epochs.collect(),
        }))
    }

    /// The topics of a role's session with the place in each.
    pub(super) fn places(&self, role: Role) -> BTreeMap<String, (u64, String)> {
        let records = self.facts[role].continuity.topics();
        let before = self.cast.before.as_ref().filter(|_| role == 0);
        let held = |topic: &String| before.is_none_or(|b| b.topics().contains_key(topic));
        let places = records.iter().filter(|(topic, _)| held(topic));
        let places = places.map(|(topic, r)| (topic.clone(), (r.seq_no, r.epoch.clone())));
        places.collect()
    }
}

/// `subscribe`, from a position if there is one.
pub(super) fn subscribe(topic: &str, last_seq: Option<u64>, epoch: &str) -> String {
    encode_client(&ClientMessage::Subscribe(Subscribe {
        topic: topic.into(),
        last_seq,
        epoch: (!epoch.is_empty()).then(|| epoch.into()),
        qos: None,
    }))
}
