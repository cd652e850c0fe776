//! The rows of the table: what is done in each, and what of it is told.

use std::time::Duration;

use crate::Outcome;
use crate::fanout::{self, Beside, Measured, Times};
use crate::idle;
use crate::options::Options;
use crate::peer::{Kind, Peer};
use crate::report::{Measure, Results};
use crate::traffic::Plan;

/// A row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// How it is called on the command line and in the table.
    pub name: &'static str,
    /// What is done.
    pub title: &'static str,
    /// Who is measured beside the gateway unless the command line says otherwise.
    pub peers: &'static [&'static str],
}

const BUN: [&str; 2] = ["bun-native", "bun-loop"];

/// All rows, in their order.
pub const ROWS: [Row; 7] = [
    Row {
        name: "A",
        title: "1 topic x 1,000 subscribers, one publish in flight",
        peers: &["limit-1", BUN[0], BUN[1]],
    },
    Row {
        name: "B",
        title: "1 topic x 1,000 subscribers, 64 publishes in flight",
        peers: &["limit-64", BUN[0], BUN[1]],
    },
    Row {
        name: "C",
        title: "100 topics x 10 subscribers, 400 publishes in flight",
        peers: &["limit-64", BUN[0], BUN[1]],
    },
    Row {
        name: "D",
        title: "ingest: 50 publishers x window 16, 1 subscriber",
        peers: &["limit-64", "nats", BUN[0], BUN[1]],
    },
    Row {
        name: "E",
        title: "100 publishes a second x 1,000 subscribers, latency from when each was due",
        peers: &["limit-64", BUN[0], BUN[1]],
    },
    Row {
        name: "F",
        title: "idle connections with one subscription each",
        peers: &["limit-64", BUN[0], BUN[1]],
    },
    Row {
        name: "G",
        title: "1,000 connections x 1,000 topics",
        peers: &["limit-64", BUN[0], BUN[1]],
    },
];

/// CPU for each delivery.
pub const CPU: Measure = Measure::new("CPU us/delivery", 2);
/// Deliveries a second.
pub const DELIVERIES: Measure = Measure::new("deliveries/s, thousands", 0);
/// Acks a second.
pub const ACKS: Measure = Measure::new("acks/s, thousands", 0);
/// CPU for each publish.
pub const CPU_PUBLISH: Measure = Measure::new("CPU us/publish", 2);
/// Latencies.
pub const LATENCY: [Measure; 4] = [
    Measure::new("p50 ms", 2),
    Measure::new("p95 ms", 2),
    Measure::new("p99 ms", 2),
    Measure::new("p99.9 ms", 2),
];
/// Memory of a connection.
pub const BYTES_CONNECTION: Measure = Measure::new("RSS bytes/connection", 0);
/// Speed of connecting.
pub const CONNECTS: Measure = Measure::new("connects/s, thousands", 1);
/// Memory of a subscription.
pub const BYTES_SUBSCRIPTION: Measure = Measure::new("RSS bytes/subscription", 1);
/// Time for all subscriptions.
pub const SECONDS: Measure = Measure::new("seconds to subscribe all", 2);
/// What the load generator had left.
pub const IDLE: Measure = Measure::new("load generator idle, %", 0);

impl Row {
    /// Whether a peer can do this.
    pub fn fits(&self, peer: &Peer) -> bool {
        peer.kind != Kind::Nats || self.name == "D"
    }

    fn plan(&self, options: &Options) -> Option<Plan> {
        let size = |full: usize| if options.smoke { full.div_ceil(20) } else { full };
        let plan = |topics, subscribers, publishers, window| Plan {
            topics,
            subscribers,
            publishers,
            window,
            pace: None,
        };
        Some(match self.name {
            "A" => plan(1, size(1000), 1, 1),
            "B" => plan(1, size(1000), 1, 64),
            "C" => plan(size(100), 10, size(100), 4),
            "D" => plan(1, 1, size(50), 16),
            "E" => Plan {
                pace: Some(Duration::from_millis(10)),
                ..plan(1, size(1000), 1, usize::MAX)
            },
            _ => return None,
        })
    }

    /// Measures a peer once.
    pub fn measure(&self, peer: &Peer, options: &Options, results: &mut Results) -> Outcome<()> {
        let cores = options.server_cores();
        let mut add = |measure, value| results.add(self.name, measure, &peer.name, value);
        if let Some(plan) = self.plan(options) {
            let times = Times {
                warm: options.warm(),
                measure: options.measure(),
            };
            let measured = fanout::measure(peer, cores, plan, Beside::default(), times)?;
            for (measure, value) in self.told(&measured) {
                add(measure, value);
            }
            add(IDLE, measured.idle * 100.0);
            results.faults.add(measured.faults);
            if !measured.faults.none() {
                results.notes.push(format!(
                    "row {}, {}: {:?}",
                    self.name, peer.name, measured.faults
                ));
            }
            return Ok(());
        }
        let waiting = match (self.name, options.smoke) {
            ("F", false) => idle::connections(peer, cores, 2_000, 19_000)?,
            ("F", true) => idle::connections(peer, cores, 50, 200)?,
            (_, false) => idle::subscriptions(peer, cores, 1_000, 1_000)?,
            (_, true) => idle::subscriptions(peer, cores, 20, 100)?,
        };
        if self.name == "F" {
            add(BYTES_CONNECTION, waiting.bytes);
            add(CONNECTS, waiting.speed / 1e3);
        } else {
            add(BYTES_SUBSCRIPTION, waiting.bytes);
            add(SECONDS, waiting.speed);
        }
        add(IDLE, waiting.idle * 100.0);
        Ok(())
    }

    fn told(&self, measured: &Measured) -> Vec<(Measure, f64)> {
        match self.name {
            "D" => vec![
                (ACKS, measured.acks / 1e3),
                (CPU_PUBLISH, measured.cpu_ack),
            ],
            "E" => LATENCY.into_iter().zip(measured.latency).collect(),
            _ => vec![
                (CPU, measured.cpu_delivery),
                (DELIVERIES, measured.deliveries / 1e3),
            ],
        }
    }
}
