//! Random numbers and skewed choices, the same in every run.

/// SplitMix64: small, quick, and good enough to spread clients over topics.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly below `count`.
    pub const fn below(&mut self, count: u32) -> u32 {
        (((self.next() >> 32) * count as u64) >> 32) as u32
    }

    /// The time until the next of events that come `rate` times a second, in nanoseconds.
    pub fn until_next(&mut self, rate: f64) -> u64 {
        (-(1.0 - self.share()).ln() / rate * 1e9) as u64
    }
}

/// Chooses among `0..count`, the n-th with a weight of 1/(n+1)^skew: 0 is even, 1 is Zipf's law.
/// An alias table: a choice takes the same short time however many there are.
#[derive(Debug)]
pub struct Skewed(Vec<(f32, u32)>);

impl Skewed {
    pub fn new(count: u32, skew: f64) -> Self {
        let weight = |n: u32| f64::from(n + 1).powf(-skew);
        let mean = (0..count).map(weight).sum::<f64>() / f64::from(count);
        let mut shares: Vec<f64> = (0..count).map(|n| weight(n) / mean).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..count).partition(|n| shares[*n as usize] < 1.0);
        let mut table = vec![(1.0, 0); count as usize];
        while let (Some(less), Some(more)) = (small.pop(), large.pop()) {
            table[less as usize] = (shares[less as usize] as f32, more);
            shares[more as usize] -= 1.0 - shares[less as usize];
            if shares[more as usize] < 1.0 {
                small.push(more);
            } else {
                large.push(more);
            }
        }
        Self(table)
    }

    pub fn choose(&self, random: &mut Random) -> u32 {
        let at = random.below(self.0.len() as u32);
        let (share, other) = self.0[at as usize];
        if random.share() < f64::from(share) {
            at
        } else {
            other
        }
    }
}
