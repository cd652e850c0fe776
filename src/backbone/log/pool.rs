//! A limit of bytes that several logs share, and what of it counts for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backbone::shares::SHARES;

/// A limit of bytes that several [`super::Logs`] share.
#[derive(Debug)]
pub struct Pool {
    used: AtomicUsize,
    /// What of it counts for each share of the users.
    held: [AtomicUsize; SHARES],
    limit: usize,
    members: usize,
}

impl Pool {
    /// A pool of `limit` bytes for `members` logs.
    #[must_use]
    pub fn new(limit: usize, members: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            held: std::array::from_fn(|_| AtomicUsize::new(0)),
            limit,
            members,
        })
    }

    /// A topic counted so many bytes for one share, and now does for another.
    pub(super) fn recount(&self, before: (usize, usize), after: (usize, usize)) {
        // Wraps around where it is less.
        let more = after.1.wrapping_sub(before.1);
        if before.0 == after.0 {
            self.held[after.0].fetch_add(more, Ordering::Relaxed);
        } else {
            self.held[before.0].fetch_sub(before.1, Ordering::Relaxed);
            self.held[after.0].fetch_add(after.1, Ordering::Relaxed);
        }
        self.used.fetch_add(more, Ordering::Relaxed);
    }

    /// Whether more is held than may be.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
    }

    /// Which share must give from a log that holds `held` of each, while the pool is overdrawn.
    ///
    /// The one that holds the most of all gives, wherever a log has its part of that: at least one
    /// has. Until that one does, which is when it is published to or tended, the pool may grow by an
    /// eighth, and each log to its part of the limit; then whoever holds the most of that log gives.
    pub(super) fn who_gives(&self, held: &[usize; SHARES]) -> Option<usize> {
        let all = self.held.iter().map(|held| held.load(Ordering::Relaxed));
        let (most, in_all) = all.enumerate().max_by_key(|(_, held)| *held)?;
        let own = held[most];
        if own > 0 && own.saturating_mul(self.members) >= in_all {
            return Some(most);
        }
        let used = self.used.load(Ordering::Relaxed);
        let too_far = used > self.limit.saturating_add(self.limit / 8);
        let above = held.iter().sum::<usize>() > self.limit / self.members;
        let locally = held.iter().enumerate().max_by_key(|(_, held)| **held);
        locally.map(|(share, _)| share).filter(|_| too_far && above)
    }
}
