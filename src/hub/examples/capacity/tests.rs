//! The model agrees with plain counting, and with what was measured on real sockets.

use std::collections::BTreeMap;

use super::chance::{Random, Skewed};
use super::cluster::{Outcome, simulate};
use super::memory::Bytes;
use super::model::{Costs, Model};
use super::traffic::Traffic;

fn small() -> Model {
    Model {
        nodes: 3,
        cores: 2,
        connections: 300,
        subscriptions: 5,
        topics: 200,
        rate: 2_000.0,
        simulated: 3,
        ..Model::default()
    }
}

/// One node with so many clients of one topic.
fn one_topic(clients: u32, rate: f64) -> Outcome {
    let model = Model {
        nodes: 1,
        cores: 1,
        connections: clients,
        subscriptions: 1,
        topics: 1,
        rate,
        ..Model::default()
    };
    simulate(&model, &free_publishes())
}

/// The measured nodes had their publishers elsewhere.
fn free_publishes() -> Costs {
    Costs {
        publish_us: 0.0,
        ..Costs::default()
    }
}

#[test]
fn every_subscriber_gets_every_message_once() {
    let model = small();
    let seen = simulate(&model, &Costs::default());
    let traffic = Traffic::new(&model);
    let choice = Skewed::new(model.topics, model.skew);
    let (mut deliveries, mut heard, mut subscriptions, mut topics) = (0, 0, 0, 0);
    for node in 0..model.nodes {
        let mut random = Random::new(1000 + u64::from(node));
        let mut subscribers: BTreeMap<u32, u64> = BTreeMap::new();
        for _ in 0..model.connections_of(node) {
            let mut chosen: Vec<u32> = (0..model.subscriptions)
                .map(|_| choice.choose(&mut random))
                .collect();
            chosen.sort_unstable();
            chosen.dedup();
            subscriptions += chosen.len() as u64;
            for topic in chosen {
                *subscribers.entry(topic).or_default() += 1;
            }
        }
        topics += subscribers.len() as u64;
        for message in &traffic.messages {
            let count = subscribers.get(&message.topic).copied().unwrap_or(0);
            deliveries += count;
            heard += u64::from(count > 0);
        }
    }
    assert!(deliveries > 10_000, "{deliveries}");
    let sum = |count: fn(&super::node::Seen) -> u64| seen.nodes.iter().map(count).sum::<u64>();
    assert_eq!(sum(|node| node.deliveries), deliveries);
    assert_eq!(sum(|node| node.heard), heard);
    assert_eq!(sum(|node| node.subscriptions), subscriptions);
    assert_eq!(sum(|node| node.topics), topics);
    assert_eq!(sum(|node| node.interest), topics);
    assert_eq!(sum(|node| node.unwanted), 0);
    assert_eq!(sum(|node| node.latency.count()), deliveries);
}

#[test]
fn shared_subjects_are_fewer_and_bring_what_nobody_wants() {
    let own = simulate(&small(), &Costs::default());
    let shared = Model {
        subjects: 16,
        ..small()
    };
    let shared = simulate(&shared, &Costs::default());
    assert!(shared.mean(|node| node.interest as f64) <= 16.0);
    assert!(own.mean(|node| node.interest as f64) > 100.0);
    assert!(shared.rate(|node| node.heard) > own.rate(|node| node.heard));
    assert!(shared.rate(|node| node.unwanted) > 0.0);
    let deliveries = |seen: &Outcome| seen.rate(|node| node.deliveries);
    assert_eq!(deliveries(&own), deliveries(&shared));
}

#[test]
fn more_nodes_share_the_deliveries_and_not_the_messages() {
    let few = simulate(&small(), &Costs::default());
    let many = Model {
        nodes: 12,
        simulated: 12,
        ..small()
    };
    let many = simulate(&many, &Costs::default());
    let share = few.rate(|node| node.deliveries) / many.rate(|node| node.deliveries);
    assert!((3.6..4.4).contains(&share), "{share}");
    let heard = few.rate(|node| node.heard) / many.rate(|node| node.heard);
    assert!(heard > 1.0 && heard < 3.0, "{heard}");
}

#[test]
fn it_gives_back_what_was_measured_on_real_sockets() {
    // One publish at a time to 1,000 subscribers: a write each.
    let alone = one_topic(1_000, 20.0).cpu_per_delivery();
    assert!((4.3..5.0).contains(&alone), "{alone}");
    // As many as there can be: frames share writes.
    let busy = one_topic(1_000, 5_000.0);
    let together = busy.cpu_per_delivery();
    assert!((0.07..0.3).contains(&together), "{together}");
    assert!(busy.latency_ms(0.99) < 50.0, "{}", busy.latency_ms(0.99));
}

#[test]
fn a_load_that_is_too_much_shows() {
    let seen = one_topic(10_000, 5_000.0);
    let model = Model {
        nodes: 1,
        ..Model::default()
    };
    assert!(seen.cores(&model, &free_publishes()) > 1.0);
    assert!(seen.latency_ms(0.99) > 1_000.0);
}

#[test]
fn the_document_shows_the_tables_that_are_printed() {
    let document = include_str!("../../../../docs/scaling.md");
    let columns = format!(" | {} |\n", super::tables::COLUMNS.join(" | "));
    assert_eq!(document.matches(&columns).count(), 5);
}

#[test]
fn memory_is_that_of_its_parts() {
    let seen = simulate(&small(), &Costs::default());
    let bytes = Bytes {
        subscription: 0.0,
        topic: 0.0,
    };
    let connections = seen.memory(&Costs::default(), bytes);
    assert!((connections - 100.0 * 1_900.0).abs() < 1.0, "{connections}");
}

#[test]
fn choices_follow_their_skew() {
    let mut random = Random::new(5);
    for (skew, first) in [(0.0, 0.01), (1.0, 0.1928)] {
        let choice = Skewed::new(100, skew);
        let hits = (0..100_000).filter(|_| choice.choose(&mut random) == 0);
        let share = hits.count() as f64 / 100_000.0;
        assert!((share - first).abs() < 0.01, "{skew}: {share}");
    }
}
