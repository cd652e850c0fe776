//! The records on their way to one shard, from publishers on any core.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::protocol::SeqNo;

use super::topics::LocalTopic;

/// A record for a shard.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The shard's own number for the topic.
    pub topic: LocalTopic,
    /// The record's place in the topic.
    pub seq_no: SeqNo,
    /// When it was accepted, in nanoseconds since the gateway started.
    pub accepted: u64,
    /// The frame to send; empty in the place of records that are lost.
    pub frame: Bytes,
}

impl Arrival {
    /// In the place of records that are missing for good.
    pub(super) const fn of_lost(topic: LocalTopic) -> Self {
        Self {
            topic,
            seq_no: 0,
            accepted: 0,
            frame: Bytes::new(),
        }
    }

    /// Whether it stands in the place of records that are missing for good.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.frame.is_empty()
    }
}

/// Many writers, one reader. The lock is held for a push or a swap only.
#[derive(Debug, Default)]
pub struct Inbox {
    arrivals: Mutex<Vec<Arrival>>,
    rung: AtomicBool,
    reader: AtomicWaker,
}

impl Inbox {
    pub(super) fn push(&self, arrival: Arrival) {
        self.arrivals.lock().push(arrival);
        self.ring();
    }

    /// Makes [`Inbox::poll_rung`] ready once, also when there is nothing in the inbox.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.reader.wake();
        }
    }

    /// Ready when something came since the last time it was ready.
    pub fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.rung.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        self.reader.register(cx.waker());
        if self.rung.swap(false, Ordering::AcqRel) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Swaps what came against an empty `into`, whose memory is used again. What rang until now has
    /// been heard.
    pub fn take(&self, into: &mut Vec<Arrival>) {
        debug_assert!(into.is_empty());
        self.rung.store(false, Ordering::Release);
        std::mem::swap(&mut *self.arrivals.lock(), into);
    }
}
