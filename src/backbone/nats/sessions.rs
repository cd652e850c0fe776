//! Sessions in a bucket that every gateway sees.
//!
//! Whoever writes a session says which revision of it they know, and the server refuses all but the
//! first who know the same. So of two gateways that take a session over only one succeeds, and the
//! one that held it finds out with its next write, if it was not told before.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::sleep;

use super::bus::Bus;
use super::link::Link;
use super::load::{Load, Share};
use super::names;
use super::reader::ask_leader;
use crate::backbone::sessions::StoredSession;
use crate::backbone::{Answer, Now, SessionId, SessionRecord, Sessions, Unavailable, unix_ms};

/// The kind of question that asks a gateway to let go of a session.
pub const TAKE_OVER: &str = "take-over";
/// How long a gateway that holds a session may take to let go of it.
const LET_GO: Duration = Duration::from_secs(1);
/// The revision that is known is not the newest.
const NOT_THE_NEWEST: u32 = 10071;
/// Writes on their way at once.
const MOST_WRITES: usize = 256;
/// Pause before a write that failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// How often somebody else may be faster before we give up.
const MOST_RACES: usize = 8;
/// What a write has besides its body, in bytes.
const AROUND: usize = 256;
/// How often a session whose socket lives is written, or the bucket would forget it.
pub(super) const RENEWED_EVERY: Duration = Duration::from_secs(600);
/// How long sessions may still be written when the gateway ends.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// A session in the bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    session: StoredSession,
    /// The gateway that wrote it.
    node: String,
    /// When it ends; without, its socket lives on `node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

/// A session that this gateway holds, or has not finished writing.
#[derive(Default)]
struct Held {
    /// The newest revision in the bucket, as far as we know; 0 for none.
    revision: u64,
    /// What is to be written next.
    next: Option<Arc<Waiting>>,
    /// What is being written.
    in_hand: Option<Arc<Waiting>>,
    /// A write is on its way, or waits for its turn: there is one at a time.
    writing: bool,
    /// What was written last says that its socket is gone.
    ended: bool,
    /// Which of our claims of the session this is; 0 for one that began here.
    claim: u64,
}

impl Held {
    /// The newest that is not known to be in the bucket.
    fn unwritten(&self) -> Option<Entry> {
        let waiting = self.next.as_ref().or(self.in_hand.as_ref())?;
        Some(waiting.entry.clone())
    }
}

/// An entry that is not in the bucket yet.
struct Waiting {
    entry: Entry,
    /// Where its socket is gone.
    _share: Option<Share>,
}

/// Called with a session, and its user, that another gateway took.
pub(super) type OnTaken = Box<dyn Fn(SessionId, String) + Send + Sync>;

/// What is asked of the gateway that holds a session.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TakeOver {
    pub(crate) id: String,
    pub(crate) user: String,
}

struct Shared {
    link: Arc<Link>,
    bus: Bus,
    held: Mutex<HashMap<SessionId, Held>>,
    load: Arc<Load>,
    writes: mpsc::UnboundedSender<SessionId>,
    taken: OnceLock<OnTaken>,
    claims: AtomicU64,
}

/// Sessions that any gateway can go on with.
pub struct NatsSessions {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
}

impl NatsSessions {
    pub(super) fn new(link: Arc<Link>, bus: Bus) -> Self {
        let (writes, asked) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            link,
            bus,
            held: Mutex::default(),
            load: Arc::default(),
            writes,
            taken: OnceLock::new(),
            claims: AtomicU64::new(0),
        });
        shared.link.run(write_all(shared.clone(), asked));
        Self {
            shared,
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// From now on `taken` is called when another gateway has taken a session that this one held.
    pub fn when_taken(&self, taken: impl Fn(SessionId, String) + Send + Sync + 'static) {
        let _ = self.shared.taken.set(Box::new(taken));
    }

    /// Another gateway has taken the session: nothing more is written of it here. Returns what was
    /// not written yet of one whose socket is gone.
    pub(crate) fn let_go(&self, id: SessionId) -> Option<StoredSession> {
        let held = self.shared.held.lock().remove(&id)?;
        let unwritten = held.unwritten()?;
        unwritten.expires.map(|_| unwritten.session)
    }
}

