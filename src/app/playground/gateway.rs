//! The gateway over time, from what `/stats/stream` says each second.

use std::collections::VecDeque;

use serde::Deserialize;

/// Moments that are kept.
pub const MOMENTS: usize = 120;

/// What is looked at of `/stats`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    /// WebSockets open.
    pub connections: u64,
    /// Pairs of topic and connection.
    pub subscriptions: u64,
    /// Topics with a subscriber.
    pub topics: u64,
    /// Messages accepted since the start.
    pub published: u64,
    /// Messages written into sockets since the start.
    pub delivered: u64,
    /// Times of delivery.
    pub latency: Latency,
}

/// Times of delivery, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Latency {
    /// Half took at most this.
    pub p50_ms: f64,
    /// 99 of 100 took at most this.
    pub p99_ms: f64,
    /// How many there were.
    pub count: u64,
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
        let Ok(stats) = serde_json::from_str::<Stats>(text) else {
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
        format!(r#"{{"connections":2,"published":{published},"latency":{{"p50Ms":0.5}},"new":[]}}"#)
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
        assert!((moments.last().unwrap().latency.p50_ms - 0.5).abs() < f64::EPSILON);
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
