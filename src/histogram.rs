//! How many values of which size: buckets that grow with the value.
//!
//! Invariant: pure. The gateway counts its latencies with it, and the page those that it sees.
//!
//! Uses: nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets per power of two: a value is known to within an eighth of itself.
const FINE_BITS: u32 = 3;
const BUCKETS: usize = (64 - FINE_BITS as usize + 1) << FINE_BITS;

/// The bounds between which latencies are told to others, in microseconds: three a decade, from a tenth
/// of a millisecond to ten seconds.
pub const LATENCY_BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Counts values in buckets that grow with the value. One writer (but see
/// [`Histogram::record_shared`]), many readers.
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
        // Nobody else writes: cheaper than a read-modify-write.
        let counter = &self.0[bucket(value)];
        counter.store(counter.load(Ordering::Relaxed) + times, Ordering::Relaxed);
    }

    /// Counts a value, also where others count at the same time.
    pub fn record_shared(&self, value: u64) {
        self.0[bucket(value)].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what was counted to `sum`.
    pub fn add_to(&self, sum: &mut Distribution) {
        for (into, bucket) in sum.0.iter_mut().zip(&self.0) {
            *into += bucket.load(Ordering::Relaxed);
        }
    }
}

/// The bucket that a value is counted in.
pub(crate) const fn bucket(value: u64) -> usize {
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

/// What another process counted can be any number.
fn total(counts: &[u64]) -> u64 {
    counts
        .iter()
        .fold(0, |sum, count| sum.saturating_add(*count))
}

/// Values counted by size: a sum of histograms, or counted one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution(Vec<u64>);

impl Default for Distribution {
    fn default() -> Self {
        Self(vec![0; BUCKETS])
    }
}

impl Distribution {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.0[bucket(value)] += 1;
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        total(&self.0)
    }

    /// The value that this share of all values does not exceed (to within an eighth), 0 when there
    /// are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0_u64;
        for (bucket, count) in self.0.iter().enumerate() {
            seen = seen.saturating_add(*count);
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

    /// The buckets that hold something: which, and how many values.
    #[must_use]
    pub fn filled(&self) -> Vec<(usize, u64)> {
        let buckets = self.0.iter().copied().enumerate();
        buckets.filter(|(_, count)| *count > 0).collect()
    }

    /// Adds what another process counted; buckets that there are not are left out.
    pub fn fill(&mut self, filled: &[(usize, u64)]) {
        for (bucket, count) in filled {
            if let Some(into) = self.0.get_mut(*bucket) {
                *into = into.saturating_add(*count);
            }
        }
    }

    /// How many values do not exceed this one (to within an eighth).
    #[must_use]
    pub fn within(&self, value: u64) -> u64 {
        total(&self.0[..=bucket(value)])
    }

    /// How many values there are up to each of these rising bounds and above the one before (to within
    /// an eighth). What is above the last is in none.
    #[must_use]
    pub fn split<const N: usize>(&self, bounds: [u64; N]) -> [u64; N] {
        let mut below = 0;
        bounds.map(|bound| {
            let within = self.within(bound);
            let count = within.saturating_sub(below);
            below = within;
            count
        })
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
        let mut copy = Distribution::default();
        copy.fill(&sum.filled());
        copy.fill(&[(usize::MAX, 1)]);
        assert_eq!(copy, sum);
        let mut counted = Distribution::default();
        (1..=1000).for_each(|value| counted.record(value * 1000));
        assert_eq!(counted, sum);
        assert!((480..=570).contains(&sum.within(500_000)));
        let [low, high] = sum.split([500_000, 900_000]);
        assert_eq!(low, sum.within(500_000));
        assert_eq!(low + high, sum.within(900_000));
        let exact = 500_500_000.0;
        assert!((sum.sum() - exact).abs() < exact / 16.0, "{}", sum.sum());
    }
}
