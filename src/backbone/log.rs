//! The kept messages of many topics, bounded per topic, by age and by bytes in all.
//!
//! Many `Logs` may share one byte limit through a [`Pool`]: while the pool is overdrawn, those above
//! their fair share give way.
//!
//! All records are kept equally long, so one queue in order of arrival serves both the age limit
//! and the byte limit: its front is always the next to go.
//!
//! A topic whose last record is gone is forgotten, name and all. So that its numbering never starts
//! over within an epoch, numbers of new topics begin above every number ever forgotten (`floor`).
//!
//! Invariant: pure. Time is a parameter.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

#[derive(Debug)]
struct Arrival {
    at_ms: u64,
    seq_no: SeqNo,
    topic: Topic,
}

#[derive(Debug)]
struct TopicLog<K> {
    /// The kept records, oldest first.
    ring: VecDeque<K>,
    /// The newest number ever given.
    head: SeqNo,
    /// Everything up to this number is no longer kept.
    trimmed: SeqNo,
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

    /// Whether one who holds this many bytes must give some back.
    fn overdrawn(&self, own: usize) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit && own > self.limit / self.members
    }
}

/// Topics and their kept records.
#[derive(Debug)]
pub struct Logs<K> {
    topics: HashMap<Topic, TopicLog<K>>,
    arrivals: VecDeque<Arrival>,
    records: usize,
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
            topics: HashMap::new(),
            arrivals: VecDeque::new(),
            records: 0,
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
        let name = match self.topics.get_key_value(topic) {
            Some((name, _)) => name.clone(),
            None => Topic::trusted(topic),
        };
        let (seq_no, bytes) = (kept.seq_no(), cost(&kept));
        let log = self.topics.entry(name.clone()).or_insert_with(|| TopicLog {
            ring: VecDeque::new(),
            head: seq_no - 1,
            trimmed: seq_no - 1,
        });
        let (mut dropped, mut dropped_bytes) = (0, 0);
        let mut surplus = if log.head + 1 == seq_no {
            (log.ring.len() + 1).saturating_sub(self.bounds.per_topic)
        } else {
            log.ring.len()
        };
        while surplus > 0 {
            dropped_bytes += drop_front(log);
            dropped += 1;
            surplus -= 1;
        }
        if log.ring.is_empty() {
            log.trimmed = seq_no - 1;
        }
        log.head = seq_no;
        log.ring.push_back(kept);
        self.take(bytes);
        self.give_back(dropped, dropped_bytes);
        self.arrivals.push_back(Arrival {
            at_ms: now_ms,
            seq_no,
            topic: name.clone(),
        });
        name
    }

    /// Lets go of what is too old or too much.
    pub fn trim(&mut self, now_ms: u64) {
        while let Some(oldest) = self.arrivals.front() {
            let aged = now_ms >= oldest.at_ms + self.bounds.ttl_ms;
            if !aged && !self.pool.overdrawn(self.bytes) {
                break;
            }
            self.drop_oldest();
        }
        // Arrivals whose record the per-topic bound took would pile up behind one that stays.
        if self.arrivals.len() > 64 + 2 * self.records {
            let topics = &self.topics;
            self.arrivals.retain(|a| {
                topics
                    .get(&a.topic)
                    .is_some_and(|log| a.seq_no > log.trimmed)
            });
        }
    }

    /// Lets go of the oldest records as long as they are `gone`.
    pub fn drop_while(&mut self, gone: impl Fn(&K) -> bool) {
        while let Some(oldest) = self.arrivals.front() {
            let log = self.topics.get(&oldest.topic);
            let kept = log.and_then(|log| log.ring.front());
            if kept.is_some_and(|kept| kept.seq_no() <= oldest.seq_no && !gone(kept)) {
                break;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.arrivals.pop_front() else {
            return;
        };
        let Some(log) = self.topics.get_mut(&oldest.topic) else {
            return;
        };
        // The per-topic bound may have taken it already.
        if log
            .ring
            .front()
            .is_some_and(|r| r.seq_no() <= oldest.seq_no)
        {
            let dropped = drop_front(log);
            let head = log.ring.is_empty().then_some(log.head);
            self.give_back(1, dropped);
            if let Some(head) = head {
                self.raise_floor(head);
                self.topics.remove(&oldest.topic);
            }
        }
    }

    /// From now on topics without a kept record are numbered from above this number.
    pub fn raise_floor(&mut self, floor: SeqNo) {
        self.floor = self.floor.max(floor);
    }

    fn take(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
        self.pool.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&mut self, records: usize, bytes: usize) {
        self.records -= records;
        self.bytes -= bytes;
        self.pool.used.fetch_sub(bytes, Ordering::Relaxed);
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
            let from = log.ring.partition_point(|kept| kept.seq_no() <= seq_no);
            log.ring.range(from..).take(limit).cloned().collect()
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
    kept.bytes() + std::mem::size_of::<K>() + std::mem::size_of::<Arrival>() + 32
}

/// Lets go of a topic's oldest record and returns what it cost.
fn drop_front<K: Kept>(log: &mut TopicLog<K>) -> usize {
    let Some(kept) = log.ring.pop_front() else {
        return 0;
    };
    log.trimmed = kept.seq_no();
    cost(&kept)
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
        assert_eq!((logs.size(), logs.records), ((0, 0), 0));
    }

    #[test]
    fn the_queue_of_arrivals_does_not_outgrow_the_records() {
        let mut logs = logs(4, u64::MAX / 2, usize::MAX);
        for _ in 0..100_000 {
            append(&mut logs, 0, "busy");
        }
        assert!(logs.arrivals.len() < 200, "{}", logs.arrivals.len());
    }
}
