//! Publishes as a plan says and checks everything that comes in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::histogram::Histogram;
use crate::swarm::{Greeting, Handler, Swarm};
use crate::text::{self, Kind, Reader};
use crate::wire;

/// How many publishes can be under way at once.
const SLOTS: usize = 1 << 16;
/// How long the rest of what is under way may take at the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is published, to whom.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Topics that are published to.
    pub topics: usize,
    /// Subscribers of each of them.
    pub subscribers: usize,
    /// Connections that publish, each to one topic, evenly.
    pub publishers: usize,
    /// Publishes of one publisher that may be under way: without ack, or not yet with every subscriber.
    pub window: usize,
    /// Instead of as fast as the window allows: one publish in this time.
    pub pace: Option<Duration>,
}

impl Plan {
    /// As fast as the window allows.
    pub const fn closed(
        topics: usize,
        subscribers: usize,
        publishers: usize,
        window: usize,
    ) -> Self {
        Self {
            topics,
            subscribers,
            publishers,
            window,
            pace: None,
        }
    }

    /// Connections that the plan needs.
    pub fn connections(&self) -> usize {
        self.topics * self.subscribers + self.publishers
    }

    fn topic_of(&self, id: usize) -> usize {
        id % self.topics
    }
}

impl Greeting for Plan {
    fn first(&self, id: usize) -> Vec<u8> {
        let subscribes = id < self.topics * self.subscribers;
        let topics: Vec<String> = subscribes
            .then(|| text::topic(self.topic_of(id)))
            .into_iter()
            .collect();
        let mut out = Vec::new();
        wire::masked(&mut out, wire::TEXT, text::setup(id, &topics).as_bytes());
        out
    }

    fn is_done(&self, payload: &[u8]) -> bool {
        text::kind(payload) == Kind::Ready
    }
}

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

struct Publisher {
    template: Vec<u8>,
    /// Where the number stands in the template.
    places: [usize; 2],
}

/// What comes in, checked; and which publisher may go on.
struct Check {
    plan: Plan,
    reader: Reader,
    last_seq: Vec<u64>,
    slots: Vec<Slot>,
    under_way: Vec<usize>,
    free: Vec<u32>,
    deliveries: u64,
    acks: u64,
    faults: Faults,
    complaint: Option<String>,
    latency: Histogram,
}

impl Check {
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
                self.deliveries += 1;
                if let Some(at) = slot.at {
                    self.latency.add(now.saturating_duration_since(at));
                }
            }
            Kind::Ack => match self
                .reader
                .ack(payload)
                .and_then(|number| self.arrived(number))
            {
                Some(_) => self.acks += 1,
                None => self.wrong(payload),
            },
            _ => self.wrong(payload),
        }
    }
}

/// A plan at work.
pub struct Traffic {
    check: Check,
    publishers: Vec<Publisher>,
    first_publisher: usize,
    next_number: u64,
    next_at: Instant,
    out: Vec<u8>,
}

/// What has been counted up to now.
#[derive(Clone, Copy)]
pub struct Counts {
    /// Messages that came to subscribers.
    pub deliveries: u64,
    /// Publishes that were acked.
    pub acks: u64,
}

impl Traffic {
    /// Opens the connections of a plan; they must be the first of the swarm.
    pub fn open(plan: Plan, swarm: &mut Swarm, addr: SocketAddr) -> Outcome<Self> {
        swarm.open(addr, plan.connections(), &plan)?;
        Ok(Self::new(plan))
    }

    fn new(plan: Plan) -> Self {
        let subscribers = plan.topics * plan.subscribers;
        let publishers = (0..plan.publishers).map(|publisher| {
            let mut template = Vec::new();
            let topic = text::topic(plan.topic_of(publisher));
            wire::masked(
                &mut template,
                wire::TEXT,
                &text::publish(&topic, text::FIRST),
            );
            let number = text::FIRST.to_string();
            let first = wire::find(&template, number.as_bytes()).unwrap_or_default();
            let second = wire::find(&template[first + 1..], number.as_bytes()).unwrap_or_default();
            Publisher {
                template,
                places: [first, first + 1 + second],
            }
        });
        Self {
            publishers: publishers.collect(),
            first_publisher: subscribers,
            next_number: text::FIRST,
            next_at: Instant::now(),
            out: Vec::new(),
            check: Check {
                plan,
                reader: Reader::new(),
                last_seq: vec![0; subscribers],
                slots: vec![Slot::default(); SLOTS],
                under_way: vec![0; plan.publishers],
                free: (0..plan.publishers as u32).collect(),
                deliveries: 0,
                acks: 0,
                faults: Faults::default(),
                complaint: None,
                latency: Histogram::new(),
            },
        }
    }

