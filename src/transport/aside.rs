//! What few connections have at any one time: windows of qos 1, live records that wait for a replay,
//! the beginnings of what was let go of and of what may not be written yet.

use crate::backbone::Record;
use crate::hub::{Arrival, LocalTopic};
use crate::protocol::SeqNo;

use super::Limits;
use super::connection::Connection;
use super::window::Window;

/// Of one connection.
#[derive(Default)]
pub(super) struct Aside {
    /// What the qos 1 subscriptions were sent and did not acknowledge.
    windows: Vec<(LocalTopic, Window)>,
    /// The first messages of what was let go of unsent.
    lost: Vec<(LocalTopic, SeqNo)>,
    /// The first messages of the replays that stand among the answers.
    replays: Vec<(LocalTopic, SeqNo)>,
    /// Live records that wait for the replay before them.
    held: Vec<Arrival>,
}

impl Aside {
    fn is_empty(&self) -> bool {
        let pairs = [&self.lost, &self.replays];
        self.windows.is_empty() && self.held.is_empty() && pairs.iter().all(|pair| pair.is_empty())
    }
}

impl Connection {
    /// From these on, messages were let go of unsent.
    pub(super) fn lose(&mut self, first: impl Iterator<Item = (LocalTopic, SeqNo)>) {
        let mut first = first.peekable();
        if first.peek().is_some() {
            self.aside.get_or_insert_default().lost.extend(first);
        }
    }

    /// Writes a replay among the answers.
    pub(super) fn answer_with(&mut self, topic: LocalTopic, records: &[Record]) {
        if let Some(first) = records.first() {
            let aside = self.aside.get_or_insert_default();
            aside.replays.push((topic, first.seq_no));
        }
        for record in records {
            self.out.extend_from_slice(&record.frame);
        }
    }

    /// The answers, and what stood among them, were written whole.
    pub(super) fn replays_are_written(&mut self) {
        if let Some(aside) = &mut self.aside {
            aside.replays = Vec::new();
            if aside.is_empty() {
                // An idle connection owns no more than it needs.
                self.aside = None;
            }
        }
    }

    /// Keeps live records until the replay before them was sent. False when they are too many: none is
    /// kept then, and the connection has to resume from what it has.
    pub(super) fn hold(&mut self, records: &[Arrival], limits: &Limits) -> bool {
        let held = &mut self.aside.get_or_insert_default().held;
        held.extend_from_slice(records);
        let bytes: usize = held.iter().map(|record| record.frame.len()).sum();
        let fits = bytes <= limits.send_queue_bytes;
        if !fits {
            *held = Vec::new();
        }
        fits
    }

    /// The replay up to `head` was sent: sends what was held of that topic behind it, and returns
    /// the number up to which the connection has everything now.
    pub(super) fn release_held(&mut self, now_ms: u64, topic: LocalTopic, head: SeqNo) -> SeqNo {
        let Some(aside) = &mut self.aside else {
            return head;
        };
        let mut held = std::mem::take(&mut aside.held);
        let mut after = head;
        for record in held.extract_if(.., |record| record.topic == topic) {
            if record.seq_no > head {
                self.queue_shared(now_ms, topic, record.seq_no, record.frame);
                after = record.seq_no;
            }
        }
        if let Some(aside) = &mut self.aside {
            aside.held = held;
        }
        after
    }

    /// The first messages, by topic, that were handed to this connection and not written whole.
    pub(super) fn unsent(&self) -> impl Iterator<Item = (LocalTopic, SeqNo)> {
        let waiting = self.backlog.iter().flat_map(|backlog| backlog.unsent());
        let aside = self.aside.iter();
        let others = aside.flat_map(|aside| aside.lost.iter().chain(&aside.replays));
        others.copied().chain(waiting)
    }

    /// The window of a qos 1 subscription.
    pub(super) fn window(&mut self, topic: LocalTopic) -> Option<&mut Window> {
        let mut windows = self.aside.as_mut()?.windows.iter_mut();
        let found = windows.find(|(local, _)| *local == topic);
        found.map(|(_, window)| window)
    }

    /// The windows of all qos 1 subscriptions.
    pub(super) fn windows(&self) -> impl Iterator<Item = &(LocalTopic, Window)> {
        self.aside.iter().flat_map(|aside| &aside.windows)
    }

    /// The subscription ends: its number may be another topic's soon.
    pub(super) fn lets_go_of(&mut self, topic: LocalTopic) {
        self.set_window(topic, None);
        if let Some(aside) = &mut self.aside {
            aside.held.retain(|record| record.topic != topic);
        }
    }

    /// Gives a subscription an empty window, or takes its window away.
    pub(super) fn set_window(&mut self, topic: LocalTopic, window: Option<Window>) {
        if window.is_none() && self.aside.is_none() {
            return;
        }
        let windows = &mut self.aside.get_or_insert_default().windows;
        windows.retain(|(local, _)| *local != topic);
        windows.extend(window.map(|window| (topic, window)));
    }
}
