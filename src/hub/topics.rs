//! One shard's topics and their subscribers, as small numbers on both sides.
//!
//! A subscription is 4 bytes in its topic and 8 in its connection: each knows its place in the
//! other, so leaving is a swap. A subscriber is either *live*, it gets every record of the topic, or
//! *careful*: it has just joined, and gets only what comes after the history it was sent. It is
//! live from the first record after that. A *guarded* subscriber stays careful: what it may be sent
//! depends on its acks.
//!
//! Invariant: pure. No socket, no lock.

use std::collections::HashMap;

use foldhash::quality::RandomState;
use slab::Slab;

use crate::protocol::{Epoch, SeqNo, Topic};

/// A connection's number in its shard.
pub type Slot = u32;
/// A topic's number in its shard.
pub type LocalTopic = u32;

/// Marks a place in `careful` instead of `live`.
const CAREFUL: u32 = 1 << 31;

/// What became of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// The shard's first subscriber of the topic: tell the hub.
    First,
    /// One more.
    Another,
    /// It was subscribed before.
    Already,
}

/// A subscriber that must not get every record yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Careful {
    /// The connection.
    pub slot: Slot,
    /// It has everything up to this number; `None` while that is being asked for.
    pub after: Option<SeqNo>,
    /// It never becomes live.
    pub guarded: bool,
}

/// A subscription, as its connection sees it.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The topic.
    pub topic: Topic,
    /// Its number.
    pub local: LocalTopic,
    /// Everything up to this number was handed to the connection, in this epoch; `None` while a
    /// replay is being asked for.
    pub handed: Option<(SeqNo, Epoch)>,
    /// Whether it is guarded.
    pub guarded: bool,
}

#[derive(Debug)]
struct Entry {
    name: Topic,
    live: Vec<Slot>,
    careful: Vec<Careful>,
    /// The newest number that was handed to the live subscribers.
    delivered: SeqNo,
    /// The epoch of its numbers, once it is known.
    epoch: Option<Epoch>,
}

/// A connection's side of a subscription; sorted by topic.
#[derive(Debug, Clone, Copy)]
struct Link {
    topic: LocalTopic,
    place: u32,
}

/// The table.
#[derive(Debug, Default)]
pub struct Topics {
    names: HashMap<Topic, LocalTopic, RandomState>,
    entries: Slab<Entry>,
    members: Vec<Vec<Link>>,
    /// Numbers that may still stand in the inbox; free after the next turn.
    retired: Vec<LocalTopic>,
    subscriptions: usize,
}

impl Topics {
    /// Subscriptions in all.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    /// Subscriptions of one connection.
    #[must_use]
    pub fn count(&self, slot: Slot) -> usize {
        self.members.get(slot as usize).map_or(0, Vec::len)
    }

    /// The number of a topic that the connection subscribes.
    #[must_use]
    pub fn subscribed(&self, slot: Slot, topic: &str) -> Option<LocalTopic> {
        let local = *self.names.get(topic)?;
        self.place(slot, local).map(|_| local)
    }

    /// Subscribes a connection, carefully: it gets nothing until [`Topics::settle`].
    pub fn join(&mut self, slot: Slot, topic: &Topic) -> (LocalTopic, Joined) {
        let (local, first) = match self.names.get(topic) {
            Some(local) => (*local, false),
            None => {
                let entry = Entry {
                    name: topic.clone(),
                    live: Vec::new(),
                    careful: Vec::new(),
                    delivered: 0,
                    epoch: None,
                };
                let local = self.entries.insert(entry) as LocalTopic;
                self.names.insert(topic.clone(), local);
                (local, true)
            }
        };
        let at = slot as usize;
        if self.members.len() <= at {
            self.members.resize_with(at + 1, Vec::new);
        }
        match self.members[at].binary_search_by_key(&local, |m| m.topic) {
            Ok(_) => (local, Joined::Already),
            Err(index) => {
                let careful = &mut self.entries[local as usize].careful;
                let place = careful.len() as u32 | CAREFUL;
                careful.push(Careful {
                    slot,
                    after: None,
                    guarded: false,
                });
                self.members[at].insert(
                    index,
                    Link {
                        topic: local,
                        place,
                    },
                );
                self.subscriptions += 1;
                (
                    local,
                    if first {
                        Joined::First
                    } else {
                        Joined::Another
                    },
                )
            }
        }
    }

    /// Makes a subscriber careful again: it gets nothing until [`Topics::settle`]. A guarded one
    /// stays careful for good.
    pub fn take_care(&mut self, slot: Slot, local: LocalTopic, guarded: bool) {
        if let Some(careful) = self.careful_mut(slot, local) {
            careful.after = None;
            careful.guarded = guarded;
            return;
        }
        if self
            .place(slot, local)
            .is_some_and(|place| place & CAREFUL == 0)
        {
            self.remove_from_entry(slot, local);
            let careful = &mut self.entries[local as usize].careful;
            let place = careful.len() as u32 | CAREFUL;
            careful.push(Careful {
                slot,
                after: None,
                guarded,
            });
            self.set_place(slot, local, place);
        }
    }

