//! When to look at which connection: a heap, corrected lazily. A connection whose deadline moved later
//! is put back when its entry comes up; the entry of one whose deadline moved sooner is let go of then,
//! for there is a sooner one.
//!
//! Invariant: pure. Time is a parameter, in milliseconds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::connection::Key;

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<(u64, Key)>>);

/// When a connection is looked at next: its soonest entry, if it has one.
#[derive(Debug, Default)]
pub(super) struct Scheduled(Option<u64>);

impl Scheduled {
    /// An entry has come up. Whether it is the one that counts; then there is none any more.
    pub(super) fn comes_up(&mut self, at_ms: u64) -> bool {
        self.0.take_if(|scheduled| *scheduled == at_ms).is_some()
    }
}

impl Deadlines {
    /// Look at this connection then, if not sooner. Returns whether that is before everything else.
    pub(super) fn push(&mut self, at_ms: u64, key: Key, scheduled: &mut Scheduled) -> bool {
        if scheduled.0.is_some_and(|scheduled| scheduled <= at_ms) {
            return false;
        }
        scheduled.0 = Some(at_ms);
        let soonest = self.next().is_none_or(|next| at_ms < next);
        self.0.push(Reverse((at_ms, key)));
        soonest
    }

    /// When the next entry comes up.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at_ms, _))| *at_ms)
    }

    /// Takes an entry that has come up, and when that was to be.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<(u64, Key)> {
        if self.next()? > now_ms {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_that_come_and_go_leave_no_entries_behind() {
        let mut deadlines = Deadlines::default();
        let mut scheduled = Scheduled::default();
        let key = (7, 1);
        // Three times a second it is behind for a moment, and would be given up ten seconds later.
        for now_ms in (0..3_600_000).step_by(100) {
            let is_behind = now_ms % 300 == 0;
            let deadline = now_ms + if is_behind { 10_000 } else { 25_000 };
            let mut looked_at = 0;
            while let Some((at_ms, _)) = deadlines.pop_due(now_ms) {
                if scheduled.comes_up(at_ms) {
                    looked_at += 1;
                    deadlines.push(deadline, key, &mut scheduled);
                }
            }
            assert!(looked_at <= 1);
            deadlines.push(deadline, key, &mut scheduled);
            assert!(deadlines.next().is_some_and(|next| next <= deadline));
            let entries = deadlines.0.len();
            assert!(entries < 10, "{entries} after {now_ms} ms");
        }
    }
}
