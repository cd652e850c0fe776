//! What is printed: tables as they stand in the document.

use std::time::Instant;

use super::chance::{Random, Skewed};
use super::cluster::{Outcome, simulate};
use super::memory::Bytes;
use super::model::{Costs, Model};
use super::subjects::bucket;

/// Gateways that are simulated where the table is about something else.
const A_FEW: u32 = 4;

/// One cluster.
pub fn one(model: &Model, costs: &Costs, bytes: Bytes) {
    head(costs, bytes);
    table(
        "One cluster",
        "nodes",
        [(f64::from(model.nodes), model.clone())],
        costs,
        bytes,
    );
}

/// How a cluster changes with each of its numbers.
pub fn all(costs: &Costs, bytes: Bytes) {
    let began = Instant::now();
    head(costs, bytes);
    let few = Model {
        simulated: A_FEW,
        ..Model::default()
    };
    let of_nodes = |nodes| Model {
        nodes,
        // One row in full; the fewer nodes there are, the more each has to do.
        simulated: if nodes == 200 {
            nodes
        } else {
            nodes.min(25) / 6
        },
        ..Model::default()
    };
    table(
        "The same load on more nodes: 1,000,000 clients, 20,000,000 subscriptions, 50,000 publishes/s on 1,000,000 topics",
        "nodes",
        [10, 25, 50, 100, 200, 400].map(|nodes| (f64::from(nodes), of_nodes(nodes))),
        costs,
        bytes,
    );
    let few = Model { nodes: 100, ..few };
    table(
        "The same subscriptions on more topics: 100 nodes, 5,000 publishes/s, all topics alike",
        "topics",
        [1_000, 10_000, 100_000, 1_000_000, 5_000_000].map(|topics| {
            let model = Model {
                topics,
                rate: 5_000.0,
                skew: 0.0,
                publish_skew: 0.0,
                ..few.clone()
            };
            (f64::from(topics), model)
        }),
        costs,
        bytes,
    );
    table(
        "Clients that crowd on fewer topics: 100 nodes, 10,000 publishes/s",
        "skew",
        [0.0, 0.4, 0.8, 1.0, 1.2].map(|skew| {
            let model = Model {
                skew,
                rate: 10_000.0,
                ..few.clone()
            };
            (skew, model)
        }),
        costs,
        bytes,
    );
    table(
        "One hot topic: 100 nodes, every one of 1,000,000 clients subscribes it",
        "publishes/s",
        [1.0, 10.0, 100.0, 1_000.0, 10_000.0].map(|rate| {
            let model = Model {
                rate,
                topics: 1,
                subscriptions: 1,
                seconds: if rate < 100.0 { 10.0 } else { 1.0 },
                ..few.clone()
            };
            (rate, model)
        }),
        costs,
        bytes,
    );
    table(
        "Topics that share subjects: 100 nodes, 50,000 publishes/s on 1,000,000 topics (0: each its own)",
        "subjects",
        [0, 262_144, 65_536, 4_096, 256].map(|subjects| {
            let model = Model {
                subjects,
                ..few.clone()
            };
            (f64::from(subjects), model)
        }),
        costs,
        bytes,
    );
    streams(costs);
    println!("\nThe whole took {:.0} s.", began.elapsed().as_secs_f64());
}

fn head(costs: &Costs, bytes: Bytes) {
    println!(
        "A subscription takes {:.0} bytes of a node, a topic with a subscriber {:.0} on each core that has one \
         (measured here); an idle connection {} (given).",
        bytes.subscription, bytes.topic, costs.connection_bytes
    );
}

/// The columns: first what a node does, then what NATS does.
pub const COLUMNS: [&str; 15] = [
    "deliveries/s",
    "frames a write",
    "us a delivery",
    "cores",
    "p50 ms",
    "p99 ms",
    "MB/s out",
    "NATS in/s",
    "unwanted",
    "NATS MB/s",
    "interest",
    "memory MB",
    "NATS: messages/s",
    "cores a server",
    "interest MB a server",
];

fn table(
    title: &str,
    name: &str,
    rows: impl IntoIterator<Item = (f64, Model)>,
    costs: &Costs,
    bytes: Bytes,
) {
    println!("\n### {title}\n");
    println!("| {name} | {} |", COLUMNS.join(" | "));
    println!("|{}", "--:|".repeat(COLUMNS.len() + 1));
    for (value, model) in rows {
        let seen = simulate(&model, costs);
        let value = if value.fract() == 0.0 {
            whole(value)
        } else {
            value.to_string()
        };
        println!(
            "| {value} | {} |",
            row(&model, costs, bytes, &seen).join(" | ")
        );
    }
}

fn row(model: &Model, costs: &Costs, bytes: Bytes, seen: &Outcome) -> [String; COLUMNS.len()] {
    let deliveries = seen.rate(|node| node.deliveries);
    let heard = seen.rate(|node| node.heard);
    let frame = f64::from(model.payload + costs.nats_overhead);
    let messages = seen.nats_messages(model, costs);
    let busy = messages * costs.nats_server_us / 1e6 / f64::from(costs.nats_servers.max(1));
    let frames = deliveries / seen.rate(|node| node.writes);
    [
        whole(deliveries),
        format!("{frames:.1}"),
        format!("{:.2}", seen.cpu_per_delivery()),
        format!("{:.2}", seen.cores(model, costs)),
        format!("{:.1}", seen.latency_ms(0.5)),
        format!("{:.1}", seen.latency_ms(0.99)),
        format!("{:.1}", seen.rate(|node| node.bytes_out) / 1e6),
        whole(heard),
        format!("{:.0} %", 100.0 * seen.rate(|node| node.unwanted) / heard),
        format!("{:.2}", heard * frame / 1e6),
        whole(seen.mean(|node| node.interest as f64)),
        whole(seen.memory(costs, bytes) / 1e6),
        whole(messages),
        format!("{busy:.2}"),
        whole(seen.nats_memory(model, costs) / 1e6),
    ]
}

/// How much of all publishes the busiest of several streams gets.
fn streams(costs: &Costs) {
    const TOPICS: u32 = 1_000_000;
    const PUBLISHES: u32 = 2_000_000;
    println!(
        "\n### Streams that share 1,000,000 topics: publishes/s of all until the busiest stream is full\n"
    );
    println!(
        "| streams | all topics alike | publish skew 0.5 | publish skew 1 |\n|--:|--:|--:|--:|"
    );
    let full = 1e6 / costs.stream_us;
    let mut columns = Vec::new();
    for skew in [0.0, 0.5, 1.0] {
        let choice = Skewed::new(TOPICS, skew);
        let mut random = Random::new(3);
        let topics: Vec<u32> = (0..PUBLISHES).map(|_| choice.choose(&mut random)).collect();
        columns.push(topics);
    }
    for count in [1, 4, 16, 64] {
        let cells = columns.iter().map(|topics| {
            let mut published = vec![0_u32; count as usize];
            for topic in topics {
                published[bucket(*topic, count) as usize] += 1;
            }
            let busiest = published.iter().copied().max().unwrap_or(1);
            whole(full * f64::from(PUBLISHES) / f64::from(busiest))
        });
        println!("| {count} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

/// A number with its thousands apart.
fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
