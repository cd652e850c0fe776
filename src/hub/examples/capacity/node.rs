//! One gateway: the real hub and its tables, clients that only subscribe, and turns in model time.
//!
//! A turn here does what a shard's turn does, but for the writes, which cost their time and touch no
//! socket: it takes what is in the inbox, sorts it by topic, hands each topic's batch to the live
//! subscribers and writes each socket once. A turn that took long finds more in the inbox, so frames
//! share writes by themselves when there is much to do.

use std::sync::Arc;

use micro_socket::backbone::Events as _;
use micro_socket::histogram::{Distribution, Histogram};
use micro_socket::hub::{Arrival, Hub, Inbox, Joined, ShardId, Slot, Topics};
use micro_socket::protocol::Topic;

use super::chance::{Random, Skewed};
use super::model::{Costs, Model, ns};
use super::subjects::Subjects;
use super::traffic::{Message, name};

/// A turn's deliveries are timed at so many points of its writing.
const POINTS: u64 = 8;

/// What happened on one node.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub connections: u64,
    pub subscriptions: u64,
    /// Topics with a subscriber on this node.
    pub topics: u64,
    /// The same, counted on each shard.
    pub shard_topics: u64,
    /// Subjects that the node hears.
    pub interest: u64,
    pub deliveries: u64,
    pub writes: u64,
    pub bytes_out: u64,
    /// Messages that NATS sent to this node, and how many of them nobody here wanted.
    pub heard: u64,
    pub unwanted: u64,
    /// Time that the shards and the pump worked, in nanoseconds.
    pub shards_ns: f64,
    pub pump_ns: f64,
    /// From publish to write, in nanoseconds.
    pub latency: Distribution,
}

struct Shard {
    topics: Topics,
    inbox: Arc<Inbox>,
    arrivals: Vec<Arrival>,
    fresh: Vec<Arrival>,
    /// When it is done with its last turn.
    free_ns: u64,
    /// When its next turn begins, if anything is in its inbox.
    next_ns: Option<u64>,
    turns: u32,
    /// For each connection the last turn that wrote to it.
    written: Vec<u32>,
    latency: Histogram,
}

/// The gateway.
pub struct Node<'a> {
    hub: Hub,
    shards: Vec<Shard>,
    hears: Vec<u64>,
    subjects: &'a dyn Subjects,
    costs: &'a Costs,
    /// How much longer a turn takes since the shards also read publishes.
    stretch: f64,
    pump_free_ns: u64,
    pub seen: Seen,
}

impl<'a> Node<'a> {
    pub fn new(model: &Model, costs: &'a Costs, subjects: &'a dyn Subjects) -> Self {
        let hub = Hub::new(model.cores as usize);
        let shards = (0..model.cores as ShardId).map(|id| Shard {
            topics: Topics::default(),
            inbox: hub.inbox(id),
            arrivals: Vec::new(),
            fresh: Vec::new(),
            free_ns: 0,
            next_ns: None,
            turns: 0,
            written: Vec::new(),
            latency: Histogram::default(),
        });
        let publishing = model.rate / f64::from(model.nodes) * costs.publish_us / 1e6;
        let share = (publishing / f64::from(model.cores)).min(0.95);
        Self {
            shards: shards.collect(),
            hub,
            hears: vec![0; subjects.count().div_ceil(64) as usize],
            subjects,
            costs,
            stretch: 1.0 / (1.0 - share),
            pump_free_ns: 0,
            seen: Seen::default(),
        }
    }

    /// Lets so many clients in, each with its choice of topics.
    pub fn connect(&mut self, count: u32, each: u32, choice: &Skewed, random: &mut Random) {
        let cores = self.shards.len() as u32;
        for client in 0..count {
            let (shard, slot) = (client % cores, client / cores);
            self.shards[shard as usize].written.push(0);
            for _ in 0..each {
                self.subscribe(shard as ShardId, slot, choice.choose(random));
            }
        }
        self.seen.connections = u64::from(count);
        let subscriptions = self.shards.iter().map(|shard| shard.topics.subscriptions());
        self.seen.subscriptions = subscriptions.sum::<usize>() as u64;
        self.seen.topics = self.hub.topics() as u64;
        let words = self.hears.iter();
        self.seen.interest = words.map(|word| u64::from(word.count_ones())).sum();
    }

