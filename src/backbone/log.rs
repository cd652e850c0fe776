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

/// What a record costs besides its bytes.
const RECORD_OVERHEAD: usize = std::mem::size_of::<Record>() + std::mem::size_of::<Arrival>() + 32;

#[derive(Debug)]
struct Arrival {
    at_ms: u64,
    seq_no: SeqNo,
    topic: Topic,
}

#[derive(Debug)]
struct TopicLog {
    /// The kept records, oldest first.
    ring: VecDeque<Record>,
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
pub struct Logs {
    topics: HashMap<Topic, TopicLog>,
    arrivals: VecDeque<Arrival>,
    records: usize,
    bytes: usize,
    floor: SeqNo,
    bounds: Bounds,
    pool: Arc<Pool>,
}

impl Logs {
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

    /// Takes the topic's next number, makes its record with `make(seq_no, previous)` and keeps it.
    /// Returns the topic's shared name and the record.
    pub fn append(
        &mut self,
        now_ms: u64,
        topic: &str,
        make: impl FnOnce(SeqNo, SeqNo) -> Record,
    ) -> (Topic, Record) {
        let name = match self.topics.get_key_value(topic) {
            Some((name, _)) => name.clone(),
            None => Topic::trusted(topic),
        };
        let floor = self.floor;
        let log = self.topics.entry(name.clone()).or_insert_with(|| TopicLog {
            ring: VecDeque::new(),
            head: floor,
            trimmed: floor,
        });
        let record = make(log.head + 1, log.head);
        log.head += 1;
        log.ring.push_back(record.clone());
        let surplus = log.ring.len() > self.bounds.per_topic;
        let dropped = if surplus { drop_front(log) } else { 0 };
        self.take(cost(&record));
        if surplus {
            self.give_back(dropped);
        }
        self.arrivals.push_back(Arrival {
            at_ms: now_ms,
            seq_no: record.seq_no,
            topic: name.clone(),
        });
        self.trim(now_ms);
        (name, record)
    }

    /// Lets go of what is too old or too much.
    pub fn trim(&mut self, now_ms: u64) {
        while let Some(oldest) = self.arrivals.front() {
            let aged = now_ms >= oldest.at_ms + self.bounds.ttl_ms;
            if !aged && !self.pool.overdrawn(self.bytes) {
                break;
            }
            let Some(oldest) = self.arrivals.pop_front() else {
                break;
            };
            let Some(log) = self.topics.get_mut(&oldest.topic) else {
                continue;
            };
            // The per-topic bound may have taken it already.
            if log.ring.front().is_some_and(|r| r.seq_no <= oldest.seq_no) {
                let dropped = drop_front(log);
                let head = log.ring.is_empty().then_some(log.head);
                self.give_back(dropped);
                if let Some(head) = head {
                    self.floor = self.floor.max(head);
                    self.topics.remove(&oldest.topic);
                }
            }
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

    fn take(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
        self.pool.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&mut self, bytes: usize) {
        self.records -= 1;
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
    pub fn after(&self, topic: &str, seq_no: SeqNo) -> Result<Vec<Record>, UnrecoveredReason> {
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
    pub fn kept_after(&self, topic: &str, seq_no: SeqNo, limit: usize) -> Vec<Record> {
        self.topics.get(topic).map_or_else(Vec::new, |log| {
            let from = log.ring.partition_point(|record| record.seq_no <= seq_no);
            log.ring.range(from..).take(limit).cloned().collect()
        })
    }

    /// Topics with kept records, records' bytes.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.topics.len(), self.bytes)
    }
}

fn cost(record: &Record) -> usize {
    record.frame.len() + RECORD_OVERHEAD
}

/// Lets go of a topic's oldest record and returns what it cost.
fn drop_front(log: &mut TopicLog) -> usize {
    let Some(record) = log.ring.pop_front() else {
        return 0;
    };
    log.trimmed = record.seq_no;
    cost(&record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::Publication;

    fn logs(per_topic: usize, ttl_ms: u64, bytes: usize) -> Logs {
        Logs::new(Bounds { per_topic, ttl_ms }, Pool::new(bytes, 1))
    }

    fn append(logs: &mut Logs, now_ms: u64, topic: &str) -> SeqNo {
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

    fn numbers(logs: &Logs, topic: &str, after: SeqNo) -> Result<Vec<SeqNo>, UnrecoveredReason> {
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
    fn the_queue_of_arrivals_does_not_outgrow_the_records() {
        let mut logs = logs(4, u64::MAX / 2, usize::MAX);
        for _ in 0..100_000 {
            append(&mut logs, 0, "busy");
        }
        assert!(logs.arrivals.len() < 200, "{}", logs.arrivals.len());
    }
}
