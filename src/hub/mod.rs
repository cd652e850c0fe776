//! Who listens to what on this node.
//!
//! Connections are owned by shards, one a core. The hub knows which shard has a subscriber of which
//! topic and puts each fresh record into those shards' inboxes; within a shard, [`Topics`] knows the
//! connections. A record costs O(shards with a subscriber) here and O(subscribers) there, whatever
//! else is connected or subscribed.
//!
//! Uses: protocol, backbone, websocket.

pub mod backlog;
pub mod inbox;
pub mod live;
pub mod topics;

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::quality::RandomState;
use parking_lot::RwLock;

use crate::backbone::{Events, Record};
use crate::protocol::Topic;

pub use backlog::{Backlog, Chunk};
pub use inbox::{Arrival, Inbox};
pub use live::{HeldByNewer, Key, LiveSessions, Whereabouts};
pub use topics::{Careful, Joined, LocalTopic, Membership, Slot, Topics};

/// Enough parts that a few cores rarely meet in one.
const PARTS: usize = 64;

/// A shard's number.
pub type ShardId = u16;

type Part = RwLock<HashMap<Topic, Vec<(ShardId, LocalTopic)>, RandomState>>;

/// The shards' interest in topics, and their inboxes.
pub struct Hub {
    hasher: RandomState,
    parts: Vec<Part>,
    inboxes: Vec<Arc<Inbox>>,
}

impl Hub {
    /// A hub for that many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            hasher: RandomState::default(),
            parts: std::iter::repeat_with(Part::default).take(PARTS).collect(),
            inboxes: std::iter::repeat_with(Arc::default).take(shards).collect(),
        }
    }

    /// Where a shard finds its records.
    #[must_use]
    pub fn inbox(&self, shard: ShardId) -> Arc<Inbox> {
        self.inboxes[usize::from(shard)].clone()
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.inboxes.len()
    }

    /// From now on the shard gets the topic's records, under its own number for the topic. `first` is
    /// called when no shard did until now, in the order of such changes; it must not wait.
    pub fn join(&self, topic: &Topic, shard: ShardId, local: LocalTopic, first: impl FnOnce()) {
        let mut part = self.part(topic.as_str()).write();
        let interested = part.entry(topic.clone()).or_default();
        interested.push((shard, local));
        if interested.len() == 1 {
            first();
        }
    }

    /// From now on it does not. What is in its inbox already stays there. `last` is called as `first`
    /// of [`Hub::join`] is, when no shard does any more.
    pub fn leave(&self, topic: &Topic, shard: ShardId, local: LocalTopic, last: impl FnOnce()) {
        let mut part = self.part(topic.as_str()).write();
        if let Some(interested) = part.get_mut(topic) {
            interested.retain(|entry| *entry != (shard, local));
            if interested.is_empty() {
                part.remove(topic);
                last();
            }
        }
    }

    /// How many topics have a subscriber on this node.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.parts.iter().map(|part| part.read().len()).sum()
    }

    /// The first topics behind `after` that begin with `prefix` and have a subscriber on this node, in the
    /// order of their bytes, at most `most` of them. Holds up deliveries for a part of the topics at a time.
    #[must_use]
    pub fn page(&self, prefix: &str, after: &str, most: usize) -> Vec<Topic> {
        let mut first = BTreeSet::new();
        for part in &self.parts {
            for topic in part.read().keys() {
                let name = topic.as_str();
                let last = || {
                    first
                        .last()
                        .is_some_and(|last: &Topic| name > last.as_str())
                };
                if name <= after || !name.starts_with(prefix) || (first.len() >= most && last()) {
                    continue;
                }
                first.insert(topic.clone());
                if first.len() > most {
                    first.pop_last();
                }
            }
        }
        first.into_iter().collect()
    }

    fn part(&self, topic: &str) -> &Part {
        &self.parts[self.hasher.hash_one(topic) as usize % PARTS]
    }
}

impl Events for Hub {
    fn deliver(&self, topic: &str, record: &Record, accepted: u64) {
        if let Some(interested) = self.part(topic).read().get(topic) {
            for (shard, local) in interested {
                self.inboxes[usize::from(*shard)].push(Arrival {
                    topic: *local,
                    seq_no: record.seq_no,
                    accepted,
                    frame: record.frame.clone(),
                });
            }
        }
    }

    fn lost(&self, topic: &str) {
        if let Some(interested) = self.part(topic).read().get(topic) {
            for (shard, local) in interested {
                self.inboxes[usize::from(*shard)].push(Arrival::of_lost(*local));
            }
        }
    }
}
