//! The kept messages of many topics, bounded per topic, by age and by bytes in all.
//!
//! Many `Logs` may share one byte limit through a [`Pool`]: while the pool is overdrawn, those above
//! their fair share give way.
//!
//! The next record to go, for its age or for the bytes, is the oldest of all. A heap finds its topic;
//! it holds each topic once, by the age that its oldest record had when somebody last looked, so that
//! a publish to a busy topic does not touch it.
//!
//! A topic whose last record is gone is forgotten, name and all. So that its numbering never starts
//! over within an epoch, numbers of new topics begin above every number ever forgotten (`floor`).
//!
//! Invariant: pure. Time is a parameter.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::quality::RandomState;

use crate::protocol::{SeqNo, Topic, UnrecoveredReason};

use super::record::Record;

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

/// When a record came, and before which others of that moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp(u64);

impl Stamp {
    /// Records that one millisecond has stamps for; more of them borrow from the next.
    const IN_A_MILLISECOND: u64 = 1 << 16;

    fn after(self, now_ms: u64) -> Self {
        Self((self.0 + 1).max(now_ms * Self::IN_A_MILLISECOND))
    }

    const fn at_ms(self) -> u64 {
        self.0 / Self::IN_A_MILLISECOND
    }
}

#[derive(Debug)]
struct TopicLog<K> {
    name: Topic,
    /// The kept records, oldest first, each with its stamp.
    ring: VecDeque<(Stamp, K)>,
    /// The newest number ever given.
    head: SeqNo,
    /// Everything up to this number is no longer kept.
    trimmed: SeqNo,
}

impl<K: Kept> TopicLog<K> {
    /// A topic whose first record is still to come.
    const fn before(first: SeqNo, name: Topic) -> Self {
        Self {
            name,
            ring: VecDeque::new(),
            head: first - 1,
            trimmed: first - 1,
        }
    }

    /// Lets go of the oldest record and returns what it cost.
    fn drop_front(&mut self) -> usize {
        let Some((_, kept)) = self.ring.pop_front() else {
            return 0;
        };
        self.trimmed = kept.seq_no();
        cost(&kept)
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

/// A limit of bytes that several [`Logs`] share.
#[derive(Debug)]
pub struct Pool {
    used: AtomicUsize,
    limit: usize,
    members: usize,
}

impl Pool {
    /// A pool of `limit` bytes for `members` logs.
    #[must_use]
    pub fn new(limit: usize, members: usize) -> Arc<Self> {
        let used = AtomicUsize::new(0);
        Arc::new(Self {
            used,
            limit,
            members,
        })
    }

    fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Whether one who holds this many bytes must give some back.
    fn overdrawn(&self, own: usize) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit && own > self.limit / self.members
    }
}

/// Topics and their kept records.
#[derive(Debug)]
pub struct Logs<K> {
    topics: HashMap<Topic, TopicLog<K>, RandomState>,
    /// Every topic with kept records, by a stamp that is not after its oldest record's.
    oldest: BinaryHeap<Reverse<(Stamp, Topic)>>,
    last: Stamp,
    bytes: usize,
    floor: SeqNo,
    bounds: Bounds,
    pool: Arc<Pool>,
}

impl<K: Kept> Logs<K> {
    /// No topics yet.
    #[must_use]
    pub fn new(bounds: Bounds, pool: Arc<Pool>) -> Self {
        Self {
            topics: HashMap::default(),
            oldest: BinaryHeap::new(),
            last: Stamp::default(),
            bytes: 0,
            floor: 0,
            bounds,
            pool,
        }
    }

    /// Takes the topic's next number, makes its record with `make(seq_no, previous)`, keeps it and
    /// lets go of what is too old or too much. Returns the topic's shared name and the record.
    pub fn append(
        &mut self,
        now_ms: u64,
        topic: &str,
        make: impl FnOnce(SeqNo, SeqNo) -> K,
    ) -> (Topic, K) {
        let head = self.head(topic);
        let kept = make(head + 1, head);
        let name = self.insert(now_ms, topic, kept.clone());
        self.trim(now_ms);
        (name, kept)
    }

