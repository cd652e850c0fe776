//! How a socket behaves.

use crate::protocol::Token;

use super::backoff::Backoff;

/// How a [`SubSocket`](super::SubSocket) behaves. Start from `Options::new(token)`.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who you are; with demo auth any non-empty text.
    pub token: Token,
    /// Topics to subscribe from the start, besides the one in the URL. Default none.
    pub topics: Vec<String>,
    /// How to come back after a cut; `None` for never. Default 100 ms to 30 s, full jitter.
    /// Publishes without an ack are sent again under the same id, so that each has one effect.
    pub reconnect: Option<Backoff>,
    /// Send nothing by itself, filter nothing and never reconnect: the program speaks the
    /// protocol on its own with `send_raw`. Default false.
    pub manual: bool,
    /// Show every frame as `Sent` or `Received` too. `setup` holds the token. Default false.
    pub trace: bool,
    /// The largest message taken in, in bytes. Native programs only. Default 1 MiB.
    pub max_message_bytes: usize,
}

impl Options {
    /// The defaults, with a token.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            token: Token::new(token),
            topics: Vec::new(),
            reconnect: Some(Backoff::default()),
            manual: false,
            trace: false,
            max_message_bytes: 1 << 20,
        }
    }

    /// For a program that speaks the protocol on its own: manual, with trace.
    #[must_use]
    pub fn manual() -> Self {
        Self {
            reconnect: None,
            manual: true,
            trace: true,
            ..Self::new("")
        }
    }
}
