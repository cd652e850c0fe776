//! The last choices, kept across reloads. Never a token and never a session's id.

use serde::{Deserialize, Serialize};

use super::draft::Draft;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    url: String,
    kind: String,
    topics: String,
    topic: String,
    payload: String,
}

impl Saved {
    /// Longer choices are not kept.
    const MAX_BYTES: usize = 64 * 1024;

    /// Takes what is worth keeping. An address may carry a secret in its query, so that is cut.
    #[must_use]
    pub fn of(url: &str, draft: &Draft) -> Self {
        let url = url.split(['?', '#']).next().unwrap_or_default();
        Self {
            url: if url.contains('@') {
                String::new()
            } else {
                url.to_owned()
            },
            kind: draft.kind().name.to_owned(),
            topics: draft.get("topics").to_owned(),
            topic: draft.get("topic").to_owned(),
            payload: draft.get("payload").to_owned(),
        }
    }

    /// As text; `None` when it is too long to keep.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let text = serde_json::to_string(self).ok()?;
        (text.len() <= Self::MAX_BYTES).then_some(text)
    }

    /// From text; `None` when it is not what [`Saved::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Fills a draft, and returns the URL if there is one.
    pub fn restore(self, draft: &mut Draft) -> Option<String> {
        draft.choose(&self.kind);
        draft.set("topics", self.topics);
        draft.set("topic", self.topic);
        draft.set("payload", self.payload);
        (!self.url.is_empty()).then_some(self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_come_back_and_secrets_do_not_go() {
        let mut draft = Draft::default();
        draft.choose("publish");
        draft.set("topic", "orders");
        draft.set("token", "s3cret");
        draft.set("sessionId", "s3ssion");
        let saved = Saved::of("ws://h/ws?access_token=s3cret", &draft);
        let text = saved.to_text().unwrap();
        assert!(!text.contains("s3"), "{text}");

        let mut other = Draft::default();
        let url = Saved::from_text(&text).unwrap().restore(&mut other);
        assert_eq!(url.as_deref(), Some("ws://h/ws"));
        assert_eq!(other.kind().name, "publish");
        assert_eq!(other.get("topic"), "orders");
        assert_eq!(other.get("token"), "demo-user");
    }

    #[test]
    fn rubbish_is_not_restored() {
        assert_eq!(Saved::from_text("{"), None);
        let mut draft = Draft::default();
        draft.set("payload", "x".repeat(Saved::MAX_BYTES));
        assert_eq!(Saved::of("ws://h/ws", &draft).to_text(), None);
    }
}
