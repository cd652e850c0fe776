//! What one peer may make us wait for: a message that has begun ends in time, and frames that carry
//! nothing are few.
//!
//! Invariant: pure. Time is a parameter, in milliseconds of the shard's clock.

/// Within one such span of time frames that carry nothing are counted together.
const WINDOW_MS: u64 = 10_000;
/// Pings, pongs and crumbs of messages that a peer may send within a window; one more ends it.
const MOST_EMPTY: u16 = 1000;

/// How one peer uses our patience. Small, for there is one for each socket.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// When the message began that has not ended: tenths of a second, rounded up; 0 for none.
    begun: u32,
    /// The window that is being counted in, by its number.
    window: u32,
    empty: u16,
}

impl Patience {
    /// A frame came that carries nothing; false when it was one too many.
    pub(super) const fn empty_frame(&mut self, now_ms: u64) -> bool {
        let window = (now_ms / WINDOW_MS) as u32;
        if window != self.window {
            self.window = window;
            self.empty = 0;
        }
        self.empty = self.empty.saturating_add(1);
        self.empty <= MOST_EMPTY
    }

    /// A message came whole.
    pub(super) const fn message_ended(&mut self) {
        self.begun = 0;
    }

    /// What was there is read: whether we wait for the rest of a message now.
    pub(super) const fn waits(&mut self, now_ms: u64, for_the_rest: bool) {
        if !for_the_rest {
            self.begun = 0;
        } else if self.begun == 0 {
            self.begun = (now_ms / 100) as u32 + 1;
        }
    }

    /// Until when the rest must have come, if a message may take this long.
    pub(super) fn until(&self, timeout_ms: u64) -> u64 {
        match self.begun {
            0 => u64::MAX,
            tenths => u64::from(tenths) * 100 + timeout_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_message_has_its_time_from_its_first_byte() {
        let mut patience = Patience::default();
        assert_eq!(patience.until(1000), u64::MAX);
        patience.waits(5_000, true);
        let until = patience.until(1000);
        assert!((6_000..=6_100).contains(&until), "{until}");
        // More of it does not move the end.
        patience.waits(5_900, true);
        assert_eq!(patience.until(1000), until);
        // The next message has a time of its own, also where it begins in the same read.
        patience.message_ended();
        patience.waits(5_990, true);
        assert!(patience.until(1000) >= 6_990);
        patience.waits(6_000, false);
        assert_eq!(patience.until(1000), u64::MAX);
    }

    #[test]
    fn a_person_or_a_heartbeat_never_sends_too_many_empty_frames_a_flood_does() {
        let mut patience = Patience::default();
        assert!((0..3600_u64).all(|second| (0..50).all(|_| patience.empty_frame(second * 1000))));
        let mut patience = Patience::default();
        assert_eq!((0..5000).filter(|_| patience.empty_frame(7)).count(), 1000);
        assert!(patience.empty_frame(7 + WINDOW_MS));
    }
}
