//! Which sockets of a shard have something to read or room to write.
//!
//! The shard's own queue of the kernel's events, itself watched by the runtime: a connection that
//! does nothing costs no task, no waker and no entry in the runtime.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll as Queue, Registry};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::hub::Slot;

/// Events that are taken at once.
const EVENTS: usize = 1024;

/// Something about a socket that changed since it was last told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) slot: Slot,
    /// There is something to read.
    pub(super) readable: bool,
    /// The peer sends nothing more: what is there ends with the end.
    pub(super) ends: bool,
    /// There is room to write.
    pub(super) writable: bool,
}

impl Ready {
    /// Nothing has changed, but something is left to do.
    pub(super) const fn nothing_new(slot: Slot) -> Self {
        Self {
            slot,
            readable: false,
            ends: false,
            writable: false,
        }
    }
}

impl From<&Event> for Ready {
    fn from(event: &Event) -> Self {
        let broken = event.is_error();
        Self {
            slot: event.token().0 as Slot,
            readable: event.is_readable() || event.is_read_closed() || broken,
            ends: event.is_read_closed() || broken,
            writable: event.is_writable() || event.is_write_closed() || broken,
        }
    }
}

/// What the poller said about a socket, as far as it still holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readiness {
    /// There may be something to read.
    pub(super) readable: bool,
    /// What is there to read ends with the end.
    pub(super) ends: bool,
    /// There may be room to write.
    pub(super) writable: bool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            readable: false,
            ends: false,
            writable: true,
        }
    }
}

impl Readiness {
    pub(super) fn add(&mut self, ready: Ready) {
        self.readable |= ready.readable;
        self.ends |= ready.ends;
        self.writable |= ready.writable;
    }
}

/// The queue of events.
pub(super) struct Poller {
    queue: AsyncFd<Queue>,
    events: Events,
}

impl Poller {
    /// A queue that the runtime of the caller watches.
    ///
    /// # Errors
    /// When the system has no room for one.
    pub(super) fn new() -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for objects that may change or close their descriptor; a queue does neither"
        )]
        let queue = AsyncFd::with_interest(Queue::new()?, Interest::READABLE)?;
        Ok(Self {
            queue,
            events: Events::with_capacity(EVENTS),
        })
    }

    /// Where sockets are announced.
    ///
    /// # Errors
    /// When the system has no room for one more handle.
    pub(super) fn registry(&self) -> io::Result<Registry> {
        self.queue.get_ref().registry().try_clone()
    }

    /// Ready when something is ready; [`Poller::events`] then tells what.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.events.clear();
        loop {
            let mut guard = ready!(self.queue.poll_read_ready_mut(cx))?;
            let taken = guard
                .get_inner_mut()
                .poll(&mut self.events, Some(Duration::ZERO));
            match taken {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(()) if self.events.is_empty() => guard.clear_ready(),
                Ok(()) => return Poll::Ready(Ok(())),
            }
        }
    }

    /// What was taken last.
    pub(super) fn events(&self) -> impl Iterator<Item = Ready> {
        self.events.iter().map(Ready::from)
    }
}
