//! Rows A to E: messages flow.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::nats::Ingest;
use crate::peer::{Kind, Peer};
use crate::process;
use crate::swarm::Swarm;
use crate::traffic::{Faults, Plan, Traffic};

/// What is measured of a plan.
pub struct Measured {
    /// Messages that came to subscribers, per second.
    pub deliveries: f64,
    /// Publishes that were acked, per second.
    pub acks: f64,
    /// The server's processor time in microseconds, for each delivery.
    pub cpu_delivery: f64,
    /// The same for each ack.
    pub cpu_ack: f64,
    /// From due to read, in milliseconds: p50, p95, p99, p99.9.
    pub latency: [f64; 4],
    /// The share of the time in which the load generator had nothing to do.
    pub idle: f64,
    /// What went wrong.
    pub faults: Faults,
}

/// How long the peer warms up, and how long is measured.
#[derive(Clone, Copy)]
pub struct Times {
    /// Before measuring.
    pub warm: Duration,
    /// Measured.
    pub measure: Duration,
}

/// What waits beside a plan's own connections.
#[derive(Clone, Copy, Default)]
pub struct Beside {
    /// Idle connections, each with one topic of its own.
    pub idle: usize,
    /// Topics that nobody publishes to, in thousands, each thousand on a connection of its own.
    pub thousands_of_topics: usize,
}

enum Load {
    Reference(Traffic),
    Nats(Ingest),
}

/// Measures a plan on a fresh process of a peer.
pub fn measure(peer: &Peer, plan: Plan, beside: Beside, times: Times) -> Outcome<Measured> {
    let server = peer.start()?;
    let mut swarm = Swarm::new()?;
    let mut load = if peer.kind == Kind::Nats {
        Load::Nats(Ingest::open(plan, &mut swarm, server.addr)?)
    } else {
        Load::Reference(Traffic::open(plan, &mut swarm, server.addr)?)
    };
    crate::idle::open_beside(&mut swarm, server.addr, plan.topics, beside)?;
    load.run(&mut swarm, times.warm)?;
    if let Load::Reference(traffic) = &mut load {
        traffic.latency().clear();
    }
    let (cpu, counts, began) = (process::cpu(server.pid())?, load.counts(), Instant::now());
    swarm.idle = Duration::ZERO;
    load.run(&mut swarm, times.measure)?;
    let elapsed = began.elapsed().as_secs_f64();
    let cpu = (process::cpu(server.pid())? - cpu).as_secs_f64() * 1e6;
    let idle = swarm.idle.as_secs_f64() / elapsed;
    let after = load.counts();
    let deliveries = (after.deliveries - counts.deliveries) as f64;
    let acks = (after.acks - counts.acks) as f64;
    let latency = match &mut load {
        Load::Reference(traffic) => {
            [0.5, 0.95, 0.99, 0.999].map(|share| traffic.latency().quantile_ms(share))
        }
        Load::Nats(_) => [f64::NAN; 4],
    };
    let faults = load.finish(&mut swarm)?;
    drop(server);
    Ok(Measured {
        deliveries: deliveries / elapsed,
        acks: acks / elapsed,
        cpu_delivery: cpu / deliveries,
        cpu_ack: cpu / acks,
        latency,
        idle,
        faults,
    })
}

impl Load {
    fn run(&mut self, swarm: &mut Swarm, time: Duration) -> Outcome<()> {
        match self {
            Self::Reference(traffic) => traffic.run(swarm, time),
            Self::Nats(ingest) => ingest.run(swarm, time),
        }
    }

    fn counts(&self) -> crate::traffic::Counts {
        match self {
            Self::Reference(traffic) => traffic.counts(),
            Self::Nats(ingest) => ingest.counts(),
        }
    }

    fn finish(&mut self, swarm: &mut Swarm) -> Outcome<Faults> {
        match self {
            Self::Reference(traffic) => traffic.finish(swarm),
            Self::Nats(ingest) => ingest.finish(swarm),
        }
    }
}
