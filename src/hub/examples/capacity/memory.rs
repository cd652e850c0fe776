//! What a subscription and a topic cost the hub's tables: measured on this machine, in this process.

use std::fs;

use super::chance::{Random, Skewed};
use super::model::{Costs, Model};
use super::node::Node;
use super::subjects::Exact;

/// Bytes of one more subscription, and of one more topic on a shard with its first subscriber.
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    pub subscription: f64,
    pub topic: f64,
}

/// What it was when it was last measured, for systems that cannot say.
const KNOWN: Bytes = Bytes {
    subscription: 24.0,
    topic: 330.0,
};

/// Builds a node with few topics and one with many, and compares.
pub fn measure() -> Bytes {
    // So many topics of one subscriber, and so many subscriptions of few topics.
    let few = build(1_000, 200_000);
    let many = build(4_000_000, 20_000);
    match (few, many) {
        (Some(few), Some(many)) if few.subscriptions > 0.0 && many.topics > 0.0 => {
            let subscription = (few.bytes - few.topics * KNOWN.topic) / few.subscriptions;
            let topic = (many.bytes - many.subscriptions * subscription) / many.topics;
            Bytes {
                subscription,
                topic,
            }
        }
        _ => KNOWN,
    }
}

struct Built {
    bytes: f64,
    subscriptions: f64,
    topics: f64,
}

/// A node with 20 even choices for each client.
fn build(topics: u32, clients: u32) -> Option<Built> {
    let model = Model {
        cores: 1,
        topics,
        ..Model::default()
    };
    let costs = Costs::default();
    let subjects = Exact { topics };
    let choice = Skewed::new(topics, 0.0);
    let mut node = Node::new(&model, &costs, &subjects);
    let before = resident()?;
    node.connect(clients, 20, &choice, &mut Random::new(7));
    let bytes = resident()?.checked_sub(before)? as f64;
    Some(Built {
        bytes,
        subscriptions: node.seen.subscriptions as f64,
        topics: node.seen.shard_topics as f64,
    })
}

/// Bytes of this process that are in memory.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
