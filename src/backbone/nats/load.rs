//! How much waits to be written of sessions whose sockets are gone: nothing else bounds that while NATS
//! is away.
//!
//! Invariant: pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::backbone::sessions::{MAX_BYTES, MAX_SESSIONS};

/// What waits of sessions whose sockets are gone.
#[derive(Default)]
pub(super) struct Load {
    sessions: AtomicUsize,
    bytes: AtomicUsize,
    /// Since the last time that there was room.
    refused: AtomicBool,
}

/// A part of it; given back when it is dropped.
pub(super) struct Share {
    load: Arc<Load>,
    bytes: usize,
}

impl Load {
    /// `None` where too much waits already.
    pub(super) fn enter(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let sessions = self.sessions.fetch_add(1, Ordering::Relaxed);
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let load = self.clone();
        let share = Share { load, bytes };
        let full = sessions >= MAX_SESSIONS || waiting + bytes > MAX_BYTES;
        if !self.refused.swap(full, Ordering::Relaxed) && full {
            tracing::warn!("too many sessions wait to be written: more are not kept");
        }
        (!full).then_some(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.load.sessions.fetch_sub(1, Ordering::Relaxed);
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
