//! How long deliveries took: in percentiles, and as a histogram in the steps of `/stats`, so that what
//! the page measured and what the gateway measured stand beside each other.

use serde_json::Value;

use crate::histogram::{Distribution, LATENCY_BOUNDS_US};

/// One for each bound, and one for what took longer.
pub const BUCKETS: usize = LATENCY_BOUNDS_US.len() + 1;
/// The lowest bar that is drawn, as a share of the highest: a single message can be seen.
const LEAST: f64 = 0.03;

/// How long deliveries took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latencies {
    /// How many they are.
    pub count: u64,
    /// p50, p95 and p99 in milliseconds.
    pub percentiles: [f64; 3],
    /// How many took up to each bound and longer than the one before; the last took longer than all.
    pub buckets: [u64; BUCKETS],
}

/// A bucket's bound in milliseconds.
fn bound_ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// A bucket's bound in words.
#[must_use]
pub fn bound_words(us: u64) -> String {
    if us < 1_000_000 {
        format!("{} ms", bound_ms(us))
    } else {
        format!("{} s", bound_ms(us) / 1000.0)
    }
}

impl Latencies {
    /// From times in microseconds.
    #[must_use]
    pub fn of(times: &Distribution) -> Self {
        let within = times.split(LATENCY_BOUNDS_US);
        let count = times.count();
        Self {
            count,
            percentiles: [0.5, 0.95, 0.99].map(|share| times.quantile(share) as f64 / 1000.0),
            buckets: with_rest(count, within),
        }
    }

    /// From the `latency` of `/stats`; `None` when it is not one.
    #[must_use]
    pub fn read(latency: &Value) -> Option<Self> {
        let ms = |name: &str| latency[name].as_f64();
        let count = latency["count"].as_u64()?;
        let mut within = [0_u64; LATENCY_BOUNDS_US.len()];
        for bucket in latency["buckets"].as_array()? {
            let (le, count) = (bucket["leMs"].as_f64()?, bucket["count"].as_u64()?);
            // Another gateway may have other bounds: what lies between two of these counts as the higher.
            let place = LATENCY_BOUNDS_US.partition_point(|us| bound_ms(*us) < le);
            if let Some(sum) = within.get_mut(place) {
                *sum = sum.saturating_add(count);
            }
        }
        Some(Self {
            count,
            percentiles: [ms("p50Ms")?, ms("p95Ms")?, ms("p99Ms")?],
            buckets: with_rest(count, within),
        })
    }

    /// The buckets that hold something, in words; empty when none does.
    #[must_use]
    pub fn words(&self) -> String {
        let filled = self.buckets.iter().enumerate().filter(|(_, n)| **n > 0);
        let words = filled.map(|(at, n)| match LATENCY_BOUNDS_US.get(at) {
            Some(us) => format!("{n} up to {}", bound_words(*us)),
            None => format!("{n} longer"),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    fn shares(&self) -> [f64; BUCKETS] {
        self.buckets.map(|n| n as f64 / self.count.max(1) as f64)
    }
}

fn with_rest(count: u64, within: [u64; LATENCY_BOUNDS_US.len()]) -> [u64; BUCKETS] {
    let rest = count.saturating_sub(within.iter().fold(0, |sum, n| n.saturating_add(sum)));
    std::array::from_fn(|at| within.get(at).copied().unwrap_or(rest))
}

/// The paths of two histograms beside each other in a field that is [`BUCKETS`] wide and 1 high. A bar
/// is as high as its bucket's share of its own histogram; the highest of all touches the top.
#[must_use]
pub fn bars(pair: [&Latencies; 2]) -> [String; 2] {
    let shares = pair.map(Latencies::shares);
    let most = shares
        .iter()
        .flatten()
        .copied()
        .fold(f64::MIN_POSITIVE, f64::max);
    let path = |shares: [f64; BUCKETS], left: f64| {
        let filled = shares.iter().enumerate().filter(|(_, share)| **share > 0.0);
        filled
            .map(|(at, share)| {
                let top = 1.0 - (share / most).max(LEAST);
                format!("M{:.2} 1V{top:.3}h0.4V1z", at as f64 + left)
            })
            .collect()
    };
    [path(shares[0], 0.08), path(shares[1], 0.52)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times_us: &[u64]) -> Latencies {
        let mut times = Distribution::default();
        times_us.iter().for_each(|us| times.record(*us));
        Latencies::of(&times)
    }

    #[test]
    fn times_fall_into_the_bucket_below_their_bound() {
        let latencies = of(&[1, 300, 310, 8_000, 60_000_000]);
        let mut buckets = [0; BUCKETS];
        (buckets[0], buckets[2], buckets[6], buckets[16]) = (1, 2, 1, 1);
        assert_eq!((latencies.count, latencies.buckets), (5, buckets));
        assert!((0.3..0.4).contains(&latencies.percentiles[0]));
        assert_eq!(
            latencies.words(),
            "1 up to 0.1 ms, 2 up to 0.5 ms, 1 up to 10 ms, 1 longer"
        );
        assert_eq!(Latencies::default().words(), "");
    }

    #[test]
    fn what_the_gateway_measured_is_read() {
        let read = |text: &str| Latencies::read(&serde_json::from_str(text).unwrap());
        let latencies = read(
            r#"{"p50Ms":0.2,"p95Ms":3,"p99Ms":4.5,"count":9,"buckets":[{"leMs":0.25,"count":4},
            {"leMs":0.3,"count":1},{"leMs":2.5,"count":2},{"leMs":99999,"count":1}]}"#,
        )
        .unwrap();
        assert_eq!(latencies.percentiles, [0.2, 3.0, 4.5]);
        assert_eq!(
            latencies.words(),
            "4 up to 0.25 ms, 1 up to 0.5 ms, 2 up to 2.5 ms, 2 longer"
        );
        assert_eq!(read(r#"{"p50Ms":0.2,"count":9}"#), None);
    }

    #[test]
    fn bars_stand_beside_each_other_by_their_shares() {
        // All of one histogram are in one bucket, half of the other.
        let [page, gateway] = bars([&of(&[50, 60, 70]), &of(&[50, 300])]);
        assert_eq!(page, "M0.08 1V0.000h0.4V1z");
        assert_eq!(gateway, "M0.52 1V0.500h0.4V1zM2.52 1V0.500h0.4V1z");
        // One of very many is still seen.
        let mut many = vec![50; 1000];
        many.push(300);
        let [path, none] = bars([&of(&many), &Latencies::default()]);
        assert!(path.ends_with("M2.08 1V0.970h0.4V1z"), "{path}");
        assert_eq!(none, "");
    }
}
