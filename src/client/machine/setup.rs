//! From an open socket to one that is ready: the session where there is one, then what it does not
//! bring.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::protocol::message::{TokenOnly, TopicOnly};
use crate::protocol::{ClientMessage, Ready, Resume, Setup, Subscribe, encode_client};

use super::{Event, Link, Machine, Qos, SETUP_TIMEOUT};

/// A longer `resume` or `setup` might be more than the gateway takes in (64 KiB unless it is set otherwise):
/// then each topic is asked for in a frame of its own.
const MAX_FIRST_BYTES: usize = 48 << 10;

impl<T> Machine<T> {
    pub(super) fn opened(&mut self, now: Duration) {
        if self.link != Link::Opening {
            return;
        }
        self.tell(Event::Opened);
        if self.options.manual {
            self.link = Link::Ready { since: now };
            self.link_deadline = None;
            return;
        }
        self.link = Link::SettingUp;
        self.link_deadline = Some(now + SETUP_TIMEOUT);
        match self.resume_text() {
            Some(text) => {
                self.resuming = true;
                self.refresh_due = false;
                self.topics.resume();
                self.send_text(text);
            }
            None => self.set_up(),
        }
    }

    /// `resume` from the own positions, if there is a session and it fits.
    fn resume_text(&self) -> Option<String> {
        let positions = || self.topics.positions();
        let known = positions().filter(|(_, reached)| !reached.epoch.is_empty());
        let text = encode_client(&ClientMessage::Resume(Resume {
            token: self.options.token.expose().into(),
            session_id: self.session.as_deref()?.into(),
            last_seq_per_topic: positions()
                .map(|(topic, reached)| (topic.into(), reached.seq_no))
                .collect(),
            epochs: known
                .map(|(topic, reached)| (topic.into(), reached.epoch.as_str().into()))
                .collect(),
        }));
        Some(text).filter(|text| text.len() <= MAX_FIRST_BYTES)
    }

    pub(super) fn set_up(&mut self) {
        self.topics.set_up();
        let mut topics = std::mem::take(&mut self.first_topics);
        let mut named = BTreeSet::new();
        topics.retain(|topic| {
            let state = self.topics.get_mut(topic);
            state.is_some_and(|t| t.is_plain()) && named.insert(topic.clone())
        });
        let mut text = self.setup_text(&topics);
        if text.len() > MAX_FIRST_BYTES {
            topics.clear();
            text = self.setup_text(&topics);
        }
        for topic in &topics {
            if let Some(state) = self.topics.get_mut(topic) {
                state.ask();
            }
        }
        self.refresh_due = false;
        self.send_text(text);
    }

    fn setup_text(&self, topics: &[String]) -> String {
        encode_client(&ClientMessage::Setup(Setup {
            token: self.options.token.expose().into(),
            topics: topics.iter().map(Into::into).collect(),
            qos: (self.options.qos == Qos::One).then(|| Qos::One.number()),
        }))
    }

    pub(super) fn ready(&mut self, now: Duration, ready: Ready<'static>) {
        self.session = Some(ready.session_id.clone().into_owned());
        self.tell(Event::Ready(ready));
        if self.link != Link::SettingUp {
            return; // the answer to `refresh`
        }
        self.link = Link::Ready { since: now };
        self.resuming = false;
        self.own_pings = 0;
        self.alive(now);
        self.refresh();
        // What was left meanwhile: the session, or the URL, may have it still.
        self.topics.ready();
        for topic in self.topics.leaving() {
            self.ask_to_leave(topic);
        }
        self.ask_for_topics();
        self.acknowledge();
        for text in self.publishes.texts() {
            self.send_text(text);
        }
    }

    /// Sends a token that came after this connection's `setup` or `resume`, as soon as it is ready.
    pub(super) fn refresh(&mut self) {
        if self.refresh_due && self.is_ready() {
            self.refresh_due = false;
            let token = self.options.token.clone();
            self.send(&ClientMessage::Refresh(TokenOnly {
                token: token.expose().into(),
            }));
        }
    }

    /// Asks for every topic that this connection does not have yet, from its own position.
    pub(super) fn ask_for_topics(&mut self) {
        self.topics_deadline = None;
        for topic in self.topics.unasked() {
            self.ask_for(&topic);
        }
    }

    pub(super) fn ask_to_leave(&mut self, topic: String) {
        if let Some(state) = self.topics.get_mut(&topic) {
            state.expect_answer();
        }
        self.send(&ClientMessage::Unsubscribe(TopicOnly {
            topic: topic.into(),
        }));
    }

    pub(super) fn ask_for(&mut self, topic: &str) {
        let Some(state) = self.topics.get_mut(topic) else {
            return;
        };
        let qos = state.wire_qos();
        let position = state.ask().cloned();
        let (epoch, last_seq) = position.map(|p| (p.epoch, p.seq_no)).unzip();
        self.send(&ClientMessage::Subscribe(Subscribe {
            topic: topic.into(),
            last_seq,
            epoch: epoch.filter(|e| !e.is_empty()).map(Into::into),
            qos,
        }));
    }
}
