//! `micro-socket verify URL`, and the same on the page: asks a live gateway for evidence of the seven
//! promises, as a client.
//!
//! It speaks on topics of its own, `verify.<random>.<promise>`, and ends within its time. `report`
//! says what came of it, `checks` judges what was seen; both are pure. `peer` is a socket, `promises`
//! and `access` speak on it. `http` asks for `/stats` where no browser does.
//!
//! Uses: client, protocol.

mod access;
mod checks;
#[cfg(not(target_arch = "wasm32"))]
mod http;
mod peer;
mod promises;
mod report;
mod stats;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::client::by_hand::{Clock, within};
use crate::protocol::Token;

use report::Broken;

pub use report::{Finding, Outcome, PROMISES, Report};

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
#[cfg(not(target_arch = "wasm32"))]
pub async fn run(request: &Request) -> Report {
    run_with(request, http::get, |_| {}).await
}

/// What a check saw.
type Seen = Result<(Outcome, String), Broken>;

/// The same with the caller's own way to `get` the body of a URL (`None` where it cannot be asked), and a
/// word on each promise as soon as it is checked.
pub async fn run_with(
    request: &Request,
    get: impl AsyncFn(String) -> Result<Option<String>, String>,
    mut tell: impl FnMut(&Finding),
) -> Report {
    let clock = Clock::start();
    let ends = clock.now() + request.timeout;
    let mut failed = |why: String| {
        let report = Report::failed(&request.url, &why);
        report.promises.iter().for_each(&mut tell);
        report
    };
    let target = match peer::Target::new(&request.url, request.token.clone()) {
        Ok(target) => target,
        Err(why) => return failed(why),
    };
    let opening = async { Ok(target.user(&[]).await?) };
    if let Err(broken) = in_time(request.timeout, opening).await {
        return failed(broken.into_finding().1);
    }
    let denied = request.denied_topic.as_deref();
    let checks: [Pin<Box<dyn Future<Output = Seen> + '_>>; PROMISES.len()] = [
        Box::pin(access::check(&target, denied)),
        Box::pin(promises::dedup(&target)),
        Box::pin(promises::order(&target)),
        Box::pin(promises::delivery(&target)),
        Box::pin(promises::latency(&target, &get)),
        Box::pin(promises::resume(&target)),
        Box::pin(promises::integrity(&target)),
    ];
    let mut findings = Vec::with_capacity(checks.len());
    for ((id, promise), check) in PROMISES.into_iter().zip(checks) {
        let left = ends.saturating_sub(clock.now());
        let seen = in_time(left, check).await;
        let (outcome, evidence) = seen.unwrap_or_else(Broken::into_finding);
        let finding = Finding {
            id,
            promise,
            outcome,
            evidence,
        };
        tell(&finding);
        findings.push(finding);
    }
    Report::new(&request.url, findings)
}

async fn in_time<T>(
    left: Duration,
    check: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    let done = within(left, check).await;
    done.unwrap_or_else(|| Err("not done within the timeout".to_owned().into()))
}
