//! How the log is read: what is shown of it, where the reader is, and which row is open.

use std::sync::Arc;

use leptos::prelude::*;

use super::super::browser;
use super::super::playground::listing::{Filter, Listing};
use super::super::playground::log::{Log, MAX_PINNED, Row};
use super::Page;

/// The signals of the log's reader. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    /// Which rows are shown.
    pub(crate) filter: RwSignal<Filter>,
    /// Why the filter's text is no regular expression.
    pub(crate) wrong: RwSignal<String>,
    /// The rows that pass.
    pub(crate) listing: RwSignal<Listing>,
    /// The log as it was when it was paused.
    pub(crate) held: RwSignal<Option<Log>>,
    /// Whether the newest row stays in view.
    pub(crate) follow: RwSignal<bool>,
    /// The place of the first row in view while the log does not follow.
    pub(crate) first: RwSignal<usize>,
    /// The row that is shown whole.
    pub(crate) opened: RwSignal<Option<u64>>,
    /// The row that is to be brought into view.
    pub(crate) sought: RwSignal<Option<u64>>,
    /// Why something could not be done, in words.
    pub(crate) remark: RwSignal<String>,
    /// Whether the last values of the topics stand in the log's place.
    pub(crate) latest: RwSignal<bool>,
}

impl Reading {
    pub(super) fn new() -> Self {
        Self {
            filter: RwSignal::new(Filter::default()),
            wrong: RwSignal::new(String::new()),
            listing: RwSignal::new(Listing::default()),
            held: RwSignal::new(None),
            follow: RwSignal::new(true),
            first: RwSignal::new(0),
            opened: RwSignal::new(None),
            sought: RwSignal::new(None),
            remark: RwSignal::new(String::new()),
            latest: RwSignal::new(false),
        }
    }

    /// Shows all of what comes; also where another log is shown.
    pub(super) fn begin(self) {
        self.narrow(|filter| *filter = Filter::default());
        self.listing.set(Listing::default());
        self.held.set(None);
        self.follow.set(true);
        self.first.set(0);
        self.opened.set(None);
        self.latest.set(false);
        self.remark.set(String::new());
    }

    /// Changes the filter, and what is looked for in the frames.
    pub(crate) fn narrow(self, change: impl FnOnce(&mut Filter)) {
        self.filter.update(|filter| {
            change(filter);
            let (pattern, flags) = filter.pattern();
            let wrong = browser::look_for(&pattern, flags).err();
            self.wrong.set(wrong.unwrap_or_default());
        });
    }
}

impl Page {
    /// Looks at the log: as it is, or as it was when it was paused.
    pub(crate) fn with_log<T>(self, look: impl FnOnce(&Log) -> T) -> T {
        self.reading.held.with(|held| match held {
            Some(log) => look(log),
            None => self.shown().with(|p| look(p.log())),
        })
    }

    /// Lists what is new in the log. Returns how many rows fell out in front.
    pub(crate) fn list_new_rows(self) -> usize {
        let Reading {
            filter, listing, ..
        } = self.reading;
        let gone = self.with_log(|log| {
            filter.with(|filter| {
                listing.try_update(|listing| listing.catch_up(log, filter, &browser::fits))
            })
        });
        gone.unwrap_or_default()
    }

    /// Holds the log as it is, or lets it go on.
    pub(crate) fn toggle_pause(self) {
        let held = self.reading.held;
        let now = held.with_untracked(Option::is_none);
        held.set(now.then(|| self.shown().with_untracked(|p| p.log().clone())));
    }

    /// Empties the log but for its pinned rows, and shows what comes.
    pub(crate) fn clear_log(self) {
        self.shown().update(|p| p.clear_log());
        self.reading.begin();
    }

    /// Pins a row, or lets it go again.
    pub(crate) fn toggle_pin(self, row: &Arc<Row>) {
        let pinned = self.shown().try_update(|p| p.toggle_pin(row));
        browser::catch_focus("log-rows");
        self.reading.remark.set(if pinned == Some(false) {
            format!("{MAX_PINNED} rows are pinned already: unpin one first.")
        } else {
            String::new()
        });
    }

    /// Sends a row's frame again.
    pub(crate) fn repeat(self, row: &Row) {
        self.put(row.client, row.text.to_string());
        // The composer of another client is not in view.
        let refusal = self.desk_of(row.client).refusal.get_untracked();
        let elsewhere = row.client != self.active.get_untracked();
        self.reading
            .remark
            .set(if elsewhere { refusal } else { String::new() });
    }

    /// Shows a row whole, or closes it again.
    pub(crate) fn toggle_row(self, id: u64) {
        let opened = self.reading.opened;
        opened.update(|opened| *opened = (*opened != Some(id)).then_some(id));
    }

    /// Shows a row whole where it stands in the log.
    pub(crate) fn go_to_row(self, id: u64) {
        let reading = self.reading;
        if untrack(move || self.with_log(|log| log.get(id).is_none())) {
            let words = format!("Frame {id} is no longer kept.");
            return reading.remark.set(words);
        }
        reading.remark.set(String::new());
        reading.latest.set(false);
        reading.opened.set(Some(id));
        reading.sought.set(Some(id));
    }
}