    /// Keeps what has its number already, which must be above the topic's head. Where it is not the
    /// next one, what was kept before is let go: a run of numbers has no holes. Returns the topic's
    /// shared name.
    pub fn insert(&mut self, now_ms: u64, topic: &str, kept: K) -> Topic {
        let (seq_no, bytes) = (kept.seq_no(), cost(&kept));
        self.last = self.last.after(now_ms);
        let log = match self.topics.get_mut(topic) {
            Some(log) => log,
            None => {
                let name = Topic::trusted(topic);
                self.oldest.push(Reverse((self.last, name.clone())));
                let log = TopicLog::before(seq_no, name.clone());
                self.topics.entry(name).or_insert(log)
            }
        };
        let surplus = if log.head + 1 == seq_no {
            (log.ring.len() + 1).saturating_sub(self.bounds.per_topic)
        } else {
            log.ring.len()
        };
        let freed = (0..surplus).map(|_| log.drop_front()).sum::<usize>();
        if log.ring.is_empty() {
            log.trimmed = seq_no - 1;
        }
        log.head = seq_no;
        log.ring.push_back((self.last, kept));
        let name = log.name.clone();
        self.bytes = self.bytes + bytes - freed;
        self.pool.take(bytes);
        self.pool.give_back(freed);
        name
    }

    /// Lets go of what is too old or too much.
    pub fn trim(&mut self, now_ms: u64) {
        while let Some(mut next) = self.oldest.peek_mut() {
            let aged = now_ms >= next.0.0.at_ms() + self.bounds.ttl_ms;
            if !aged && !self.pool.overdrawn(self.bytes) {
                break;
            }
            let Some(log) = self.topics.get_mut(&next.0.1) else {
                PeekMut::pop(next);
                continue;
            };
            if let Some((stamp, _)) = log.ring.front()
                && *stamp > next.0.0
            {
                // The bound of the topic took the record that this stamp was of.
                next.0.0 = *stamp;
                continue;
            }
            let freed = log.drop_front();
            if let Some((stamp, _)) = log.ring.front() {
                next.0.0 = *stamp;
            } else {
                self.floor = self.floor.max(log.head);
                let Reverse((_, topic)) = PeekMut::pop(next);
                self.topics.remove(&topic);
            }
            self.bytes -= freed;
            self.pool.give_back(freed);
        }
    }

    /// Lets go of the records that are `gone`, which are the oldest of their topics.
    pub fn drop_gone(&mut self, gone: impl Fn(&K) -> bool) {
        let (mut freed, mut floor) = (0, self.floor);
        self.topics.retain(|_, log| {
            while log.ring.front().is_some_and(|(_, kept)| gone(kept)) {
                freed += log.drop_front();
            }
            if log.ring.is_empty() {
                floor = floor.max(log.head);
            }
            !log.ring.is_empty()
        });
        self.floor = floor;
        let topics = &self.topics;
        self.oldest.retain(|Reverse((_, t))| topics.contains_key(t));
        self.bytes -= freed;
        self.pool.give_back(freed);
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
            Ok(self.kept_after(topic, seq_no, usize::MAX))
        }
    }

