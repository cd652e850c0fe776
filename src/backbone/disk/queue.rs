//! What waits for the writer.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::backbone::dedup::Fingerprint;
use crate::backbone::{Now, Published, Unavailable};

/// Bytes that may wait for the disk. With more than that it does not keep up, and a publisher is
/// told so instead of being kept in memory.
const MAX_WAITING: usize = 64 << 20;

/// How a publisher gets its answer.
pub(super) type Reply = oneshot::Sender<Result<Published, Unavailable>>;

/// A message to append.
#[derive(Debug)]
pub(super) struct Append {
    /// When it was asked for.
    pub(super) now: Now,
    /// The dedup key.
    pub(super) id: Fingerprint,
    /// The record, without its number.
    pub(super) record: Vec<u8>,
    /// Who asked.
    pub(super) reply: Reply,
}

/// Work for the writer.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Messages, in order.
    pub(super) appends: Vec<Append>,
    /// What has outlived its time is to go.
    pub(super) tend: Option<Now>,
    /// Nothing more will come.
    pub(super) closed: bool,
    bytes: usize,
}

/// Many put in, one takes all of it out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    work: Mutex<Work>,
    wake: Condvar,
}

impl Queue {
    /// Puts a message in.
    ///
    /// # Errors
    /// The disk does not keep up, or the queue is closed.
    pub(super) fn append(&self, append: Append) -> Result<(), Unavailable> {
        let mut work = self.work.lock();
        if work.closed {
            return Err(Unavailable("the log is closed".to_owned()));
        }
        if work.bytes > MAX_WAITING {
            return Err(Unavailable("the disk does not keep up".to_owned()));
        }
        work.bytes += append.record.len();
        work.appends.push(append);
        drop(work);
        self.wake.notify_one();
        Ok(())
    }

    /// Asks for tending.
    pub(super) fn tend(&self, now: Now) {
        self.work.lock().tend = Some(now);
        self.wake.notify_one();
    }

    /// Takes nothing more in.
    pub(super) fn close(&self) {
        self.work.lock().closed = true;
        self.wake.notify_one();
    }

    /// Everything that waits, as soon as there is something or `patience` is over.
    pub(super) fn take(&self, patience: Option<Duration>) -> Work {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut work = self.work.lock();
        while work.appends.is_empty() && work.tend.is_none() && !work.closed {
            match until {
                None => self.wake.wait(&mut work),
                Some(until) => {
                    if self.wake.wait_until(&mut work, until).timed_out() {
                        break;
                    }
                }
            }
        }
        let closed = work.closed;
        let taken = std::mem::take(&mut *work);
        work.closed = closed;
        taken
    }
}
