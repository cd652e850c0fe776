//! The evidence in words: a verdict and a sentence a promise.

use super::super::client::Client;
use super::super::gateway::Measured;
use super::super::text::span;
use super::Evidence;
use crate::verify::PROMISES;

/// What the evidence says of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Something was seen, and all of it fits.
    Holds,
    /// Something was seen that must not be.
    Broken,
    /// What is measured was held against its target and missed it, which breaks no promise.
    Missed,
    /// Nothing was seen that could tell.
    Nothing,
}

impl Verdict {
    fn of(broken: bool, seen: bool) -> Self {
        match (broken, seen) {
            (true, _) => Self::Broken,
            (false, true) => Self::Holds,
            (false, false) => Self::Nothing,
        }
    }

    /// In a word or three.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Broken => "BROKEN",
            Self::Missed => "target missed",
            Self::Nothing => "nothing seen yet",
        }
    }
}

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// What the evidence says.
    pub verdict: Verdict,
    /// What was seen, or what would show something.
    pub words: String,
}

/// A number and what it counts.
fn count(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

fn percentiles([p50, p95, p99]: [f64; 3]) -> String {
    format!("p50 {} p95 {} p99 {}", span(p50), span(p95), span(p99))
}

impl Evidence {
    /// The promises in the order of [`PROMISES`], with what the gateway says of its latency.
    pub(in super::super) fn promises(
        &self,
        clients: &[Client],
        gateway: Option<&Measured>,
    ) -> [Promise; PROMISES.len()] {
        let received = self.received_since(clients);
        let promise = |broken, seen, words, hint: &str| {
            let verdict = Verdict::of(broken, seen);
            let words = match verdict {
                Verdict::Nothing => hint.to_owned(),
                Verdict::Holds | Verdict::Broken | Verdict::Missed => words,
            };
            Promise { verdict, words }
        };
        let Self {
            access,
            effects,
            own,
            returns,
            ..
        } = self;
        let messages = count(received.received, "message");
        let short = clients
            .iter()
            .flat_map(|client| client.continuity().topics().values())
            .filter(|record| record.fell_short())
            .count() as u64;
        [
            promise(
                access.leaks > 0,
                access.refusals > 0,
                format!(
                    "{}; {} came of what was refused",
                    count(access.refusals, "refusal"),
                    count(access.leaks, "message")
                ),
                "Ask for something that is not allowed: a frame before setup will do.",
            ),
            promise(
                effects.wrong + received.doubles > 0,
                effects.duplicates > 0,
                format!(
                    "{}, {} of them duplicate; {} with two effects, {} twice",
                    count(effects.acks, "ack"),
                    effects.duplicates,
                    count(effects.wrong, "id"),
                    count(received.doubles, "message")
                ),
                "Publish with Keep ID ticked, twice.",
            ),
            promise(
                received.disorder + self.differing > 0,
                received.received > 0,
                format!(
                    "{messages}, {} out of order; {} where clients saw different messages",
                    received.disorder,
                    count(self.differing, "place")
                ),
                "Subscribe a topic and publish to it.",
            ),
            promise(
                received.gaps > 0,
                received.received > 0,
                format!(
                    "{messages}, {}; {} told",
                    count(received.gaps, "hidden gap"),
                    count(returns.told, "gap")
                ),
                "Subscribe a topic and publish to it.",
            ),
            self.latency(gateway),
            promise(
                short > 0 && returns.recovered > 0,
                returns.resumes + returns.recovered + returns.told > 0,
                format!(
                    "{}: {} went on, {} expired; {} recovered with {}, {} told as lost, {} short",
                    count(returns.resumes, "resume"),
                    returns.resumed,
                    returns.expired,
                    count(returns.recovered, "topic"),
                    count(returns.replayed, "message"),
                    returns.told,
                    short
                ),
                "Disconnect, connect again and send resume.",
            ),
            promise(
                own.changed > 0,
                own.compared > 0,
                format!(
                    "{} of this page's own, {}: {} changed on the way",
                    count(own.compared, "payload"),
                    count(own.bytes, "byte"),
                    own.changed
                ),
                "Publish to a topic that a client here subscribes.",
            ),
        ]
    }

    fn latency(&self, gateway: Option<&Measured>) -> Promise {
        let mine = self.latencies();
        let seen = mine.count;
        let mut words = "Publish to a topic that a client here subscribes.".to_owned();
        if seen > 0 {
            words = format!(
                "Here, {} from publish to deliver: {}.",
                count(seen, "message"),
                percentiles(mine.percentiles)
            );
        }
        let Some(measured) = gateway else {
            let verdict = Verdict::Nothing;
            return Promise { verdict, words };
        };
        if measured.times.count > 0 {
            let judgement = match measured.is_met() {
                None => "too few to judge",
                Some(true) => "met",
                Some(false) => "missed",
            };
            words.push_str(&format!(
                " In the gateway since its start, {} from accept to write: {}. Target {} ms for {} %; {} in the last {}: {judgement}.",
                count(measured.times.count, "message"),
                percentiles(measured.times.percentiles),
                measured.target_ms,
                (measured.objective * 10_000.0).round() / 100.0,
                count(measured.judged, "message"),
                count(measured.window_s / 60, "minute"),
            ));
        }
        let verdict = match measured.is_met() {
            Some(false) => Verdict::Missed,
            _ => Verdict::of(false, seen > 0),
        };
        Promise { verdict, words }
    }
}
