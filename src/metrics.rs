//! Counters and the latency of delivery, at next to no cost where messages pass.
//!
//! Each shard has its own [`ShardMetrics`] that only it writes; readers add them up.
//!
//! Uses: protocol.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::{CloseCode, ErrorCode};

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

    /// All values added up (to within a sixteenth).
    #[must_use]
    pub fn sum(&self) -> f64 {
        let buckets = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        buckets
            .map(|(bucket, count)| {
                let below = bucket.checked_sub(1).map_or(0, upper);
                (below as f64 + upper(bucket) as f64) / 2.0 * *count as f64
            })
            .sum()
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
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    closes: Codes<{ CloseCode::ALL.len() }>,
    errors: Codes<{ ErrorCode::ALL.len() }>,
}

/// A counter for each code of a table, in the table's order.
#[derive(Debug)]
struct Codes<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Codes<N> {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl<const N: usize> Codes<N> {
    fn add_to(&self, sums: &mut [u64; N]) {
        for (sum, counter) in sums.iter_mut().zip(&self.0) {
            *sum += counter.load(Ordering::Relaxed);
        }
    }
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

    /// Bytes were read from a socket.
    pub fn read(&self, bytes: usize) {
        add(&self.bytes_in, bytes as u64);
    }

    /// Bytes were written into a socket.
    pub fn wrote(&self, bytes: usize) {
        add(&self.bytes_out, bytes as u64);
    }

    /// The gateway closes a socket.
    pub fn closed(&self, code: CloseCode) {
        add(&self.closes.0[code as usize], 1);
    }

    /// An `error` frame was sent.
    pub fn refused(&self, code: ErrorCode) {
        add(&self.errors.0[code as usize], 1);
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
    /// Bytes read from WebSockets after their handshake.
    pub bytes_in: u64,
    /// Bytes written into WebSockets after their handshake.
    pub bytes_out: u64,
    /// Sockets that the gateway closed, in the order of [`CloseCode::ALL`].
    pub closes: [u64; CloseCode::ALL.len()],
    /// `error` frames that were sent, in the order of [`ErrorCode::ALL`].
    pub errors: [u64; ErrorCode::ALL.len()],
}

impl Totals {
    /// Adds one shard.
    pub fn add(&mut self, shard: &ShardMetrics) {
        self.subscriptions += shard.subscriptions.load(Ordering::Relaxed);
        self.delivered += shard.delivered.load(Ordering::Relaxed);
        shard.latency.add_to(&mut self.latency);
        self.bytes_in += shard.bytes_in.load(Ordering::Relaxed);
        self.bytes_out += shard.bytes_out.load(Ordering::Relaxed);
        shard.closes.add_to(&mut self.closes);
        shard.errors.add_to(&mut self.errors);
    }

    /// Sockets that the gateway closed with this code.
    #[must_use]
    pub const fn closed(&self, code: CloseCode) -> u64 {
        self.closes[code as usize]
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
        let exact = 500_500_000.0;
        assert!((sum.sum() - exact).abs() < exact / 16.0, "{}", sum.sum());
    }

    #[test]
    fn each_code_has_the_counter_of_its_place() {
        let shard = ShardMetrics::default();
        for (times, code) in CloseCode::ALL.iter().enumerate() {
            (0..times).for_each(|_| shard.closed(*code));
        }
        for (times, code) in ErrorCode::ALL.iter().enumerate() {
            (0..times).for_each(|_| shard.refused(*code));
        }
        let mut totals = Totals::default();
        totals.add(&shard);
        assert!(
            totals
                .closes
                .iter()
                .copied()
                .eq(0..CloseCode::ALL.len() as u64)
        );
        assert!(
            totals
                .errors
                .iter()
                .copied()
                .eq(0..ErrorCode::ALL.len() as u64)
        );
    }
}
