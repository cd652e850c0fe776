//! What the connection is doing, and how that is said to a person.

use super::text::visible;
use crate::protocol::{CloseCode, Reconnect};

/// What the connection is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Phase {
    /// No socket yet.
    #[default]
    Disconnected,
    /// The handshake is under way.
    Connecting,
    /// Open, but nobody has said who is there.
    Connected,
    /// Set up.
    Ready {
        /// Who the token says you are.
        user_id: String,
    },
    /// It was open, or tried to be, and ended.
    Closed {
        /// The close code of RFC 6455, or of this protocol.
        code: u16,
        /// The reason text that came with it.
        reason: String,
        /// Whether it was ever open.
        was_open: bool,
    },
}

impl Phase {
    /// One word for the state, the same that style and tests use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Ready { .. } => "ready",
            Self::Closed { .. } => "closed",
        }
    }

    /// Whether frames can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Connected | Self::Ready { .. })
    }

    /// Whether there is a socket, open or on its way.
    #[must_use]
    pub fn has_socket(&self) -> bool {
        self.is_open() || *self == Self::Connecting
    }

    /// The state in a line.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Disconnected => "Disconnected".into(),
            Self::Connecting => "Connecting…".into(),
            Self::Connected => "Connected, not set up".into(),
            Self::Ready { user_id } if user_id.is_empty() => "Ready".into(),
            Self::Ready { user_id } => format!("Ready as {}", visible(user_id)),
            Self::Closed { code, .. } => format!("Closed ({code})"),
        }
    }
}

/// A close code in plain words: what happened, and what to do. Where the socket was open, its URL and
/// its origin were right.
#[must_use]
pub fn explain_close(code: u16, reason: &str, was_open: bool) -> String {
    let (meaning, advice) = match (CloseCode::from_code(code), code) {
        (Some(CloseCode::Normal), _) => ("The connection was closed in order.", None),
        (Some(known), _) => (known.meaning(), Some(known.reconnect())),
        (None, 1005) => ("The connection was closed without a code.", None),
        (None, 1006) if was_open => (
            "The connection broke off without a close frame: the network or the gateway went away.",
            Some(Reconnect::Backoff),
        ),
        (None, 1006) => (
            "The connection was not opened: is the gateway running, is the URL right, and does it allow this origin?",
            Some(Reconnect::Backoff),
        ),
        (None, _) => ("The gateway's reference does not list this code.", None),
    };
    let mut words = format!("{code}: {meaning}");
    // The gateway's own reason repeats the code; another party's may say more.
    let repeats = CloseCode::from_code(code).is_some_and(|known| known.reason() == reason);
    if !reason.is_empty() && !repeats {
        words.push_str(&format!(" Reason given: {}.", visible(reason)));
    }
    if let Some(advice) = advice {
        words.push_str(" For a client this means: ");
        words.push_str(advice.advice());
        words.push('.');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_explained_with_its_advice() {
        let words = explain_close(4001, "authentication failed", true);
        assert_eq!(
            words,
            "4001: The token was refused. For a client this means: do not reconnect."
        );
        assert!(explain_close(4108, "", true).contains("reconnect after a backoff"));
        assert!(explain_close(4200, "", true).contains("resume"));
    }

    #[test]
    fn a_foreign_reason_is_repeated() {
        let words = explain_close(3000, "maintenance", true);
        assert!(words.contains("Reason given: maintenance."), "{words}");
    }

    #[test]
    fn url_and_origin_are_asked_only_where_it_was_not_opened() {
        let never = explain_close(1006, "", false);
        assert!(never.contains("is the URL right"), "{never}");
        let cut = explain_close(1006, "", true);
        assert!(cut.contains("without a close frame"), "{cut}");
        assert!(!cut.contains("URL") && !cut.contains("origin"), "{cut}");
    }
}
