//! What a socket knows of its topics: the own position in each, and what may be shown to the
//! program now.
//!
//! Pure. Invariant: the messages handed out for one epoch rise strictly in `seqNo`, whatever the
//! gateway sends twice, and those between the position and the head come before newer ones.

use std::collections::BTreeMap;

use crate::protocol::{SeqNo, Subscribed};

use super::event::{Event, Message};

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
pub(super) struct Topics(BTreeMap<String, Topic>);

impl FromIterator<String> for Topics {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(
            names
                .into_iter()
                .map(|name| (name, Topic::default()))
                .collect(),
        )
    }
}

impl Topics {
    pub(super) fn get_mut(&mut self, topic: &str) -> Option<&mut Topic> {
        self.0.get_mut(topic)
    }

    /// The program wants it; whether it has to be asked for on this connection.
    pub(super) fn want(&mut self, topic: &str) -> bool {
        let state = self.0.entry(topic.to_owned()).or_default();
        if matches!(state.phase, Phase::Leaving) {
            *state = Topic::default();
        }
        state.is_unasked()
    }

    /// Forgets it; false when it was not known.
    pub(super) fn remove(&mut self, topic: &str) -> bool {
        self.0.remove(topic).is_some()
    }

    /// Those that still have to be asked for on this connection.
    pub(super) fn unasked(&self) -> Vec<String> {
        let unasked = self.0.iter().filter(|(_, state)| state.is_unasked());
        unasked.map(|(topic, _)| topic.clone()).collect()
    }

    /// The connection is gone; the positions stay.
    pub(super) fn cut(&mut self) {
        self.0
            .retain(|_, state| !matches!(state.phase, Phase::Leaving));
        for state in self.0.values_mut() {
            state.phase = Phase::Off;
        }
    }

    /// `subscribed` came, perhaps for a topic that the URL names.
    pub(super) fn subscribed(&mut self, frame: Subscribed<'static>) -> Vec<Event> {
        let mut out = Vec::new();
        let state = self.0.entry(frame.topic.clone().into_owned()).or_default();
        state.subscribed(frame, &mut out);
        out
    }

    /// `message` came.
    pub(super) fn message(&mut self, message: Message) -> Vec<Event> {
        let mut out = Vec::new();
        if let Some(state) = self.0.get_mut(&message.topic) {
            state.message(message, &mut out);
        }
        out
    }
}

#[derive(Debug, Default)]
pub(super) struct Topic {
    position: Option<Reached>,
    phase: Phase,
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
    /// `unsubscribe` is on its way.
    Leaving,
}

#[derive(Debug, Default)]
struct Held {
    messages: BTreeMap<SeqNo, Message>,
    bytes: usize,
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
    pub(super) fn leave(&mut self) {
        self.phase = Phase::Leaving;
    }

    /// Whether it still has to be asked for on this connection.
    fn is_unasked(&self) -> bool {
        matches!(self.phase, Phase::Off | Phase::Waiting { asked: false, .. })
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
        if self.position.is_none() {
            self.phase = Phase::Asked;
        } else if let Phase::Waiting { asked, .. } = &mut self.phase {
            *asked = true;
        } else {
            self.phase = Phase::Waiting {
                asked: true,
                head: None,
                held: Held::default(),
            };
        }
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
            epoch: frame.epoch.clone().into_owned(),
            seq_no: frame.seq_no,
        };
        let recovered = frame.recovered;
        match std::mem::take(&mut self.phase) {
            Phase::Leaving => self.phase = Phase::Leaving,
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

    fn deliver(&mut self, message: Message, out: &mut Vec<Event>) {
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
        out.push(Event::Message(message));
    }
}
