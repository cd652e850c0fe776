//! How often a client may err, and how fast it may publish.

/// Mistakes allowed within [`ErrorBudget::WINDOW_MS`]. A person at a keyboard never reaches it.
#[derive(Debug, Default)]
pub(super) struct ErrorBudget {
    since_ms: u64,
    errors: u32,
}

impl ErrorBudget {
    /// The window in milliseconds.
    pub(super) const WINDOW_MS: u64 = 10_000;
    /// Mistakes within the window; one more ends the connection with 4008.
    pub(super) const MOST: u32 = 100;

    /// Counts a mistake; false when it was one too many.
    pub(super) fn take(&mut self, now_ms: u64) -> bool {
        if now_ms >= self.since_ms + Self::WINDOW_MS {
            self.since_ms = now_ms;
            self.errors = 0;
        }
        self.errors += 1;
        self.errors <= Self::MOST
    }
}

/// A token bucket for publishes: it fills at the rate and holds two seconds of it. A new one is full.
#[derive(Debug, Default)]
pub struct RateBudget {
    /// The moment, in thousandths of a millisecond, at which the bucket would be full.
    full_at: u64,
}

impl RateBudget {
    /// After this time without a publish it is full again, in milliseconds.
    pub const FULL_AFTER_MS: u64 = 2000;

    /// Takes one; false when there is none. A rate of 0 is no limit. Time is of any monotonic clock.
    pub fn take(&mut self, now_ms: u64, per_second: u32) -> bool {
        if per_second == 0 {
            return true;
        }
        let now = now_ms * 1000;
        let cost = 1_000_000 / u64::from(per_second);
        let full_at = self.full_at.max(now) + cost;
        let allowed = full_at <= now + Self::FULL_AFTER_MS * 1000;
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_two_seconds_then_the_rate() {
        let mut budget = RateBudget::default();
        let taken =
            |budget: &mut RateBudget, now| (0..1000).filter(|_| budget.take(now, 10)).count();
        assert_eq!(taken(&mut budget, 5000), 20);
        assert_eq!(taken(&mut budget, 5050), 0);
        assert_eq!(taken(&mut budget, 5100), 1);
        assert_eq!(taken(&mut budget, 6100), 10);
        assert_eq!(taken(&mut budget, 60_000), 20);
    }

    #[test]
    fn errors_are_forgiven_after_the_window() {
        let mut budget = ErrorBudget::default();
        assert!((0..ErrorBudget::MOST).all(|_| budget.take(0)));
        assert!(!budget.take(9_999));
        assert!(budget.take(10_000));
    }
}
