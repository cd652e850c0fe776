//! The rows of the table: what is done in each, and what of it is told.

use std::time::Duration;

use crate::Outcome;
use crate::fanout::{self, Beside};
use crate::growth;
use crate::idle;
use crate::options::Options;
use crate::peer::{Kind, Peer};
use crate::plan::Plan;
use crate::report::{Measure, Results};

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
pub const ROWS: [Row; 8] = [
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
    Row {
        name: "growth",
        title: "one publish in flight to more and more subscribers; row D beside what waits",
        peers: &["limit-1"],
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
/// CPU for each connection that is set up.
pub const CPU_CONNECTION: Measure = Measure::new("CPU us/connection", 1);
/// CPU for each subscription.
pub const CPU_SUBSCRIPTION: Measure = Measure::new("CPU us/subscription", 2);
/// What the load generator had left.
pub const IDLE: Measure = Measure::new("load generator idle, %", 0);

/// What others took of the server's core.
pub const OTHERS: Measure = Measure::new("others on the server's core, %", 1);

impl Row {
    /// Whether messages flow as fast as they can, or at a pace.
    pub fn flows(&self) -> bool {
        ["A", "B", "C", "D", "E"].contains(&self.name)
    }

    /// Whether a peer can do this.
    pub fn fits(&self, peer: &Peer) -> bool {
        peer.kind != Kind::Nats || self.name == "D"
    }

    /// The row's plan, if messages flow in it.
    fn plan(&self, options: &Options) -> Option<Plan> {
        let size = |full: usize| options.size(full);
        Some(match self.name {
            "A" => Plan::closed(1, size(1000), 1, 1),
            "B" => Plan::closed(1, size(1000), 1, 64),
            "C" => Plan::closed(size(100), 10, size(100), 4),
            "D" => Plan::closed(1, 1, size(50), 16),
            "E" => Plan {
                pace: Some(Duration::from_millis(10)),
                ..Plan::closed(1, size(1000), 1, usize::MAX)
            },
            _ => return None,
        })
    }

    /// In how many steps it is measured; the peers take turns in each.
    pub fn steps(&self) -> usize {
        match self.name {
            "growth" => growth::STEPS,
            _ => 1,
        }
    }

    /// Measures one step of a peer once.
    pub fn measure(
        &self,
        step: usize,
        peer: &Peer,
        options: &Options,
        results: &mut Results,
    ) -> Outcome<()> {
        match self.name {
            "F" | "G" => self.waiting(peer, options, results),
            "growth" => growth::measure(step, peer, options, results),
            _ => self.flowing(peer, options, results),
        }
    }

    fn flowing(&self, peer: &Peer, options: &Options, results: &mut Results) -> Outcome<()> {
        let plan = self.plan(options).ok_or("a row without a plan")?;
        let measured = fanout::measure(peer, plan, Beside::default(), options.times())?;
        results.check(self.name, &peer.name, &measured);
        let told = match self.name {
            "D" => vec![(ACKS, measured.acks / 1e3), (CPU_PUBLISH, measured.cpu_ack)],
            "E" => {
                let mut told: Vec<_> = LATENCY.into_iter().zip(measured.latency).collect();
                told.push((CPU, measured.cpu_delivery));
                told
            }
            _ => vec![
                (CPU, measured.cpu_delivery),
                (DELIVERIES, measured.deliveries / 1e3),
            ],
        };
        for (measure, value) in told {
            results.add(self.name, measure, &peer.name, value);
        }
        results.add(self.name, IDLE, &peer.name, measured.idle * 100.0);
        if let Some(others) = measured.others {
            results.add(self.name, OTHERS, &peer.name, others * 100.0);
        }
        Ok(())
    }

    fn waiting(&self, peer: &Peer, options: &Options, results: &mut Results) -> Outcome<()> {
        let (waiting, measures) = if self.name == "F" {
            let (low, high) = (options.size(2_000), options.size(19_000));
            let waiting = idle::connections(peer, low, high)?;
            (waiting, [BYTES_CONNECTION, CONNECTS, CPU_CONNECTION])
        } else {
            let (connections, topics) = (options.size(1_000), options.size(1_000));
            let waiting = idle::subscriptions(peer, connections, topics)?;
            (waiting, [BYTES_SUBSCRIPTION, SECONDS, CPU_SUBSCRIPTION])
        };
        let speed = match self.name {
            "F" => waiting.count / waiting.seconds / 1e3,
            _ => waiting.seconds,
        };
        for (measure, value) in measures
            .into_iter()
            .zip([waiting.bytes, speed, waiting.cpu])
        {
            results.add(self.name, measure, &peer.name, value);
        }
        results.add(self.name, IDLE, &peer.name, waiting.idle * 100.0);
        Ok(())
    }
}
