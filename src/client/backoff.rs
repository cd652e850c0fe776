//! How long to wait before the next attempt. Pure: randomness is a parameter.

use std::time::Duration;

use crate::protocol::{CloseCode, Reconnect};

/// How long a connection must have been ready to count as a success.
pub(super) const STABLE: Duration = Duration::from_secs(10);

/// Exponential backoff with full jitter: a random wait between nothing and a window that doubles
/// with every attempt, so that clients cut off together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The window of the first attempt. Default 100 ms.
    pub first: Duration,
    /// The widest window. Default 30 s.
    pub limit: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            limit: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// The wait before attempt number `attempt` (0 is the first); `random` is uniform over `u64`.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let window = self
            .first
            .saturating_mul(2_u32.saturating_pow(attempt))
            .min(self.limit);
        let nanos = window.as_nanos().min(u128::from(u64::MAX));
        // The high half of the product scales `random` to the window without a modulo's bias.
        let wait = (nanos * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

/// Counts the attempts since the last stable connection.
#[derive(Debug, Default)]
pub(super) struct Attempts(u32);

impl Attempts {
    /// The wait before the next attempt after a close with this code of a connection that was
    /// ready for that long; `None` when another would end the same way.
    pub(super) fn next(
        &mut self,
        backoff: &Backoff,
        code: u16,
        ready_for: Duration,
        random: u64,
    ) -> Option<Duration> {
        let stable = ready_for >= STABLE;
        if stable {
            self.0 = 0;
        }
        let wait = match advice(code) {
            Reconnect::Never => return None,
            // At once only after a stable connection: a gateway that closes each time at once
            // must not be hammered.
            Reconnect::Now if stable => Duration::ZERO,
            Reconnect::Now | Reconnect::Backoff => backoff.delay(self.0, random),
        };
        self.0 = self.0.saturating_add(1);
        Some(wait)
    }
}

/// What a close code says about connecting again. Codes that are not in the gateway's table:
/// 40xx, 41xx and 42xx by their second digit; the others come from networks and proxies.
fn advice(code: u16) -> Reconnect {
    match (CloseCode::from_code(code), code / 100) {
        (Some(known), _) => known.reconnect(),
        (None, 40) => Reconnect::Never,
        (None, 42) => Reconnect::Now,
        (None, _) => Reconnect::Backoff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_stays_within_a_doubling_window() {
        let backoff = Backoff::default();
        for (attempt, window_ms) in [
            (0, 100),
            (1, 200),
            (2, 400),
            (8, 25_600),
            (9, 30_000),
            (99, 30_000),
        ] {
            let window = Duration::from_millis(window_ms);
            assert_eq!(backoff.delay(attempt, 0), Duration::ZERO);
            assert_eq!(
                backoff.delay(attempt, 1 << 63),
                window / 2,
                "attempt {attempt}"
            );
            let longest = backoff.delay(attempt, u64::MAX);
            assert!(longest < window && longest > window - Duration::from_micros(1));
        }
    }

    #[test]
    fn extreme_settings_do_not_overflow() {
        let endless = Backoff {
            first: Duration::MAX,
            limit: Duration::MAX,
        };
        assert!(endless.delay(u32::MAX, u64::MAX) > Duration::from_secs(1 << 33));
    }
}
