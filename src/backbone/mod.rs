//! The backbone: numbers, deduplicates, remembers and replays messages, and hands each fresh one to
//! the hub.
//!
//! Numbering and deduplication live inside the backbone because only it can make "check the id,
//! take the number, append" one step (promises I2 and I3).
//!
//! Uses: protocol, websocket.

pub mod dedup;
pub mod disk;
pub mod log;
pub mod memory;
pub mod nats;
pub mod record;
pub mod sessions;
mod shares;

#[cfg(test)]
mod contract;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use crate::protocol::{AckStatus, Epoch, Position, SeqNo, Topic, UnrecoveredReason};

pub use disk::Disk;
pub use memory::Memory;
pub use nats::Nats;
pub use record::Record;
pub use sessions::{MemorySessions, SessionId, SessionRecord, SessionTopic, Sessions};

/// A moment: monotonic for windows and deadlines, wall clock for what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since the gateway started; never goes back.
    pub mono_ns: u64,
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

impl Now {
    /// Milliseconds since the gateway started.
    #[must_use]
    pub const fn mono_ms(self) -> u64 {
        self.mono_ns / 1_000_000
    }
}

/// What this machine's clock says, in milliseconds since the Unix epoch.
#[must_use]
pub fn unix_ms() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    unix.unwrap_or_default().as_millis() as u64
}

/// A message on its way in; checked and allowed already.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// Who publishes; half of the dedup key.
    pub user: &'a str,
    /// Where to.
    pub topic: &'a str,
    /// The publisher's name for it; the other half of the dedup key.
    pub message_id: &'a str,
    /// One JSON value, kept byte for byte.
    pub payload: &'a str,
    /// A signature that travels along.
    pub sig: Option<&'a str>,
}

/// What became of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Fresh, or seen before.
    pub status: AckStatus,
    /// The topic of the first, when this is a duplicate of a message in another topic.
    pub elsewhere: Option<Topic>,
    /// The message's place, or the first one's.
    pub seq_no: SeqNo,
    /// The epoch of that number.
    pub epoch: Epoch,
}

/// The end of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The newest number; 0 when there is none.
    pub seq_no: SeqNo,
    /// The epoch of that number.
    pub epoch: Epoch,
}

/// The answer to a question for messages after a position.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The topic's end at the moment of the answer.
    pub head: Head,
    /// Everything after the position up to that end, oldest first; or why it cannot be had.
    pub outcome: Result<Vec<Record>, UnrecoveredReason>,
}

/// Kept messages for the history call, which has no promise of completeness.
#[derive(Debug, Clone)]
pub struct History {
    /// The topic's end.
    pub head: Head,
    /// Kept messages after the asked number, oldest first.
    pub records: Vec<Record>,
}

/// The most that is asked for of a history at once.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    /// Messages.
    pub messages: usize,
    /// Bytes of them as they are kept; one message may have more.
    pub bytes: usize,
}

impl PageSize {
    /// All there is.
    pub const ALL: Self = Self {
        messages: usize::MAX,
        bytes: usize::MAX,
    };

    /// Whether the message with this place on the page and of so many bytes still goes on it, when
    /// all before it did.
    const fn takes(&mut self, at: usize, bytes: usize) -> bool {
        let fits = at < self.messages && (at == 0 || bytes <= self.bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
        fits
    }
}

/// The backbone cannot do it now; nothing was accepted. Always retryable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the backbone is not available: {0}; try again with the same messageId")]
pub struct Unavailable(pub String);

/// An answer that is there at once (memory) or comes later (a disk, a network), without a heap
/// allocation where it is there at once.
#[derive(Debug)]
pub enum Answer<T> {
    /// Here it is.
    Ready(T),
    /// It comes through this channel.
    Later(oneshot::Receiver<T>),
}

impl<T: Unpin> Future for Answer<Result<T, Unavailable>>
where
    Self: Unpin,
{
    type Output = Result<T, Unavailable>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let gone = || Unavailable("its worker stopped".to_owned());
        match &mut *self {
            Self::Later(receiver) => Pin::new(receiver)
                .poll(cx)
                .map(|answer| answer.unwrap_or_else(|_| Err(gone()))),
            Self::Ready(answer) => Poll::Ready(std::mem::replace(answer, Err(gone()))),
        }
    }
}

