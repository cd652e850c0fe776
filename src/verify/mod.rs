//! `micro-socket verify URL`: asks a live gateway for evidence of the seven promises, as a client.
//!
//! It speaks on topics of its own, `verify.<random>.<promise>`, and ends within its time. `report`
//! says what came of it, `checks` judges what was seen; both are pure. `peer` is a socket, `promises`
//! and `access` speak on it.
//!
//! Uses: client, protocol.

mod access;
mod checks;
mod peer;
mod promises;
mod report;
mod stats;

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::Token;

pub use report::{Finding, Outcome, Report};

/// What to verify, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The gateway: `http://host:port`, `ws://host:port/ws` or `host:port`.
    pub url: String,
    /// Speaks for a user that may read and write `verify.*`; with demo auth any text.
    pub token: Token,
    /// A topic that the token does not allow.
    pub denied_topic: Option<String>,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// Runs the seven promises, one after the other. Never takes longer than the request's timeout.
pub async fn run(request: &Request) -> Report {
    let ends = Instant::now() + request.timeout;
    let mut findings = Vec::new();
    let target = match peer::Target::new(&request.url, request.token.clone()) {
        Ok(target) => target,
        Err(why) => return Report::failed(&request.url, &why),
    };
    if let Err(why) = within(ends, target.user(&[])).await {
        return Report::failed(&request.url, &why);
    }
    let denied = request.denied_topic.as_deref();
    findings.push(finding("I1", "access", ends, access::check(&target, denied)).await);
    findings.push(finding("I2", "dedup", ends, promises::dedup(&target)).await);
    findings.push(finding("I3", "order", ends, promises::order(&target)).await);
    findings.push(finding("I4", "delivery", ends, promises::delivery(&target)).await);
    findings.push(finding("I5", "latency", ends, promises::latency(&target)).await);
    findings.push(finding("I6", "resume", ends, promises::resume(&target)).await);
    findings.push(finding("I7", "integrity", ends, promises::integrity(&target)).await);
    Report::new(&request.url, findings)
}

async fn finding(
    id: &'static str,
    promise: &'static str,
    ends: Instant,
    check: impl Future<Output = Result<(Outcome, String), String>>,
) -> Finding {
    let (outcome, evidence) = within(ends, check)
        .await
        .unwrap_or_else(|why| (Outcome::Fail, why));
    Finding {
        id,
        promise,
        outcome,
        evidence,
    }
}

async fn within<T>(
    ends: Instant,
    check: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    tokio::time::timeout_at(ends, check)
        .await
        .unwrap_or_else(|_| Err("not done within --timeout".to_owned()))
}
