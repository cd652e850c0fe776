//! The kept messages of many topics, bounded per topic, by age and by bytes in all.
//!
//! Many `Logs` may share one byte limit through a [`Pool`].
//!
//! For the bytes, who holds the most gives: nobody can push out the history of others by writing much
//! of their own. What is kept of a topic is its newest records without a hole, so a topic is let go of
//! from its oldest end, and it counts for one alone: for the share of the users that wrote most of it,
//! or, where nobody did, for the share that its own name falls into. Of the topics of the one who gives
//! the oldest record goes.
//!
//! A heap for each share finds the topic with the oldest record, also for the age. It holds each topic
//! by the age that its oldest record had when somebody last looked, so that a publish to a busy topic
//! does not touch it. An entry of a topic that is gone, or that counts for another share by now, is let
//! go of when somebody looks.
//!
//! A topic whose last record is gone is forgotten, name and all. So that its numbering never starts
//! over within an epoch, numbers of new topics begin above every number ever forgotten (`floor`).
//! Where that has to be written down first, it keeps its number until it was ([`Logs::lingering`]).
//!
//! Invariant: pure. Time is a parameter.

mod pool;
#[cfg(test)]
mod tests;
mod topic;

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::protocol::{SeqNo, Topic, UnrecoveredReason};

use super::PageSize;
use super::record::Record;
use super::shares::{SHARES, Shares};

pub use pool::Pool;
use topic::{Stamp, TopicLog};

/// What is kept of a message: the message itself, or where it lies.
pub trait Kept: Clone {
    /// Its place in the topic.
    fn seq_no(&self) -> SeqNo;
    /// The bytes it takes besides this value.
    fn bytes(&self) -> usize;
}

impl Kept for Record {
    fn seq_no(&self) -> SeqNo {
        self.seq_no
    }

    fn bytes(&self) -> usize {
        self.frame.len()
    }
}

/// The bounds of a [`Logs`].
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Records per topic.
    pub per_topic: usize,
    /// Milliseconds a record is kept.
    pub ttl_ms: u64,
}

/// Topics and their kept records.
#[derive(Debug)]
pub struct Logs<K> {
    topics: HashMap<Topic, TopicLog<K>, RandomState>,
    /// For each share of the users its topics, by a stamp that is not after their oldest record's.
    oldest: [BinaryHeap<Reverse<(Stamp, Topic)>>; SHARES],
    /// Entries of `oldest`.
    queued: usize,
    /// What counts for each share of the users.
    held: [usize; SHARES],
    names: Shares,
    last: Stamp,
    bytes: usize,
    floor: SeqNo,
    /// Topics of which nothing is kept and that are not forgotten yet; and some of which something is
    /// kept again.
    empty: Vec<Topic>,
    lingers: bool,
    bounds: Bounds,
    pool: Arc<Pool>,
}

impl<K: Kept> Logs<K> {
    /// No topics yet.
    #[must_use]
    pub fn new(bounds: Bounds, pool: Arc<Pool>) -> Self {
        Self {
            topics: HashMap::default(),
            oldest: std::array::from_fn(|_| BinaryHeap::new()),
            queued: 0,
            held: [0; SHARES],
            names: Shares::default(),
            last: Stamp::default(),
            bytes: 0,
            floor: 0,
            empty: Vec::new(),
            lingers: false,
            bounds,
            pool,
        }
    }

    /// From now on a topic of which nothing is kept is forgotten only with [`Logs::forget`].
    #[must_use]
    pub fn lingering(mut self) -> Self {
        self.lingers = true;
        self
    }

    /// Takes the topic's next number, makes its record with `make(seq_no, previous)`, keeps it and
    /// lets go of what is too much, and of what is too old of the same share of the users. `writer` is
    /// the share of who publishes it. Returns the topic's shared name and the record.
    pub fn append(
        &mut self,
        now_ms: u64,
        writer: usize,
        topic: &str,
        make: impl FnOnce(SeqNo, SeqNo) -> K,
    ) -> (Topic, K) {
        let (seq_no, previous) = self.next(topic);
        let kept = make(seq_no, previous);
        let name = self.insert(now_ms, writer, topic, kept.clone());
        self.drop_aged(now_ms, writer);
        self.drop_surplus();
        (name, kept)
    }

    /// Keeps what has its number already, which must be above the topic's head. Where it is not the
    /// next one, what was kept before is let go: a run of numbers has no holes. `writer` is the share
    /// of who published it. Returns the topic's shared name.
    pub fn insert(&mut self, now_ms: u64, writer: usize, topic: &str, kept: K) -> Topic {
        let seq_no = kept.seq_no();
        self.last = self.last.after(now_ms, writer);
        let log = match self.topics.get_mut(topic) {
            Some(log) => log,
            None => {
                let (name, own) = (Topic::trusted(topic), self.names.of(topic));
                let log = TopicLog::before(seq_no, name.clone(), writer, own);
                self.topics.entry(name).or_insert(log)
            }
        };
        let before = (log.payer, log.bytes);
        let surplus = if log.head + 1 == seq_no {
            (log.ring.len() + 1).saturating_sub(self.bounds.per_topic)
        } else {
            log.ring.len()
        };
        (0..surplus).for_each(|_| log.drop_front());
        if log.ring.is_empty() {
            log.trimmed = seq_no - 1;
        }
        log.head = seq_no;
        log.push(self.last, kept);
        log.settle();
        let (name, after) = (log.name.clone(), (log.payer, log.bytes));
        let is_new = before.1 == 0;
        if is_new || before.0 != after.0 {
            let oldest = log.oldest().unwrap_or(self.last);
            self.enqueue(after.0, oldest, name.clone());
        }
        self.recount(before, after);
        name
    }

