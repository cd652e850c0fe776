//! The log: the last frames of both directions, bounded in rows and in bytes.
//!
//! A pinned row stays when its time to fall out has come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::protocol::ErrorCode;

use super::client::ClientId;

/// Rows kept; older ones are dropped and counted.
pub const MAX_ROWS: usize = 10_000;
/// Bytes of text kept in all, with those of pinned rows; a few huge frames must not hold the tab's
/// memory.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Rows that can be pinned at a time.
pub const MAX_PINNED: usize = 50;
/// Types, and topics, that the filter offers.
const MAX_OFFERED: usize = 100;

/// Which way a row went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the gateway.
    Sent,
    /// From the gateway.
    Received,
    /// Not a frame: something that happened to the connection.
    Note,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Received, Self::Note];

    /// What the filter calls those that went this way.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Sent => "Sent",
            Self::Received => "Received",
            Self::Note => "Notes",
        }
    }

    /// The direction in a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Note => "note",
        }
    }

    /// The direction as a sign.
    #[must_use]
    pub fn arrow(self) -> &'static str {
        match self {
            Self::Sent => "→",
            Self::Received => "←",
            Self::Note => "•",
        }
    }
}

/// Whether a row tells of success or trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Neither.
    Plain,
    /// Worth a second look: a duplicate, a lost position.
    Notable,
    /// Something was refused or broke.
    Trouble,
}

/// The request that a row answers, or the answer that a request got.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// The other row's number.
    pub row: u64,
    /// The time between the two in milliseconds.
    pub ms: f64,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its number, counted from 1 without gaps.
    pub id: u64,
    /// The client whose it is.
    pub client: ClientId,
    /// When, in milliseconds since 1970.
    pub at: f64,
    /// Which way it went.
    pub way: Way,
    /// The frame's type, or a word for what it is instead.
    pub kind: String,
    /// The topic it is about.
    pub topic: Option<String>,
    /// The frame as it was on the wire.
    pub text: Arc<str>,
    /// Success or trouble.
    pub tone: Tone,
    /// The error it reports, for its mend in the reference.
    pub code: Option<ErrorCode>,
    /// Its request or answer.
    pub link: Option<Link>,
}

/// The log itself. Cheap to copy: the rows are shared.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Numbered without gaps.
    rows: VecDeque<Arc<Row>>,
    pinned: BTreeSet<u64>,
    /// Pinned rows that are not among `rows` any more.
    saved: BTreeMap<u64, Arc<Row>>,
    bytes: usize,
    last_id: u64,
    dropped: u64,
    kinds: BTreeSet<String>,
    topics: BTreeSet<String>,
}

impl Log {
    /// Adds a row and returns its number. `row.id` is given here.
    pub fn push(&mut self, mut row: Row) -> u64 {
        self.last_id += 1;
        row.id = self.last_id;
        self.bytes += row.text.len();
        if self.kinds.len() < MAX_OFFERED && !self.kinds.contains(&row.kind) {
            self.kinds.insert(row.kind.clone());
        }
        if let Some(topic) = &row.topic
            && self.topics.len() < MAX_OFFERED
            && !self.topics.contains(topic)
        {
            self.topics.insert(topic.clone());
        }
        self.rows.push_back(Arc::new(row));
        while self.rows.len() > MAX_ROWS || (self.bytes > MAX_BYTES && self.rows.len() > 1) {
            self.drop_oldest();
        }
        self.last_id
    }

    fn drop_oldest(&mut self) {
        let Some(row) = self.rows.pop_front() else {
            return;
        };
        if self.pinned.contains(&row.id) {
            self.saved.insert(row.id, row);
        } else {
            self.bytes -= row.text.len();
            self.dropped += 1;
        }
    }

    /// Notes on a row what answered it, or what it answers. A dropped row stays dropped.
    pub fn link(&mut self, id: u64, link: Link) {
        let row = match self.place(id) {
            Some(place) => self.rows.get_mut(place),
            None => self.saved.get_mut(&id),
        };
        if let Some(row) = row {
            Arc::make_mut(row).link = Some(link);
        }
    }

    /// Keeps a row whatever comes after it, until it is unpinned. It may have fallen out already, as long
    /// as the caller has it. Tells whether there was room for it.
    pub fn pin(&mut self, row: &Arc<Row>) -> bool {
        if self.pinned.len() >= MAX_PINNED && !self.pinned.contains(&row.id) {
            return false;
        }
        if self.pinned.insert(row.id) && self.place(row.id).is_none() {
            self.bytes += row.text.len();
            self.saved.insert(row.id, Arc::clone(row));
        }
        true
    }

    /// Lets a row fall out when its time has come.
    pub fn unpin(&mut self, id: u64) {
        self.pinned.remove(&id);
        if let Some(row) = self.saved.remove(&id) {
            self.bytes -= row.text.len();
            self.dropped += 1;
        }
    }

    /// Whether a row is pinned.
    #[must_use]
    pub fn is_pinned(&self, id: u64) -> bool {
        self.pinned.contains(&id)
    }

    /// The pinned rows, oldest first.
    pub fn pinned(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.pinned.iter().filter_map(|id| self.get(*id))
    }

    /// Forgets the rows, not their numbering and not those that are pinned.
    pub fn clear(&mut self) {
        while !self.rows.is_empty() {
            self.drop_oldest();
        }
        self.dropped = 0;
        self.kinds.clear();
        self.topics.clear();
    }

    fn place(&self, id: u64) -> Option<usize> {
        let place = usize::try_from(id.checked_sub(self.first_id())?).ok()?;
        (place < self.rows.len()).then_some(place)
    }