    fn careful_mut(&mut self, slot: Slot, local: LocalTopic) -> Option<&mut Careful> {
        let place = self.place(slot, local)?;
        let careful = &mut self.entries.get_mut(local as usize)?.careful;
        (place & CAREFUL != 0).then(|| careful.get_mut((place & !CAREFUL) as usize))?
    }

    /// The connection has everything up to `after`; from now on it gets what comes behind that.
    pub fn settle(&mut self, slot: Slot, local: LocalTopic, after: SeqNo) {
        let delivered = self.delivered(local);
        let Some(careful) = self.careful_mut(slot, local) else {
            return;
        };
        careful.after = Some(after);
        if !careful.guarded && delivered >= after {
            self.enliven(slot, local);
        }
    }

    /// The epoch of a topic's numbers.
    pub fn set_epoch(&mut self, local: LocalTopic, epoch: &Epoch) {
        if let Some(entry) = self.entries.get_mut(local as usize)
            && entry.epoch.as_ref() != Some(epoch)
        {
            entry.epoch = Some(epoch.clone());
        }
    }

    /// A topic's name and the epoch of its numbers.
    #[must_use]
    pub fn name(&self, local: LocalTopic) -> Option<(Topic, Option<Epoch>)> {
        let entry = self.entries.get(local as usize)?;
        Some((entry.name.clone(), entry.epoch.clone()))
    }

    /// The number up to which everything was handed to a subscriber.
    #[must_use]
    pub fn handed(&self, slot: Slot, local: LocalTopic) -> Option<SeqNo> {
        let place = self.place(slot, local)?;
        let entry = self.entries.get(local as usize)?;
        if place & CAREFUL == 0 {
            return Some(entry.delivered);
        }
        entry.careful.get((place & !CAREFUL) as usize)?.after
    }

    /// The subscriptions of a connection.
    pub fn of(&self, slot: Slot) -> impl Iterator<Item = Membership> {
        let links = self.members.get(slot as usize).into_iter().flatten();
        links.filter_map(|link| {
            let entry = self.entries.get(link.topic as usize)?;
            let careful = (link.place & CAREFUL != 0)
                .then(|| entry.careful.get((link.place & !CAREFUL) as usize))
                .flatten();
            let handed = careful.map_or(Some(entry.delivered), |careful| careful.after);
            Some(Membership {
                topic: entry.name.clone(),
                local: link.topic,
                handed: handed.zip(entry.epoch.clone()),
                guarded: careful.is_some_and(|careful| careful.guarded),
            })
        })
    }

    /// Those who get every record of the topic.
    #[must_use]
    pub fn live(&self, local: LocalTopic) -> &[Slot] {
        self.entries.get(local as usize).map_or(&[], |e| &e.live)
    }

    /// Those who do not yet.
    #[must_use]
    pub fn careful(&self, local: LocalTopic) -> &[Careful] {
        self.entries.get(local as usize).map_or(&[], |e| &e.careful)
    }

    /// How many subscribe a topic.
    #[must_use]
    pub fn subscribers(&self, topic: &str) -> usize {
        let local = self.names.get(topic);
        local.map_or(0, |local| {
            self.live(*local).len() + self.careful(*local).len()
        })
    }

    /// The newest number that was handed to the live subscribers.
    #[must_use]
    pub fn delivered(&self, local: LocalTopic) -> SeqNo {
        self.entries.get(local as usize).map_or(0, |e| e.delivered)
    }

    /// Records up to `seq_no` were handed out; careful subscribers who stand before it are live now.
    pub fn mark_delivered(&mut self, local: LocalTopic, seq_no: SeqNo) {
        let Some(entry) = self.entries.get_mut(local as usize) else {
            return;
        };
        entry.delivered = seq_no;
        let mut at = 0;
        while let Some(careful) = self.entries[local as usize].careful.get(at) {
            if !careful.guarded && careful.after.is_some_and(|after| after <= seq_no) {
                self.enliven(careful.slot, local);
            } else {
                at += 1;
            }
        }
    }

    /// Moves a careful subscriber to the live ones.
    fn enliven(&mut self, slot: Slot, local: LocalTopic) {
        self.remove_from_entry(slot, local);
        let live = &mut self.entries[local as usize].live;
        let place = live.len() as u32;
        live.push(slot);
        self.set_place(slot, local, place);
    }

    /// Ends a subscription. Returns the topic when it was the shard's last: tell the hub.
    pub fn leave(&mut self, slot: Slot, topic: &str) -> Option<(Topic, LocalTopic)> {
        let local = self.subscribed(slot, topic)?;
        self.leave_local(slot, local)
    }

    /// Ends all subscriptions of a connection, calling `last` as [`Topics::leave`] returns.
    pub fn leave_all(&mut self, slot: Slot, mut last: impl FnMut(Topic, LocalTopic)) {
        while let Some(local) = self
            .members
            .get(slot as usize)
            .and_then(|m| m.last())
            .map(|m| m.topic)
        {
            if let Some((topic, local)) = self.leave_local(slot, local) {
                last(topic, local);
            }
        }
        if let Some(members) = self.members.get_mut(slot as usize) {
            *members = Vec::new();
        }
    }