impl Sessions for NatsSessions {
    fn save(&self, _: Now, id: SessionId, record: &SessionRecord, expires_unix_ms: Option<u64>) {
        let entry = Entry {
            session: StoredSession::from(record),
            node: self.shared.bus.node().to_owned(),
            expires: expires_unix_ms,
        };
        let share = expires_unix_ms.map(|_| self.shared.load.enter(record.bytes()));
        let mut held = self.shared.held.lock();
        if matches!(share, Some(None)) {
            // Nobody would write what is held of it.
            held.remove(&id);
            return;
        }
        let session = held.entry(id).or_default();
        session.next = Some(Arc::new(Waiting {
            entry,
            _share: share.flatten(),
        }));
        if !std::mem::replace(&mut session.writing, true) {
            let _ = self.shared.writes.send(id);
        }
    }

    fn outlives_the_process(&self) -> bool {
        true
    }

    fn renewed_every(&self) -> Option<Duration> {
        Some(RENEWED_EVERY)
    }

    fn claim(
        &self,
        now: Now,
        id: SessionId,
        user: &str,
    ) -> Answer<Result<Option<SessionRecord>, Unavailable>> {
        let (reply, later) = oneshot::channel();
        let (shared, user) = (self.shared.clone(), user.to_owned());
        let stop = shared.link.stop.clone();
        let claiming = async move {
            let _ = reply.send(shared.claim(now.unix_ms, id, &user).await);
        };
        self.runtime.spawn(stop.run_until_cancelled_owned(claiming));
        Answer::Later(later)
    }

    /// What is kept is replaced by what is saved next.
    fn forget(&self, _: SessionId) {}

