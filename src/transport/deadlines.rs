//! When to look at which connection: a heap with one entry a connection, corrected lazily. A
//! connection whose deadline moved later is put back when its entry comes up.
//!
//! Invariant: pure. Time is a parameter, in milliseconds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::connection::Key;

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<(u64, Key)>>);

impl Deadlines {
    /// Look at this connection then. Returns whether that is before everything else.
    pub(super) fn push(&mut self, at_ms: u64, key: Key) -> bool {
        let soonest = self.next().is_none_or(|next| at_ms < next);
        self.0.push(Reverse((at_ms, key)));
        soonest
    }

    /// When the next entry comes up.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at_ms, _))| *at_ms)
    }

    /// Takes an entry that has come up.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<Key> {
        if self.next()? > now_ms {
            return None;
        }
        self.0.pop().map(|Reverse((_, key))| key)
    }
}
