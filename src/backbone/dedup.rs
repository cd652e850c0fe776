//! Which message ids were used, per user: a window bounded by time and by bytes.
//!
//! An id is kept as a keyed 128-bit fingerprint, so a long id costs no more than a short one and
//! nobody can choose ids that collide. Entries live in two generations; the older one is dropped
//! whole, which frees memory without a walk over the entries. Within a generation, the entry's own
//! time decides.
//!
//! A window is two in one. Half of its bytes is divided evenly among the shares of the users: ids within
//! a share are remembered for their time, whatever others do. What is beyond goes into the other half,
//! where the busy ones push out only each other; it also has what the shares do not use.
//!
//! Invariant: pure. Time is a parameter.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::protocol::{SeqNo, Topic};

use super::shares::{SHARES, Shares};

/// What the window knows of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    /// Where the first message with this id went.
    pub topic: Topic,
    /// Its place there.
    pub seq_no: SeqNo,
    /// When, in milliseconds of the caller's clock.
    at_ms: u64,
}

/// A user's message id, hashed with the window's own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    keyed: u64,
    seeded: u64,
}

impl Fingerprint {
    /// Spreads fingerprints over `parts` windows.
    #[must_use]
    pub const fn part(self, parts: usize) -> usize {
        (self.keyed >> 32) as usize % parts
    }

    /// The share of the users that the user belongs to.
    pub(super) const fn share(self) -> usize {
        self.keyed as usize % SHARES
    }
}

/// Makes fingerprints; one for all windows of a gateway. Half of one is a hash that nobody can choose
/// collisions of without its key; the other half makes those that chance brings as rare as some 120
/// bits do: the lowest bits say which share of the users it is.
#[derive(Debug, Default)]
pub struct Fingerprints {
    users: Shares,
    keyed: RandomState,
    seeded: foldhash::quality::RandomState,
}

impl Fingerprints {
    /// The fingerprint of a user's message id.
    #[must_use]
    pub fn of(&self, user: &str, message_id: &str) -> Fingerprint {
        let key = (user, message_id);
        Fingerprint {
            keyed: self.keyed.hash_one(key) / SHARES as u64 * SHARES as u64
                + self.users.of(user) as u64,
            seeded: self.seeded.hash_one(key),
        }
    }
}

/// Entries in the order they came, and where to find them. A new entry is written behind the last one
/// and its number, 4 bytes, into the table: the part of memory that is touched at random stays small.
#[derive(Debug, Default)]
struct Generation {
    places: HashTable<u32>,
    entries: Vec<(Fingerprint, First)>,
}

impl Generation {
    fn get(&self, id: Fingerprint) -> Option<&First> {
        let place = self
            .places
            .find(id.seeded, |at| self.entries[*at as usize].0 == id)?;
        Some(&self.entries[*place as usize].1)
    }

    fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
    }

    fn insert(&mut self, id: Fingerprint, first: First) {
        let place = self.entries.len() as u32;
        self.entries.push((id, first));
        let entries = &self.entries;
        let hash_of = |at: &u32| entries[*at as usize].0.seeded;
        self.places.insert_unique(id.seeded, place, hash_of);
    }
}

/// What one entry takes in memory: the entry itself, its number, and the slack of both.
pub const ENTRY_BYTES: usize = 2 * (std::mem::size_of::<(Fingerprint, First)>() + 5);

/// The most entries of a window, whatever their bytes.
const MAX_ENTRIES: usize = u32::MAX as usize;

/// Two generations, the older of which goes when the younger has its time or its number.
#[derive(Debug, Default)]
struct Generations {
    young: Generation,
    old: Generation,
    young_since_ms: u64,
}

impl Generations {
    fn first(&self, id: Fingerprint, fits: impl Fn(&&First) -> bool) -> Option<&First> {
        // An id that is used again after its time stands in both; the younger one counts.
        let young = self.young.get(id).filter(&fits);
        young.or_else(|| self.old.get(id).filter(fits))
    }

    /// Whether a new generation began.
    fn turn(&mut self, now_ms: u64, ttl_ms: u64, most: usize) -> bool {
        if now_ms >= self.young_since_ms + ttl_ms {
            self.old = std::mem::take(&mut self.young);
        } else if self.young.entries.len() >= most {
            // As many will come again: the memory stays.
            std::mem::swap(&mut self.old, &mut self.young);
            self.young.clear();
        } else {
            return false;
        }
        self.young_since_ms = now_ms;
        true
    }

    const fn len(&self) -> usize {
        self.young.entries.len() + self.old.entries.len()
    }
}

/// The window.
#[derive(Debug)]
pub struct Window {
    /// Ids of users who are within their share.
    within: Generations,
    /// How many each share has in the young generation of `within`.
    taken: [u32; SHARES],
    /// All other ids.
    beyond: Generations,
    ttl_ms: u64,
    max_entries: usize,
}

impl Window {
    /// A window that remembers ids for `ttl_ms`, or less where `max_bytes` would be passed.
    #[must_use]
    pub fn new(ttl_ms: u64, max_bytes: usize) -> Self {
        Self {
            within: Generations::default(),
            taken: [0; SHARES],
            beyond: Generations::default(),
            ttl_ms,
            max_entries: (max_bytes / ENTRY_BYTES).clamp(4, MAX_ENTRIES),
        }
    }