    fn close(&self) {
        let deadline = Instant::now() + LAST_WRITES;
        let is_writing = || self.shared.held.lock().values().any(|held| held.writing);
        while is_writing() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What became of a write.
enum Written {
    /// It has this revision.
    Now(u64),
    /// The bucket has a newer one than we knew.
    Late,
    /// It will not be, however often it is tried.
    Never(String),
}

impl Shared {
    async fn claim(
        &self,
        unix_ms: u64,
        id: SessionId,
        user: &str,
    ) -> Result<Option<SessionRecord>, Unavailable> {
        let node = self.bus.node();
        for _ in 0..MOST_RACES {
            // Looked at first: by the time that the bucket is read it may have been written.
            let unwritten = self.held.lock().get(&id).and_then(Held::unwritten);
            let (stored, revision) = self.read(id).await?.unzip();
            let is_ours = |stored: &Entry| stored.node == node;
            let unwritten = unwritten.filter(|_| stored.as_ref().is_none_or(is_ours));
            let Some(found) = unwritten.or(stored) else {
                return Ok(None);
            };
            let gone = found.expires.is_some_and(|at| at <= unix_ms);
            if gone || found.session.user != user {
                return Ok(None);
            }
            let elsewhere = !is_ours(&found);
            let holder = (elsewhere && found.expires.is_none()).then(|| found.node.clone());
            let ours = Entry {
                node: node.to_owned(),
                expires: None,
                ..found
            };
            let revision = revision.unwrap_or(0);
            let Written::Now(revision) = self.write(id, &ours, revision).await? else {
                continue;
            };
            let unwritten = {
                let mut held = self.held.lock();
                let session = held.entry(id).or_default();
                session.revision = revision;
                session.claim = self.claims.fetch_add(1, Ordering::Relaxed) + 1;
                session.ended = false;
                let (next, in_hand) = (session.next.take(), session.in_hand.take());
                next.or(in_hand).filter(|_| !elsewhere)
            };
            // It knows the positions better than what it wrote last.
            let fresher = match holder {
                Some(holder) => self.ask_holder(&holder, id, user).await,
                None => unwritten.map(|waiting| waiting.entry.session.clone()),
            };
            return Ok(Some(fresher.unwrap_or(ours.session).into()));
        }
        Err(Unavailable("others take the session too".to_owned()))
    }

    async fn ask_holder(&self, holder: &str, id: SessionId, user: &str) -> Option<StoredSession> {
        let question = TakeOver {
            id: format!("{id:032x}"),
            user: user.to_owned(),
        };
        let body = serde_json::to_vec(&question).ok()?;
        let answer = self.bus.ask(holder, TAKE_OVER, body.into(), LET_GO).await?;
        serde_json::from_slice(&answer).ok()
    }

    async fn read(&self, id: SessionId) -> Result<Option<(Entry, u64)>, Unavailable> {
        let what = json!({ "last_by_subj": names::session(id) });
        let stored = ask_leader(&self.link, names::SESSIONS_STREAM, &what).await?;
        Ok(stored.and_then(|stored| {
            let entry = serde_json::from_slice(&stored.payload).ok()?;
            Some((entry, stored.seq_no))
        }))
    }

    async fn write(
        &self,
        id: SessionId,
        entry: &Entry,
        revision: u64,
    ) -> Result<Written, Unavailable> {
        let mut headers = HeaderMap::new();
        headers.insert(
            "Nats-Expected-Last-Subject-Sequence",
            revision.to_string().as_str(),
        );
        // Strings and numbers: writing them to memory cannot fail.
        let body = serde_json::to_vec(entry).unwrap_or_default();
        let most = self.link.client.server_info().max_payload;
        if body.len() + AROUND > most {
            let bytes = body.len();
            return Ok(Written::Never(format!(
                "it has {bytes} bytes and NATS takes {most}: raise the server's max_payload, or lower max-topics"
            )));
        }
        let subject = names::session(id);
        match self.link.store(subject, Some(headers), body.into()).await? {
            Ok(revision) => Ok(Written::Now(revision)),
            Err(error) if error.err_code == NOT_THE_NEWEST => Ok(Written::Late),
            Err(error) => Err(Unavailable(error.to_string())),
        }
    }

    /// Writes what is to be written of a session, until there is nothing more.
    async fn write_out(self: Arc<Self>, id: SessionId) {
        loop {
            let (waiting, revision, claim) = {
                let mut held = self.held.lock();
                let Some(session) = held.get_mut(&id) else {
                    return;
                };
                let Some(next) = session.next.take() else {
                    session.writing = false;
                    if session.ended {
                        // Whoever resumes it asks the bucket.
                        held.remove(&id);
                    }
                    return;
                };
                session.in_hand = Some(next.clone());
                (next, session.revision, session.claim)
            };
            let entry = &waiting.entry;
            match self.write(id, entry, revision).await {
                Ok(Written::Now(revision)) => self.written(id, claim, entry, revision),
                Ok(Written::Never(why)) => {
                    tracing::warn!(%why, "a session cannot be kept");
                    self.written(id, claim, entry, revision);
                }
                Ok(Written::Late) => match self.read(id).await {
                    // Ours, but for its answer that did not reach us.
                    Ok(Some((found, revision))) if found.node == entry.node => {
                        self.put_back(id, claim, Some(revision));
                    }
                    // Nobody has taken it: it is the bucket that has lost it.
                    Ok(None) => self.put_back(id, claim, Some(0)),
                    Ok(Some(_)) => {
                        if self.taken_away(id, claim)
                            && let Some(taken) = self.taken.get()
                        {
                            taken(id, entry.session.user.clone());
                        }
                    }
                    Err(_) => self.put_back(id, claim, None),
                },
                Err(unavailable) => {
                    tracing::debug!(%unavailable, "a session could not be written");
                    sleep(PAUSE).await;
                    if entry.expires.is_some_and(|at| at <= unix_ms()) {
                        self.give_up(id, claim);
                    } else {
                        self.put_back(id, claim, None);
                    }
                }
            }
        }
    }

    fn written(&self, id: SessionId, claim: u64, entry: &Entry, revision: u64) {
        if let Some(session) = self.held.lock().get_mut(&id)
            && session.claim == claim
        {
            session.in_hand = None;
            session.revision = revision;
            session.ended = entry.expires.is_some();
        }
    }

    /// Has it written again, unless there is something newer.
    fn put_back(&self, id: SessionId, claim: u64, revision: Option<u64>) {
        if let Some(session) = self.held.lock().get_mut(&id)
            && session.claim == claim
        {
            session.revision = revision.unwrap_or(session.revision);
            let in_hand = session.in_hand.take();
            session.next = session.next.take().or(in_hand);
        }
    }

    /// It ended before it could be written.
    fn give_up(&self, id: SessionId, claim: u64) {
        if let Some(session) = self.held.lock().get_mut(&id)
            && session.claim == claim
        {
            session.in_hand = None;
            session.ended = true;
        }
    }

    /// Another gateway has it; whether that was not known.
    fn taken_away(&self, id: SessionId, claim: u64) -> bool {
        let mut held = self.held.lock();
        let ours = held.get(&id).is_some_and(|session| session.claim == claim);
        ours && held.remove(&id).is_some()
    }
}

async fn write_all(shared: Arc<Shared>, mut asked: mpsc::UnboundedReceiver<SessionId>) {
    let room = Arc::new(Semaphore::new(MOST_WRITES));
    while let Some(id) = asked.recv().await {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        let writing = shared.clone().write_out(id);
        let stop = shared.link.stop.clone();
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            writing.await;
            drop(permit);
        }));
    }
}

#[cfg(test)]
mod tests;
