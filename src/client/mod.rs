//! The Rust client: `SubSocket`, for native programs and in the browser.
//!
//! ```no_run
//! # #[cfg(all(feature = "client", not(target_arch = "wasm32")))]
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use futures_util::StreamExt;
//! use micro_socket::client::{Event, SubSocket};
//!
//! let mut socket =
//!     SubSocket::by_topics("ws://127.0.0.1:3000/ws", "demo-user", ["prices", "alerts"]).await?;
//! let handle = socket.handle();
//! let ack = handle.publish("prices", &serde_json::json!({"bid": 100})).await?;
//! assert_eq!(ack.topic, "prices");
//! while let Some(event) = socket.next().await {
//!     if let Event::Message(message) = event {
//!         println!("{} #{}: {}", message.topic, message.seq_no, message.data);
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! A socket runs in the background from the moment it is made. After a cut it connects again with
//! a jittered backoff, goes on with its session from its own position in each topic (or without the
//! session, where that is gone), and sends publishes without an ack again under their own message id: the program sees each message once and in order, or is
//! told that some are lost (`Subscribed` with `recovered: Some(false)`).
//!
//! Nothing grows without bound: publishes fail with `Full`, and a program that does not read its
//! stream stops the socket's reading (so it also gets no acks). The one exception is the
//! browser, which takes in frames without asking.
//!
//! The rooms: `options`, `event`, `handle` and `sign` are what a program sees; `machine`
//! decides, purely, with `topics` (each a `topic`), `receipts`, `publishes` and `backoff`; `driver` moves bytes between it
//! (through `port`) and the platform, which is `native` (with `tls`) or `web`. `by_hand` is the platform's
//! WebSocket and nothing else, for who wants to see everything.
//!
//! Uses: protocol.

mod backoff;
#[cfg(any(feature = "ssr", feature = "hydrate"))]
pub(crate) mod by_hand;
mod driver;
mod event;
mod handle;
mod machine;
mod options;
mod port;
mod publishes;
mod queue;
mod receipts;
mod sign;
#[cfg(not(target_arch = "wasm32"))]
mod tls;
mod topic;
mod topics;

#[cfg(not(target_arch = "wasm32"))]
#[path = "native.rs"]
mod platform;
#[cfg(target_arch = "wasm32")]
#[path = "web.rs"]
mod platform;

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod native_tests;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, ready};

use futures_util::Stream;

use crate::protocol::ErrorFrame;

pub use backoff::Backoff;
#[cfg(any(feature = "ssr", feature = "hydrate"))]
pub(crate) use event::from_frame;
pub use event::{Event, Message};
pub use handle::{Handle, PublishError, Publishing, SendError};
pub use options::{Options, Qos};
pub use sign::{SignatureError, SigningKey, WeakKey};

/// What may wait between the program and its socket, in each direction.
const MAX_QUEUED: usize = 1024;
/// The same in bytes.
const MAX_QUEUED_BYTES: usize = 4 << 20;

/// A socket to the gateway: a stream of its [`Event`]s. Dropping it closes the socket.
#[must_use = "dropping it closes the socket"]
pub struct SubSocket {
    handle: Handle,
    events: Arc<queue::Queue<Event>>,
    /// Events that were read while waiting for `ready`.
    early: VecDeque<Event>,
}

/// Why there is no socket that is ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The gateway refused the token or the setup.
    #[error("{}: {}", .0.code.as_str(), .0.message)]
    Refused(ErrorFrame<'static>),
    /// The gateway closed the socket before it was ready.
    #[error("closed with {code} {reason}")]
    Closed {
        /// The close code.
        code: u16,
        /// The reason in words.
        reason: String,
    },
    /// There is no gateway, or the URL is not one of a WebSocket.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// The program cannot run a socket here.
    #[error("{0}")]
    Platform(&'static str),
}

impl SubSocket {
    /// Opens a URL that names its topic, such as `ws://127.0.0.1:3000/ws/sub/prices`, and waits
    /// until the gateway is ready.
    ///
    /// # Errors
    /// [`ConnectError`]; the first connection is tried once, later ones as the backoff says.
    pub async fn by_url(url: &str, token: &str) -> Result<Self, ConnectError> {
        Self::open(url, Options::new(token))?.ready().await
    }

    /// Opens a URL such as `ws://127.0.0.1:3000/ws`, subscribes the topics and waits until the
    /// gateway is ready. A topic that is refused shows as an `Error` event.
    ///
    /// # Errors
    /// As [`by_url`](Self::by_url).
    pub async fn by_topics<I>(url: &str, token: &str, topics: I) -> Result<Self, ConnectError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut options = Options::new(token);
        options.topics = topics.into_iter().map(Into::into).collect();
        Self::open(url, options)?.ready().await
    }

    /// Starts a socket with options of your own. It connects in the background; its events tell
    /// how that goes.
    ///
    /// # Errors
    /// [`ConnectError::Platform`] for a native program outside a tokio runtime.
    pub fn open(url: &str, mut options: Options) -> Result<Self, ConnectError> {
        let shared = Arc::new(handle::Shared {
            commands: queue::Queue::new(MAX_QUEUED, MAX_QUEUED_BYTES),
            signing_key: options.signing_key.take(),
            taken: receipts::Taken::default(),
            open: AtomicBool::new(false),
        });
        let events = Arc::new(queue::Queue::new(MAX_QUEUED, MAX_QUEUED_BYTES));
        let driver = driver::Driver::new(
            url.to_owned(),
            options,
            Arc::clone(&shared),
            Arc::clone(&events),
        );
        platform::spawn(driver).map_err(ConnectError::Platform)?;
        Ok(Self {
            handle: Handle { shared },
            events,
            early: VecDeque::new(),
        })
    }

    /// The end to speak through.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for `ready`; the stream still shows everything from its beginning.
    async fn ready(mut self) -> Result<Self, ConnectError> {
        let mut early = VecDeque::new();
        let mut refused = None;
        let mut opened = false;
        let events = Arc::clone(&self.events);
        while let Some(event) = poll_fn(|cx| events.poll_pop(cx)).await {
            match &event {
                Event::Opened => opened = true,
                Event::Ready(_) => {
                    early.push_back(event);
                    self.early = early;
                    return Ok(self);
                }
                // A refused topic is no refused setup.
                Event::Error(error) if error.topic.is_none() => refused = Some(error.clone()),
                Event::Closed { code, reason, .. } => {
                    return Err(match refused {
                        Some(error) => ConnectError::Refused(error),
                        None if !opened => ConnectError::Unreachable(reason.clone()),
                        None => ConnectError::Closed {
                            code: *code,
                            reason: reason.clone(),
                        },
                    });
                }
                _ => {}
            }
            early.push_back(event);
        }
        Err(ConnectError::Unreachable("the socket ended".to_owned()))
    }
}

impl Stream for SubSocket {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let event = match self.early.pop_front() {
            Some(event) => Some(event),
            None => ready!(self.events.poll_pop(cx)),
        };
        if let Some(Event::Message(message)) = &event
            && let Some(receipt) = &message.receipt
        {
            let taken = &self.handle.shared.taken;
            taken.note(&message.topic, receipt.clone());
        }
        Poll::Ready(event)
    }
}

impl Drop for SubSocket {
    fn drop(&mut self) {
        self.events.discard();
    }
}

impl std::fmt::Debug for SubSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubSocket").finish_non_exhaustive()
    }
}
