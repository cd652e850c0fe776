//! What a run waits for: whether it was seen, and what is missing, in words.

use super::facts::Refused;
use super::run::Run;
use super::{Role, Until};

impl Run {
    /// Whether it was seen.
    pub(super) fn is_seen(&self, until: Until) -> bool {
        let facts = |role: Role| &self.facts[role];
        match until {
            Until::Ready(role) => facts(role).ready.is_some(),
            Until::Subscribed(role) => facts(role).subscribed,
            Until::Acked(role, count) => facts(role).acks.len() >= count,
            Until::Got(role, count) => self.record(role).counts.received >= count,
            Until::Refused(role, count) => facts(role).errors.len() >= count,
            Until::Closed(role) => facts(role).closed,
            Until::Inflicted(role) => facts(role).inflicted,
            Until::Back(role) => self
                .places(role)
                .keys()
                .all(|topic| self.is_back(role, topic)),
            Until::Over => false,
        }
    }

    fn is_back(&self, role: Role, topic: &str) -> bool {
        let facts = &self.facts[role];
        if facts.errors.iter().any(|error| error.topic == topic) {
            return true;
        }
        let back = facts
            .continuity
            .topics()
            .get(topic)
            .and_then(|r| r.last_return);
        let whole = back.is_none_or(|back| !back.recovered || back.replayed >= back.announced);
        whole && facts.returned.iter().any(|returned| returned == topic)
    }

    /// What was waited for and not seen, in words.
    pub(super) fn missing(&self, until: Until) -> String {
        let letter = |role: Role| self.letter(role);
        match until {
            Until::Ready(role) => format!("{} is not ready", letter(role)),
            Until::Subscribed(role) => format!("{} is not subscribed", letter(role)),
            Until::Acked(role, count) => {
                let came = self.facts[role].acks.len();
                format!("{} has {came} of {count} acks", letter(role))
            }
            Until::Got(role, count) => {
                let came = self.record(role).counts.received;
                format!("{} has {came} of {count} messages", letter(role))
            }
            Until::Refused(role, count) => {
                let came = self.facts[role].errors.len();
                format!("{} was refused {came} times, not {count}", letter(role))
            }
            Until::Closed(role) => format!("{} is not closed", letter(role)),
            Until::Inflicted(_) => "the gateway does not answer".to_owned(),
            Until::Back(role) => {
                let places = self.places(role);
                let open = places.keys().filter(|topic| !self.is_back(role, topic));
                let open: Vec<_> = open.map(String::as_str).collect();
                format!("{} is not back in {}", letter(role), open.join(", "))
            }
            Until::Over => "time itself".to_owned(),
        }
    }
}

impl Refused {
    /// The refusal and its mend, in words.
    pub(super) fn words(&self) -> String {
        let topic = if self.topic.is_empty() {
            String::new()
        } else {
            format!(" on {}", self.topic)
        };
        format!(
            "{}{topic}: {}. {}",
            self.code.as_str(),
            self.message,
            self.code.mend()
        )
    }
}
