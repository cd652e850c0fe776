//! The topics that the program wants, and what a connection lacks of them. Pure.

use std::collections::BTreeMap;

use crate::protocol::{SeqNo, Subscribed};

use super::event::{Event, Message};
use super::options::Qos;
use super::receipts::{Due, Receipt, Receipts};
use super::topic::{Phase, Reached, Topic};

/// The topics that the program wants.
#[derive(Debug, Default)]
pub(super) struct Topics {
    known: BTreeMap<String, Topic>,
    /// For topics that the gateway subscribes by itself, because the URL names them.
    qos: Qos,
    /// Tells receipts of different subscriptions apart.
    generation: u64,
}

impl Topics {
    pub(super) fn new(names: impl IntoIterator<Item = String>, qos: Qos) -> Self {
        let names = names.into_iter();
        Self {
            known: names.map(|name| (name, Topic::new(qos))).collect(),
            qos,
            generation: 0,
        }
    }

    pub(super) fn get_mut(&mut self, topic: &str) -> Option<&mut Topic> {
        self.known.get_mut(topic)
    }

    /// The program wants it; whether it has to be asked for on this connection. `told` says
    /// whether the gateway knows that a topic in `Leaving` is left.
    pub(super) fn want(&mut self, topic: &str, qos: Qos, told: bool) -> bool {
        let default = self.qos;
        let state = self
            .known
            .entry(topic.to_owned())
            .or_insert_with(|| Topic::new(default));
        match state.phase {
            Phase::Leaving if told => {
                *state = Topic {
                    pending: state.pending,
                    ..Topic::new(default)
                };
            }
            // Nobody has seen it leave: it goes on from its own position.
            Phase::Leaving => state.phase = Phase::Off,
            _ => {}
        }
        state.qos = qos;
        state.is_unasked()
    }

    /// The program does not want it. Where the gateway is `told`, its answer is awaited even for one
    /// that was not known.
    pub(super) fn leave(&mut self, topic: &str, told: bool) {
        let qos = self.qos;
        if told || self.known.contains_key(topic) {
            let state = self.known.entry(topic.to_owned());
            state.or_insert_with(|| Topic::new(qos)).leave();
        }
    }

    /// Forgets it; false when it was not known.
    pub(super) fn remove(&mut self, topic: &str) -> bool {
        self.known.remove(topic).is_some()
    }

    /// `unsubscribed` came: the answer to ours, or an operator took the topic away. Not the last
    /// word when it was asked for again since: then `subscribed` follows.
    pub(super) fn unsubscribed(&mut self, topic: &str) {
        let gone = |state: &mut Topic| state.settled() && !state.awaits_answer();
        if self.known.get_mut(topic).is_some_and(gone) {
            self.remove(topic);
        }
    }

    /// `ready` came, and so every answer before it: no question is outstanding.
    pub(super) fn ready(&mut self) {
        for state in self.known.values_mut() {
            state.pending = 0;
            if state.awaits_answer() {
                state.unask();
            }
        }
    }

    /// Those that still have to be asked for on this connection.
    pub(super) fn unasked(&self) -> Vec<String> {
        self.named(Topic::is_unasked)
    }

    /// Those that the gateway may still send although they are not wanted.
    pub(super) fn leaving(&self) -> Vec<String> {
        self.named(|state| matches!(state.phase, Phase::Leaving))
    }

    fn named(&self, fits: impl Fn(&Topic) -> bool) -> Vec<String> {
        let fitting = self.known.iter().filter(|(_, state)| fits(state));
        fitting.map(|(topic, _)| topic.clone()).collect()
    }

    /// The positions from which a session goes on.
    pub(super) fn positions(&self) -> impl Iterator<Item = (&str, &Reached)> {
        self.known.iter().filter_map(|(topic, state)| {
            let wanted = !matches!(state.phase, Phase::Leaving);
            Some((topic.as_str(), state.position.as_ref()?)).filter(|_| wanted)
        })
    }

    /// `setup` goes out: a new session, which knows none of them.
    pub(super) fn set_up(&mut self) {
        for state in self.known.values_mut() {
            (state.asked, state.told) = (Some(self.qos), Some(self.qos));
        }
    }

    /// `resume` goes out with [`Topics::positions`].
    pub(super) fn resume(&mut self) {
        for state in self.known.values_mut() {
            let wanted = !matches!(state.phase, Phase::Leaving);
            state.resumes = wanted && state.position.is_some();
        }
    }

    /// The program took a message from its stream; whether its ack is due at once.
    pub(super) fn taken(&mut self, topic: &str, receipt: &Receipt) -> Due {
        match self.known.get_mut(topic) {
            Some(state) if state.generation == receipt.generation => state.receipts.add(receipt),
            _ => Due::Never, // another subscription's: its position says as much
        }
    }

    /// What has to be acknowledged, each once.
    pub(super) fn acks(&mut self) -> Vec<(String, SeqNo)> {
        let due = |(topic, state): (&String, &mut Topic)| {
            let seq_no = state.receipts.take()?;
            Some((topic.clone(), seq_no))
        };
        self.known.iter_mut().filter_map(due).collect()
    }

    /// The connection is gone; the positions stay, and so does what has to be left.
    pub(super) fn cut(&mut self) {
        for state in self.known.values_mut() {
            state.receipts = Receipts::default();
            state.generation = 0;
            state.resumes = false;
            if state.pending > 1 || state.asked != state.told {
                state.told = None; // which of the questions arrived?
            }
            state.pending = 0;
            state.asked = state.told;
            if !matches!(state.phase, Phase::Leaving) {
                state.phase = Phase::Off;
            }
        }
    }

    /// `subscribed` came, perhaps for a topic that the URL names.
    pub(super) fn subscribed(&mut self, frame: Subscribed<'static>) -> Vec<Event> {
        let mut out = Vec::new();
        let qos = self.qos;
        if frame.recovered.is_some() && !self.known.contains_key(&*frame.topic) {
            // Nobody asked: the session is one from before it was left. It is left again with `ready`.
            let mut left = Topic::new(qos);
            left.told = None;
            left.leave();
            self.known.insert(frame.topic.clone().into_owned(), left);
        }
        let state = self
            .known
            .entry(frame.topic.clone().into_owned())
            .or_insert_with(|| Topic::new(qos));
        if !state.settled() {
            return out; // another answer follows
        }
        if state.awaits_answer() {
            state.told = state.asked;
        }
        self.generation += 1;
        state.generation = self.generation;
        state.receipts = Receipts::default();
        state.subscribed(frame, &mut out);
        out
    }

    /// `message` came.
    pub(super) fn message(&mut self, message: Message) -> Vec<Event> {
        let mut out = Vec::new();
        if let Some(state) = self.known.get_mut(&message.topic) {
            state.message(message, &mut out);
        }
        out
    }
}
