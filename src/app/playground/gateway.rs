//! What the gateway says of itself: now, from `/stats`, and over time, from `/stats/stream`.

use std::collections::VecDeque;

use serde_json::Value;

use super::figures::Point;
use super::latencies::Latencies;

/// Moments that are kept: one a second.
pub const MOMENTS: usize = 120;
/// What is drawn ends now and began this long before, in milliseconds.
const WINDOW_MS: f64 = 120_000.0;
/// Where nothing was heard for longer, in milliseconds, nothing is drawn.
const GAP_MS: f64 = 3_000.0;

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
    /// Whether it does, within the window.
    pub met: bool,
    /// How many deliveries are judged so: those within the window.
    pub judged: u64,
    /// How many seconds the window is long.
    pub window_s: u64,
}

impl Measured {
    /// Whether deliveries meet the target; `None` where they are too few to tell: one that is late would
    /// already be more than the share that may be.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        let may_be_late = self.judged as f64 * (1.0 - self.objective);
        // What is left of an objective is not exact.
        (may_be_late > 1.0 - 1e-6).then_some(self.met)
    }
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
                judged: slo["deliveries"].as_u64()?,
                window_s: slo["windowS"].as_u64()?,
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

    /// One of its figures over time: stretches without a gap.
    #[must_use]
    pub fn over_time(&self, now_ms: f64, figure: impl Fn(&Stats) -> u64) -> Vec<Vec<Point>> {
        let values = self.all.iter();
        self.drawn(
            now_ms,
            values.map(|(at, stats)| (*at, figure(stats) as f64)),
        )
    }

    /// How fast one of its counters rose between moments, by the second, as [`Moments::over_time`].
    #[must_use]
    pub fn rate(&self, now_ms: f64, counter: impl Fn(&Stats) -> u64) -> Vec<Vec<Point>> {
        let pairs = self.all.iter().zip(self.all.iter().skip(1));
        let near = pairs.filter(|((from, _), (until, _))| until - from <= GAP_MS);
        self.drawn(
            now_ms,
            near.map(|((from, before), (until, after))| {
                let rose = counter(after).saturating_sub(counter(before)) as f64;
                (*until, rose / ((until - from) / 1000.0).max(0.001))
            }),
        )
    }

    /// Values and when they were so, each in its place.
    fn drawn(&self, now_ms: f64, values: impl Iterator<Item = (f64, f64)>) -> Vec<Vec<Point>> {
        // What came after the clock was read last is not beyond the edge.
        let end = self.all.back().map_or(now_ms, |(at, _)| now_ms.max(*at));
        let mut stretches: Vec<Vec<Point>> = Vec::new();
        let mut before = f64::NEG_INFINITY;
        for (at, value) in values.filter(|(at, _)| end - at <= WINDOW_MS) {
            if at - before > GAP_MS {
                stretches.push(Vec::new());
            }
            if let Some(stretch) = stretches.last_mut() {
                stretch.push((1.0 - (end - at) / WINDOW_MS, value));
            }
            before = at;
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(published: u64) -> String {
        format!(
            r#"{{"connections":2,"subscriptions":3,"published":{published},"delivered":9,
            "latency":{{"p50Ms":0.1,"p95Ms":0.2,"p99Ms":0.3,"count":7,"buckets":[]}},
            "slo":{{"targetMs":50,"objective":0.99,"met":true,"burnRate":0.0,"windowS":300,"deliveries":7}},
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
        let values = |stretches: &[Vec<Point>]| {
            let values: Vec<_> = stretches.concat().iter().map(|(_, value)| *value).collect();
            (stretches.len(), values)
        };
        let connections = moments.over_time(0.0, |s| s.connections);
        assert_eq!(values(&connections), (1, vec![2.0; MOMENTS]));
        let published = moments.rate(0.0, |s| s.published);
        assert_eq!(values(&published), (1, vec![6.0; MOMENTS - 1]));
        let times = moments.last().unwrap().latency.times;
        assert_eq!(times.percentiles, [0.1, 0.2, 0.3]);
    }

    #[test]
    fn moments_have_their_place_and_gaps_stay_open() {
        let mut moments = Moments::default();
        for (second, published) in [(0.0, 0), (60.0, 5), (62.0, 9), (65.0, 9), (90.0, 99)] {
            moments.take(second * 1000.0, &said(published));
        }
        let at = |second: f64| {
            let drawn = moments.over_time(second * 1000.0, |s| s.published);
            (drawn, moments.rate(second * 1000.0, |s| s.published))
        };
        let (drawn, rates) = at(120.0);
        let quarter = [(0.5, 5.0), (62.0 / 120.0, 9.0), (65.0 / 120.0, 9.0)];
        assert_eq!(drawn.len(), 3);
        assert_eq!(drawn[0], [(0.0, 0.0)]);
        for (point, expected) in drawn[1].iter().zip(quarter) {
            assert!((point.0 - expected.0).abs() < 1e-9, "{drawn:?}");
        }
        assert_eq!(drawn[2], [(0.75, 99.0)]);
        let rates: Vec<_> = rates.concat().iter().map(|(_, rate)| *rate).collect();
        assert_eq!(rates, [2.0, 0.0]);
        // Older ones leave on the left; one that came after the clock was read is the edge.
        assert_eq!(at(121.0).0.len(), 2);
        assert_eq!(at(0.0).0[2], [(1.0, 99.0)]);
        assert!(at(1000.0).0.is_empty());
    }

    #[test]
    fn a_restart_begins_anew() {
        let mut moments = Moments::default();
        moments.take(0.0, &said(100));
        moments.take(1000.0, &said(1));
        let published = |s: &Stats| s.published;
        assert_eq!(moments.over_time(1000.0, published), [[(1.0, 1.0)]]);
        assert!(moments.rate(1000.0, published).is_empty());
    }
}
