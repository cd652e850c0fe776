//! What is counted from any thread: rarer than deliveries, so that the counters may be shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::{AckStatus, ErrorCode};

use super::{Counters, Refused};
use crate::histogram::{Distribution, Histogram};

/// Sockets that have not been set up yet.
#[derive(Debug, Default)]
pub struct Pending {
    /// How many there are.
    pub now: AtomicU64,
    /// How many there may be; 0 is no limit.
    pub limit: AtomicU64,
}

/// What the gateway counts outside its shards.
#[derive(Debug, Default)]
pub struct SharedMetrics {
    published: AtomicU64,
    duplicates: AtomicU64,
    denied: AtomicU64,
    unavailable: AtomicU64,
    too_fast: AtomicU64,
    resumed: AtomicU64,
    not_resumed: AtomicU64,
    refused: Counters<{ Refused::ALL.len() }>,
    pending: Arc<Pending>,
    /// From the question to the backbone to its answer, in nanoseconds, where that had to wait for a
    /// disk or a network.
    publish_latency: Histogram,
}

impl SharedMetrics {
    /// A publish was taken.
    pub fn published(&self, status: AckStatus) {
        one(match status {
            AckStatus::Ok => &self.published,
            AckStatus::Duplicate => &self.duplicates,
        });
    }

    /// A publish was refused: the token does not allow it, the backbone is away, or over HTTP there were
    /// too many.
    pub fn publish_refused(&self, code: ErrorCode) {
        one(match code {
            ErrorCode::AclDenied => &self.denied,
            ErrorCode::TooManyRequests => &self.too_fast,
            _ => &self.unavailable,
        });
    }

    /// The backbone's answer to a publish took this long.
    pub fn publish_took(&self, ns: u64) {
        self.publish_latency.record_shared(ns);
    }

    /// A resume came to its end, and nothing was lost, or something was.
    pub fn resumed(&self, complete: bool) {
        one(if complete {
            &self.resumed
        } else {
            &self.not_resumed
        });
    }

    /// Somebody was not let in.
    pub fn refused(&self, why: Refused) {
        one(&self.refused.0[why as usize]);
    }

    /// Sockets that have not been set up yet: counted by those who let them in.
    #[must_use]
    pub const fn pending(&self) -> &Arc<Pending> {
        &self.pending
    }

    /// How many sockets have not been set up yet, and how many may be; 0 is no limit.
    #[must_use]
    pub fn pending_of(&self) -> (u64, u64) {
        (load(&self.pending.now), load(&self.pending.limit))
    }

    /// Messages published, and publishes that were duplicates.
    #[must_use]
    pub fn publishes(&self) -> (u64, u64) {
        (load(&self.published), load(&self.duplicates))
    }

    /// Publishes that were refused, by the code of the refusal.
    #[must_use]
    pub fn refused_publishes(&self) -> [(ErrorCode, u64); 3] {
        [
            (ErrorCode::AclDenied, load(&self.denied)),
            (ErrorCode::NotAvailable, load(&self.unavailable)),
            (ErrorCode::TooManyRequests, load(&self.too_fast)),
        ]
    }

    /// How long publishes waited for a disk or a network, in nanoseconds.
    #[must_use]
    pub fn publish_latency(&self) -> Distribution {
        let mut sum = Distribution::default();
        self.publish_latency.add_to(&mut sum);
        sum
    }

    /// Resumes after which nothing was lost, and the others.
    #[must_use]
    pub fn resumes(&self) -> (u64, u64) {
        (load(&self.resumed), load(&self.not_resumed))
    }

    /// How many were not let in, in the order of [`Refused::ALL`].
    #[must_use]
    pub fn refusals(&self) -> [u64; Refused::ALL.len()] {
        let mut sums = [0; Refused::ALL.len()];
        self.refused.add_to(&mut sums);
        sums
    }
}

fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
