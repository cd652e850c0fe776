//! What the program took from its stream and the gateway has not been told yet (qos 1).
//!
//! Acks are cumulative, so only the newest number counts. [`Receipts`] is the machine's side and
//! pure; [`Taken`] brings receipts from the stream to it.

use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use crate::protocol::SeqNo;

/// Messages that are acknowledged at once; fewer wait for the machine's deadline.
const BATCH: usize = 100;
/// The same in bytes of payload: a quarter of what the gateway sends without an ack.
const BATCH_BYTES: usize = 256 << 10;

/// Says which message was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    /// The subscription that brought it.
    pub(super) generation: u64,
    /// The newest of them.
    pub(super) seq_no: SeqNo,
    /// How many messages.
    pub(super) count: usize,
    /// Bytes of their payloads.
    pub(super) bytes: usize,
}

/// When to acknowledge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    Soon,
    Never,
}

/// Those of one topic.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    newest: Option<SeqNo>,
    count: usize,
    bytes: usize,
}

impl Receipts {
    pub(super) fn add(&mut self, receipt: &Receipt) -> Due {
        self.newest = self.newest.max(Some(receipt.seq_no));
        self.count += receipt.count;
        self.bytes += receipt.bytes;
        if self.count >= BATCH || self.bytes >= BATCH_BYTES {
            Due::Now
        } else {
            Due::Soon
        }
    }

    /// The number to acknowledge, once.
    pub(super) fn take(&mut self) -> Option<SeqNo> {
        std::mem::take(self).newest
    }
}

/// Receipts on their way from the stream to the driver. Bounded by what the stream held: a program
/// cannot take more than came in, and the driver empties it before it lets more in.
#[derive(Default)]
pub(super) struct Taken(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    receipts: Vec<(String, Receipt)>,
    driver: Option<Waker>,
}

impl Taken {
    pub(super) fn note(&self, topic: &str, receipt: Receipt) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.receipts.last_mut() {
            // One entry for a run of messages of one topic.
            Some((last, newest)) if last == topic && newest.generation == receipt.generation => {
                newest.seq_no = receipt.seq_no;
                newest.bytes += receipt.bytes;
                newest.count += 1;
            }
            _ => inner.receipts.push((topic.to_owned(), receipt)),
        }
        let driver = inner.driver.take();
        drop(inner);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Takes what is there; the task is woken when there is more.
    pub(super) fn drain(&self, cx: &Context<'_>) -> Vec<(String, Receipt)> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.driver = Some(cx.waker().clone());
        std::mem::take(&mut inner.receipts)
    }
}
