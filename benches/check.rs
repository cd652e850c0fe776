//! Holds everything that comes in against what was published.

use std::time::Instant;

use crate::Outcome;
use crate::histogram::Histogram;
use crate::plan::Plan;
use crate::swarm::Handler;
use crate::text::{self, Kind, Reader};

/// How many publishes can be under way at once.
const SLOTS: usize = 1 << 16;

/// What went wrong. All must stay zero.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Messages that did not come.
    pub lost: u64,
    /// Messages out of order, twice, or at the wrong place.
    pub disorder: u64,
    /// Messages whose bytes are not those that were published, and answers that were not expected.
    pub wrong: u64,
}

impl Faults {
    /// Whether there are none.
    pub fn none(&self) -> bool {
        *self == Self::default()
    }

    /// Adds those of another.
    pub fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.disorder += other.disorder;
        self.wrong += other.wrong;
    }
}

/// A publish that is under way.
#[derive(Clone, Copy, Default)]
struct Slot {
    number: u64,
    /// Deliveries and the ack that are still to come.
    left: u32,
    publisher: u32,
    at: Option<Instant>,
}

/// What has been counted up to now.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    /// Messages that came to subscribers.
    pub deliveries: u64,
    /// Publishes that were acked.
    pub acks: u64,
}

/// What comes in, checked; and which publisher may go on.
pub struct Check {
    plan: Plan,
    reader: Reader,
    last_seq: Vec<u64>,
    slots: Vec<Slot>,
    under_way: Vec<usize>,
    /// Publishers whose window is not full.
    pub free: Vec<u32>,
    /// What has been counted up to now.
    pub counts: Counts,
    faults: Faults,
    /// The first text that was wrong.
    pub complaint: Option<String>,
    /// Of each delivery.
    pub latency: Histogram,
}

impl Check {
    /// Nothing has come in yet.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            reader: Reader::new(),
            last_seq: vec![0; plan.topics * plan.subscribers],
            slots: vec![Slot::default(); SLOTS],
            under_way: vec![0; plan.publishers],
            free: (0..plan.publishers as u32).collect(),
            counts: Counts::default(),
            faults: Faults::default(),
            complaint: None,
            latency: Histogram::new(),
        }
    }

    /// The plan that everything is held against.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many publishes the publisher's window has room for.
    pub fn room(&self, publisher: usize) -> usize {
        self.plan.window - self.under_way[publisher]
    }

    /// Notes a publish that is about to be sent and was due at `at`.
    pub fn expect(&mut self, number: u64, publisher: usize, at: Instant) -> Outcome<()> {
        let slot = &mut self.slots[number as usize % SLOTS];
        if slot.left > 0 {
            return Err("too many publishes are under way".into());
        }
        *slot = Slot {
            number,
            left: self.plan.subscribers as u32 + 1,
            publisher: publisher as u32,
            at: Some(at),
        };
        self.under_way[publisher] += 1;
        Ok(())
    }

    /// Deliveries and acks that have not come.
    pub fn missing(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.left)).sum()
    }

    /// What went wrong, once nothing more is awaited.
    pub fn verdict(&self) -> Faults {
        let mut faults = self.faults;
        faults.lost = faults.lost.max(self.missing());
        faults
    }

    #[inline]
    fn arrived(&mut self, number: u64) -> Option<Slot> {
        let slot = &mut self.slots[number as usize % SLOTS];
        if slot.number != number || slot.left == 0 {
            return None;
        }
        slot.left -= 1;
        let slot = *slot;
        if slot.left == 0 {
            let publisher = slot.publisher as usize;
            if self.under_way[publisher] == self.plan.window {
                self.free.push(slot.publisher);
            }
            self.under_way[publisher] -= 1;
        }
        Some(slot)
    }

    fn wrong(&mut self, payload: &[u8]) {
        self.faults.wrong += 1;
        self.complaint
            .get_or_insert_with(|| String::from_utf8_lossy(payload).into_owned());
    }
}

