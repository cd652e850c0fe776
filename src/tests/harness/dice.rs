//! Chances that can be had again.

use std::time::Duration;

/// A small generator, so that what happened can happen again.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        // SplitMix64: seeds that are close give series that are not.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((mixed ^ (mixed >> 31)).max(1))
    }

    /// Another one for one who takes part.
    pub fn another(&mut self) -> Self {
        let seed = self.roll(u64::MAX);
        Self::new(seed)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// Any bytes, fewer than so many.
    pub fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.roll(most)).map(|_| self.roll(256) as u8).collect()
    }

    /// Between nothing and so much.
    pub fn upto(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.roll(most.as_micros() as u64 + 1))
    }
}
