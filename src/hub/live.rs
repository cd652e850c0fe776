//! Which connection holds which session on this node, so that a newer socket can take it over.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{ShardId, Slot};

/// Enough parts that a few cores rarely meet in one.
const PARTS: usize = 64;

/// A connection's number in its shard, and which of the connections with that number it is.
pub type Key = (Slot, u32);

/// Where a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whereabouts {
    /// The shard of its connection.
    pub shard: ShardId,
    /// Its connection there.
    pub key: Key,
}

/// The sessions whose sockets live.
#[derive(Debug)]
pub struct LiveSessions(Vec<Mutex<HashMap<u128, Whereabouts>>>);

impl Default for LiveSessions {
    fn default() -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(PARTS).collect())
    }
}

impl LiveSessions {
    fn part(&self, id: u128) -> &Mutex<HashMap<u128, Whereabouts>> {
        // Ids are random: any of their bits spread well.
        &self.0[id as usize % PARTS]
    }

    /// The connection that holds the session.
    #[must_use]
    pub fn find(&self, id: u128) -> Option<Whereabouts> {
        self.part(id).lock().get(&id).copied()
    }

    /// The connection holds the session from now on. Returns who held it until now.
    pub fn claim(&self, id: u128, whereabouts: Whereabouts) -> Option<Whereabouts> {
        self.part(id).lock().insert(id, whereabouts)
    }

    /// The connection holds the session no longer, if it still did.
    pub fn release(&self, id: u128, shard: ShardId, key: Key) {
        let mut part = self.part(id).lock();
        if part
            .get(&id)
            .is_some_and(|w| (w.shard, w.key) == (shard, key))
        {
            part.remove(&id);
        }
    }
}
