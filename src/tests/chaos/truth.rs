//! What everybody was told, held together while it comes in: what does not fit is a broken promise. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::payload::payload;

/// The topics and the number of the last message of each.
pub type Ends = BTreeMap<String, u64>;

/// How many faults are told in full.
const SHOWN: usize = 20;

/// All that was told about messages, by acks and by deliveries.
pub struct Truth {
    /// Messages of a topic that are remembered; without a limit everything is, and the gateway is
    /// known to keep everything too.
    limit: Option<usize>,
    topics: BTreeMap<String, Told>,
    counts: BTreeMap<&'static str, u64>,
    faults: Vec<String>,
    broken: BTreeSet<&'static str>,
}

#[derive(Default)]
struct Told {
    epoch: Option<String>,
    /// How many there were.
    count: usize,
    at: BTreeMap<u64, Entry>,
    places: HashMap<Arc<str>, u64>,
}

struct Entry {
    id: Arc<str>,
    acked: bool,
    /// Acked with `ok`, not only as a duplicate.
    accepted: bool,
}

impl Truth {
    /// Of a gateway that keeps everything.
    pub fn keeping_all() -> Self {
        Self::with(None)
    }

    /// Of a gateway that forgets, as this does.
    pub fn keeping(limit: usize) -> Self {
        Self::with(Some(limit))
    }

    fn with(limit: Option<usize>) -> Self {
        Self {
            limit,
            topics: BTreeMap::new(),
            counts: BTreeMap::new(),
            faults: Vec::new(),
            broken: BTreeSet::new(),
        }
    }

    /// Counts something that happened.
    pub fn note(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// Counts what happened so often.
    pub fn add(&mut self, what: &'static str, often: u64) {
        *self.counts.entry(what).or_default() += often;
    }

    /// How often it did.
    pub fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }

    /// All of it.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// This promise is broken.
    pub fn fault(&mut self, promise: &'static str, what: String) {
        self.broken.insert(promise);
        self.note("faults");
        if self.faults.len() < SHOWN {
            self.faults.push(format!("{promise}: {what}"));
        }
    }

    /// The first faults, and the promises that are broken.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Whether this promise has held.
    pub fn holds(&self, promise: &str) -> bool {
        !self.broken.contains(promise)
    }

    /// The gateway named a topic's epoch, which nothing that is done here may change.
    pub fn epoch(&mut self, topic: &str, epoch: &str) {
        let told = self.topics.entry(topic.to_owned()).or_default();
        let known = told.epoch.get_or_insert_with(|| epoch.to_owned());
        if known != epoch {
            let what = format!("{topic} was of epoch {known} and is of {epoch}");
            self.fault("I6", what);
        }
    }

    /// A publish was acknowledged; `accepted` says that it was no duplicate.
    pub fn acked(&mut self, topic: &str, seq_no: u64, id: &str, accepted: bool) {
        self.note(if accepted { "acked" } else { "duplicates" });
        self.place(topic, seq_no, id);
        let told = self.topics.entry(topic.to_owned()).or_default();
        let Some(entry) = told.at.get_mut(&seq_no) else {
            return;
        };
        entry.acked = true;
        let twice = accepted && std::mem::replace(&mut entry.accepted, accepted);
        if twice {
            self.fault("I2", format!("{id} was accepted twice"));
        }
    }

    /// Somebody was told that a message has this place.
    fn place(&mut self, topic: &str, seq_no: u64, id: &str) {
        let told = self.topics.entry(topic.to_owned()).or_default();
        let mut faults = Vec::new();
        match told.at.get(&seq_no) {
            Some(entry) if &*entry.id != id => faults.push((
                "I3",
                format!(
                    "{topic} #{seq_no} is {} for one and {id} for another",
                    entry.id
                ),
            )),
            Some(_) => {}
            None => {
                let id: Arc<str> = id.into();
                if let Some(other) = told.places.insert(id.clone(), seq_no) {
                    let what = format!("{id} is {topic} #{other} and #{seq_no}");
                    faults.push(("I2", what));
                }
                let entry = Entry {
                    id,
                    acked: false,
                    accepted: false,
                };
                told.at.insert(seq_no, entry);
                told.count += 1;
            }
        }
        while self.limit.is_some_and(|limit| told.at.len() > limit) {
            if let Some((_, old)) = told.at.pop_first() {
                told.places.remove(&old.id);
            }
        }
        for (promise, what) in faults {
            self.fault(promise, what);
        }
    }

    /// How many messages of a topic have become known.
    pub fn told(&self, topic: &str) -> usize {
        self.topics.get(topic).map_or(0, |told| told.count)
    }

    /// Where a message is, as far as that was told.
    pub fn place_of(&self, topic: &str, id: &str) -> Option<u64> {
        self.topics.get(topic)?.places.get(id).copied()
    }

    /// Whether the gateway keeps everything.
    pub fn keeps_all(&self) -> bool {
        self.limit.is_none()
    }

    /// The whole history of a topic as (seqNo, messageId, payload): everything told is there.
    pub fn history(&mut self, topic: &str, kept: &[(u64, String, String)]) {
        let mut ids = HashSet::new();
        for (seq_no, id, data) in kept {
            if !ids.insert(id.as_str()) {
                self.fault("I2", format!("{id} is twice in the history of {topic}"));
            }
            self.place(topic, *seq_no, id);
            self.data(id, data);
        }
        let there: HashSet<u64> = kept.iter().map(|(seq_no, ..)| *seq_no).collect();
        let told = self.topics.entry(topic.to_owned()).or_default();
        let gone: Vec<String> = (told.at.iter())
            .filter(|(seq_no, _)| !there.contains(seq_no))
            .map(|(seq_no, entry)| {
                let how = if entry.acked { "acked" } else { "delivered" };
                format!("{} was {how} as {topic} #{seq_no} and is gone", entry.id)
            })
            .collect();
        for what in gone {
            self.fault("I4", what);
        }
    }