    fn leave_local(&mut self, slot: Slot, local: LocalTopic) -> Option<(Topic, LocalTopic)> {
        self.remove_from_entry(slot, local);
        let members = self.members.get_mut(slot as usize)?;
        if let Ok(index) = members.binary_search_by_key(&local, |m| m.topic) {
            members.remove(index);
            self.subscriptions -= 1;
        }
        let entry = self.entries.get(local as usize)?;
        if !entry.live.is_empty() || !entry.careful.is_empty() {
            return None;
        }
        let name = entry.name.clone();
        self.names.remove(&name);
        self.retired.push(local);
        Some((name, local))
    }

    /// Takes the subscriber out of the topic's list; the last of the list moves to its place.
    fn remove_from_entry(&mut self, slot: Slot, local: LocalTopic) {
        let Some(place) = self.place(slot, local) else {
            return;
        };
        let entry = &mut self.entries[local as usize];
        let at = (place & !CAREFUL) as usize;
        let moved = if place & CAREFUL == 0 {
            entry.live.swap_remove(at);
            entry.live.get(at).copied()
        } else {
            entry.careful.swap_remove(at);
            entry.careful.get(at).map(|careful| careful.slot)
        };
        if let Some(moved) = moved {
            self.set_place(moved, local, place);
        }
    }

    fn place(&self, slot: Slot, local: LocalTopic) -> Option<u32> {
        let members = self.members.get(slot as usize)?;
        let index = members.binary_search_by_key(&local, |m| m.topic).ok()?;
        Some(members[index].place)
    }

    fn set_place(&mut self, slot: Slot, local: LocalTopic, place: u32) {
        if let Some(members) = self.members.get_mut(slot as usize)
            && let Ok(index) = members.binary_search_by_key(&local, |m| m.topic)
        {
            members[index].place = place;
        }
    }

    /// The inbox was emptied after every retired topic had left the hub: their numbers are free.
    pub fn free_retired(&mut self) {
        for local in self.retired.drain(..) {
            self.entries.remove(local as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn topic(name: u8) -> Topic {
        Topic::new(&name.to_string()).unwrap()
    }

    #[test]
    fn a_joiner_is_live_from_the_first_record_it_does_not_have() {
        let mut topics = Topics::default();
        let (local, joined) = topics.join(3, &topic(1));
        assert_eq!(joined, Joined::First);
        topics.settle(3, local, 10);
        topics.mark_delivered(local, 9);
        assert!(topics.live(local).is_empty());
        topics.mark_delivered(local, 11);
        assert_eq!(topics.live(local), [3]);
        assert_eq!(topics.join(3, &topic(1)), (local, Joined::Already));
        let (_, joined) = topics.join(4, &topic(1));
        assert_eq!(joined, Joined::Another);
        topics.settle(4, local, 11);
        assert_eq!(topics.live(local), [3, 4]);
    }

    #[test]
    fn a_number_is_not_used_again_before_the_inbox_was_emptied() {
        let mut topics = Topics::default();
        let (first, _) = topics.join(0, &topic(1));
        assert!(topics.leave(0, "1").is_some());
        let (second, _) = topics.join(0, &topic(2));
        assert_ne!(first, second);
        topics.free_retired();
        let (third, _) = topics.join(0, &topic(3));
        assert_eq!(first, third);
    }

    proptest! {
        /// Whatever joins and leaves, the table agrees with a map of sets.
        #[test]
        fn it_equals_the_simple_model(steps in prop::collection::vec((0_u8..4, 0_u32..5, 0_u8..6), 1..200)) {
            let mut topics = Topics::default();
            let mut model: BTreeMap<u8, BTreeSet<Slot>> = BTreeMap::new();
            for (what, slot, name) in steps {
                let subscribers = model.entry(name).or_default();
                match what {
                    0 | 1 => {
                        let (local, joined) = topics.join(slot, &topic(name));
                        let expected = match (subscribers.is_empty(), subscribers.contains(&slot)) {
                            (true, _) => Joined::First,
                            (_, true) => Joined::Already,
                            _ => Joined::Another,
                        };
                        prop_assert_eq!(joined, expected);
                        topics.settle(slot, local, u64::from(what));
                        topics.mark_delivered(local, 1);
                        subscribers.insert(slot);
                    }
                    2 => {
                        let last = topics.leave(slot, &name.to_string()).is_some();
                        let was_last = subscribers.remove(&slot) && subscribers.is_empty();
                        prop_assert_eq!(last, was_last);
                    }
                    _ => {
                        topics.leave_all(slot, |_, _| ());
                        model.values_mut().for_each(|s| { s.remove(&slot); });
                        topics.free_retired();
                    }
                }
                for (name, subscribers) in &model {
                    let live: BTreeSet<Slot> = topics.names.get(&topic(*name))
                        .map(|local| topics.live(*local).iter().copied().collect()).unwrap_or_default();
                    prop_assert_eq!(&live, subscribers);
                }
                prop_assert_eq!(topics.subscriptions(), model.values().map(BTreeSet::len).sum::<usize>());
            }
        }
    }
}
