//! Rows F and G: connections and subscriptions that wait, and what they cost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::fanout::Beside;
use crate::peer::{Peer, Running};
use crate::process;
use crate::swarm::{Greeting, Handler, Swarm};
use crate::text::{self, Kind};
use crate::wire;

/// Connections that subscribe at once.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// What waiting connections cost.
pub struct Waiting {
    /// Bytes of the server's memory for each connection or subscription.
    pub bytes: f64,
    /// The server's processor time for each, in microseconds.
    pub cpu: f64,
    /// How many there were.
    pub count: f64,
    /// In how many seconds they came.
    pub seconds: f64,
    /// The share of the time in which the load generator had nothing to do.
    pub idle: f64,
}

/// Connections with one topic each.
struct Alone {
    first_topic: usize,
    same: bool,
}

impl Greeting for Alone {
    fn first(&self, id: usize) -> Vec<u8> {
        let topic = self.first_topic + if self.same { 0 } else { id };
        let mut out = Vec::new();
        let setup = text::setup(id, &[text::topic(topic)]);
        wire::masked(&mut out, wire::TEXT, setup.as_bytes());
        out
    }

    fn is_done(&self, payload: &[u8]) -> bool {
        text::kind(payload) == Kind::Ready
    }
}

/// Connections with no topic.
struct Bare;

impl Greeting for Bare {
    fn first(&self, id: usize) -> Vec<u8> {
        let mut out = Vec::new();
        wire::masked(&mut out, wire::TEXT, text::setup(id, &[]).as_bytes());
        out
    }

    fn is_done(&self, payload: &[u8]) -> bool {
        text::kind(payload) == Kind::Ready
    }
}

/// Opens `low`, then `high` connections with one subscription each and compares the memory.
pub fn connections(peer: &Peer, low: usize, high: usize) -> Outcome<Waiting> {
    let server = peer.start()?;
    let mut swarm = Swarm::new()?;
    let greeting = Alone {
        first_topic: 0,
        same: true,
    };
    swarm.open(server.addr, low, &greeting)?;
    compare(&server, &mut swarm, high - low, |swarm| {
        swarm.open(server.addr, high - low, &greeting)
    })
}

/// Subscribes `topics` topics on each of `count` connections and compares the memory.
pub fn subscriptions(peer: &Peer, count: usize, topics: usize) -> Outcome<Waiting> {
    let server = peer.start()?;
    let mut swarm = Swarm::new()?;
    swarm.open(server.addr, count, &Bare)?;
    let mut frames = Vec::new();
    for topic in 0..topics {
        let frame = text::subscribe(&text::topic(topic));
        wire::masked(&mut frames, wire::TEXT, frame.as_bytes());
    }
    compare(&server, &mut swarm, count * topics, |swarm| {
        subscribe(swarm, 0..count, topics, |_, out| {
            out.extend_from_slice(&frames);
        })
    })
}

/// What `act`, which does something `count` times, costs the server.
fn compare(
    server: &Running,
    swarm: &mut Swarm,
    count: usize,
    act: impl FnOnce(&mut Swarm) -> Outcome<()>,
) -> Outcome<Waiting> {
    let count = count as f64;
    let memory = settled(server.pid())?;
    let (cpu, began) = (process::cpu(server.pid())?, Instant::now());
    swarm.idle = Duration::ZERO;
    act(swarm)?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = process::cpu(server.pid())? - cpu;
    Ok(Waiting {
        bytes: (settled(server.pid())? - memory) / count,
        cpu: cpu.as_secs_f64() * 1e6 / count,
        count,
        seconds,
        idle: swarm.idle.as_secs_f64() / seconds,
    })
}

/// The memory once the server has done what it had left to do.
fn settled(pid: u32) -> Outcome<f64> {
    let mut last = process::memory(pid)?;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        let now = process::memory(pid)?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

/// Opens what waits beside a plan whose topics come first.
pub fn open_beside(
    swarm: &mut Swarm,
    addr: SocketAddr,
    first_topic: usize,
    beside: Beside,
) -> Outcome<()> {
    let same = false;
    swarm.open(addr, beside.idle, &Alone { first_topic, same })?;
    let first = swarm.len();
    let ids = first..first + beside.thousands_of_topics;
    swarm.open(addr, ids.len(), &Bare)?;
    subscribe(swarm, ids, 1000, |id, out| {
        for number in 0..1000 {
            let topic = first_topic + first + (id - first) * 1000 + number;
            let frame = text::subscribe(&text::topic(topic));
            wire::masked(out, wire::TEXT, frame.as_bytes());
        }
    })
}

/// Sends the frames of each connection and waits for all answers.
fn subscribe(
    swarm: &mut Swarm,
    ids: std::ops::Range<usize>,
    topics: usize,
    frames: impl Fn(usize, &mut Vec<u8>),
) -> Outcome<()> {
    let mut answers = Answers {
        left: vec![0; ids.end],
        busy: 0,
        refused: None,
    };
    let mut ids = ids.peekable();
    let mut out = Vec::new();
    let began = Instant::now();
    while answers.busy > 0 || ids.peek().is_some() {
        while answers.busy < AT_ONCE
            && let Some(id) = ids.next()
        {
            out.clear();
            frames(id, &mut out);
            answers.left[id] = topics;
            answers.busy += 1;
            swarm.send(id, &out)?;
        }
        swarm.turn(Some(Duration::from_millis(100)), &mut answers)?;
        swarm.check()?;
        if let Some(refused) = answers.refused {
            return Err(refused.into());
        }
        if began.elapsed() > PATIENCE {
            return Err("the subscriptions are not answered".into());
        }
    }
    Ok(())
}

/// Counts the answers to subscribes.
struct Answers {
    left: Vec<usize>,
    busy: usize,
    refused: Option<String>,
}

impl Handler for Answers {
    fn frame(&mut self, id: usize, payload: &[u8], _: Instant) {
        match (text::kind(payload), self.left.get_mut(id)) {
            (Kind::Subscribed, Some(left)) if *left > 0 => {
                *left -= 1;
                self.busy -= usize::from(*left == 0);
            }
            _ => {
                let text = String::from_utf8_lossy(payload).into_owned();
                self.refused.get_or_insert(text);
            }
        }
    }
}
