//! The kept messages of one topic, and who pays for them.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::{Kept, cost};
use crate::backbone::shares::SHARES;
use crate::protocol::{SeqNo, Topic};

/// When a record came, before which others of that moment, and which share of the users wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(u64);

impl Stamp {
    /// Records that one millisecond has stamps for; more of them borrow from the next.
    const IN_A_MILLISECOND: u64 = 1 << 10;

    pub(super) fn after(self, now_ms: u64, writer: usize) -> Self {
        let at = (self.0 / SHARES as u64 + 1).max(now_ms * Self::IN_A_MILLISECOND);
        Self(at * SHARES as u64 + writer as u64)
    }

    pub(super) const fn at_ms(self) -> u64 {
        self.0 / SHARES as u64 / Self::IN_A_MILLISECOND
    }

    const fn writer(self) -> usize {
        self.0 as usize % SHARES
    }
}

/// A topic's newest records without a hole.
#[derive(Debug)]
pub(super) struct TopicLog<K> {
    pub(super) name: Topic,
    /// The kept records, oldest first, each with its stamp.
    pub(super) ring: VecDeque<(Stamp, K)>,
    /// The newest number ever given.
    pub(super) head: SeqNo,
    /// Everything up to this number is no longer kept.
    pub(super) trimmed: SeqNo,
    /// What the records cost.
    pub(super) bytes: usize,
    /// What of that each share of the users wrote.
    writers: SmallVec<[(usize, usize); 1]>,
    /// The share that pays.
    pub(super) payer: usize,
    /// The share that pays when nobody wrote most of it: the topic stands for itself.
    own: usize,
}

impl<K: Kept> TopicLog<K> {
    /// A topic whose first record, of this writer, is still to come.
    pub(super) fn before(first: SeqNo, name: Topic, writer: usize, own: usize) -> Self {
        Self {
            name,
            ring: VecDeque::new(),
            head: first - 1,
            trimmed: first - 1,
            bytes: 0,
            writers: SmallVec::new(),
            payer: writer,
            own,
        }
    }

    /// When its oldest record came.
    pub(super) fn oldest(&self) -> Option<Stamp> {
        self.ring.front().map(|(stamp, _)| *stamp)
    }

    /// Takes in a record.
    pub(super) fn push(&mut self, stamp: Stamp, kept: K) {
        let (writer, bytes) = (stamp.writer(), cost(&kept));
        self.bytes += bytes;
        match self.writers.iter_mut().find(|(share, _)| *share == writer) {
            Some((_, wrote)) => *wrote += bytes,
            None => self.writers.push((writer, bytes)),
        }
        self.ring.push_back((stamp, kept));
    }

    /// Lets go of the oldest record.
    pub(super) fn drop_front(&mut self) {
        let Some((stamp, kept)) = self.ring.pop_front() else {
            return;
        };
        self.trimmed = kept.seq_no();
        let bytes = cost(&kept);
        self.bytes -= bytes;
        let mut writers = self.writers.iter_mut();
        if let Some(i) = writers.position(|(share, _)| *share == stamp.writer()) {
            self.writers[i].1 -= bytes;
            if self.writers[i].1 == 0 {
                self.writers.swap_remove(i);
            }
        }
    }

    /// Settles who pays: whoever wrote three quarters of it, for as long as that is half of it;
    /// without such a one the topic stands for itself.
    pub(super) fn settle(&mut self) {
        let newest = self.ring.back().map_or(self.payer, |(s, _)| s.writer());
        if newest == self.payer && self.writers.len() <= 1 {
            return;
        }
        let wrote = |share| {
            let mut writers = self.writers.iter();
            writers.find(|w| w.0 == share).map_or(0, |w| w.1)
        };
        if wrote(newest) >= self.bytes / 4 * 3 {
            self.payer = newest;
        } else if wrote(self.payer) < self.bytes / 2 {
            self.payer = self.own;
        }
    }
}