    /// Lets go of what is too old or too much.
    pub fn trim(&mut self, now_ms: u64) {
        // Again, as long as a topic may have come to count for another share.
        while (0..SHARES).any(|share| self.drop_aged(now_ms, share)) {}
        self.drop_surplus();
    }

    /// Returns whether there was anything.
    fn drop_aged(&mut self, now_ms: u64, share: usize) -> bool {
        let ttl_ms = self.bounds.ttl_ms;
        let mut any = false;
        while self.drop_oldest(share, |stamp| now_ms >= stamp.at_ms() + ttl_ms) {
            any = true;
        }
        any
    }

    fn drop_surplus(&mut self) {
        while self.pool.is_overdrawn()
            && let Some(share) = self.pool.who_gives(&self.held)
            && self.drop_oldest(share, |_| true)
        {}
    }

    /// Lets go of the oldest record of the topics of this share, if its stamp is one to go. Returns
    /// whether it was.
    fn drop_oldest(&mut self, share: usize, goes: impl Fn(Stamp) -> bool) -> bool {
        let (before, after, left) = loop {
            let Some(mut next) = self.oldest[share].peek_mut() else {
                return false;
            };
            if !goes(next.0.0) {
                return false;
            }
            let log = self.topics.get_mut(&next.0.1);
            let Some(log) = log.filter(|log| log.payer == share && !log.ring.is_empty()) else {
                PeekMut::pop(next);
                self.queued -= 1;
                continue;
            };
            if let Some(stamp) = log.oldest()
                && stamp > next.0.0
            {
                // The bound of the topic took the record that this stamp was of.
                next.0.0 = stamp;
                continue;
            }
            let before = (share, log.bytes);
            log.drop_front();
            log.settle();
            let after = (log.payer, log.bytes);
            match log.oldest() {
                Some(stamp) if after.0 == share => {
                    next.0.0 = stamp;
                    break (before, after, None);
                }
                oldest => {
                    let Reverse((_, topic)) = PeekMut::pop(next);
                    self.queued -= 1;
                    break (before, after, Some((topic, oldest)));
                }
            }
        };
        self.recount(before, after);
        match left {
            None => {}
            Some((topic, Some(stamp))) => self.enqueue(after.0, stamp, topic),
            Some((topic, None)) => self.emptied(topic),
        }
        true
    }

    /// Nothing of a topic is kept any more.
    fn emptied(&mut self, topic: Topic) {
        if self.lingers {
            self.linger(topic);
        } else {
            self.forget(&topic);
        }
    }

    /// One of the topics that are to be forgotten, and its newest number. Each that is taken must be
    /// given to [`Logs::forget`] or [`Logs::linger`].
    pub fn next_empty(&mut self) -> Option<(Topic, SeqNo)> {
        while let Some(topic) = self.empty.pop() {
            if let Some(log) = self.topics.get(&topic)
                && log.ring.is_empty()
            {
                return Some((topic, log.head));
            }
        }
        self.empty.shrink_to(1 << 10);
        None
    }

    /// A topic of [`Logs::next_empty`] is to be forgotten later.
    pub fn linger(&mut self, topic: Topic) {
        self.empty.push(topic);
    }

    /// Forgets a topic, unless something of it is kept.
    pub fn forget(&mut self, topic: &Topic) {
        if let Some(log) = self.topics.get(topic)
            && log.ring.is_empty()
        {
            self.floor = self.floor.max(log.head);
            self.topics.remove(topic);
        }
    }

    /// A topic counts for this share from now on.
    fn enqueue(&mut self, share: usize, oldest: Stamp, topic: Topic) {
        self.oldest[share].push(Reverse((oldest, topic)));
        self.queued += 1;
        if self.queued > 64 + 2 * self.topics.len() {
            self.enqueue_all();
        }
    }

    /// Makes the heaps anew, without what is out of date.
    fn enqueue_all(&mut self) {
        self.oldest.iter_mut().for_each(BinaryHeap::clear);
        self.queued = 0;
        for log in self.topics.values() {
            if let Some(oldest) = log.oldest() {
                self.oldest[log.payer].push(Reverse((oldest, log.name.clone())));
                self.queued += 1;
            }
        }
    }