    /// The row with this number, if it is kept.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Arc<Row>> {
        match self.place(id) {
            Some(place) => self.rows.get(place),
            None => self.saved.get(&id),
        }
    }

    /// The rows that came after the one with this number, oldest first; all for 0. Pinned rows whose time
    /// is over are not among them.
    pub fn after(&self, id: u64) -> impl DoubleEndedIterator<Item = &Arc<Row>> {
        let from = id.saturating_add(1).saturating_sub(self.first_id());
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        self.rows.range(from.min(self.rows.len())..)
    }

    /// All rows that are kept, the pinned ones too, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Row>> {
        self.saved.values().chain(self.after(0)).cloned().collect()
    }

    /// The number of the oldest row that has not fallen out; that of the next row where there is none.
    #[must_use]
    pub fn first_id(&self) -> u64 {
        self.last_id + 1 - self.rows.len() as u64
    }

    /// Rows kept now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows that fell out since the log was last cleared.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The number of the newest row; 0 before the first.
    #[must_use]
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// The types seen since the log was last cleared.
    #[must_use]
    pub fn kinds(&self) -> &BTreeSet<String> {
        &self.kinds
    }

    /// The topics seen since the log was last cleared, up to a hundred.
    #[must_use]
    pub fn topics(&self) -> &BTreeSet<String> {
        &self.topics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, topic: Option<&str>, text: &str) -> Row {
        Row {
            id: 0,
            client: ClientId::FIRST,
            at: 0.0,
            way: Way::Received,
            kind: kind.into(),
            topic: topic.map(Into::into),
            text: text.into(),
            tone: Tone::Plain,
            code: None,
            link: None,
        }
    }

    fn ids<'a>(rows: impl Iterator<Item = &'a Arc<Row>>) -> Vec<u64> {
        rows.map(|row| row.id).collect()
    }

    #[test]
    fn the_oldest_rows_fall_out_and_are_counted() {
        let mut log = Log::default();
        for _ in 0..MAX_ROWS + 5 {
            log.push(row("message", Some("t"), "{}"));
        }
        assert_eq!((log.len(), log.dropped()), (MAX_ROWS, 5));
        assert_eq!((log.first_id(), log.last_id()), (6, MAX_ROWS as u64 + 5));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut log = Log::default();
        let big = "x".repeat(MAX_BYTES / 4);
        for _ in 0..10 {
            log.push(row("message", None, &big));
        }
        assert_eq!((log.len(), log.dropped()), (4, 6));
    }

    #[test]
    fn a_pinned_row_stays_and_goes_when_it_is_unpinned() {
        let mut log = Log::default();
        let first = log.push(row("publish", None, "{}"));
        let pinned = Arc::clone(log.get(first).unwrap());
        assert!(log.pin(&pinned) && log.pin(&pinned));
        for _ in 0..MAX_ROWS + 5 {
            log.push(row("message", None, "{}"));
        }
        assert_eq!((log.len(), log.dropped()), (MAX_ROWS, 5));
        let link = Link { row: 9, ms: 1.0 };
        log.link(first, link);
        assert_eq!(log.get(first).unwrap().link, Some(link));
        log.clear();
        assert_eq!(ids(log.pinned()), [first]);
        log.unpin(first);
        assert!(log.pinned().next().is_none() && log.get(first).is_none());
        // One that fell out in the meantime can still be pinned by who has it.
        assert!(log.pin(&pinned) && log.is_pinned(first));
    }

    #[test]
    fn pinned_rows_are_bounded_in_number_and_count_as_bytes() {
        let mut log = Log::default();
        for _ in 0..=MAX_PINNED {
            log.push(row("message", None, "{}"));
        }
        let rows: Vec<_> = log.after(0).cloned().collect();
        let room: Vec<_> = rows.iter().map(|row| log.pin(row)).collect();
        assert_eq!(room.iter().filter(|room| **room).count(), MAX_PINNED);
        let mut log = Log::default();
        let big = "x".repeat(MAX_BYTES / 4);
        for _ in 0..4 {
            log.push(row("message", None, &big));
        }
        let rows: Vec<_> = log.after(0).cloned().collect();
        assert!(rows[..2].iter().all(|row| log.pin(row)));
        log.push(row("message", None, &big));
        assert_eq!(ids(log.after(0)), [4, 5]);
        log.unpin(1);
        assert_eq!(log.dropped(), 2);
    }

    #[test]
    fn rows_are_found_by_number_and_after_a_number() {
        let mut log = Log::default();
        assert_eq!((log.first_id(), log.after(0).count()), (1, 0));
        for _ in 0..5 {
            log.push(row("message", None, "{}"));
        }
        assert_eq!(ids(log.after(3)), [4, 5]);
        log.clear();
        assert_eq!((log.first_id(), log.get(5)), (6, None));
        log.push(row("message", None, "{}"));
        assert_eq!(log.after(2).count(), 1);
        assert_eq!((log.after(6).count(), log.after(u64::MAX).count()), (0, 0));
    }

    #[test]
    fn types_and_topics_are_remembered() {
        let mut log = Log::default();
        log.push(row("ack", Some("a"), "1"));
        log.push(row("message", Some("a"), "2"));
        log.push(row("message", Some("b"), "3"));
        assert_eq!((log.kinds().len(), log.topics().len()), (2, 2));
    }

    #[test]
    fn links_survive_drops_and_clearing() {
        let mut log = Log::default();
        let first = log.push(row("publish", None, "{}"));
        log.clear();
        let link = Link { row: 9, ms: 1.0 };
        log.link(first, link);
        let second = log.push(row("publish", None, "{}"));
        log.link(first, link);
        log.link(second, link);
        assert_eq!(second, 2);
        assert_eq!(log.get(second).unwrap().link, Some(link));
    }
}
