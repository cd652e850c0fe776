//! Which gateways there are: each keeps an entry of its own in a bucket that forgets who is silent.
//!
//! So a gateway that does not answer is missed by name, until it has been silent for so long that it
//! counts as gone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::names;
use crate::backbone::Unavailable;

/// Silence after which a gateway counts as gone.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// Gateways that are remembered.
pub(super) const MOST_NODES: u64 = 4096;
/// How often an entry is written anew.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);
/// How often is looked whether NATS is back, which is a reason to write at once.
const LOOK: Duration = Duration::from_millis(500);

/// Writes the entry, and keeps it fresh until `left`. Where it cannot be written now, it is as soon as that
/// is possible.
pub(super) async fn enter(link: &Arc<Link>, name: &str, left: &CancellationToken) {
    let first = write(link, name).await;
    if let Err(error) = &first {
        tracing::warn!(%error, "the entry of this gateway was not written; it is tried again");
    }
    let written = first.is_ok().then(Instant::now);
    let keeping = keep(link.clone(), name.to_owned(), written);
    let keeping = left.clone().run_until_cancelled_owned(keeping);
    link.run(async {
        keeping.await;
    });
}

async fn keep(link: Arc<Link>, name: String, mut written: Option<Instant>) {
    loop {
        sleep(LOOK).await;
        if !link.is_connected() {
            written = None;
        } else if written.is_none_or(|at| at.elapsed() >= WRITTEN_EVERY) {
            match write(&link, &name).await {
                Ok(()) => written = Some(Instant::now()),
                Err(error) => tracing::debug!(%error, "the entry of this gateway was not written"),
            }
        }
    }
}

async fn write(link: &Link, name: &str) -> Result<(), Unavailable> {
    let body = Bytes::from_static(b"{}");
    let written = link.store(names::present(name), None, body).await?;
    written
        .map(drop)
        .map_err(|error| Unavailable(error.to_string()))
}

/// Takes the entry away: the gateway goes, and nobody has to miss it.
pub(super) async fn leave(link: &Link, name: &str) -> Result<(), Unavailable> {
    let subject = format!("STREAM.PURGE.{}", names::NODES_STREAM);
    let body = json!({ "filter": names::present(name) });
    let answer = link.api::<serde_json::Value>(&subject, &body).await?;
    answer
        .map(drop)
        .map_err(|error| Unavailable(error.to_string()))
}

/// The names of all gateways, as far as they are not forgotten.
pub(super) async fn all(link: &Link) -> Result<BTreeSet<String>, Unavailable> {
    #[derive(Deserialize)]
    struct Answer {
        state: State,
    }
    #[derive(Deserialize)]
    struct State {
        #[serde(default)]
        subjects: Option<HashMap<String, u64>>,
    }
    let subject = format!("STREAM.INFO.{}", names::NODES_STREAM);
    let body = json!({ "subjects_filter": names::NODES_ALL });
    let answer = link.api::<Answer>(&subject, &body).await?;
    let state = answer
        .map_err(|error| Unavailable(error.to_string()))?
        .state;
    let subjects = state.subjects.unwrap_or_default();
    Ok(subjects.keys().filter_map(|key| names::who(key)).collect())
}
