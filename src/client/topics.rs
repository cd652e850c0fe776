//! What a socket knows of its topics: the own position in each, and what may be shown to the
//! program now.
//!
//! Pure. Invariant: the messages handed out for one epoch rise strictly in `seqNo`, whatever the
//! gateway sends twice, and those between the position and the head come before newer ones.

use std::collections::BTreeMap;

use crate::protocol::{SeqNo, Subscribed};

use super::event::{Event, Message};
use super::options::Qos;
use super::receipts::{Due, Receipt, Receipts};

/// Live messages that wait for a replay, per topic. Above either bound they are dropped, since the
/// replay that is being waited for brings them again.
const MAX_HELD: usize = 1024;
const MAX_HELD_BYTES: usize = 1 << 20;

/// A position that this program has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) epoch: String,
    pub(super) seq_no: SeqNo,
}

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

#[derive(Debug, Default)]
pub(super) struct Topic {
    position: Option<Reached>,
    phase: Phase,
    /// `resume` named the own position on this connection.
    resumes: bool,
    /// The one that the program wants.
    qos: Qos,
    /// The one of the newest question on this connection.
    asked: Option<Qos>,
    /// The one that the gateway has it with, as far as that is known; before its answer, the socket's.
    told: Option<Qos>,
    /// Questions without an answer. They are answered in order, so only the last answer counts.
    pending: u32,
    /// Of the newest `subscribed` of this connection; 0 before it.
    generation: u64,
    receipts: Receipts,
}

#[derive(Debug, Default)]
enum Phase {
    /// Not asked for on this connection.
    #[default]
    Off,
    /// Asked for without a position; nothing of it counts before the answer.
    Asked,
    /// A replay from the own position is being waited for. `head` is where the gateway began to
    /// send live messages, when it subscribed the topic by itself.
    Waiting {
        asked: bool,
        head: Option<Reached>,
        held: Held,
    },
    /// The replay up to `until` is coming in.
    Filling { until: SeqNo, held: Held },
    /// Messages go straight to the program.
    Live,
    /// Not wanted any more: `unsubscribe` is on its way, or goes out with `ready`.
    Leaving,
}

#[derive(Debug, Default)]
struct Held {
    messages: BTreeMap<SeqNo, Message>,
    bytes: usize,
}

impl Phase {
    const fn asked_from_position(held: Held) -> Self {
        Self::Waiting {
            asked: true,
            head: None,
            held,
        }
    }
}

impl Held {
    fn add(&mut self, message: Message) {
        self.bytes += message.data.get().len();
        self.messages.insert(message.seq_no, message);
        if self.messages.len() > MAX_HELD || self.bytes > MAX_HELD_BYTES {
            *self = Self::default();
        }
    }
}

impl Topic {
    fn new(qos: Qos) -> Self {
        Self {
            qos,
            asked: Some(qos),
            told: Some(qos),
            ..Self::default()
        }
    }

    /// Whether the socket's `setup` says all that there is to say about it.
    pub(super) fn is_plain(&self) -> bool {
        self.told == Some(self.qos)
    }

    /// A question about it goes out.
    pub(super) fn expect_answer(&mut self) {
        self.pending += 1;
    }

    /// An answer came; whether it is the last one outstanding.
    pub(super) fn settled(&mut self) -> bool {
        self.pending = self.pending.saturating_sub(1);
        self.pending == 0
    }

    fn leave(&mut self) {
        self.receipts = Receipts::default();
        self.generation = 0;
        self.phase = Phase::Leaving;
    }

    /// The qos to ask with; `None` where it goes without saying.
    pub(super) fn wire_qos(&self) -> Option<u8> {
        let zero = [Some(self.qos), self.asked, self.told] == [Some(Qos::Zero); 3];
        (!zero).then(|| self.qos.number())
    }

    /// Whether it still has to be asked for on this connection.
    fn is_unasked(&self) -> bool {
        match self.phase {
            Phase::Off | Phase::Waiting { asked: false, .. } => true,
            Phase::Leaving => false,
            Phase::Asked | Phase::Waiting { .. } | Phase::Filling { .. } | Phase::Live => {
                self.asked != Some(self.qos)
            }
        }
    }

    /// Whether an answer to `subscribe` or `setup` is outstanding.
    pub(super) fn awaits_answer(&self) -> bool {
        matches!(
            self.phase,
            Phase::Asked | Phase::Waiting { asked: true, .. }
        )
    }

    /// It is being asked for now; the position to ask from.
    pub(super) fn ask(&mut self) -> Option<&Reached> {
        self.expect_answer();
        self.asked = Some(self.qos);
        self.phase = match std::mem::take(&mut self.phase) {
            _ if self.position.is_none() => Phase::Asked,
            Phase::Waiting { head, held, .. } => Phase::Waiting {
                asked: true,
                head,
                held,
            },
            Phase::Filling { held, .. } => Phase::asked_from_position(held),
            _ => Phase::asked_from_position(Held::default()),
        };
        self.position.as_ref()
    }