    fn subscribe(&mut self, shard: ShardId, slot: Slot, topic: u32) {
        let Ok(named) = Topic::new(&name(topic)) else {
            return;
        };
        let topics = &mut self.shards[usize::from(shard)].topics;
        let (local, joined) = topics.join(slot, &named);
        if joined == Joined::First {
            self.hub.join(&named, shard, local, || ());
            let subject = self.subjects.of(topic);
            self.hears[subject as usize / 64] |= 1 << (subject % 64);
            self.seen.shard_topics += 1;
        }
        if joined != Joined::Already {
            topics.settle(slot, local, 0);
        }
    }

    /// What NATS does with a message: it comes here if the node hears its subject.
    pub fn take(&mut self, message: &Message) {
        let subject = self.subjects.of(message.topic);
        if self.hears[subject as usize / 64] & (1 << (subject % 64)) == 0 {
            return;
        }
        let came_ns = message.at_ns + ns(self.costs.nats_us) as u64;
        let pump_ns = ns(self.costs.pump_us);
        let at_ns = came_ns.max(self.pump_free_ns) + pump_ns as u64;
        self.pump_free_ns = at_ns;
        self.seen.heard += 1;
        self.seen.pump_ns += pump_ns;
        self.run(at_ns);
        self.hub
            .deliver(&name(message.topic), &message.record, message.at_ns);
        let mut wanted = false;
        for shard in &mut self.shards {
            let before = shard.arrivals.len();
            shard.collect();
            if shard.arrivals.len() > before {
                let free_ns = shard.free_ns;
                shard.next_ns.get_or_insert_with(|| at_ns.max(free_ns));
                wanted = true;
            }
        }
        self.seen.unwanted += u64::from(!wanted);
    }

    /// Lets every shard do the turns that begin before this moment.
    pub fn run(&mut self, until_ns: u64) {
        for shard in &mut self.shards {
            while let Some(begin) = shard.next_ns.take_if(|next| *next <= until_ns) {
                shard.turn(begin, self.costs, self.stretch, &mut self.seen);
            }
        }
    }

    /// Finishes everything and gives the numbers.
    pub fn finish(mut self) -> Seen {
        self.run(u64::MAX);
        for shard in &self.shards {
            shard.latency.add_to(&mut self.seen.latency);
        }
        self.seen
    }
}

impl Shard {
    /// Takes what came out of the inbox.
    fn collect(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        self.inbox.take(&mut fresh);
        self.arrivals.append(&mut fresh);
        self.fresh = fresh;
    }

    fn turn(&mut self, begin_ns: u64, costs: &Costs, stretch: f64, seen: &mut Seen) {
        self.turns += 1;
        let mut arrivals = std::mem::take(&mut self.arrivals);
        arrivals.sort_by_key(|arrival| arrival.topic);
        let (mut links, mut sockets, mut frames, mut bytes) = (0_u64, 0_u64, 0_u64, 0_u64);
        for records in arrivals.chunk_by(|a, b| a.topic == b.topic) {
            let live = self.topics.live(records[0].topic);
            for slot in live {
                let last = &mut self.written[*slot as usize];
                sockets += u64::from(*last != self.turns);
                *last = self.turns;
            }
            let length: usize = records.iter().map(|record| record.frame.len()).sum();
            links += live.len() as u64;
            frames += (live.len() * records.len()) as u64;
            bytes += (live.len() * length) as u64;
        }
        let reading = arrivals.len() as f64 * costs.arrival_us + links as f64 * costs.link_us;
        let writing = sockets as f64 * costs.write_us + frames as f64 * costs.frame_us;
        let begin_write = begin_ns + ns(reading * stretch) as u64;
        let write_ns = ns(writing * stretch) as u64;
        for records in arrivals.chunk_by(|a, b| a.topic == b.topic) {
            let local = records[0].topic;
            let live = self.topics.live(local).len() as u64;
            for record in records {
                for point in 0..POINTS {
                    // A topic's subscribers stand anywhere among the sockets of the turn.
                    let times = (live + point) / POINTS;
                    let written = begin_write + write_ns * (point + 1) / POINTS;
                    if times > 0 {
                        self.latency.record(written - record.accepted, times);
                    }
                }
            }
            if let Some(last) = records.last() {
                self.topics.mark_delivered(local, last.seq_no);
            }
        }
        arrivals.clear();
        self.arrivals = arrivals;
        self.free_ns = begin_write + write_ns;
        seen.deliveries += frames;
        seen.writes += sockets;
        seen.bytes_out += bytes + sockets * u64::from(costs.packet_overhead);
        seen.shards_ns += ns(reading + writing);
    }
}
