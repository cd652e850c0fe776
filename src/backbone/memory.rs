//! The memory backbone: kept means kept in this process. A new process is a new epoch.
//!
//! Topics and ids are spread over parts with a lock each. Locks are `parking_lot` and never held
//! across an await: nothing in here waits. Order: a part of `ids`, then a part of `logs`, then what
//! [`Events::deliver`] takes.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use crate::protocol::{AckStatus, Epoch, Position, SeqNo, Topic, UnrecoveredReason};

use super::dedup::{Fingerprints, First, Window};
use super::log::{Bounds, Logs, Pool};
use super::{
    Answer, Backbone, Events, Head, History, Now, PageSize, Publication, Published, Record, Replay,
    Retention, Unavailable,
};

/// Enough parts that a few cores rarely meet in one.
const PARTS: usize = 64;

/// Numbers, deduplicates and keeps messages in this process.
pub struct Memory {
    epoch: Epoch,
    fingerprints: Fingerprints,
    ids: Vec<Mutex<Window>>,
    hasher: RandomState,
    logs: Vec<Mutex<Logs<Record>>>,
    events: Arc<dyn Events>,
}

impl Memory {
    /// An empty backbone with its own epoch, which must differ from every earlier one's.
    #[must_use]
    pub fn new(epoch: Epoch, retention: &Retention, events: Arc<dyn Events>) -> Self {
        let window = || {
            let ttl_ms = retention.dedup_ttl.as_millis() as u64;
            Mutex::new(Window::new(ttl_ms, retention.dedup_bytes / PARTS))
        };
        let pool = Pool::new(retention.history_bytes, PARTS);
        let bounds = Bounds {
            per_topic: retention.history_size,
            ttl_ms: retention.history_ttl.as_millis() as u64,
        };
        let logs = || Mutex::new(Logs::new(bounds, pool.clone()));
        Self {
            epoch,
            fingerprints: Fingerprints::default(),
            ids: std::iter::repeat_with(window).take(PARTS).collect(),
            hasher: RandomState::default(),
            logs: std::iter::repeat_with(logs).take(PARTS).collect(),
            events,
        }
    }

    fn logs_of(&self, topic: &str) -> &Mutex<Logs<Record>> {
        &self.logs[self.hasher.hash_one(topic) as usize % PARTS]
    }

    fn head(&self, seq_no: SeqNo) -> Head {
        let epoch = self.epoch.clone();
        Head { seq_no, epoch }
    }

    fn duplicate(&self, first: &First, topic: &str) -> Published {
        Published {
            status: AckStatus::Duplicate,
            elsewhere: (first.topic.as_str() != topic).then(|| first.topic.clone()),
            seq_no: first.seq_no,
            epoch: self.epoch.clone(),
        }
    }
}

impl Backbone for Memory {
    fn publish(
        &self,
        now: Now,
        publication: Publication<'_>,
    ) -> Answer<Result<Published, Unavailable>> {
        let topic = publication.topic;
        let id = self
            .fingerprints
            .of(publication.user, publication.message_id);
        // Held until the append is done: two copies in flight cannot both be the first (I2).
        let mut ids = self.ids[id.part(PARTS)].lock();
        if let Some(first) = ids.first(now.mono_ms(), id) {
            return Answer::Ready(Ok(self.duplicate(first, topic)));
        }
        let mut logs = self.logs_of(topic).lock();
        let (name, record) = logs.append(now.mono_ms(), id.share(), topic, |seq_no, previous| {
            Record::new(&publication, seq_no, previous, now.unix_ms)
        });
        // Under the topic's lock, so that the hub sees the order of the numbers (I3).
        self.events.deliver(topic, &record, now.mono_ns);
        drop(logs);
        ids.remember(now.mono_ms(), id, name, record.seq_no);
        Answer::Ready(Ok(Published {
            status: AckStatus::Ok,
            elsewhere: None,
            seq_no: record.seq_no,
            epoch: self.epoch.clone(),
        }))
    }

    fn replay(
        &self,
        now: Now,
        topic: &Topic,
        after: Option<&Position>,
    ) -> Answer<Result<Replay, Unavailable>> {
        let mut logs = self.logs_of(topic.as_str()).lock();
        logs.trim(now.mono_ms());
        let head = self.head(logs.head(topic.as_str()));
        let outcome = match after {
            None => Ok(Vec::new()),
            Some(position)
                if position
                    .epoch
                    .as_ref()
                    .is_some_and(|epoch| *epoch != self.epoch) =>
            {
                Err(UnrecoveredReason::Epoch)
            }
            Some(position) => logs.after(topic.as_str(), position.seq_no),
        };
        Answer::Ready(Ok(Replay { head, outcome }))
    }

    fn history(
        &self,
        now: Now,
        topic: &Topic,
        after: SeqNo,
        page: PageSize,
    ) -> Answer<Result<History, Unavailable>> {
        let mut logs = self.logs_of(topic.as_str()).lock();
        logs.trim(now.mono_ms());
        Answer::Ready(Ok(History {
            head: self.head(logs.head(topic.as_str())),
            records: logs.kept_after(topic.as_str(), after, page),
        }))
    }

    fn health(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    fn tend(&self, now: Now) {
        for part in &self.logs {
            part.lock().trim(now.mono_ms());
        }
        for part in &self.ids {
            part.lock().turn(now.mono_ms());
        }
    }
}