    /// The first message with this id, if it is within the window.
    #[must_use]
    pub fn first(&self, now_ms: u64, id: Fingerprint) -> Option<&First> {
        let fits = |first: &&First| now_ms < first.at_ms + self.ttl_ms;
        let within = self.within.first(id, fits);
        within.or_else(|| self.beyond.first(id, fits))
    }

    /// Remembers that the id was used; it is not within the window.
    pub fn remember(&mut self, now_ms: u64, id: Fingerprint, topic: Topic, seq_no: SeqNo) {
        self.turn(now_ms);
        let at_ms = now_ms;
        // Both generations of all shares together take half.
        let share = self.max_entries / 4 / SHARES;
        let taken = &mut self.taken[id.share()];
        let young = if (*taken as usize) < share {
            *taken += 1;
            &mut self.within.young
        } else {
            &mut self.beyond.young
        };
        young.insert(
            id,
            First {
                topic,
                seq_no,
                at_ms,
            },
        );
        if self.len() > self.max_entries {
            // What the shares did not use was lent to the busy ones.
            self.beyond.old = Generation::default();
        }
    }

    /// Starts new generations when the young ones are old enough or large enough.
    pub fn turn(&mut self, now_ms: u64) {
        let most = self.max_entries.saturating_sub(self.within.len()) / 2;
        // Shares add up to less than a generation: only time ends one in here.
        if self.within.turn(now_ms, self.ttl_ms, usize::MAX) {
            self.taken = [0; SHARES];
        }
        self.beyond.turn(now_ms, self.ttl_ms, most);
    }

    /// How many ids are remembered, those included whose time is over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.within.len() + self.beyond.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> Topic {
        Topic::new("t").unwrap()
    }

    #[test]
    fn an_id_is_known_for_its_time_and_not_longer() {
        let ids = Fingerprints::default();
        let mut window = Window::new(1000, usize::MAX);
        for (i, at) in [0, 400, 999, 1001].into_iter().enumerate() {
            window.remember(at, ids.of("u", &i.to_string()), topic(), i as u64);
        }
        for (i, at) in [0_u64, 400, 999, 1001].into_iter().enumerate() {
            let id = ids.of("u", &i.to_string());
            assert!(window.first(at + 999, id).is_some(), "{i}");
            assert!(window.first(at + 1000, id).is_none(), "{i}");
        }
    }

    #[test]
    fn users_do_not_share_ids() {
        let ids = Fingerprints::default();
        let mut window = Window::new(1000, usize::MAX);
        window.remember(0, ids.of("a", "bc"), topic(), 1);
        assert!(window.first(1, ids.of("a", "bc")).is_some());
        assert!(window.first(1, ids.of("b", "bc")).is_none());
        assert!(window.first(1, ids.of("ab", "c")).is_none());
    }

    #[test]
    fn memory_is_bounded_and_the_youngest_stay() {
        let ids = Fingerprints::default();
        let mut window = Window::new(u64::MAX / 2, 100 * ENTRY_BYTES);
        for i in 0..10_000_u64 {
            window.remember(0, ids.of("u", &i.to_string()), topic(), i);
            assert!(window.len() <= 100);
            let fifty_ago = ids.of("u", &i.saturating_sub(49).to_string());
            assert!(window.first(0, fifty_ago).is_some());
        }
    }

    #[test]
    fn a_user_with_many_ids_does_not_push_out_one_with_few() {
        let ids = Fingerprints::default();
        let mut window = Window::new(1000, 4 * 64 * 10 * ENTRY_BYTES);
        let apart = |user: &String| ids.users.of(user) != ids.users.of("flood");
        let quiet = (0..9).map(|i| format!("quiet{i}")).find(apart).unwrap();
        for i in 0..10 {
            window.remember(0, ids.of(&quiet, &i.to_string()), topic(), i);
        }
        for i in 0..100_000_u64 {
            window.remember(999, ids.of("flood", &i.to_string()), topic(), i);
        }
        assert!((0..10).all(|i| window.first(999, ids.of(&quiet, &i.to_string())).is_some()));
        assert!(window.first(999, ids.of("flood", "50")).is_none());
        assert!(window.len() <= 4 * 64 * 10);
    }

    #[test]
    fn what_is_lent_is_given_back() {
        let ids = Fingerprints::default();
        let most = 4 * 64 * 10;
        let mut window = Window::new(1000, most * ENTRY_BYTES);
        for user in ["flood", "crowd"] {
            for i in 0..10_000_u64 {
                let name = if user == "crowd" {
                    format!("{user}{i}")
                } else {
                    user.to_owned()
                };
                window.remember(0, ids.of(&name, &i.to_string()), topic(), i);
                assert!(window.len() <= most);
            }
        }
        assert_eq!(window.within.len(), 64 * 10, "every share is used");
    }

    #[test]
    fn an_idle_window_gives_its_memory_back() {
        let ids = Fingerprints::default();
        let mut window = Window::new(10, usize::MAX);
        window.remember(0, ids.of("u", "m"), topic(), 1);
        window.turn(10);
        window.turn(20);
        assert!(window.is_empty());
    }
}
