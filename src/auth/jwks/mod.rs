//! Keys from the issuer's key set (JWKS, RFC 7517), kept and renewed.
//!
//! The address is the configured one and no other: what a token says about where its key is to be
//! found is never followed. There is one set, of one issuer, so that a key of another issuer cannot
//! be mistaken for one of this by its id. Pair it with `jwt-issuer` where the set is shared.
//!
//! A set is used for [`MAX_AGE_MS`]; then, or when a token names a key that is not in it, it is
//! fetched anew: once for everyone who waits, and at most every [`MIN_INTERVAL_MS`]. When that fails
//! the last good set stays in use.

mod fetch;
mod set;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::protocol::{ErrorCode, Refusal};

use super::keys::Key;

pub(super) use fetch::check_url;
use set::KeySet;

/// How long a set is used without asking again.
const MAX_AGE_MS: u64 = 10 * 60 * 1000;
/// The shortest time between two fetches while there is a set.
const MIN_INTERVAL_MS: u64 = 30 * 1000;
/// The same while there is none yet: nobody can come in, so it is worth asking sooner.
const FIRST_INTERVAL_MS: u64 = 1000;
/// How long a fetch may take in all.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The key set of one issuer.
#[derive(Clone, Debug)]
pub struct Jwks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    url: http::Uri,
    started: Instant,
    /// Fetches run here: whoever waits may go away, and the fetch still ends.
    runtime: Handle,
    state: Mutex<State>,
    /// Counts the fetches that ended.
    ended: watch::Sender<u64>,
}

/// What is known, as a machine without a clock or a socket.
#[derive(Debug)]
struct State {
    set: Option<(KeySet, u64)>,
    asked_ms: Option<u64>,
    asking: bool,
    /// Whether the last fetch failed.
    away: bool,
    min_interval_ms: u64,
}

/// What to do about a token that names a key.
enum Found {
    Key(Key),
    /// There is no such key.
    No,
    /// The issuer cannot be asked, so we cannot know.
    Away,
    /// Fetch the set, then look again; where there is a key, it is used meanwhile.
    Fetch(Option<Key>),
    /// Somebody does so already.
    Wait,
}

impl State {
    const fn new(min_interval_ms: u64) -> Self {
        Self {
            set: None,
            asked_ms: None,
            asking: false,
            away: false,
            min_interval_ms,
        }
    }

    /// Looks for a key; marks the fetch as begun when it answers [`Found::Fetch`].
    fn find(&mut self, now_ms: u64, kid: Option<&str>) -> Found {
        let key = self.set.as_ref().and_then(|(set, _)| set.find(kid));
        let fresh = self
            .set
            .as_ref()
            .is_some_and(|(_, at)| now_ms - at < MAX_AGE_MS);
        let interval = match self.set {
            Some(_) => self.min_interval_ms,
            None => FIRST_INTERVAL_MS.min(self.min_interval_ms),
        };
        let may_ask = self.asked_ms.is_none_or(|at| now_ms - at >= interval);
        match key {
            Some(key) if fresh => Found::Key(key.clone()),
            // While the issuer is away nobody waits for it who need not.
            Some(key) if self.away && self.asking => Found::Key(key.clone()),
            _ if self.asking => Found::Wait,
            _ if may_ask => {
                self.asking = true;
                self.asked_ms = Some(now_ms);
                Found::Fetch(key.filter(|_| self.away).cloned())
            }
            Some(key) => Found::Key(key.clone()),
            None if self.away => Found::Away,
            None => Found::No,
        }
    }

    fn fetched(&mut self, now_ms: u64, set: Option<KeySet>) {
        self.asking = false;
        self.away = set.is_none();
        if let Some(set) = set {
            self.set = Some((set, now_ms));
        }
    }
}

impl Jwks {
    /// The key set at this address; it is fetched when the first token comes.
    #[must_use]
    pub fn new(url: http::Uri, runtime: Handle) -> Self {
        Self::with_interval(url, runtime, MIN_INTERVAL_MS)
    }

    fn with_interval(url: http::Uri, runtime: Handle, min_interval_ms: u64) -> Self {
        Self(Arc::new(Shared {
            url,
            started: Instant::now(),
            runtime,
            state: Mutex::new(State::new(min_interval_ms)),
            ended: watch::Sender::new(0),
        }))
    }

    /// Its address.
    pub(super) fn url(&self) -> &http::Uri {
        &self.0.url
    }

    /// The key, when no fetch is needed to know.
    ///
    /// # Errors
    /// As [`Jwks::key`].
    pub(super) fn key_now(&self, kid: Option<&str>) -> Option<Result<Key, Refusal>> {
        self.look(kid).ok()
    }

    /// The key that a token names. Without a name it is the set's only one.
    ///
    /// # Errors
    /// [`ErrorCode::AuthFailed`] when there is none; [`ErrorCode::NotAvailable`] when the issuer
    /// cannot be asked.
    pub(super) async fn key(&self, kid: Option<&str>) -> Result<Key, Refusal> {
        // Before looking, so that no end of a fetch is missed.
        let mut ended = self.0.ended.subscribe();
        // The second look comes after a fetch that began after the token did, or was just ending.
        for _ in 0..2 {
            if let Ok(answer) = self.look(kid) {
                return answer;
            }
            // The sender lives as long as we do.
            let _ = ended.changed().await;
        }
        self.look(kid).unwrap_or_else(|Waiting| Err(away()))
    }

    fn look(&self, kid: Option<&str>) -> Result<Result<Key, Refusal>, Waiting> {
        let found = self.0.state.lock().find(self.now_ms(), kid);
        match found {
            Found::Key(key) => Ok(Ok(key)),
            Found::No => {
                let text = "the token's key (kid) is not in the issuer's key set";
                Ok(Err(Refusal::new(ErrorCode::AuthFailed, text)))
            }
            Found::Away => Ok(Err(away())),
            Found::Wait => Err(Waiting),
            Found::Fetch(known) => {
                let this = self.clone();
                self.0.runtime.spawn(async move { this.fetch().await });
                known.map(Ok).ok_or(Waiting)
            }
        }
    }

    async fn fetch(&self) {
        let answer = tokio::time::timeout(FETCH_TIMEOUT, fetch::get(&self.0.url)).await;
        let set = answer
            .unwrap_or_else(|_| Err("it did not answer in time".to_owned()))
            .and_then(|body| KeySet::parse(&body));
        if let Err(reason) = &set {
            tracing::warn!(url = %self.0.url, reason, "the key set could not be fetched");
        }
        self.0.state.lock().fetched(self.now_ms(), set.ok());
        self.0.ended.send_modify(|count| *count += 1);
    }

    fn now_ms(&self) -> u64 {
        self.0.started.elapsed().as_millis() as u64
    }
}

/// A fetch is under way.
struct Waiting;

fn away() -> Refusal {
    let text = "the issuer's keys cannot be fetched now; try again";
    Refusal::new(ErrorCode::NotAvailable, text)
}

#[cfg(test)]
mod tests;
