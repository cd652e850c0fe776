//! What came of it, as text and as JSON. Pure.

use std::fmt;

use serde::Serialize;

use crate::protocol::ErrorCode;

/// What became of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The evidence is there.
    Pass,
    /// The promise does not hold, or nothing could be seen of it in time.
    Fail,
    /// This gateway, as it is set up, has nothing to show for it.
    Skipped,
}

impl Outcome {
    /// The outcome in a word; the one that must not be overlooked stands out.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Skipped => "skip",
        }
    }
}

/// Why a check ended early.
pub(super) enum Broken {
    /// What is wrong with the promise.
    Promise(String),
    /// The gateway, as it is set up, takes in less than the check needs.
    Limit(String),
}

impl Broken {
    pub(super) fn into_finding(self) -> (Outcome, String) {
        match self {
            Self::Promise(why) => (Outcome::Fail, why),
            Self::Limit(why) => (Outcome::Skipped, why),
        }
    }
}

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Self::Promise(why)
    }
}

/// One promise and its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `I1` to `I7`.
    pub id: &'static str,
    /// Its name.
    pub promise: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// What was seen: counts, sequences, percentiles; or what went wrong.
    pub evidence: String,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether none failed.
    pub ok: bool,
    /// The gateway.
    pub url: String,
    /// One a promise, in their order.
    pub promises: Vec<Finding>,
    /// Why nothing could be seen at all.
    #[serde(skip)]
    pub unseen: Option<String>,
}

/// The promises and their names, in their order.
pub const PROMISES: [(&str, &str); 7] = [
    ("I1", "access"),
    ("I2", "dedup"),
    ("I3", "order"),
    ("I4", "delivery"),
    ("I5", "latency"),
    ("I6", "resume"),
    ("I7", "integrity"),
];

impl Report {
    pub(super) fn new(url: &str, promises: Vec<Finding>) -> Self {
        Self {
            ok: promises.iter().all(|f| f.outcome != Outcome::Fail),
            url: url.to_owned(),
            promises,
            unseen: None,
        }
    }

    /// Nothing could be seen at all.
    pub(super) fn failed(url: &str, why: &str) -> Self {
        let promises = PROMISES.map(|(id, promise)| Finding {
            id,
            promise,
            outcome: Outcome::Fail,
            evidence: why.to_owned(),
        });
        Self {
            unseen: Some(why.to_owned()),
            ..Self::new(url, promises.into())
        }
    }

    /// As JSON, on several lines.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and booleans only: writing them to memory cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.unseen {
            writeln!(f, "FAIL  nothing could be checked: {why}")?;
            if why.contains(ErrorCode::AuthFailed.as_str()) {
                writeln!(f, "      give a token that the gateway takes with --token")?;
            }
            return Ok(());
        }
        for finding in &self.promises {
            let outcome = finding.outcome.word();
            let Finding { id, promise, .. } = finding;
            writeln!(f, "{id} {promise:<9} {outcome}  {}", finding.evidence)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        let evidence = "3 seen".to_owned();
        let finding = Finding {
            id: "I3",
            promise: "order",
            outcome,
            evidence,
        };
        Report::new("u", vec![finding])
    }

    #[test]
    fn only_a_failure_is_one() {
        assert!(report(Outcome::Pass).ok && report(Outcome::Skipped).ok);
        assert!(!report(Outcome::Fail).ok);
        let failed = Report::failed("u", "gone");
        assert_eq!((failed.ok, failed.promises.len()), (false, 7));
        assert_eq!(failed.to_string(), "FAIL  nothing could be checked: gone\n");
        let refused = Report::failed("u", "AUTH_FAILED: no").to_string();
        assert!(refused.contains("--token"), "{refused}");
    }

    #[test]
    fn one_line_a_promise_and_the_same_as_json() {
        let report = report(Outcome::Fail);
        assert_eq!(report.to_string(), "I3 order     FAIL  3 seen\n");
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(json["promises"][0]["outcome"], "fail");
        assert_eq!(json["promises"][0]["evidence"], "3 seen");
    }
}
