//! Latencies, counted in buckets that are at most 1/64 wide.

use std::time::Duration;

const PARTS: u64 = 64;

/// Counts of durations from 1 microsecond upwards.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            counts: vec![0; (PARTS * 40) as usize],
            total: 0,
        }
    }

    /// Counts a duration.
    #[inline]
    pub fn add(&mut self, duration: Duration) {
        let nanos = (duration.as_nanos() as u64).max(1024);
        let power = u64::from(nanos.ilog2());
        let part = (nanos >> (power - 6)) - PARTS;
        let bucket = ((power - 10) * PARTS + part) as usize;
        let last = self.counts.len() - 1;
        self.counts[bucket.min(last)] += 1;
        self.total += 1;
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// The duration in milliseconds that this share of all did not exceed.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let mut left = (self.total as f64 * share).ceil() as u64;
        for (bucket, count) in (0u64..).zip(&self.counts) {
            if left <= *count {
                let (power, part) = (bucket / PARTS + 10, bucket % PARTS);
                return (((PARTS + part + 1) << (power - 6)) as f64) / 1e6;
            }
            left -= count;
        }
        f64::NAN
    }
}
