//! What the gateway says of itself: now, from `/stats`, and over time, from `/stats/stream`.

use std::collections::VecDeque;

use serde_json::Value;

use super::latencies::Latencies;

/// Moments that are kept.
pub const MOMENTS: usize = 120;

/// What is looked at of `/stats`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// WebSockets open.
    pub connections: u64,
    /// Pairs of topic and connection.
    pub subscriptions: u64,
    /// Messages accepted since the start.
    pub published: u64,
    /// Messages written into sockets since the start.
    pub delivered: u64,
    /// Times of delivery since the start.
    pub latency: Measured,
    /// How long it remembers a messageId, in milliseconds (promise I2).
    pub dedup_ttl_ms: u64,
}

/// Latency as the gateway measures it (promise I5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// From accepting a message to writing it into a socket.
    pub times: Latencies,
    /// A delivery should take at most this many milliseconds.
    pub target_ms: u64,
    /// This share of deliveries must.
    pub objective: f64,
    /// Whether it does.
    pub met: bool,
}

impl Stats {
    /// Reads the answer of `/stats`; `None` when it is not one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let stats: Value = serde_json::from_str(text).ok()?;
        let slo = &stats["slo"];
        let count = |name: &str| stats[name].as_u64();
        Some(Self {
            connections: count("connections")?,
            subscriptions: count("subscriptions")?,
            published: count("published")?,
            delivered: count("delivered")?,
            latency: Measured {
                times: Latencies::read(&stats["latency"])?,
                target_ms: slo["targetMs"].as_u64()?,
                objective: slo["objective"].as_f64()?,
                met: slo["met"].as_bool()?,
            },
            dedup_ttl_ms: count("dedupTtlMs")?,
        })
    }
}

/// The last moments, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    all: VecDeque<(f64, Stats)>,
}

impl Moments {
    /// Takes one answer of the gateway, which came at this time in milliseconds; `false` when it is not
    /// one.
    pub fn take(&mut self, at_ms: f64, text: &str) -> bool {
        let Some(stats) = Stats::read(text) else {
            return false;
        };
        // A gateway that started again counts from 0: what was before would only mislead.
        let restarted = self.last().is_some_and(|last| {
            stats.published < last.published || stats.delivered < last.delivered
        });
        if restarted {
            self.all.clear();
        }
        if self.all.len() == MOMENTS {
            self.all.pop_front();
        }
        self.all.push_back((at_ms, stats));
        true
    }

    /// The newest.
    #[must_use]
    pub fn last(&self) -> Option<&Stats> {
        self.all.back().map(|(_, stats)| stats)
    }

    /// One of its figures over time.
    #[must_use]
    pub fn over_time(&self, figure: impl Fn(&Stats) -> u64) -> Vec<f64> {
        self.all
            .iter()
            .map(|(_, stats)| figure(stats) as f64)
            .collect()
    }

    /// How fast one of its counters rose between moments, by the second.
    #[must_use]
    pub fn rate(&self, counter: impl Fn(&Stats) -> u64) -> Vec<f64> {
        let pairs = self.all.iter().zip(self.all.iter().skip(1));
        pairs
            .map(|((from, before), (until, after))| {
                let rose = counter(after).saturating_sub(counter(before)) as f64;
                rose / ((until - from) / 1000.0).max(0.001)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(published: u64) -> String {
        format!(
            r#"{{"connections":2,"subscriptions":3,"published":{published},"delivered":9,
            "latency":{{"p50Ms":0.1,"p95Ms":0.2,"p99Ms":0.3,"count":7,"buckets":[]}},
            "slo":{{"targetMs":50,"objective":0.99,"met":true,"burnRate":0.0,"windowS":300}},
            "dedupTtlMs":5000}}"#
        )
    }

    #[test]
    fn stats_are_read_as_the_gateway_writes_them() {
        let stats = Stats::read(&said(5)).unwrap();
        assert_eq!((stats.connections, stats.published), (2, 5));
        assert_eq!(stats.dedup_ttl_ms, 5000);
        let Measured {
            times,
            target_ms,
            met,
            ..
        } = stats.latency;
        assert_eq!((times.count, target_ms, met), (7, 50, true));
        assert_eq!(Stats::read("{}"), None);
    }

    #[test]
    fn moments_are_kept_up_to_an_end() {
        let mut moments = Moments::default();
        for n in 0..MOMENTS as u64 + 10 {
            assert!(moments.take(n as f64 * 500.0, &said(n * 3)));
        }
        assert!(!moments.take(0.0, "<html>"));
        assert_eq!(moments.over_time(|s| s.connections), vec![2.0; MOMENTS]);
        assert_eq!(moments.rate(|s| s.published), vec![6.0; MOMENTS - 1]);
        let times = moments.last().unwrap().latency.times;
        assert_eq!(times.percentiles, [0.1, 0.2, 0.3]);
    }

    #[test]
    fn a_restart_begins_anew() {
        let mut moments = Moments::default();
        moments.take(0.0, &said(100));
        moments.take(1000.0, &said(1));
        assert_eq!(moments.over_time(|s| s.published), [1.0]);
        assert!(moments.rate(|s| s.published).is_empty());
    }
}
