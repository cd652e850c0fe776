//! Verify: a run of checks that the page starts and can stop. It speaks on sockets of its own.

use std::time::Duration;

use futures_util::future::AbortHandle;
use leptos::prelude::*;

use super::super::browser;
use super::super::playground::evidence::verification::Verification;
use crate::protocol::Token;
use crate::verify::Request;

/// How long a run may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The run: what came of it so far, and how to stop it. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Verifying {
    /// What came of it so far.
    pub(crate) run: RwSignal<Verification>,
    stop: StoredValue<Option<AbortHandle>>,
}

impl Verifying {
    pub(super) fn new() -> Self {
        Self {
            run: RwSignal::new(Verification::default()),
            stop: StoredValue::new(None),
        }
    }

    /// Starts a run against a gateway in the place of the last one. An empty `denied_topic` is none.
    pub(crate) fn start(self, url: String, token: &str, denied_topic: &str) {
        self.stop();
        let denied_topic = denied_topic.trim();
        let request = Request {
            url,
            token: Token::new(token),
            denied_topic: (!denied_topic.is_empty()).then(|| denied_topic.to_owned()),
            timeout: TIMEOUT,
        };
        self.run.update(Verification::begin);
        let run = self.run;
        let handle = browser::verify(request, move |finding| {
            run.update(|run| run.found(finding.clone()));
        });
        self.stop.set_value(Some(handle));
    }

    /// Stops the run; what it saw stays.
    pub(crate) fn stop(self) {
        if let Some(handle) = self.stop.try_update_value(Option::take).flatten() {
            handle.abort();
        }
        self.run.update(Verification::stop);
    }
}
