//! Publishes as a plan says.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::check::{Check, Counts, Faults};
use crate::histogram::Histogram;
use crate::plan::Plan;
use crate::swarm::Swarm;
use crate::text;
use crate::wire;

/// How long the rest of what is under way may take at the end.
const PATIENCE: Duration = Duration::from_secs(10);

struct Publisher {
    template: Vec<u8>,
    /// Where the number stands in the template.
    places: [usize; 2],
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

impl Traffic {
    /// Opens the connections of a plan; they must be the first of the swarm.
    pub fn open(plan: Plan, swarm: &mut Swarm, addr: SocketAddr) -> Outcome<Self> {
        swarm.open(addr, plan.connections(), &plan)?;
        Ok(Self::new(plan))
    }

    fn new(plan: Plan) -> Self {
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
            first_publisher: plan.topics * plan.subscribers,
            next_number: text::FIRST,
            next_at: Instant::now(),
            out: Vec::new(),
            check: Check::new(plan),
        }
    }

    /// What has been counted.
    pub fn counts(&self) -> Counts {
        self.check.counts
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
            let timeout = match self.check.plan().pace {
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
            let count = self.check.room(publisher as usize);
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
            self.check.expect(number, publisher, at)?;
        }
        swarm.send(self.first_publisher + publisher, &self.out)
    }

    /// Waits until all that is under way has arrived, and tells what went wrong.
    pub fn finish(&mut self, swarm: &mut Swarm) -> Outcome<Faults> {
        let began = Instant::now();
        while self.check.missing() > 0 && began.elapsed() < PATIENCE {
            swarm.turn(Some(Duration::from_millis(10)), &mut self.check)?;
            swarm.check()?;
        }
        if let Some(complaint) = &self.check.complaint {
            eprintln!("not expected: {complaint}");
        }
        Ok(self.check.verdict())
    }
}
