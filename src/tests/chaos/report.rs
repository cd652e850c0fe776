//! What came of it: as text that is Markdown too, and as JSON. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::truth::Truth;

const PROMISES: [&str; 7] = ["I1", "I2", "I3", "I4", "I5", "I6", "I7"];

/// All of it.
#[derive(Serialize)]
pub struct Report {
    pub seed: u64,
    pub parts: Vec<Part>,
}

/// One gateway and what it went through.
#[derive(Serialize)]
pub struct Part {
    pub name: &'static str,
    /// What happened, and how often.
    pub counts: BTreeMap<&'static str, u64>,
    /// The promises that do not hold.
    pub broken: Vec<&'static str>,
    /// What broke them: the first of it.
    pub faults: Vec<String>,
    pub evidence: Vec<String>,
    /// Without garbage and with it.
    pub latency: Vec<Latency>,
    /// What should have happened, or it shows nothing, and did not.
    pub missing: Vec<&'static str>,
}

/// From publish to receipt, as the well-behaved have it, in milliseconds.
#[derive(Serialize)]
pub struct Latency {
    pub when: &'static str,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
    pub messages: usize,
    pub garbage_per_s: f64,
    /// Processor time of the gateway per time: 1 is a core.
    pub cores: f64,
}

impl Latency {
    /// Of sorted latencies in microseconds.
    pub fn new(
        when: &'static str,
        us: &[u32],
        garbage: u64,
        time: Duration,
        cpu: Duration,
    ) -> Self {
        let at = |percent: usize| {
            let rank = (us.len() * percent).div_ceil(100).max(1);
            us.get(rank - 1)
                .map_or(f64::NAN, |us| f64::from(*us) / 1000.0)
        };
        Self {
            when,
            p50: at(50),
            p99: at(99),
            max: at(100),
            messages: us.len(),
            garbage_per_s: garbage as f64 / time.as_secs_f64(),
            cores: cpu.as_secs_f64() / time.as_secs_f64(),
        }
    }
}

/// What should have happened and did not.
pub fn missing(truth: &Truth, wanted: &[&'static str]) -> Vec<&'static str> {
    let wanted = wanted.iter().copied();
    wanted.filter(|what| truth.count(what) == 0).collect()
}

impl Part {
    pub fn new(name: &'static str, truth: &Truth, wanted: &[&'static str]) -> Self {
        let broken = PROMISES.into_iter().filter(|promise| !truth.holds(promise));
        Self {
            name,
            counts: truth.counts().clone(),
            broken: broken.collect(),
            faults: truth.faults().to_vec(),
            evidence: Vec::new(),
            latency: Vec::new(),
            missing: missing(truth, wanted),
        }
    }

    /// By how much garbage makes p99 larger.
    fn ratio(&self) -> Option<f64> {
        match self.latency.as_slice() {
            [quiet, flood] => Some(flood.p99 / quiet.p99),
            _ => None,
        }
    }
}

impl Report {
    pub fn ok(&self) -> bool {
        self.parts.iter().all(|part| part.broken.is_empty())
    }

    pub fn missing(&self) -> Vec<&'static str> {
        self.parts
            .iter()
            .flat_map(|part| part.missing.clone())
            .collect()
    }

    /// In a line.
    pub fn summary(&self) -> String {
        let count = |what: &str| -> u64 {
            let parts = self.parts.iter();
            parts.filter_map(|part| part.counts.get(what)).sum()
        };
        let ratio = self
            .parts
            .iter()
            .find_map(|part| Some((part, part.ratio()?)));
        let ratio = ratio.map_or_else(String::new, |(part, ratio)| {
            let p99 = |at: usize| part.latency[at].p99;
            let (quiet, flood) = (p99(0), p99(1));
            format!("; p99 {quiet:.1} ms, with garbage {flood:.1} ms ({ratio:.1} x)")
        });
        format!(
            "{} received, {} cuts, {} kills{ratio}",
            count("received"),
            count("cuts") + count("cut in a resume"),
            count("killed")
        )
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            writeln!(f, "### {}\n", part.name)?;
            if !part.latency.is_empty() {
                writeln!(
                    f,
                    "| | p50 ms | p99 ms | max ms | messages | garbage sockets/s | cores of the gateway |"
                )?;
                writeln!(f, "|---|--:|--:|--:|--:|--:|--:|")?;
            }
            for Latency {
                when,
                p50,
                p99,
                max,
                messages,
                garbage_per_s,
                cores,
            } in &part.latency
            {
                writeln!(
                    f,
                    "| {when} | {p50:.2} | {p99:.2} | {max:.2} | {messages} | {garbage_per_s:.0} | {cores:.2} |"
                )?;
            }
            if let Some(ratio) = part.ratio() {
                writeln!(f, "\np99 with garbage is {ratio:.2} x that without.\n")?;
            }
            let counts: Vec<String> = (part.counts.iter())
                .map(|(what, count)| format!("{what} {count}"))
                .collect();
            writeln!(f, "{}.\n", counts.join(", "))?;
            for evidence in &part.evidence {
                writeln!(f, "* {evidence}")?;
            }
            match part.broken.as_slice() {
                [] => writeln!(f, "* I1 to I7 hold")?,
                broken => writeln!(f, "* BROKEN: {}", broken.join(", "))?,
            }
            for fault in &part.faults {
                writeln!(f, "  * {fault}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[test]
fn the_report_says_what_is_broken_and_what_is_missing() {
    let mut truth = Truth::keeping_all();
    truth.note("killed");
    let us: Vec<u32> = (1..=200).map(|ms| ms * 1000).collect();
    let second = Duration::from_secs(1);
    let latency = |when, us: &[u32]| Latency::new(when, us, 50, second, second / 2);
    let mut part = Part::new("everything", &truth, &["killed", "cuts"]);
    part.latency = vec![latency("quiet", &us[..100]), latency("garbage", &us)];
    assert_eq!(part.missing, ["cuts"]);
    let mut report = Report {
        seed: 7,
        parts: vec![part],
    };
    let summary = report.summary();
    assert!(
        summary.ends_with("1 kills; p99 99.0 ms, with garbage 198.0 ms (2.0 x)"),
        "{summary}"
    );
    assert!(
        report
            .to_string()
            .contains("| garbage | 100.00 | 198.00 | 200.00 | 200 | 50 | 0.50 |")
    );
    assert!(report.ok());
    truth.fault("I3", "disorder".to_owned());
    report.parts.push(Part::new("more", &truth, &[]));
    assert!(!report.ok());
    let text = report.to_string();
    assert!(text.contains("* BROKEN: I3\n  * I3: disorder\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["parts"][1]["broken"][0], "I3");
}
