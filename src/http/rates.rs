//! How fast each user may publish over HTTP, as `publish-rate` says for one connection.
//!
//! Invariant: pure. Time is a parameter.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::session::RateBudget;

/// Users whose budgets are not full, at most; each takes about 300 bytes. Beyond, who is not among them waits.
const MAX_USERS: usize = 32_768;

/// What each user has left. A user who is not in it has everything.
#[derive(Debug, Default)]
pub struct Rates(Mutex<Budgets>);

#[derive(Debug, Default)]
struct Budgets {
    /// Of those who have published since `since_ms`.
    recent: HashMap<Arc<str>, RateBudget>,
    /// Of those who have in the time before that, and not since.
    before: HashMap<Arc<str>, RateBudget>,
    since_ms: u64,
}

impl Rates {
    /// Takes one publish of the user's; false when there is none. A rate of 0 is no limit.
    pub(super) fn take(&self, now_ms: u64, user: &Arc<str>, per_second: u32) -> bool {
        per_second == 0 || self.0.lock().take(now_ms, user, per_second, MAX_USERS)
    }
}

impl Budgets {
    fn take(&mut self, now_ms: u64, user: &Arc<str>, per_second: u32, most: usize) -> bool {
        if now_ms >= self.since_ms + RateBudget::FULL_AFTER_MS {
            // Who has not published for so long has everything again.
            self.before = mem::take(&mut self.recent);
            self.since_ms = now_ms;
        }
        if let Some(budget) = self.recent.get_mut(user) {
            return budget.take(now_ms, per_second);
        }
        if self.recent.len() >= most {
            return false;
        }
        let mut budget = self.before.remove(user).unwrap_or_default();
        let taken = budget.take(now_ms, per_second);
        self.recent.insert(user.clone(), budget);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budgets: &mut Budgets, now_ms: u64, user: &str) -> usize {
        let user = user.into();
        let take = |_: &usize| budgets.take(now_ms, &user, 10, 3);
        (0..1000).filter(take).count()
    }

    #[test]
    fn each_user_has_a_burst_of_two_seconds_then_the_rate() {
        let mut budgets = Budgets::default();
        assert_eq!(taken(&mut budgets, 5000, "ann"), 20);
        assert_eq!(taken(&mut budgets, 5000, "bob"), 20);
        assert_eq!(taken(&mut budgets, 5050, "ann"), 0);
        // Over the moments at which what is full again is let go of.
        for second in 6..16 {
            assert_eq!(taken(&mut budgets, second * 1000, "ann"), 10, "{second}");
        }
        assert_eq!(taken(&mut budgets, 16_000, "bob"), 20);
    }

    #[test]
    fn what_is_kept_of_users_is_bounded_and_let_go() {
        let mut budgets = Budgets::default();
        for user in ["a", "b", "c"] {
            assert_eq!(taken(&mut budgets, 1000, user), 20);
        }
        assert_eq!(taken(&mut budgets, 1000, "d"), 0);
        assert_eq!(taken(&mut budgets, 2999, "d"), 20);
        for user in ["e", "f", "g"] {
            taken(&mut budgets, 6000, user);
        }
        let kept = |budgets: &Budgets| budgets.recent.len() + budgets.before.len();
        assert!(kept(&budgets) <= 6);
        taken(&mut budgets, 8000, "a");
        taken(&mut budgets, 10_000, "a");
        assert_eq!(kept(&budgets), 1);
    }
}
