//! A WebSocket that a program speaks on by hand: nothing is sent, mended or left out by itself.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::driver::Incoming;
use super::platform::{self, Wire};

pub(crate) use super::platform::{Clock, random};

/// The largest message taken in, in bytes. A browser sets its own limit.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// What came.
pub(crate) enum Heard {
    Text(String),
    /// The peer closed in order.
    Closed {
        code: u16,
        reason: String,
    },
}

/// One WebSocket. Dropped, a native one is cut without a close; a browser closes it in order.
pub(crate) struct RawSocket(Wire);

impl RawSocket {
    /// A WebSocket that is open. The error says why there is none.
    pub(crate) async fn open(url: &str) -> Result<Self, String> {
        let mut wire = Wire::open(url, MAX_MESSAGE_BYTES, None);
        match poll_fn(|cx| wire.poll_incoming(cx)).await {
            Incoming::Opened => Ok(Self(wire)),
            Incoming::Closed(ending) => Err(ending.reason),
            Incoming::Text(_) | Incoming::Binary(_) => Err("it spoke before it was open".into()),
        }
    }

    /// Sends frames with as few writes as possible. A socket that cannot send shows it in
    /// [`next`](Self::next).
    pub(crate) async fn send_all(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            poll_fn(|cx| self.0.poll_ready(cx)).await;
            self.0.send(text);
        }
        poll_fn(|cx| self.0.flush(cx)).await;
    }

    /// What comes next; binary frames, which the gateway never sends, are passed over. The error says
    /// why nothing more comes.
    pub(crate) async fn next(&mut self) -> Result<Heard, String> {
        loop {
            match poll_fn(|cx| self.0.poll_incoming(cx)).await {
                Incoming::Text(text) => return Ok(Heard::Text(text)),
                Incoming::Closed(ending) if ending.was_clean => {
                    let (code, reason) = (ending.code, ending.reason);
                    return Ok(Heard::Closed { code, reason });
                }
                Incoming::Closed(ending) => return Err(ending.reason),
                Incoming::Opened | Incoming::Binary(_) => {}
            }
        }
    }
}

/// What the future comes to, if it does within this time.
pub(crate) async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), pin!(platform::sleep(time))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