    /// The kept records after a number, at most `limit`, oldest first.
    #[must_use]
    pub fn kept_after(&self, topic: &str, seq_no: SeqNo, limit: usize) -> Vec<K> {
        self.topics.get(topic).map_or_else(Vec::new, |log| {
            let from = log
                .ring
                .partition_point(|(_, kept)| kept.seq_no() <= seq_no);
            let kept = log.ring.range(from..).map(|(_, kept)| kept);
            kept.take(limit).cloned().collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::Publication;

    fn logs(per_topic: usize, ttl_ms: u64, bytes: usize) -> Logs<Record> {
        Logs::new(Bounds { per_topic, ttl_ms }, Pool::new(bytes, 1))
    }

    fn append(logs: &mut Logs<Record>, now_ms: u64, topic: &str) -> SeqNo {
        let publication = Publication {
            user: "u",
            topic,
            message_id: "m",
            payload: "1",
            sig: None,
        };
        logs.append(now_ms, topic, |seq, prev| {
            Record::new(&publication, seq, prev, 0)
        })
        .1
        .seq_no
    }

    fn numbers(
        logs: &Logs<Record>,
        topic: &str,
        after: SeqNo,
    ) -> Result<Vec<SeqNo>, UnrecoveredReason> {
        logs.after(topic, after)
            .map(|records| records.iter().map(|r| r.seq_no).collect())
    }

    #[test]
    fn topics_are_numbered_apart_from_one() {
        let mut logs = logs(10, 1000, usize::MAX);
        assert_eq!(
            [
                append(&mut logs, 0, "a"),
                append(&mut logs, 0, "b"),
                append(&mut logs, 0, "a")
            ],
            [1, 1, 2]
        );
        assert_eq!(numbers(&logs, "a", 0), Ok(vec![1, 2]));
        assert_eq!(numbers(&logs, "a", 2), Ok(vec![]));
        assert_eq!(numbers(&logs, "a", 3), Err(UnrecoveredReason::Ahead));
        assert_eq!(numbers(&logs, "never", 0), Ok(vec![]));
    }

    #[test]
    fn what_was_trimmed_is_never_passed_over_in_silence() {
        let mut logs = logs(3, 1000, usize::MAX);
        for _ in 0..5 {
            append(&mut logs, 0, "a");
        }
        assert_eq!(numbers(&logs, "a", 1), Err(UnrecoveredReason::Trimmed));
        assert_eq!(numbers(&logs, "a", 2), Ok(vec![3, 4, 5]));
    }

    #[test]
    fn age_and_bytes_take_the_oldest_of_all_topics_first() {
        let mut by_age = logs(100, 1000, usize::MAX);
        append(&mut by_age, 0, "a");
        append(&mut by_age, 500, "a");
        by_age.trim(1000);
        assert_eq!(numbers(&by_age, "a", 0), Err(UnrecoveredReason::Trimmed));
        assert_eq!(numbers(&by_age, "a", 1), Ok(vec![2]));

        let mut by_bytes = logs(100, 1000, 2000);
        for i in 0..100 {
            append(&mut by_bytes, 0, if i % 2 == 0 { "a" } else { "b" });
            assert!(by_bytes.bytes <= 2000);
        }
        assert!(numbers(&by_bytes, "a", 48).is_ok());
        assert!(numbers(&by_bytes, "a", 0).is_err());
    }

    #[test]
    fn a_forgotten_topic_goes_on_counting() {
        let mut logs = logs(100, 1000, usize::MAX);
        for _ in 0..7 {
            append(&mut logs, 0, "a");
        }
        logs.trim(1000);
        assert_eq!(logs.size(), (0, 0));
        assert_eq!(numbers(&logs, "a", 7), Ok(vec![]));
        assert_eq!(numbers(&logs, "a", 6), Err(UnrecoveredReason::Trimmed));
        assert_eq!(append(&mut logs, 2000, "a"), 8);
        assert_eq!(numbers(&logs, "a", 7), Ok(vec![8]));
    }

    #[test]
    fn a_hole_in_the_numbers_lets_go_of_what_was_before() {
        let mut logs = logs(10, 1000, usize::MAX);
        append(&mut logs, 0, "a");
        let mut record = logs.kept_after("a", 0, 1).remove(0);
        record.seq_no = 9;
        logs.insert(0, "a", record);
        assert_eq!(logs.head("a"), 9);
        assert_eq!(numbers(&logs, "a", 1), Err(UnrecoveredReason::Trimmed));
        assert_eq!(numbers(&logs, "a", 8), Ok(vec![9]));
        logs.trim(1000);
        assert_eq!((logs.size(), logs.oldest.len()), ((0, 0), 0));
    }

    #[test]
    fn the_oldest_of_all_goes_first_also_where_topics_let_go_of_their_own() {
        let mut logs = logs(2, 1000, usize::MAX);
        for at_ms in 0..100 {
            append(&mut logs, at_ms, "busy");
            if at_ms == 50 {
                append(&mut logs, at_ms, "quiet");
            }
        }
        assert_eq!(logs.oldest.len(), 2, "each topic once");
        logs.trim(1049);
        assert_eq!(numbers(&logs, "quiet", 0), Ok(vec![1]));
        logs.trim(1050);
        assert_eq!(numbers(&logs, "quiet", 0), Err(UnrecoveredReason::Trimmed));
        assert_eq!(numbers(&logs, "busy", 98), Ok(vec![99, 100]));
        logs.trim(1099);
        assert_eq!((logs.size(), logs.oldest.len()), ((0, 0), 0));
    }

    #[test]
    fn what_is_gone_is_let_go_of_in_every_topic() {
        let mut logs = logs(10, 1000, usize::MAX);
        for topic in ["a", "b", "a", "b", "b"] {
            append(&mut logs, 0, topic);
        }
        logs.drop_gone(|record| record.seq_no <= 2);
        assert_eq!(numbers(&logs, "b", 2), Ok(vec![3]));
        assert_eq!(
            (logs.size().0, logs.oldest.len(), logs.head("a")),
            (1, 1, 2)
        );
    }
}
