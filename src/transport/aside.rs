//! What few connections have at any one time: windows of qos 1, live records that wait for a replay,
//! the beginning of what was let go of.

use crate::hub::{Arrival, LocalTopic};
use crate::protocol::{CloseCode, SeqNo};

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
    /// Live records that wait for the replay before them.
    held: Vec<Arrival>,
}

impl Aside {
    /// From these on, messages were let go of unsent.
    pub(super) fn lose(&mut self, first: impl Iterator<Item = (LocalTopic, SeqNo)>) {
        self.lost.extend(first);
    }
}

impl Connection {
    /// Keeps live records until the replay before them was sent. Too many of them end the
    /// connection: it resumes from what it has.
    pub(super) fn hold(&mut self, now_ms: u64, records: &[Arrival], limits: &Limits) {
        let held = &mut self.aside.get_or_insert_default().held;
        held.extend_from_slice(records);
        if held.iter().map(|record| record.frame.len()).sum::<usize>() > limits.send_queue_bytes {
            *held = Vec::new();
            self.close(now_ms, CloseCode::ContinuityLost);
        }
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
        let lost = self.aside.iter().flat_map(|aside| &aside.lost);
        lost.copied().chain(waiting)
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
