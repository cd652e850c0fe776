//! Row D in the dialect of nats-server: `PUB` with `+OK` for each, `MSG` to the subscriber.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::check::{Counts, Faults};
use crate::plan::Plan;
use crate::swarm::{Greeting, Handler, Swarm};
use crate::text::{self, PAYLOAD, Reader};
use crate::wire::{self, find};

const CONNECT: &str = "CONNECT {\"verbose\":true,\"pedantic\":false,\"protocol\":1}\r\n";
const PATIENCE: Duration = Duration::from_secs(10);

struct Greeter {
    subscribers: usize,
}

impl Greeting for Greeter {
    fn first(&self, id: usize) -> Vec<u8> {
        let subscribe = if id < self.subscribers {
            format!("SUB {} 1\r\n", text::topic(0))
        } else {
            String::new()
        };
        let lines = format!("{CONNECT}{subscribe}PING\r\n");
        let mut out = Vec::new();
        wire::masked(&mut out, wire::BINARY, lines.as_bytes());
        out
    }

    fn is_done(&self, payload: &[u8]) -> bool {
        find(payload, b"PONG").is_some()
    }
}

struct Publisher {
    /// The numbers that are under way, oldest first.
    under_way: VecDeque<u64>,
    last_received: u64,
    template: Vec<u8>,
    place: usize,
}

/// What comes in, checked.
struct Check {
    reader: Reader,
    first_publisher: usize,
    publishers: Vec<Publisher>,
    /// Which publisher sent a number.
    senders: VecDeque<u32>,
    free: Vec<usize>,
    /// The beginning of a line whose end has not come, for each connection.
    rests: Vec<Vec<u8>>,
    deliveries: u64,
    acks: u64,
    published: u64,
    faults: Faults,
}

impl Handler for Check {
    fn frame(&mut self, id: usize, payload: &[u8], _: Instant) {
        let mut rest = std::mem::take(&mut self.rests[id]);
        let used = if rest.is_empty() {
            self.lines(id, payload)
        } else {
            rest.extend_from_slice(payload);
            let used = self.lines(id, &rest);
            rest.drain(..used);
            self.rests[id] = rest;
            return;
        };
        rest.extend_from_slice(&payload[used..]);
        self.rests[id] = rest;
    }
}

impl Check {
    /// Takes all whole lines and says how many bytes they were.
    fn lines(&mut self, id: usize, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            if rest.starts_with(b"+OK\r\n") {
                self.ok(id);
                at += 5;
                continue;
            }
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                return at;
            };
            if rest.starts_with(b"MSG ") {
                let Some(data) = rest.get(end + 1..end + 1 + PAYLOAD) else {
                    return at;
                };
                if rest.len() < end + 1 + PAYLOAD + 2 {
                    return at;
                }
                self.message(data);
                at += end + 1 + PAYLOAD + 2;
            } else {
                if !rest.starts_with(b"PING")
                    && !rest.starts_with(b"INFO")
                    && !rest.starts_with(b"PONG")
                {
                    self.faults.wrong += 1;
                }
                at += end + 1;
            }
        }
    }

    fn ok(&mut self, id: usize) {
        let Some(publisher) = id.checked_sub(self.first_publisher) else {
            return;
        };
        let state = &mut self.publishers[publisher];
        match state.under_way.pop_front() {
            Some(_) => {
                self.acks += 1;
                self.free.push(publisher);
            }
            None => self.faults.wrong += 1,
        }
    }

    fn message(&mut self, data: &[u8]) {
        self.deliveries += 1;
        let number = self.reader.number(data);
        let sender = number.and_then(|number| {
            let place = number.checked_sub(text::FIRST)? as usize;
            self.senders.get(place).copied()
        });
        let (Some(number), Some(sender)) = (number, sender) else {
            self.faults.wrong += 1;
            return;
        };
        let last = &mut self.publishers[sender as usize].last_received;
        if number <= *last {
            self.faults.disorder += 1;
        }
        *last = number;
    }
}

/// Row D at work.
pub struct Ingest {
    check: Check,
    window: usize,
    out: Vec<u8>,
}

impl Ingest {
    /// Opens the connections of a plan; they must be the first of the swarm.
    pub fn open(plan: Plan, swarm: &mut Swarm, addr: SocketAddr) -> Outcome<Self> {
        let greeter = Greeter {
            subscribers: plan.subscribers,
        };
        swarm.open(addr, plan.connections(), &greeter)?;
        let mut lines = format!("PUB {} {PAYLOAD}\r\n", text::topic(0)).into_bytes();
        lines.extend_from_slice(&text::payload(text::FIRST));
        lines.extend_from_slice(b"\r\n");
        let mut template = Vec::new();
        wire::masked(&mut template, wire::BINARY, &lines);
        let place = find(&template, text::FIRST.to_string().as_bytes()).unwrap_or_default();
        let publishers = (0..plan.publishers).map(|_| Publisher {
            under_way: VecDeque::new(),
            last_received: 0,
            template: template.clone(),
            place,
        });
        Ok(Self {
            check: Check {
                reader: Reader::new(),
                first_publisher: plan.subscribers,
                publishers: publishers.collect(),
                senders: VecDeque::new(),
                free: (0..plan.publishers).collect(),
                rests: vec![Vec::new(); plan.connections()],
                deliveries: 0,
                acks: 0,
                published: 0,
                faults: Faults::default(),
            },
            window: plan.window,
            out: Vec::new(),
        })
    }

    /// What has been counted.
    pub fn counts(&self) -> Counts {
        Counts {
            deliveries: self.check.deliveries,
            acks: self.check.acks,
        }
    }

    /// Publishes and checks for this long.
    pub fn run(&mut self, swarm: &mut Swarm, time: Duration) -> Outcome<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            while let Some(publisher) = self.check.free.pop() {
                self.publish(swarm, publisher)?;
            }
            swarm.turn(Some(Duration::from_millis(100)), &mut self.check)?;
            swarm.check()?;
        }
        Ok(())
    }

    /// Fills the publisher's window.
    fn publish(&mut self, swarm: &mut Swarm, publisher: usize) -> Outcome<()> {
        let state = &mut self.check.publishers[publisher];
        self.out.clear();
        while state.under_way.len() < self.window {
            let number = text::FIRST + self.check.published;
            self.check.published += 1;
            self.check.senders.push_back(publisher as u32);
            state.under_way.push_back(number);
            let place = state.place;
            wire::patch(&mut state.template[place..place + text::WIDTH], number);
            self.out.extend_from_slice(&state.template);
        }
        if self.out.is_empty() {
            return Ok(());
        }
        swarm.send(self.check.first_publisher + publisher, &self.out)
    }

    /// Waits until all that is under way has arrived, and tells what went wrong.
    pub fn finish(&mut self, swarm: &mut Swarm) -> Outcome<Faults> {
        let began = Instant::now();
        let missing = |check: &Check| {
            (check.published - check.acks).max(check.published.saturating_sub(check.deliveries))
        };
        while missing(&self.check) > 0 && began.elapsed() < PATIENCE {
            swarm.turn(Some(Duration::from_millis(10)), &mut self.check)?;
            swarm.check()?;
        }
        let mut faults = self.check.faults;
        faults.lost += missing(&self.check);
        Ok(faults)
    }
}
