//! Counters and the latency of delivery, at next to no cost where messages pass.
//!
//! Each shard has its own [`ShardMetrics`] that only it writes; readers add them up.
//!
//! Uses: nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets per power of two: a value is known to within an eighth of itself.
const FINE_BITS: u32 = 3;
const BUCKETS: usize = (64 - FINE_BITS as usize + 1) << FINE_BITS;

/// Counts values in buckets that grow with the value. One writer, many readers.
#[derive(Debug)]
pub struct Histogram(Box<[AtomicU64]>);

impl Default for Histogram {
    fn default() -> Self {
        Self(
            std::iter::repeat_with(AtomicU64::default)
                .take(BUCKETS)
                .collect(),
        )
    }
}

impl Histogram {
    /// Counts `times` values of this size.
    pub fn record(&self, value: u64, times: u64) {
        add(&self.0[bucket(value)], times);
    }

    /// Adds what was counted to `sum`.
    pub fn add_to(&self, sum: &mut Distribution) {
        for (into, bucket) in sum.0.iter_mut().zip(&self.0) {
            *into += bucket.load(Ordering::Relaxed);
        }
    }
}

/// Adds to a counter that nobody else writes: cheaper than a read-modify-write.
fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

const fn bucket(value: u64) -> usize {
    if value < 1 << FINE_BITS {
        return value as usize;
    }
    let exponent = value.ilog2();
    let fine = (value >> (exponent - FINE_BITS)) as usize & ((1 << FINE_BITS) - 1);
    (((exponent - FINE_BITS + 1) as usize) << FINE_BITS) | fine
}

/// The largest value of a bucket.
const fn upper(bucket: usize) -> u64 {
    if bucket < 1 << FINE_BITS {
        return bucket as u64;
    }
    let exponent = (bucket >> FINE_BITS) as u32 + FINE_BITS - 1;
    let fine = (bucket & ((1 << FINE_BITS) - 1)) as u64;
    let width = 1_u64 << (exponent - FINE_BITS);
    (1_u64 << exponent)
        .saturating_add(fine * width)
        .saturating_add(width - 1)
}

/// Values counted by size: a sum of histograms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution(Vec<u64>);

impl Default for Distribution {
    fn default() -> Self {
        Self(vec![0; BUCKETS])
    }
}

impl Distribution {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The value that this share of all values does not exceed (to within an eighth), 0 when there
    /// are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(bucket);
            }
        }
        0
    }

    /// How many values do not exceed this one (to within an eighth).
    #[must_use]
    pub fn within(&self, value: u64) -> u64 {
        self.0[..=bucket(value)].iter().sum()
    }
}

/// What one shard counts.
#[derive(Debug, Default)]
pub struct ShardMetrics {
    subscriptions: AtomicU64,
    delivered: AtomicU64,
    /// From the moment a message was accepted to its write into a subscriber's socket, in
    /// nanoseconds (promise I5).
    pub latency: Histogram,
}

impl ShardMetrics {
    /// Messages were written into a socket, the oldest and the newest of them this long after they
    /// were accepted.
    pub fn delivered(&self, messages: u64, oldest_ns: u64, newest_ns: u64) {
        add(&self.delivered, messages);
        if bucket(oldest_ns) == bucket(newest_ns) {
            self.latency.record(oldest_ns, messages);
        } else {
            // A batch spans few buckets: half the messages at either end keeps the shape.
            self.latency.record(oldest_ns, messages - messages / 2);
            self.latency.record(newest_ns, messages / 2);
        }
    }

    /// The shard has that many subscriptions now.
    pub fn set_subscriptions(&self, count: usize) {
        self.subscriptions.store(count as u64, Ordering::Relaxed);
    }
}

/// What all of the gateway counts together.
#[derive(Debug, Default)]
pub struct Totals {
    /// WebSockets open now.
    pub connections: u64,
    /// Pairs of topic and connection now.
    pub subscriptions: u64,
    /// Messages written into sockets.
    pub delivered: u64,
    /// Accept to write, in nanoseconds.
    pub latency: Distribution,
}

impl Totals {
    /// Adds one shard.
    pub fn add(&mut self, shard: &ShardMetrics) {
        self.subscriptions += shard.subscriptions.load(Ordering::Relaxed);
        self.delivered += shard.delivered.load(Ordering::Relaxed);
        shard.latency.add_to(&mut self.latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_hold_their_values() {
        let mut last = 0;
        for value in (0..5000).chain([1 << 40, u64::MAX / 3, u64::MAX]) {
            let at = bucket(value);
            assert!(at >= last && at < BUCKETS, "{value}");
            assert!(
                upper(at) >= value && upper(at) - value <= value / 8,
                "{value}"
            );
            last = at;
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let histogram = Histogram::default();
        for value in 1..=1000 {
            histogram.record(value * 1000, 1);
        }
        let mut sum = Distribution::default();
        histogram.add_to(&mut sum);
        assert_eq!(sum.count(), 1000);
        for (share, exact) in [(0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let quantile = sum.quantile(share);
            assert!(
                quantile >= exact && quantile <= exact + exact / 8,
                "{share}: {quantile}"
            );
        }
        assert!((480..=570).contains(&sum.within(500_000)));
    }
}
