//! I5 as the gateway measures it.

use serde_json::Value;

/// What `/stats` says of latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// p50, p95 and p99 in milliseconds, from accepting a message to writing it into a socket.
    pub percentiles: [f64; 3],
    /// How many deliveries that is.
    pub count: u64,
    /// A delivery should take at most this many milliseconds.
    pub target_ms: u64,
    /// This share of deliveries must.
    pub objective: f64,
    /// Whether it does.
    pub met: bool,
}

impl Measured {
    /// Reads the answer of `/stats`; `None` when it says nothing of it.
    #[must_use]
    pub fn from_stats(text: &str) -> Option<Self> {
        let stats: Value = serde_json::from_str(text).ok()?;
        let (latency, slo) = (&stats["latency"], &stats["slo"]);
        let ms = |name: &str| latency[name].as_f64();
        Some(Self {
            percentiles: [ms("p50Ms")?, ms("p95Ms")?, ms("p99Ms")?],
            count: latency["count"].as_u64()?,
            target_ms: slo["targetMs"].as_u64()?,
            objective: slo["objective"].as_f64()?,
            met: slo["met"].as_bool()?,
        })
    }
}
