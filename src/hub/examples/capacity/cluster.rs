//! All gateways, or as many of them as are enough: they differ only by chance.

use std::sync::atomic::{AtomicU32, Ordering};

use super::chance::{Random, Skewed};
use super::memory::Bytes;
use super::model::{Costs, Model};
use super::node::{Node, Seen};
use super::subjects::subjects;
use super::traffic::Traffic;

/// What a cluster does in a second, by node.
pub struct Outcome {
    /// Publishes a second.
    pub published: f64,
    pub nodes: Vec<Seen>,
    pub seconds: f64,
}

/// Lets the model's time pass.
pub fn simulate(model: &Model, costs: &Costs) -> Outcome {
    let traffic = Traffic::new(model);
    let subjects = subjects(model);
    let choice = Skewed::new(model.topics, model.skew);
    let count = model.simulated.clamp(1, model.nodes);
    let next = AtomicU32::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return done;
            }
            let mut node = Node::new(model, costs, &*subjects);
            let mut random = Random::new(1000 + u64::from(number));
            let clients = model.connections_of(number);
            node.connect(clients, model.subscriptions, &choice, &mut random);
            for message in &traffic.messages {
                node.take(message);
            }
            done.push(node.finish());
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let nodes = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().filter_map(|worker| worker.join().ok());
        done.flatten().collect()
    });
    Outcome {
        published: traffic.messages.len() as f64 / model.seconds,
        nodes,
        seconds: model.seconds,
    }
}

impl Outcome {
    /// The mean of a count over the nodes.
    pub fn mean(&self, count: impl Fn(&Seen) -> f64) -> f64 {
        self.nodes.iter().map(count).sum::<f64>() / self.nodes.len().max(1) as f64
    }

    /// The mean of a count over the nodes, a second.
    pub fn rate(&self, count: impl Fn(&Seen) -> u64) -> f64 {
        self.mean(|node| count(node) as f64) / self.seconds
    }

    /// Cores in use on the busiest node.
    pub fn cores(&self, model: &Model, costs: &Costs) -> f64 {
        let publishing = self.published / f64::from(model.nodes) * costs.publish_us / 1e6;
        let work = |node: &Seen| (node.shards_ns + node.pump_ns) / 1e9 / self.seconds;
        self.nodes.iter().map(work).fold(0.0, f64::max) + publishing
    }

    /// CPU time of a delivery in microseconds, without what a publish costs.
    pub fn cpu_per_delivery(&self) -> f64 {
        self.mean(|node| node.shards_ns) / 1e3 / self.mean(|node| node.deliveries as f64)
    }

    /// The value in milliseconds that this share of deliveries does not exceed.
    pub fn latency_ms(&self, share: f64) -> f64 {
        let worst = self.nodes.iter().map(|node| node.latency.quantile(share));
        worst.max().unwrap_or_default() as f64 / 1e6
    }

    /// Bytes that a node needs for its clients.
    pub fn memory(&self, costs: &Costs, bytes: Bytes) -> f64 {
        self.mean(|node| {
            node.connections as f64 * f64::from(costs.connection_bytes)
                + node.subscriptions as f64 * bytes.subscription
                + node.shard_topics as f64 * bytes.topic
        })
    }

    /// Bytes that a NATS server needs to know who hears what: each of its own nodes' subjects, and once
    /// each subject that the nodes of another server hear.
    pub fn nats_memory(&self, model: &Model, costs: &Costs) -> f64 {
        let servers = f64::from(costs.nats_servers.max(1));
        let own = self.mean(|node| node.interest as f64) * f64::from(model.nodes) / servers;
        let subjects = match model.subjects {
            0 => model.topics,
            count => count,
        };
        let others = (servers - 1.0) * own.min(f64::from(subjects));
        (own + others) * f64::from(costs.interest_bytes)
    }

    /// What all NATS servers together take in and give out a second: each publish comes in and goes to
    /// the other replicas, each message goes to the nodes that hear it.
    pub fn nats_messages(&self, model: &Model, costs: &Costs) -> f64 {
        let kept = self.published * f64::from(2 * costs.replicas.max(1) - 1);
        kept + self.rate(|node| node.heard) * f64::from(model.nodes)
    }
}