    /// What has been counted.
    pub fn counts(&self) -> Counts {
        Counts {
            deliveries: self.check.deliveries,
            acks: self.check.acks,
        }
    }

    /// The latencies since the last time that they were cleared.
    pub fn latency(&mut self) -> &mut Histogram {
        &mut self.check.latency
    }

    /// Publishes and checks for this long.
    pub fn run(&mut self, swarm: &mut Swarm, time: Duration) -> Outcome<()> {
        let began = Instant::now();
        self.next_at = self.next_at.max(began);
        loop {
            let timeout = match self.check.plan.pace {
                None => {
                    self.publish_windows(swarm)?;
                    Duration::from_millis(100)
                }
                Some(pace) => self.publish_paced(swarm, pace)?,
            };
            swarm.turn(Some(timeout), &mut self.check)?;
            swarm.check()?;
            if began.elapsed() >= time {
                return Ok(());
            }
        }
    }

    fn publish_windows(&mut self, swarm: &mut Swarm) -> Outcome<()> {
        while let Some(publisher) = self.check.free.pop() {
            let count = self.check.plan.window - self.check.under_way[publisher as usize];
            let now = Instant::now();
            self.publish(swarm, publisher as usize, count, now)?;
        }
        Ok(())
    }

    /// Publishes what is due and says how long nothing is. Latencies count from when a message was
    /// due, whenever it was sent.
    fn publish_paced(&mut self, swarm: &mut Swarm, pace: Duration) -> Outcome<Duration> {
        while self.next_at <= Instant::now() {
            let due = self.next_at;
            self.next_at += pace;
            self.publish(swarm, 0, 1, due)?;
        }
        // The kernel waits for whole milliseconds: the last one is spent asking.
        let left = self.next_at.saturating_duration_since(Instant::now());
        Ok(Duration::from_millis(left.as_millis() as u64))
    }

    fn publish(
        &mut self,
        swarm: &mut Swarm,
        publisher: usize,
        count: usize,
        at: Instant,
    ) -> Outcome<()> {
        self.out.clear();
        let Publisher { template, places } = &mut self.publishers[publisher];
        for _ in 0..count {
            let number = self.next_number;
            self.next_number += 1;
            for place in *places {
                wire::patch(&mut template[place..place + text::WIDTH], number);
            }
            self.out.extend_from_slice(template);
            let slot = &mut self.check.slots[number as usize % SLOTS];
            if slot.left > 0 {
                return Err("too many publishes are under way".into());
            }
            *slot = Slot {
                number,
                left: self.check.plan.subscribers as u32 + 1,
                publisher: publisher as u32,
                at: Some(at),
            };
        }
        self.check.under_way[publisher] += count;
        swarm.send(self.first_publisher + publisher, &self.out)
    }

    /// Waits until all that is under way has arrived, and tells what went wrong.
    pub fn finish(&mut self, swarm: &mut Swarm) -> Outcome<Faults> {
        let began = Instant::now();
        let missing = |check: &Check| {
            let left = check.slots.iter().map(|slot| u64::from(slot.left));
            left.sum::<u64>()
        };
        while missing(&self.check) > 0 && began.elapsed() < PATIENCE {
            swarm.turn(Some(Duration::from_millis(10)), &mut self.check)?;
            swarm.check()?;
        }
        let mut faults = self.check.faults;
        faults.lost = faults.lost.max(missing(&self.check));
        if let Some(complaint) = &self.check.complaint {
            eprintln!("not expected: {complaint}");
        }
        Ok(faults)
    }
}