/// Where a backbone hands fresh records to, each exactly once, per topic in order of `seq_no`.
pub trait Events: Send + Sync + 'static {
    /// A record was appended to the topic at `accepted` (see [`Now::mono_ns`]).
    ///
    /// Called while the topic is locked: it must only hand on, never wait.
    fn deliver(&self, topic: &str, record: &Record, accepted: u64);

    /// Records of the topic are missing for good: whoever listens to it must be told, behind what
    /// was delivered until now and before what is delivered from now on.
    fn lost(&self, topic: &str);
}

/// What every backbone can do. The contract suite in `contract.rs` holds for all of them.
pub trait Backbone: Send + Sync + 'static {
    /// Reserves the id, numbers and appends the message, hands it to [`Events`], then answers. A
    /// message that could not be appended leaves no trace: its id is free again.
    fn publish(
        &self,
        now: Now,
        publication: Publication<'_>,
    ) -> Answer<Result<Published, Unavailable>>;

    /// The topic's end and, when a position is given, everything after it. Every record after the
    /// answered end reaches [`Events`] after the question was asked.
    fn replay(
        &self,
        now: Now,
        topic: &Topic,
        after: Option<&Position>,
    ) -> Answer<Result<Replay, Unavailable>>;

    /// Kept messages after a number, as many as go on a page; there is always room for one.
    fn history(
        &self,
        now: Now,
        topic: &Topic,
        after: SeqNo,
        page: PageSize,
    ) -> Answer<Result<History, Unavailable>>;

    /// Whether somebody on this node listens to the topic. Said when the first one comes, before
    /// [`Backbone::replay`] is asked for them, and when the last one goes. Only then records of the
    /// topic have to reach [`Events`].
    fn interest(&self, topic: &Topic, wanted: bool) {
        let _ = (topic, wanted);
    }

    /// Whether it can take a publish now; if not, why.
    ///
    /// # Errors
    /// [`Unavailable`] with the reason.
    fn health(&self) -> Result<(), Unavailable>;

    /// What an acknowledged message is safe from.
    fn durability(&self) -> Durability {
        Durability::Process
    }

    /// Lets go of what has outlived its time. Called about once a second.
    fn tend(&self, now: Now);

    /// Finishes what was accepted and takes nothing more. Returns when all of it is as safe as it
    /// can be; may wait for a disk.
    fn close(&self) {}
}

/// What an acknowledged message is safe from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing beyond this process.
    Process,
    /// The end of the process and of the machine's power: it is on disk before it is acknowledged.
    Synced,
    /// The end of the process; a power cut can take back this much time.
    SyncedEvery(Duration),
    /// The end of fewer than half of so many servers: more than half of them have it before it is
    /// acknowledged.
    Replicated(usize),
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process => f.write_str("process"),
            Self::Synced => f.write_str("fsync"),
            Self::SyncedEvery(interval) => write!(f, "fsync every {}ms", interval.as_millis()),
            Self::Replicated(servers) => write!(f, "nats replicas {servers}"),
        }
    }
}

/// How much is remembered. Every bound has a default in the settings.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Messages kept per topic.
    pub history_size: usize,
    /// How long a message is kept.
    pub history_ttl: Duration,
    /// Bytes of kept messages in all: in memory, or on disk.
    pub history_bytes: usize,
    /// How long a message id is remembered.
    pub dedup_ttl: Duration,
    /// Bytes of remembered message ids in all.
    pub dedup_bytes: usize,
}

/// A shared handle on the chosen backbone.
pub type Handle = Arc<dyn Backbone>;
