//! The checks of [`crate::verify`], run from the browser.

use futures_util::future::{AbortHandle, Abortable};
use leptos::task::spawn_local;

use super::live::fetch;
use crate::verify::{Finding, Request, run_with};

/// `/stats` is where the page came from: that it cannot be reached is a fault.
async fn ask(url: String) -> Result<Option<String>, String> {
    fetch(url).await.map(Some)
}

/// Starts the checks; what each comes to is told as soon as it is known.
pub(crate) fn verify(request: Request, tell: impl Fn(&Finding) + 'static) -> AbortHandle {
    let (handle, registration) = AbortHandle::new_pair();
    let run = async move { run_with(&request, ask, tell).await };
    let run = Abortable::new(run, registration);
    spawn_local(async move { drop(run.await) });
    handle
}
