//! What a newcomer could do next, in a sentence, and the forms that go with it.

use super::client::Client;
use super::phase::{Phase, explain_close};
use super::text::visible;

/// A sentence and up to three forms to fill in next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextStep {
    /// Where things stand and what comes next.
    pub words: String,
    /// The forms.
    pub offers: Vec<Offer>,
}

/// A type of frame to compose, perhaps with its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What the button says.
    pub label: String,
    /// The type to choose.
    pub kind: &'static str,
    /// The topic to fill in.
    pub topic: Option<String>,
}

fn offer(label: impl Into<String>, kind: &'static str, topic: Option<&str>) -> Offer {
    Offer {
        label: label.into(),
        kind,
        topic: topic.map(ToOwned::to_owned),
    }
}

impl Client {
    /// What comes next.
    #[must_use]
    pub fn next_step(&self) -> NextStep {
        let (words, offers) = match self.phase() {
            Phase::Disconnected => (
                "Pick an endpoint and press Connect. Then send setup, subscribe and publish."
                    .into(),
                Vec::new(),
            ),
            Phase::Connecting => ("Opening the WebSocket…".into(), Vec::new()),
            Phase::Connected if self.awaits_ready() => ("Waiting for ready…".into(), Vec::new()),
            Phase::Connected => (
                "The socket is open. Say who you are: send setup with a token.".into(),
                vec![offer("Fill in setup", "setup", None)],
            ),
            Phase::Ready { .. } => self.when_ready(),
            Phase::Closed {
                code,
                reason,
                was_open,
            } => self.when_closed(*code, explain_close(*code, reason, *was_open)),
        };
        NextStep { words, offers }
    }

    fn when_ready(&self) -> (String, Vec<Offer>) {
        let topics = self.topics();
        let Some(topic) = self.focus() else {
            return (
                "You are set up. Subscribe to a topic to receive its messages.".into(),
                vec![
                    offer("Subscribe to a topic", "subscribe", None),
                    offer("Publish", "publish", None),
                ],
            );
        };
        let publish = offer(
            format!("Publish to {}", visible(topic)),
            "publish",
            Some(topic),
        );
        let names: Vec<_> = topics.keys().take(3).map(String::as_str).collect();
        let more = match topics.len().saturating_sub(names.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = visible(&names.join(", ")).into_owned();
        if self.has_published() {
            let words = format!(
                "Listening to {names}{more}. Tick Keep ID and publish again to see a duplicate, or open this page twice."
            );
            let stop = offer(
                format!("Leave {}", visible(topic)),
                "unsubscribe",
                Some(topic),
            );
            (words, vec![publish, stop])
        } else {
            let words =
                format!("Listening to {names}{more}. Publish a message and watch it arrive.");
            (words, vec![publish])
        }
    }

    fn when_closed(&self, code: u16, words: String) -> (String, Vec<Offer>) {
        let offers = if self.session_id().is_empty() || code == 4001 {
            Vec::new()
        } else {
            vec![offer("Fill in resume", "resume", None)]
        };
        (words, offers)
    }
}
