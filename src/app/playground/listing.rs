//! Which rows of the log are shown, and which of them stand in the document.
//!
//! A listing takes up only what is new, so that thousands of rows a second cost what they are.

use std::collections::VecDeque;
use std::ops::Range;

use super::client::ClientId;
use super::log::{Log, Row, Way};

/// Rows that stand in the document at a time; higher than any screen.
pub const WINDOW: usize = 48;
/// How many of them lie above what is in view, so that scrolling and the Up key find them.
const ABOVE: usize = 12;

/// Which rows are shown. An empty text lets everything pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The client; none lets all pass.
    pub client: Option<ClientId>,
    /// The direction; none lets all pass.
    pub way: Option<Way>,
    /// The exact type.
    pub kind: String,
    /// The exact topic.
    pub topic: String,
    /// What stands somewhere in the frame.
    pub text: String,
    /// Whether `text` is a regular expression.
    pub regex: bool,
}

impl Filter {
    fn passes(&self, row: &Row, fits: &dyn Fn(&str) -> bool) -> bool {
        self.client.is_none_or(|client| client == row.client)
            && self.way.is_none_or(|way| way == row.way)
            && (self.kind.is_empty() || self.kind == row.kind)
            && (self.topic.is_empty() || row.topic.as_deref() == Some(&self.topic))
            && (self.text.is_empty() || fits(&row.text))
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// `text` as a regular expression of JavaScript, and its flags. Text that is none is looked for as it
    /// stands, in upper or lower case.
    #[must_use]
    pub fn pattern(&self) -> (String, &'static str) {
        if self.regex {
            return (self.text.clone(), "");
        }
        let mut pattern = String::with_capacity(self.text.len() + 8);
        for c in self.text.chars() {
            if r"\^$.*+?()[]{}|/".contains(c) {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        (pattern, "i")
    }
}

/// The numbers of the rows that pass a filter, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    filter: Filter,
    ids: VecDeque<u64>,
    /// The last row that was looked at.
    seen: u64,
}

impl Listing {
    /// Takes up what the log has now. `fits` says whether a frame's text is what the filter looks for.
    /// Returns how many rows at the front fell out.
    pub fn catch_up(&mut self, log: &Log, filter: &Filter, fits: &dyn Fn(&str) -> bool) -> usize {
        if self.filter != *filter {
            *self = Self {
                filter: filter.clone(),
                ..Self::default()
            };
        }
        let before = self.ids.len();
        while self.ids.front().is_some_and(|id| *id < log.first_id()) {
            self.ids.pop_front();
        }
        let gone = before - self.ids.len();
        let new = log.after(self.seen).filter(|row| filter.passes(row, fits));
        self.ids.extend(new.map(|row| row.id));
        self.seen = self.seen.max(log.last_id());
        gone
    }

    /// How many rows pass.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no row passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The place of a row among those that pass.
    #[must_use]
    pub fn place(&self, id: u64) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    /// The row at a place.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<u64> {
        self.ids.get(place).copied()
    }

    /// The places that stand in the document when this one is the first in view; without one, the last.
    #[must_use]
    pub fn window(&self, first: Option<usize>) -> Range<usize> {
        let last = self.len().saturating_sub(WINDOW);
        let start = first.map_or(last, |first| first.saturating_sub(ABOVE).min(last));
        start..(start + WINDOW).min(self.len())
    }

    /// The rows at these places.
    pub fn slice(&self, places: Range<usize>) -> impl Iterator<Item = u64> {
        self.ids
            .iter()
            .skip(places.start)
            .take(places.len())
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::{MAX_ROWS, Tone};
    use super::*;

    fn push(log: &mut Log, way: Way, kind: &str, topic: &str, text: &str) {
        log.push(Row {
            id: 0,
            client: ClientId::FIRST,
            at: 0.0,
            way,
            kind: kind.into(),
            topic: Some(topic.into()),
            text: text.into(),
            tone: Tone::Plain,
            code: None,
            link: None,
        });
    }

    fn passing(log: &Log, filter: &Filter) -> Vec<u64> {
        let mut listing = Listing::default();
        let fits = |text: &str| text.contains(&filter.text);
        listing.catch_up(log, filter, &fits);
        listing.slice(0..listing.len()).collect()
    }

    #[test]
    fn filters_combine() {
        let mut log = Log::default();
        push(&mut log, Way::Sent, "publish", "a", "one");
        push(&mut log, Way::Received, "ack", "a", "one");
        push(&mut log, Way::Received, "message", "a", "two");
        push(&mut log, Way::Received, "message", "b", "one");
        let mut filter = Filter::default();
        assert_eq!(passing(&log, &filter), [1, 2, 3, 4]);
        filter.way = Some(Way::Received);
        assert_eq!(passing(&log, &filter), [2, 3, 4]);
        filter.text = "one".into();
        assert_eq!(passing(&log, &filter), [2, 4]);
        filter.topic = "b".into();
        assert_eq!(passing(&log, &filter), [4]);
        filter.kind = "ack".into();
        assert!(passing(&log, &filter).is_empty() && !filter.is_open());
        filter = Filter {
            client: Some(ClientId::ALL[1]),
            ..Filter::default()
        };
        assert!(passing(&log, &filter).is_empty());
    }

    #[test]
    fn only_what_is_new_is_looked_at() {
        let (mut log, mut listing) = (Log::default(), Listing::default());
        let filter = Filter {
            text: "x".into(),
            ..Filter::default()
        };
        let looked = std::cell::Cell::new(0);
        let fits = |_: &str| {
            looked.set(looked.get() + 1);
            true
        };
        for n in 1..=3 {
            push(&mut log, Way::Sent, "ping", "", "");
            assert_eq!(listing.catch_up(&log, &filter, &fits), 0);
            assert_eq!((listing.len(), looked.get()), (n, n));
        }
        listing.catch_up(&log, &Filter::default(), &fits);
        assert_eq!((listing.len(), looked.get()), (3, 3));
    }

    #[test]
    fn what_the_log_drops_falls_out_in_front() {
        let (mut log, mut listing) = (Log::default(), Listing::default());
        let filter = Filter::default();
        for _ in 0..MAX_ROWS {
            push(&mut log, Way::Sent, "ping", "", "");
        }
        listing.catch_up(&log, &filter, &|_| true);
        for _ in 0..7 {
            push(&mut log, Way::Sent, "ping", "", "");
        }
        assert_eq!(listing.catch_up(&log, &filter, &|_| true), 7);
        assert_eq!((listing.len(), listing.at(0)), (MAX_ROWS, Some(8)));
        assert_eq!((listing.place(7), listing.place(9)), (None, Some(1)));
        log.clear();
        assert_eq!(listing.catch_up(&log, &filter, &|_| true), MAX_ROWS);
        assert!(listing.is_empty());
    }

    #[test]
    fn the_window_stays_small_wherever_it_is() {
        let mut listing = Listing::default();
        assert_eq!(listing.window(None), 0..0);
        listing.ids = (1..=10_000).collect();
        assert_eq!(listing.window(None), 9_952..10_000);
        assert_eq!(listing.window(Some(0)), 0..48);
        assert_eq!(listing.window(Some(500)), 488..536);
        assert_eq!(listing.window(Some(20_000)), 9_952..10_000);
        assert_eq!(listing.slice(488..490).collect::<Vec<_>>(), [489, 490]);
    }

    #[test]
    fn a_text_is_looked_for_as_it_stands() {
        let mut filter = Filter {
            text: r"a.b[c]\d/".into(),
            ..Filter::default()
        };
        assert_eq!(filter.pattern(), (r"a\.b\[c\]\\d\/".into(), "i"));
        filter.regex = true;
        assert_eq!(filter.pattern(), (r"a.b[c]\d/".into(), ""));
    }
}