    /// A topic counted so many bytes for one share, and now does for another.
    fn recount(&mut self, before: (usize, usize), after: (usize, usize)) {
        self.held[before.0] -= before.1;
        self.held[after.0] += after.1;
        self.bytes = self.bytes - before.1 + after.1;
        self.pool.recount(before, after);
    }

    /// Lets go of the records that are `gone`, which are the oldest of their topics.
    pub fn drop_gone(&mut self, gone: impl Fn(&K) -> bool) {
        let mut topics = std::mem::take(&mut self.topics);
        let mut emptied = Vec::new();
        for log in topics.values_mut().filter(|log| !log.ring.is_empty()) {
            let before = (log.payer, log.bytes);
            while log.ring.front().is_some_and(|(_, kept)| gone(kept)) {
                log.drop_front();
            }
            log.settle();
            self.recount(before, (log.payer, log.bytes));
            if log.ring.is_empty() {
                emptied.push(log.name.clone());
            }
        }
        self.topics = topics;
        for topic in emptied {
            self.emptied(topic);
        }
        self.enqueue_all();
    }

    /// Lets go of what is kept of a topic up to this number. Whoever calls it sees to the numbers of a
    /// topic of which nothing is left; see [`Logs::raise_floor`].
    pub fn drop_up_to(&mut self, topic: &str, seq_no: SeqNo) {
        let Some(log) = self.topics.get_mut(topic) else {
            return;
        };
        let before = (log.payer, log.bytes);
        while (log.ring.front()).is_some_and(|(_, kept)| kept.seq_no() <= seq_no) {
            log.drop_front();
        }
        log.settle();
        let after = (log.payer, log.bytes);
        let left = log.oldest().map(|oldest| (oldest, log.name.clone()));
        self.recount(before, after);
        match left {
            Some((oldest, name)) if after.0 != before.0 => self.enqueue(after.0, oldest, name),
            Some(_) => {}
            None => drop(self.topics.remove(topic)),
        }
    }

    /// The topic's shared name, if its message with this number is kept.
    #[must_use]
    pub fn holds(&self, topic: &str, seq_no: SeqNo) -> Option<&Topic> {
        let log = self.topics.get(topic)?;
        (seq_no > log.trimmed && seq_no <= log.head).then_some(&log.name)
    }

    /// Changes where a message lies, if it is kept. It must take as many bytes as before.
    pub fn relocate(&mut self, topic: &str, kept: K) {
        let Some(log) = self.topics.get_mut(topic) else {
            return;
        };
        let number = kept.seq_no();
        let at = log.ring.partition_point(|(_, old)| old.seq_no() < number);
        if let Some((_, old)) = log.ring.get_mut(at)
            && old.seq_no() == number
        {
            *old = kept;
        }
    }

    /// From now on topics without a kept record are numbered from above this number.
    pub fn raise_floor(&mut self, floor: SeqNo) {
        self.floor = self.floor.max(floor);
    }

    /// The newest number of a topic; 0 when nothing was ever published.
    #[must_use]
    pub fn head(&self, topic: &str) -> SeqNo {
        self.topics.get(topic).map_or(self.floor, |log| log.head)
    }

    /// The topic's next number, and the one before it: 0 where the topic is not known, of which nothing
    /// before is kept.
    #[must_use]
    pub fn next(&self, topic: &str) -> (SeqNo, SeqNo) {
        let log = self.topics.get(topic);
        log.map_or((self.floor + 1, 0), |log| (log.head + 1, log.head))
    }

    /// Everything after a number, all or nothing.
    ///
    /// # Errors
    /// Why it is not all there: trimmed, or the number is ahead of the head.
    pub fn after(&self, topic: &str, seq_no: SeqNo) -> Result<Vec<K>, UnrecoveredReason> {
        let head = self.head(topic);
        let trimmed = self.topics.get(topic).map_or(self.floor, |log| log.trimmed);
        if seq_no > head {
            Err(UnrecoveredReason::Ahead)
        } else if seq_no < trimmed {
            Err(UnrecoveredReason::Trimmed)
        } else {
            Ok(self.kept_after(topic, seq_no, PageSize::ALL))
        }
    }

    /// The kept records after a number, as many as go on a page, oldest first.
    #[must_use]
    pub fn kept_after(&self, topic: &str, seq_no: SeqNo, mut page: PageSize) -> Vec<K> {
        self.topics.get(topic).map_or_else(Vec::new, |log| {
            let from = log
                .ring
                .partition_point(|(_, kept)| kept.seq_no() <= seq_no);
            let kept = (0..).zip(log.ring.range(from..).map(|(_, kept)| kept));
            kept.take_while(|(at, kept)| page.takes(*at, kept.bytes()))
                .map(|(_, kept)| kept.clone())
                .collect()
        })
    }

    /// Topics with kept records, records' bytes.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.topics.len(), self.bytes)
    }
}

/// What a record takes in memory, or on disk and in the memory that finds it there.
fn cost<K: Kept>(kept: &K) -> usize {
    kept.bytes() + std::mem::size_of::<(Stamp, K)>() + 32
}
