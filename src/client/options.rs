//! How a socket behaves.

use crate::protocol::Token;

use super::backoff::Backoff;
use super::sign::SigningKey;

/// Quality of service of a subscription. Both go on without loss after a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Qos {
    /// The gateway sends as fast as the socket takes it.
    #[default]
    Zero,
    /// The socket acknowledges what the program took from its stream (at most 100 messages or
    /// 200 ms later), and the gateway sends at most 1000 messages or 1 MiB beyond that.
    One,
}

impl Qos {
    /// As on the wire.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
        }
    }
}

/// How a [`SubSocket`](super::SubSocket) behaves. Start from `Options::new(token)`.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who you are; with demo auth any non-empty text.
    pub token: Token,
    /// Topics to subscribe from the start, besides the one in the URL. Default none.
    pub topics: Vec<String>,
    /// Quality of service of those topics and of later ones. Default [`Qos::Zero`].
    pub qos: Qos,
    /// Signs each publish with this key; a subscriber checks with
    /// [`Message::verify`](super::Message::verify). Default none.
    pub signing_key: Option<SigningKey>,
    /// How to come back after a cut; `None` for never. Default 100 ms to 30 s, full jitter.
    /// Publishes without an ack are sent again under the same id, so that each has one effect.
    pub reconnect: Option<Backoff>,
    /// Send nothing by itself, filter nothing and never reconnect: the program speaks the
    /// protocol on its own with `send_raw`. Default false.
    pub manual: bool,
    /// Show every frame as `Sent` or `Received` too. `setup` holds the token. Default false.
    pub trace: bool,
    /// Certificates, in PEM, that `wss` trusts besides those of the machine, such as a private
    /// authority's. Native programs only. Default none.
    pub ca_certificates: Option<String>,
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
            qos: Qos::Zero,
            signing_key: None,
            reconnect: Some(Backoff::default()),
            manual: false,
            trace: false,
            ca_certificates: None,
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
