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
use super::names;
use super::reader::ask_leader;
use crate::backbone::sessions::StoredSession;
use crate::backbone::{Answer, Now, SessionId, SessionRecord, Sessions, Unavailable};

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
    next: Option<Entry>,
    /// A write is on its way, or waits for its turn: there is one at a time.
    writing: bool,
    /// What was written last says that its socket is gone.
    ended: bool,
    /// Which of our claims of the session this is; 0 for one that began here.
    claim: u64,
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

    /// Another gateway has taken the session: nothing more is written of it here.
    pub fn let_go(&self, id: SessionId) {
        self.shared.held.lock().remove(&id);
    }
}

impl Sessions for NatsSessions {
    fn save(&self, _: Now, id: SessionId, record: &SessionRecord, expires_unix_ms: Option<u64>) {
        let entry = Entry {
            session: StoredSession::from(record),
            node: self.shared.bus.node().to_owned(),
            expires: expires_unix_ms,
        };
        let mut held = self.shared.held.lock();
        let session = held.entry(id).or_default();
        session.next = Some(entry);
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
        for _ in 0..MOST_RACES {
            let Some((found, revision)) = self.read(id).await? else {
                return Ok(None);
            };
            let gone = found.expires.is_some_and(|at| at <= unix_ms);
            if gone || found.session.user != user {
                return Ok(None);
            }
            let node = self.bus.node().to_owned();
            let holder =
                (found.expires.is_none() && found.node != node).then(|| found.node.clone());
            let ours = Entry {
                node,
                expires: None,
                ..found
            };
            let Written::Now(revision) = self.write(id, &ours, revision).await? else {
                continue;
            };
            let unwritten = {
                let mut held = self.held.lock();
                let session = held.entry(id).or_default();
                session.revision = revision;
                session.claim = self.claims.fetch_add(1, Ordering::Relaxed) + 1;
                session.ended = false;
                session.next.take()
            };
            // It knows the positions better than what it wrote last.
            let fresher = match holder {
                Some(holder) => self.ask_holder(&holder, id, user).await,
                None => unwritten.map(|entry| entry.session),
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
            let (entry, revision, claim) = {
                let mut held = self.held.lock();
                let Some(session) = held.get_mut(&id) else {
                    return;
                };
                let Some(entry) = session.next.take() else {
                    session.writing = false;
                    if session.ended {
                        // Whoever resumes it asks the bucket.
                        held.remove(&id);
                    }
                    return;
                };
                (entry, session.revision, session.claim)
            };
            match self.write(id, &entry, revision).await {
                Ok(Written::Now(revision)) => self.written(id, claim, &entry, revision),
                Ok(Written::Never(why)) => {
                    tracing::warn!(%why, "a session cannot be kept");
                    self.written(id, claim, &entry, revision);
                }
                Ok(Written::Late) => match self.read(id).await {
                    // Ours, but for its answer that did not reach us.
                    Ok(Some((found, revision))) if found.node == entry.node => {
                        self.put_back(id, claim, entry, Some(revision));
                    }
                    // Nobody has taken it: it is the bucket that has lost it.
                    Ok(None) => self.put_back(id, claim, entry, Some(0)),
                    Ok(Some(_)) => {
                        if self.held.lock().remove(&id).is_some()
                            && let Some(taken) = self.taken.get()
                        {
                            taken(id, entry.session.user);
                        }
                    }
                    Err(_) => self.put_back(id, claim, entry, None),
                },
                Err(unavailable) => {
                    tracing::debug!(%unavailable, "a session could not be written");
                    sleep(PAUSE).await;
                    self.put_back(id, claim, entry, None);
                }
            }
        }
    }

    fn written(&self, id: SessionId, claim: u64, entry: &Entry, revision: u64) {
        if let Some(session) = self.held.lock().get_mut(&id)
            && session.claim == claim
        {
            session.revision = revision;
            session.ended = entry.expires.is_some();
        }
    }

    /// Has it written again, unless there is something newer.
    fn put_back(&self, id: SessionId, claim: u64, entry: Entry, revision: Option<u64>) {
        if let Some(session) = self.held.lock().get_mut(&id)
            && session.claim == claim
        {
            session.revision = revision.unwrap_or(session.revision);
            session.next.get_or_insert(entry);
        }
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
mod tests {
    use super::*;
    use crate::backbone::contract::nats_server::NatsServer;
    use crate::backbone::nats::{Nats, Options};
    use crate::backbone::{Events, Record, Retention, SessionTopic};
    use crate::protocol::{Epoch, Topic};

    struct Nobody;

    impl Events for Nobody {
        fn deliver(&self, _: &str, _: &Record, _: u64) {}
        fn lost(&self, _: &str) {}
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_session_that_nats_does_not_take_is_not_tried_for_ever() {
        let server = NatsServer::with("max_payload: 90000").await;
        let options = Options {
            servers: server.url().parse().into_iter().collect(),
            ..Options::default()
        };
        let retention = Retention {
            history_size: 10,
            history_ttl: Duration::from_secs(60),
            history_bytes: 1 << 20,
            dedup_ttl: Duration::from_secs(60),
            dedup_bytes: 1 << 20,
        };
        let nats = Nats::open(options, &retention, Arc::new(Nobody)).await;
        let sessions = nats.as_ref().unwrap().sessions();
        let topic = |n: usize| SessionTopic {
            topic: Topic::new(&format!("{n:0>250}")).unwrap(),
            qos: 0,
            seq_no: 1,
            epoch: Epoch::new("e"),
        };
        let record = SessionRecord {
            user: "ann".to_owned(),
            topics: (0..400).map(topic).collect(),
        };
        let now = Now {
            mono_ns: 0,
            unix_ms: 0,
        };
        sessions.save(now, 7, &record, Some(1000));
        let deadline = Instant::now() + Duration::from_secs(10);
        while !sessions.shared.held.lock().is_empty() {
            assert!(Instant::now() < deadline, "it is still tried");
            sleep(Duration::from_millis(10)).await;
        }
    }
}