    /// The question was refused for now; it has to be asked again.
    pub(super) fn unask(&mut self) {
        match &mut self.phase {
            Phase::Waiting { asked, .. } => *asked = false,
            phase => *phase = Phase::Off,
        }
    }

    /// `subscribed` came.
    fn subscribed(&mut self, frame: Subscribed<'static>, out: &mut Vec<Event>) {
        let head = Reached {
            epoch: frame.epoch.as_str().to_owned(),
            seq_no: frame.seq_no,
        };
        let recovered = frame.recovered;
        match std::mem::take(&mut self.phase) {
            Phase::Leaving => self.phase = Phase::Leaving,
            // A session goes on with it, from the position that `resume` named. Where it named none the
            // session's own position counts, which need not be ours.
            Phase::Off if self.resumes && recovered.is_some() => {
                self.phase = Phase::asked_from_position(Held::default());
                self.subscribed(frame, out);
            }
            Phase::Off if self.position.is_some() => {
                self.phase = Phase::Waiting {
                    asked: false,
                    head: Some(head),
                    held: Held::default(),
                };
            }
            Phase::Waiting {
                asked: false,
                head,
                held,
            } => {
                self.phase = Phase::Waiting {
                    asked: false,
                    head,
                    held,
                };
            }
            Phase::Waiting {
                asked: true, held, ..
            } if recovered == Some(true) => {
                out.push(Event::Subscribed(frame));
                self.phase = Phase::Filling {
                    until: head.seq_no,
                    held,
                };
                self.finish_filling(out);
            }
            Phase::Waiting {
                head: began, held, ..
            } => {
                out.push(Event::Subscribed(frame));
                // Nothing is replayed. What came since the gateway began to send is all there is.
                let began = began.filter(|b| b.epoch == head.epoch && !held.messages.is_empty());
                self.position = Some(began.unwrap_or(head));
                self.phase = Phase::Live;
                self.release(held, out);
            }
            phase @ (Phase::Live | Phase::Filling { .. })
                if recovered != Some(false)
                    && self
                        .position
                        .as_ref()
                        .is_some_and(|p| p.epoch == head.epoch) =>
            {
                self.phase = phase;
                out.push(Event::Subscribed(frame));
            }
            Phase::Off | Phase::Asked | Phase::Live | Phase::Filling { .. } => {
                self.position = Some(head);
                self.phase = Phase::Live;
                out.push(Event::Subscribed(frame));
            }
        }
    }

    /// `message` came.
    fn message(&mut self, message: Message, out: &mut Vec<Event>) {
        match &mut self.phase {
            Phase::Off | Phase::Asked | Phase::Leaving => {}
            Phase::Waiting { held, .. } => held.add(message),
            Phase::Filling { until, held } if message.seq_no > *until => held.add(message),
            Phase::Filling { .. } => {
                self.deliver(message, out);
                self.finish_filling(out);
            }
            Phase::Live => self.deliver(message, out),
        }
    }

    /// Lets held messages follow that come next, and goes live once the replay has arrived.
    fn finish_filling(&mut self, out: &mut Vec<Event>) {
        let Phase::Filling { until, held } = &mut self.phase else {
            return;
        };
        let (until, mut held) = (*until, std::mem::take(held));
        while let Some(next) = held.messages.first_entry()
            && next.get().previous() <= self.reached()
        {
            self.deliver(next.remove(), out);
        }
        if self.reached() >= until {
            self.phase = Phase::Live;
            self.release(held, out);
        } else {
            self.phase = Phase::Filling { until, held };
        }
    }

    fn reached(&self) -> SeqNo {
        self.position.as_ref().map_or(0, |p| p.seq_no)
    }

    fn release(&mut self, held: Held, out: &mut Vec<Event>) {
        for message in held.messages.into_values() {
            self.deliver(message, out);
        }
    }

    fn deliver(&mut self, mut message: Message, out: &mut Vec<Event>) {
        let Some(position) = &mut self.position else {
            return;
        };
        if message.seq_no <= position.seq_no {
            return;
        }
        if message.previous() > position.seq_no {
            out.push(Event::Gap {
                topic: message.topic.clone(),
                after: position.seq_no,
                before: message.seq_no,
            });
        }
        position.seq_no = message.seq_no;
        if self.qos == Qos::One {
            message.receipt = Some(Receipt {
                generation: self.generation,
                seq_no: message.seq_no,
                count: 1,
                bytes: message.data.get().len(),
            });
        }
        out.push(Event::Message(message));
    }
}