impl Handler for Check {
    #[inline]
    fn frame(&mut self, id: usize, payload: &[u8], now: Instant) {
        match text::kind(payload) {
            Kind::Message => {
                let Some(message) = self.reader.message(payload) else {
                    return self.wrong(payload);
                };
                let Some(last) = self.last_seq.get_mut(id) else {
                    return self.wrong(payload);
                };
                // The first one tells where the topic stands.
                let expected = if *last == 0 { message.seq } else { *last + 1 };
                if message.seq > expected {
                    self.faults.lost += message.seq - expected;
                } else if message.seq < expected {
                    self.faults.disorder += 1;
                }
                *last = message.seq;
                let slot = message.number.and_then(|number| self.arrived(number));
                let Some(slot) = slot else {
                    return self.wrong(payload);
                };
                if self.plan.topic_of(slot.publisher as usize) != self.plan.topic_of(id) {
                    self.wrong(payload);
                }
                self.counts.deliveries += 1;
                if let Some(at) = slot.at {
                    self.latency.add(now.saturating_duration_since(at));
                }
            }
            Kind::Ack => match self
                .reader
                .ack(payload)
                .and_then(|number| self.arrived(number))
            {
                Some(_) => self.counts.acks += 1,
                None => self.wrong(payload),
            },
            _ => self.wrong(payload),
        }
    }
}

/// Feeds the check with every kind of fault, and is an error unless it finds each of them.
pub fn proves_itself() -> Outcome<()> {
    let good = Faults::default();
    let lost = Faults { lost: 1, ..good };
    let disorder = Faults {
        disorder: 1,
        ..good
    };
    let wrong = Faults { wrong: 1, ..good };
    // Two topics with a subscriber each, 0 and 1, and two publishers. Each case: subscriber, seqNo,
    // number, and a byte of the text that is changed.
    type Came = (usize, u64, u64, Option<usize>);
    let cases: [(&str, &[Came], Faults); 6] = [
        (
            "good",
            &[(0, 5, 0, None), (1, 9, 1, None), (0, 6, 2, None)],
            good,
        ),
        (
            "a gap",
            &[(0, 5, 0, None), (1, 9, 1, None), (0, 7, 2, None)],
            lost,
        ),
        ("one missing", &[(0, 5, 0, None), (1, 9, 1, None)], lost),
        (
            "out of order",
            &[(0, 6, 0, None), (1, 9, 1, None), (0, 5, 2, None)],
            disorder,
        ),
        (
            "a wrong topic",
            &[(0, 5, 0, None), (1, 9, 1, None), (1, 10, 2, None)],
            wrong,
        ),
        (
            "a wrong byte",
            &[(0, 5, 0, None), (1, 9, 1, None), (0, 6, 2, Some(140))],
            wrong,
        ),
    ];
    for (name, came, expected) in cases {
        let now = Instant::now();
        let mut check = Check::new(Plan::closed(2, 1, 2, 2));
        for number in 0..3 {
            check.expect(text::FIRST + number, number as usize % 2, now)?;
            let ack = format!(
                r#"{{"type":"ack","messageId":"m{}","status":"ok"}}"#,
                text::FIRST + number
            );
            check.frame(2, ack.as_bytes(), now);
        }
        for (subscriber, seq, number, changed) in came {
            let number = text::FIRST + number;
            let mut message = format!(
                r#"{{"type":"message","topic":"t","seqNo":{seq},"messageId":"m{number}","data":{}}}"#,
                String::from_utf8_lossy(&text::payload(number))
            )
            .into_bytes();
            if let Some(place) = changed {
                message[*place] ^= 1;
            }
            check.frame(*subscriber, &message, now);
        }
        // The message with the wrong byte counts as missing too.
        let found = check.verdict();
        if found.wrong == 0 && found != expected || found.wrong != expected.wrong {
            return Err(format!("the check of messages takes {name} for {found:?}").into());
        }
    }
    Ok(())
}
