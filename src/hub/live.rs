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
    /// Newer connections have a higher one.
    pub order: u64,
}

/// A connection that was admitted later holds the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldByNewer;

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
    ///
    /// # Errors
    /// A newer connection holds it, and goes on to.
    pub fn claim(
        &self,
        id: u128,
        whereabouts: Whereabouts,
    ) -> Result<Option<Whereabouts>, HeldByNewer> {
        let mut part = self.part(id).lock();
        if part.get(&id).is_some_and(|w| w.order > whereabouts.order) {
            return Err(HeldByNewer);
        }
        Ok(part.insert(id, whereabouts))
    }

    /// The connection holds the session no longer, if it still did. `keep` is called first in that case:
    /// whoever finds the session held by nobody finds what was kept.
    pub fn release(&self, id: u128, shard: ShardId, key: Key, keep: impl FnOnce()) {
        let mut part = self.part(id).lock();
        if is_held(&part, id, shard, key) {
            keep();
            part.remove(&id);
        }
    }

    /// Acts if this connection holds the session; nobody else has it before that is done.
    pub fn while_held(&self, id: u128, shard: ShardId, key: Key, act: impl FnOnce()) {
        let part = self.part(id).lock();
        if is_held(&part, id, shard, key) {
            act();
        }
    }

    /// Acts if no connection holds the session; none does before that is done.
    pub fn while_free(&self, id: u128, act: impl FnOnce()) {
        let part = self.part(id).lock();
        if !part.contains_key(&id) {
            act();
        }
    }
}

fn is_held(part: &HashMap<u128, Whereabouts>, id: u128, shard: ShardId, key: Key) -> bool {
    let holder = part.get(&id);
    holder.is_some_and(|w| (w.shard, w.key) == (shard, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_connection_holds_a_session_whoever_asks_last() {
        let live = LiveSessions::default();
        let at = |order| Whereabouts {
            shard: 0,
            key: (order as Slot, 1),
            order,
        };
        assert_eq!(live.claim(7, at(3)), Ok(None));
        assert_eq!(live.claim(7, at(2)), Err(HeldByNewer));
        assert_eq!(live.claim(7, at(5)), Ok(Some(at(3))));
        live.release(7, 0, at(3).key, || panic!("what it held is another's"));
        assert_eq!(live.find(7), Some(at(5)));
        live.while_held(7, 0, at(3).key, || panic!("it is another's"));
        live.while_free(7, || panic!("it is held"));
        let mut acts = 0;
        live.while_held(7, 0, at(5).key, || acts += 1);
        live.release(7, 0, at(5).key, || acts += 1);
        live.while_held(7, 0, at(5).key, || panic!("it was let go of"));
        live.while_free(7, || acts += 1);
        assert_eq!(acts, 3);
        assert_eq!(live.claim(7, at(2)), Ok(None));
    }
}
