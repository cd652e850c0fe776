//! What a socket knows of one topic: the own position in it, what the gateway was asked, and what may
//! be shown to the program now.
//!
//! Pure. Invariant: the messages handed out for one epoch rise strictly in `seqNo`, whatever the
//! gateway sends twice, and those between the position and the head come before newer ones.

use std::collections::BTreeMap;

use crate::protocol::{SeqNo, Subscribed};

use super::event::{Event, Message};
use super::options::Qos;
use super::receipts::{Receipt, Receipts};

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

#[derive(Debug, Default)]
pub(super) struct Topic {
    pub(super) position: Option<Reached>,
    pub(super) phase: Phase,
    /// `resume` named the own position on this connection.
    pub(super) resumes: bool,
    /// The one that the program wants.
    pub(super) qos: Qos,
    /// The one of the newest question on this connection.
    pub(super) asked: Option<Qos>,
    /// The one that the gateway has it with, as far as that is known; before its answer, the socket's.
    pub(super) told: Option<Qos>,
    /// Questions without an answer. They are answered in order, so only the last answer counts.
    pub(super) pending: u32,
    /// Of the newest `subscribed` of this connection; 0 before it.
    pub(super) generation: u64,
    pub(super) receipts: Receipts,
}

#[derive(Debug, Default)]
pub(super) enum Phase {
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
    /// The replay up to `until` is coming in. `missing` is how many messages of it have not come;
    /// `None` where the gateway did not say how many they are.
    Filling {
        until: SeqNo,
        missing: Option<u64>,
        held: Held,
    },
    /// Messages go straight to the program.
    Live,
    /// Not wanted any more: `unsubscribe` is on its way, or goes out with `ready`.
    Leaving,
}

#[derive(Debug, Default)]
pub(super) struct Held {
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
    pub(super) fn new(qos: Qos) -> Self {
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

    pub(super) fn leave(&mut self) {
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
    pub(super) fn is_unasked(&self) -> bool {
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
    pub(super) fn subscribed(&mut self, frame: Subscribed<'static>, out: &mut Vec<Event>) {
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
                self.phase = Phase::Filling {
                    until: head.seq_no,
                    missing: frame.replayed,
                    held,
                };
                out.push(Event::Subscribed(frame));
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
    pub(super) fn message(&mut self, message: Message, out: &mut Vec<Event>) {
        match &mut self.phase {
            Phase::Off | Phase::Asked | Phase::Leaving => {}
            Phase::Waiting { held, .. } => held.add(message),
            Phase::Filling { until, held, .. } if message.seq_no > *until => held.add(message),
            Phase::Filling { .. } => {
                self.deliver(message, out);
                self.finish_filling(out);
            }
            Phase::Live => self.deliver(message, out),
        }
    }

    /// Lets held messages follow that come next, and goes live once the replay has arrived. No message
    /// need have the number of its end: a topic can stand behind its newest one.
    fn finish_filling(&mut self, out: &mut Vec<Event>) {
        let Phase::Filling { held, .. } = &mut self.phase else {
            return;
        };
        let mut held = std::mem::take(held);
        while let Some(next) = held.messages.first_entry()
            && next.get().previous() <= self.reached()
        {
            self.deliver(next.remove(), out);
        }
        let reached = self.reached();
        match &mut self.phase {
            Phase::Filling { until, missing, .. } if *missing == Some(0) || reached >= *until => {
                if let Some(position) = &mut self.position {
                    position.seq_no = reached.max(*until);
                }
                self.phase = Phase::Live;
                self.release(held, out);
            }
            Phase::Filling { held: waits, .. } => *waits = held,
            _ => {}
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
        if let Phase::Filling { until, missing, .. } = &mut self.phase
            && message.seq_no <= *until
        {
            *missing = missing.map(|missing| missing.saturating_sub(1));
        }
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