    fn data(&mut self, id: &str, data: &str) {
        if data != payload(id) {
            self.fault("I7", format!("the payload of {id} became {data:.200}"));
        }
    }

    /// How many messages there are after one number, up to another.
    fn between(&self, topic: &str, after: u64, last: u64) -> u64 {
        let told = self.topics.get(topic);
        told.map_or(0, |told| {
            let from = after.saturating_add(1).min(last.saturating_add(1));
            told.at.range(from..=last.max(from)).count() as u64
        })
    }
}

/// A message as somebody got it.
pub struct Seen<'a> {
    pub topic: &'a str,
    pub seq_no: u64,
    pub prev_seq: Option<u64>,
    pub id: &'a str,
    pub data: &'a str,
}

/// One subscriber: what it may read, and where it is.
pub struct Witness {
    name: String,
    may_read: Vec<String>,
    at: BTreeMap<String, Position>,
}

struct Position {
    /// Where it came in; not known yet where the session goes on from a position that it never saw.
    began: u64,
    is_known: bool,
    last: u64,
    seen: u64,
    /// What it was told that it has lost: after one number, up to another.
    lost: Vec<(u64, u64)>,
}

impl Witness {
    /// Somebody who may read these topics.
    pub fn new(name: &str, may_read: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            may_read: may_read.iter().map(|topic| (*topic).to_owned()).collect(),
            at: BTreeMap::new(),
        }
    }

    /// The number of the last message of a topic, or where it came in.
    pub fn position(&self, topic: &str) -> Option<u64> {
        self.at.get(topic).map(|position| position.last)
    }

    /// `subscribed` came: at the topic's head, and where a position was given whether all follows
    /// that was missed.
    pub fn subscribed(
        &mut self,
        truth: &mut Truth,
        topic: &str,
        head: u64,
        recovered: Option<bool>,
    ) {
        let name = &self.name;
        if !self.may_read.iter().any(|t| t == topic) {
            truth.fault("I1", format!("{name} could subscribe {topic}"));
        }
        let position = self.at.entry(topic.to_owned());
        let position = match (position, recovered) {
            (std::collections::btree_map::Entry::Vacant(entry), _) => {
                truth.note("subscribed");
                entry.insert(Position {
                    began: head,
                    is_known: recovered.is_none(),
                    last: head,
                    seen: 0,
                    lost: Vec::new(),
                });
                return;
            }
            (std::collections::btree_map::Entry::Occupied(entry), _) => entry.into_mut(),
        };
        match recovered {
            Some(true) => truth.note("recovered"),
            Some(false) => {
                truth.note("told of a loss");
                if truth.keeps_all() {
                    let what = format!(
                        "{name} at {topic} #{} was told that it lost some, and all are kept",
                        position.last
                    );
                    truth.fault("I6", what);
                }
                position.lost.push((position.last, head));
                position.last = position.last.max(head);
            }
            None => {
                let what = format!("{name} came back to {topic} and was not told how it stands");
                truth.fault("I6", what);
            }
        }
    }

    /// A message came.
    pub fn message(&mut self, truth: &mut Truth, message: &Seen<'_>) {
        truth.note("received");
        let Seen {
            topic, seq_no, id, ..
        } = *message;
        let name = &self.name;
        if !self.may_read.iter().any(|t| t == topic) {
            truth.fault("I1", format!("{name} got {topic} #{seq_no}"));
        }
        truth.place(topic, seq_no, id);
        truth.data(id, message.data);
        let Some(position) = self.at.get_mut(topic) else {
            let what = format!("{name} got {topic} #{seq_no} without having subscribed it");
            truth.fault("I1", what);
            return;
        };
        let previous = message.prev_seq.unwrap_or_else(|| seq_no.saturating_sub(1));
        if !position.is_known {
            (position.began, position.last, position.is_known) = (previous, previous, true);
        }
        if seq_no <= position.last {
            let what = format!("{name} got {topic} #{seq_no} after #{}", position.last);
            truth.fault("I3", what);
            return;
        }
        // 0: nothing before it is kept; whoever was there has had all of it.
        if previous != position.last && previous != 0 {
            let what = format!(
                "{name} got {topic} #{seq_no} after #{} in silence",
                position.last
            );
            truth.fault("I4", what);
        }
        position.seen += 1;
        position.last = seq_no;
    }

    /// Whether it has come to the end of every topic that it may read.
    pub fn is_at(&self, ends: &Ends) -> bool {
        let mine = self.may_read.iter();
        mine.filter_map(|topic| Some((topic, ends.get(topic)?)))
            .all(|(topic, end)| self.position(topic) >= Some(*end))
    }

    /// At the end: it has seen each message since it came, but for those it was told that it lost.
    pub fn judge(&self, truth: &mut Truth, ends: &Ends) {
        for (topic, end) in self.may_read.iter().filter_map(|t| ends.get_key_value(t)) {
            let name = &self.name;
            let Some(position) = self.at.get(topic) else {
                truth.fault("I4", format!("{name} never could subscribe {topic}"));
                continue;
            };
            let lost = position.lost.iter();
            let lost: u64 = lost
                .map(|(after, last)| truth.between(topic, *after, *last))
                .sum();
            let all = truth.between(topic, position.began, position.last);
            let missing = all.saturating_sub(lost + position.seen);
            if position.last < *end || (truth.keeps_all() && missing > 0) {
                let what = format!(
                    "{name} saw {} of {all} in {topic}, from #{} to #{} of #{end}",
                    position.seen, position.began, position.last
                );
                truth.fault("I4", what);
            }
        }
    }
}
