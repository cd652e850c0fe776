//! The newest records of the topics that this node listens to, so that clients that come back are
//! answered without a question to the stream.
//!
//! Bounded by bytes in all, by number per topic and by age; the oldest go first, whatever their topic.
//!
//! Invariant: pure. Time is a parameter.

use std::collections::{HashMap, VecDeque};

use crate::backbone::Record;
use crate::protocol::SeqNo;

/// What a record takes besides its frame, in bytes.
const BESIDE_FRAME: usize = 128;

/// A topic, as its pump numbers it; no number is used twice.
pub(super) type Id = u64;

#[derive(Debug, Default)]
struct Ring {
    /// Every record of the topic after this number is in `records`.
    from: SeqNo,
    records: VecDeque<Record>,
}

/// Records of many topics.
#[derive(Debug)]
pub(super) struct Cache {
    rings: HashMap<Id, Ring>,
    /// When which record came, oldest first; also of some that are gone.
    arrivals: VecDeque<(u64, Id, SeqNo)>,
    records: usize,
    bytes: usize,
    limit: usize,
    per_topic: usize,
    ttl_ms: u64,
}

fn cost(record: &Record) -> usize {
    record.frame.len() + BESIDE_FRAME
}

impl Cache {
    /// At most `limit` bytes, `per_topic` records of a topic, none older than `ttl_ms`.
    #[must_use]
    pub(super) fn new(limit: usize, per_topic: usize, ttl_ms: u64) -> Self {
        Self {
            rings: HashMap::new(),
            arrivals: VecDeque::new(),
            records: 0,
            bytes: 0,
            limit,
            per_topic,
            ttl_ms,
        }
    }

    /// From now on every record of the topic after this number is handed in; what was kept of it is
    /// let go.
    pub(super) fn begin(&mut self, id: Id, from: SeqNo) {
        self.forget(id);
        let records = VecDeque::new();
        self.rings.insert(id, Ring { from, records });
    }

    /// The topic's next record.
    pub(super) fn push(&mut self, now_ms: u64, id: Id, record: Record) {
        let Some(ring) = self.rings.get_mut(&id) else {
            return;
        };
        self.arrivals.push_back((now_ms, id, record.seq_no));
        self.bytes += cost(&record);
        self.records += 1;
        ring.records.push_back(record);
        if ring.records.len() > self.per_topic {
            self.drop_front(id, SeqNo::MAX);
        }
        self.trim(now_ms);
    }

    /// Lets go of what is too old or too much.
    pub(super) fn trim(&mut self, now_ms: u64) {
        while let Some((at_ms, id, seq_no)) = self.arrivals.front().copied() {
            if now_ms < at_ms + self.ttl_ms && self.bytes <= self.limit {
                break;
            }
            self.arrivals.pop_front();
            self.drop_front(id, seq_no);
        }
        // Arrivals of records that are gone would pile up behind one that stays.
        if self.arrivals.len() > 64 + 2 * self.records {
            let rings = &self.rings;
            self.arrivals
                .retain(|(_, id, seq_no)| rings.get(id).is_some_and(|ring| *seq_no > ring.from));
        }
    }

    /// Lets go of the topic's oldest record, if its number is not above this one.
    fn drop_front(&mut self, id: Id, seq_no: SeqNo) {
        if let Some(ring) = self.rings.get_mut(&id)
            && let Some(record) = ring.records.pop_front_if(|record| record.seq_no <= seq_no)
        {
            ring.from = record.seq_no;
            self.bytes -= cost(&record);
            self.records -= 1;
        }
    }

    /// Every record of the topic after a number; `None` where one may be missing.
    #[must_use]
    pub(super) fn after(&self, id: Id, seq_no: SeqNo) -> Option<Vec<Record>> {
        let ring = self.rings.get(&id).filter(|ring| seq_no >= ring.from)?;
        let from = ring.records.partition_point(|r| r.seq_no <= seq_no);
        Some(ring.records.range(from..).cloned().collect())
    }

    /// The topic is not listened to any more.
    pub(super) fn forget(&mut self, id: Id) {
        if let Some(ring) = self.rings.remove(&id) {
            self.records -= ring.records.len();
            self.bytes -= ring.records.iter().map(cost).sum::<usize>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::Publication;

    fn record(seq_no: SeqNo) -> Record {
        let publication = Publication {
            user: "",
            topic: "t",
            message_id: "m",
            payload: "1",
            sig: None,
        };
        Record::new(&publication, seq_no, seq_no - 1, 0)
    }

    fn numbers(cache: &Cache, id: Id, after: SeqNo) -> Option<Vec<SeqNo>> {
        let records = cache.after(id, after)?;
        Some(records.iter().map(|record| record.seq_no).collect())
    }

    #[test]
    fn it_knows_what_came_since_it_began_and_nothing_before() {
        let mut cache = Cache::new(usize::MAX, 10, 1000);
        cache.push(0, 1, record(3));
        cache.begin(1, 5);
        for seq_no in [7, 9] {
            cache.push(0, 1, record(seq_no));
        }
        assert_eq!(numbers(&cache, 1, 4), None);
        assert_eq!(numbers(&cache, 1, 5), Some(vec![7, 9]));
        assert_eq!(numbers(&cache, 1, 8), Some(vec![9]));
        assert_eq!(numbers(&cache, 1, 9), Some(vec![]));
        assert_eq!(numbers(&cache, 2, 9), None);
        cache.begin(1, 20);
        assert_eq!(numbers(&cache, 1, 9), None);
        assert_eq!((cache.bytes, cache.records), (0, 0));
    }

    #[test]
    fn number_bytes_and_age_bound_it() {
        let mut cache = Cache::new(20 * cost(&record(1)), 5, 1000);
        for id in 0..10 {
            cache.begin(id, 0);
            for seq_no in 1..=8 {
                cache.push(id, id, record(seq_no));
            }
        }
        assert_eq!(numbers(&cache, 9, 2), None);
        assert_eq!(numbers(&cache, 9, 3), Some(vec![4, 5, 6, 7, 8]));
        assert_eq!(numbers(&cache, 0, 7), None);
        assert!(cache.bytes <= cache.limit && cache.records == 20);
        cache.trim(1009);
        assert_eq!((cache.bytes, cache.records), (0, 0));
        assert_eq!(numbers(&cache, 9, 8), Some(vec![]));
        assert!(cache.arrivals.is_empty());
    }

    #[test]
    fn topics_that_come_and_go_leave_nothing_behind() {
        let mut cache = Cache::new(usize::MAX, 5, u64::MAX / 2);
        for id in 0..1000 {
            cache.begin(id, 0);
            cache.push(0, id, record(1));
            cache.forget(id);
        }
        assert!(cache.rings.is_empty() && cache.bytes == 0);
        assert!(cache.arrivals.len() <= 65);
    }
}
