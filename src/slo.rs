//! The service level objective of deliveries: this share of them within that time (promise I5).
//!
//! How fast the allowed misses are used up is judged over the last minutes: since the start would
//! hide a bad hour behind a good month, and never forgive a bad one.
//!
//! Invariant: pure. The caller tells the time.
//!
//! Uses: nothing.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What deliveries are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slo {
    /// A delivery should take at most this long. Default 50 ms.
    pub target: Duration,
    /// This share of deliveries must. Default 0.99.
    pub objective: Share,
}

/// A share above nothing and below everything, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// 99 of 100.
    pub const DEFAULT: Self = Self(990_000);
    const WHOLE: u32 = 1_000_000;

    /// As a number between 0 and 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// What is left for misses, between 0 and 1.
    fn rest(self) -> f64 {
        f64::from(Self::WHOLE - self.0) / f64::from(Self::WHOLE)
    }
}

impl FromStr for Share {
    type Err = String;

    /// Reads `0.99` or `99%`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), 100.0),
            None => (text, 1.0),
        };
        let millionths = number.parse::<f64>().ok().map(|number| {
            // Out of range becomes the nearest end, which is refused below.
            (number / unit * f64::from(Self::WHOLE)).round() as u32
        });
        match millionths {
            Some(share @ 1..Self::WHOLE) => Ok(Self(share)),
            _ => Err(format!(
                "{text:?} is not a share above 0 and below 1, such as 0.99 or 99%"
            )),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

/// Deliveries since the start, as far as they were counted at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// All of them.
    pub all: u64,
    /// Those within the target.
    pub within: u64,
}

impl Counted {
    /// How fast the allowed share of misses is used up: 1 is just in time, below is good, 0 without
    /// deliveries.
    #[must_use]
    pub fn burn_rate(self, objective: Share) -> f64 {
        if self.all == 0 {
            return 0.0;
        }
        let missed = self.all.saturating_sub(self.within);
        missed as f64 / self.all as f64 / objective.rest()
    }
}

/// Counts of the last minutes.
#[derive(Debug, Default)]
pub struct Window {
    /// When and how much was counted; at most one more than the window holds, oldest first.
    marks: VecDeque<(u64, Counted)>,
}

impl Window {
    /// How far back it looks, in milliseconds.
    pub const LENGTH_MS: u64 = 300_000;

    /// Notes what was counted up to now; called about once a second.
    pub fn mark(&mut self, now_ms: u64, counted: Counted) {
        self.marks.push_back((now_ms, counted));
        let begins = now_ms.saturating_sub(Self::LENGTH_MS);
        // The newest mark that is not younger than the window is where it begins.
        while self.marks.get(1).is_some_and(|(at, _)| *at <= begins) {
            self.marks.pop_front();
        }
    }

    /// What was counted within the window; `counted` is up to `now_ms`.
    #[must_use]
    pub fn recent(&self, now_ms: u64, counted: Counted) -> Counted {
        let begins = now_ms.saturating_sub(Self::LENGTH_MS);
        let older = self.marks.iter().take_while(|(at, _)| *at <= begins);
        // The first minutes begin with the gateway, at nothing.
        let begin = older.last().map(|(_, c)| *c).unwrap_or_default();
        let all = counted.all.saturating_sub(begin.all);
        let within = counted.within.saturating_sub(begin.within).min(all);
        Counted { all, within }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many deliveries, of which so many took too long.
    fn counted(all: u64, missed: u64) -> Counted {
        Counted {
            all,
            within: all - missed,
        }
    }

    fn burn(window: &Window, now_ms: u64, counted: Counted) -> f64 {
        let rate = window.recent(now_ms, counted).burn_rate(Share::DEFAULT);
        (rate * 1000.0).round() / 1000.0
    }

    #[test]
    fn shares_are_read_and_written() {
        for (text, written) in [
            ("0.99", "0.99"),
            ("99%", "0.99"),
            ("99.9 %", "0.999"),
            ("0.999999", "0.999999"),
            (".5", "0.5"),
        ] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), written);
        }
        for text in [
            "",
            "0",
            "1",
            "100%",
            "99",
            "-0.5",
            "NaN",
            "inf",
            "0.9999999",
            "a",
        ] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_miss_in_a_hundred_is_just_in_time() {
        let window = Window::default();
        assert_eq!(burn(&window, 0, counted(0, 0)), 0.0);
        assert_eq!(burn(&window, 1000, counted(100, 1)), 1.0);
        assert_eq!(burn(&window, 1000, counted(100, 0)), 0.0);
        assert_eq!(burn(&window, 1000, counted(10, 10)), 100.0);
    }

    #[test]
    fn a_bad_minute_counts_at_once_and_is_forgiven_after_the_window() {
        let mut window = Window::default();
        // An hour of a thousand good ones a second, then ten seconds of bad ones, then good ones.
        let (mut all, mut missed) = (0, 0);
        for second in 1..=4300_u64 {
            all += 1000;
            if (3601..=3610).contains(&second) {
                missed += 1000;
            }
            let (now_ms, sum) = (second * 1000, counted(all, missed));
            window.mark(now_ms, sum);
            match second {
                3600 | 3911.. => assert_eq!(burn(&window, now_ms, sum), 0.0),
                // Ten of 300 seconds missed: 3.33 % where 1 % is allowed.
                3610 | 3800 | 3900 => assert_eq!(burn(&window, now_ms, sum), 3.333, "{second}"),
                3905 => assert_eq!(burn(&window, now_ms, sum), 1.667),
                _ => {}
            }
        }
        assert!(window.marks.len() <= 301);
    }

    #[test]
    fn quiet_minutes_do_not_bring_old_misses_back() {
        let mut window = Window::default();
        window.mark(0, counted(0, 0));
        window.mark(1000, counted(10, 10));
        assert_eq!(burn(&window, 2000, counted(10, 10)), 100.0);
        // The process slept: the one mark before the window is all there is.
        assert_eq!(burn(&window, 900_000, counted(10, 10)), 0.0);
        window.mark(900_000, counted(10, 10));
        assert_eq!(burn(&window, 900_500, counted(20, 10)), 0.0);
    }
}
