//! What goes into the machine and what comes out of it.

use crate::protocol::{PublishAck, Token};

use super::event::Event;
use super::handle::PublishError;
use super::options::Qos;
use super::receipts::Receipt;

/// What the program asks for. `T` is where a publish's answer goes.
#[derive(Debug)]
pub(super) enum Command<T> {
    Publish {
        message_id: String,
        text: String,
        answer: T,
    },
    /// `None`: the socket's own qos.
    Subscribe(String, Option<Qos>),
    Unsubscribe(String),
    Refresh(Token),
    Raw(String),
    Close {
        code: u16,
        reason: String,
    },
}

/// How a connection ended, or why there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) was_clean: bool,
    /// Whether trying again can end differently, as far as the transport knows.
    pub(super) retry: bool,
}

impl Ending {
    /// A connection that broke.
    pub(super) fn cut(reason: impl Into<String>) -> Self {
        Self {
            code: 1006,
            reason: reason.into(),
            was_clean: false,
            retry: true,
        }
    }
}

pub(super) enum Input<'a, T> {
    /// The WebSocket is open.
    Opened,
    /// A text frame.
    Text(&'a str),
    /// A binary frame.
    Binary(Vec<u8>),
    /// The WebSocket is gone. `random` is uniform over `u64`.
    Closed { ending: Ending, random: u64 },
    /// The program took messages of qos 1 from its stream.
    Taken { topic: String, receipt: Receipt },
    /// The program asks for something.
    Command(Command<T>),
    /// The deadline has come.
    Tick,
    /// Nobody listens to the events any more.
    Abandoned,
}

#[derive(Debug)]
pub(super) enum Output<T> {
    /// Open a WebSocket.
    Connect,
    /// Send a text frame.
    Send(String),
    /// Begin the closing handshake.
    Close { code: u16, reason: String },
    /// Drop the WebSocket at once, then say so with [`Input::Closed`].
    Abort(&'static str),
    /// Tell the program.
    Event(Event),
    /// A publish has its answer.
    Answer(T, Result<PublishAck<'static>, PublishError>),
    /// It is over.
    Done,
}
