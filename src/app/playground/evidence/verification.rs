//! A run of the checks of [`crate::verify`]: what came of it so far.

use crate::verify::{Finding, Outcome, PROMISES};

/// What the run is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// There was none yet.
    #[default]
    Idle,
    Running,
    Stopped,
    Done,
}

/// A run, and the findings that are in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    state: State,
    findings: Vec<Finding>,
}

impl Verification {
    /// A run begins; an earlier one is forgotten.
    pub fn begin(&mut self) {
        self.state = State::Running;
        self.findings.clear();
    }

    /// A promise was checked.
    pub fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
        if self.findings.len() == PROMISES.len() {
            self.state = State::Done;
        }
    }

    /// The run ends before it is through.
    pub fn stop(&mut self) {
        if self.is_running() {
            self.state = State::Stopped;
        }
    }

    /// Whether a run is under way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// The finding of the promise in this place, counted from 0.
    #[must_use]
    pub fn finding(&self, place: usize) -> Option<&Finding> {
        self.findings.get(place)
    }

    /// Whether the promise in this place is being checked now.
    #[must_use]
    pub fn is_checking(&self, place: usize) -> bool {
        self.is_running() && self.findings.len() == place
    }

    /// The verdict in a line; empty before the first run.
    #[must_use]
    pub fn words(&self) -> String {
        let (seen, all) = (self.findings.len(), PROMISES.len());
        match self.state {
            State::Idle => String::new(),
            State::Running => format!("Verifying: {seen} of {all} checked."),
            State::Stopped => format!("Stopped: {seen} of {all} were checked."),
            State::Done => {
                let mut words = "Verified:".to_owned();
                for outcome in [Outcome::Fail, Outcome::Pass, Outcome::Skipped] {
                    let count = self.findings.iter().filter(|f| f.outcome == outcome);
                    let count = count.count();
                    if count > 0 {
                        let comma = if words.ends_with(':') { "" } else { "," };
                        words.push_str(&format!("{comma} {count} {}", outcome.word()));
                    }
                }
                words.push('.');
                words
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(run: &mut Verification, outcome: Outcome) {
        let place = run.findings.len();
        let (id, promise) = PROMISES[place];
        assert!(run.is_checking(place) && run.finding(place).is_none());
        run.found(Finding {
            id,
            promise,
            outcome,
            evidence: "seen".to_owned(),
        });
        assert_eq!(run.finding(place).unwrap().id, id);
    }

    #[test]
    fn a_run_says_how_far_it_is_and_what_came_of_it() {
        let mut run = Verification::default();
        assert_eq!(run.words(), "");
        run.begin();
        found(&mut run, Outcome::Skipped);
        assert_eq!(run.words(), "Verifying: 1 of 7 checked.");
        for _ in 0..5 {
            found(&mut run, Outcome::Pass);
        }
        found(&mut run, Outcome::Fail);
        assert!(!run.is_running());
        assert_eq!(run.words(), "Verified: 1 FAIL, 5 pass, 1 skip.");
        run.stop();
        assert_eq!(run.words(), "Verified: 1 FAIL, 5 pass, 1 skip.");
    }

    #[test]
    fn a_stopped_run_keeps_what_it_saw_until_the_next() {
        let mut run = Verification::default();
        run.begin();
        found(&mut run, Outcome::Pass);
        run.stop();
        assert_eq!(run.words(), "Stopped: 1 of 7 were checked.");
        assert!(run.finding(0).is_some() && !run.is_checking(1));
        run.begin();
        assert_eq!(run.words(), "Verifying: 0 of 7 checked.");
    }
}
