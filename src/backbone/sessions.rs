//! Sessions whose socket is gone, kept so that they can go on (promise I6).
//!
//! A session is who it is of and where it stood in each topic. A client's own positions come first;
//! what is kept here serves the topics it gives none for.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::protocol::{Epoch, SeqNo, Topic};

use super::shares::{SHARES, Shares};
use super::{Answer, Now, Unavailable};

/// The most sessions that are kept in memory. Beyond, the oldest of those go who hold the most: nobody
/// can push out the others' sessions with many of their own.
pub(super) const MAX_SESSIONS: usize = 200_000;
/// The most bytes of sessions that are kept in memory.
pub(super) const MAX_BYTES: usize = 128 << 20;

/// One subscription of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTopic {
    /// The topic.
    pub topic: Topic,
    /// 0, or 1 with client acks.
    pub qos: u8,
    /// What was sent (qos 0) or acknowledged (qos 1).
    pub seq_no: SeqNo,
    /// The epoch of that number.
    pub epoch: Epoch,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Only this user may go on with it.
    pub user: String,
    /// Its subscriptions, in the order they are to be answered in.
    pub topics: Vec<SessionTopic>,
}

impl SessionRecord {
    pub(super) fn bytes(&self) -> usize {
        let topics = self.topics.iter().map(|t| t.topic.as_str().len() + 64);
        self.user.len() + 160 + topics.sum::<usize>()
    }
}

/// A session as it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredSession {
    pub(crate) user: String,
    topics: Vec<(String, u8, SeqNo, String)>,
}

impl From<&SessionRecord> for StoredSession {
    fn from(record: &SessionRecord) -> Self {
        let topic = |t: &SessionTopic| {
            let (topic, epoch) = (t.topic.as_str().to_owned(), t.epoch.as_str().to_owned());
            (topic, t.qos, t.seq_no, epoch)
        };
        Self {
            user: record.user.clone(),
            topics: record.topics.iter().map(topic).collect(),
        }
    }
}

impl From<StoredSession> for SessionRecord {
    fn from(stored: StoredSession) -> Self {
        let topics = stored.topics.into_iter();
        let topics = topics.map(|(topic, qos, seq_no, epoch)| SessionTopic {
            topic: Topic::trusted(&topic),
            qos,
            seq_no,
            epoch: Epoch::new(&epoch),
        });
        Self {
            user: stored.user,
            topics: topics.collect(),
        }
    }
}

/// A session's id: 128 random bits.
pub type SessionId = u128;

/// Where sessions are kept.
pub trait Sessions: Send + Sync + 'static {
    /// Keeps a session. With `expires_unix_ms` its socket is gone; without, its socket lives, and it
    /// is kept for the case that this process dies.
    fn save(&self, now: Now, id: SessionId, record: &SessionRecord, expires_unix_ms: Option<u64>);

    /// Whether [`Sessions::save`] is wanted while the socket lives.
    fn outlives_the_process(&self) -> bool;

    /// How often it is wanted at least, because what was saved gets too old.
    fn renewed_every(&self) -> Option<Duration> {
        None
    }

    /// The user's session, if it is kept and has not expired. Where several gateways share what is
    /// kept, it is this one's from now on, and the one that held it closes its socket.
    fn claim(
        &self,
        now: Now,
        id: SessionId,
        user: &str,
    ) -> Answer<Result<Option<SessionRecord>, Unavailable>>;

    /// The session's socket lives: what was kept is of no use any more.
    fn forget(&self, id: SessionId);

    /// Finishes what was begun. Returns when all of it is as safe as it can be; may wait for a disk.
    fn close(&self) {}
}

/// Sessions in this process, bounded by count and bytes.
#[derive(Default)]
pub struct MemorySessions(Mutex<Kept>);

struct Kept {
    sessions: HashMap<SessionId, (u64, SessionRecord)>,
    shares: Shares,
    /// What each share of the users holds.
    held: [Held; SHARES],
    bytes: usize,
}

#[derive(Default)]
struct Held {
    /// By expiry, with their bytes: the first is the next to go.
    expiries: BTreeMap<(u64, SessionId), usize>,
    bytes: usize,
}

impl Held {
    /// How much that is, where sessions and bytes are counted alike.
    fn weight(&self) -> usize {
        (self.bytes / MAX_BYTES.div_ceil(MAX_SESSIONS)).max(self.expiries.len())
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            shares: Shares::default(),
            held: std::array::from_fn(|_| Held::default()),
            bytes: 0,
        }
    }
}

impl Kept {
    fn remove(&mut self, id: SessionId) -> Option<SessionRecord> {
        let (expires, record) = self.sessions.remove(&id)?;
        let held = &mut self.held[self.shares.of(&record.user)];
        let bytes = held.expiries.remove(&(expires, id)).unwrap_or_default();
        held.bytes -= bytes;
        self.bytes -= bytes;
        Some(record)
    }

    fn trim(&mut self, unix_ms: u64) {
        for share in 0..SHARES {
            while let Some((&(expires, id), _)) = self.held[share].expiries.first_key_value()
                && expires <= unix_ms
            {
                self.remove(id);
            }
        }
        while self.sessions.len() > MAX_SESSIONS || self.bytes > MAX_BYTES {
            let most = self.held.iter().max_by_key(|held| held.weight());
            let next = most.and_then(|held| held.expiries.first_key_value());
            let Some((&(_, id), _)) = next else {
                break;
            };
            self.remove(id);
        }
    }
}

impl MemorySessions {
    /// Every session with its expiry.
    pub(super) fn all(&self) -> Vec<(SessionId, u64, SessionRecord)> {
        let kept = self.0.lock();
        let sessions = kept.sessions.iter();
        sessions
            .map(|(id, (expires, record))| (*id, *expires, record.clone()))
            .collect()
    }
}

impl Sessions for MemorySessions {
    fn save(&self, now: Now, id: SessionId, record: &SessionRecord, expires_unix_ms: Option<u64>) {
        let Some(expires) = expires_unix_ms else {
            return;
        };
        let bytes = record.bytes();
        let mut kept = self.0.lock();
        kept.remove(id);
        kept.sessions.insert(id, (expires, record.clone()));
        let share = kept.shares.of(&record.user);
        let held = &mut kept.held[share];
        held.expiries.insert((expires, id), bytes);
        held.bytes += bytes;
        kept.bytes += bytes;
        kept.trim(now.unix_ms);
    }

    fn outlives_the_process(&self) -> bool {
        false
    }

    fn claim(
        &self,
        now: Now,
        id: SessionId,
        user: &str,
    ) -> Answer<Result<Option<SessionRecord>, Unavailable>> {
        let mut kept = self.0.lock();
        kept.trim(now.unix_ms);
        let record = kept.sessions.get(&id).map(|(_, record)| record);
        Answer::Ready(Ok(record.filter(|record| record.user == user).cloned()))
    }

    fn forget(&self, id: SessionId) {
        self.0.lock().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_ms: u64) -> Now {
        Now {
            mono_ns: 0,
            unix_ms,
        }
    }

    fn record(user: &str) -> SessionRecord {
        SessionRecord {
            user: user.to_owned(),
            topics: Vec::new(),
        }
    }

    fn load(sessions: &MemorySessions, unix_ms: u64, id: SessionId) -> Option<SessionRecord> {
        let user = sessions
            .0
            .lock()
            .sessions
            .get(&id)
            .map(|(_, r)| r.user.clone());
        match sessions.claim(at(unix_ms), id, &user.unwrap_or_default()) {
            Answer::Ready(answer) => answer.unwrap(),
            Answer::Later(_) => panic!("memory answers at once"),
        }
    }

    #[test]
    fn a_session_is_kept_until_it_expires() {
        let sessions = MemorySessions::default();
        sessions.save(at(0), 7, &record("ann"), Some(100));
        assert_eq!(load(&sessions, 99, 7), Some(record("ann")));
        assert_eq!(load(&sessions, 100, 7), None);
        assert_eq!(sessions.0.lock().bytes, 0);
    }

    #[test]
    fn saving_again_replaces_and_forgetting_forgets() {
        let sessions = MemorySessions::default();
        sessions.save(at(0), 7, &record("ann"), Some(100));
        sessions.save(at(0), 7, &record("bob"), Some(200));
        assert_eq!(load(&sessions, 150, 7), Some(record("bob")));
        sessions.forget(7);
        assert_eq!(load(&sessions, 150, 7), None);
        assert!(sessions.0.lock().held.iter().all(|h| h.expiries.is_empty()));
    }

    #[test]
    fn too_many_push_out_those_that_expire_first() {
        let sessions = MemorySessions::default();
        for id in 0..=MAX_SESSIONS {
            sessions.save(at(0), id as SessionId, &record("u"), Some(1000 + id as u64));
        }
        assert_eq!(load(&sessions, 0, 0), None);
        assert!(load(&sessions, 0, 1).is_some());
    }

    #[test]
    fn a_user_with_many_does_not_push_out_one_with_few() {
        let sessions = MemorySessions::default();
        let quiet: Vec<String> = {
            let kept = sessions.0.lock();
            let users = (0..10).map(|i| format!("quiet{i}"));
            let apart = |user: &String| kept.shares.of(user) != kept.shares.of("flood");
            users.filter(apart).collect()
        };
        for (id, user) in (0..).zip(&quiet) {
            // They expire first, and would go first if that decided.
            sessions.save(at(0), id, &record(user), Some(1000));
        }
        for id in 0..=MAX_SESSIONS {
            sessions.save(at(0), 100 + id as SessionId, &record("flood"), Some(2000));
        }
        for (id, user) in (0..).zip(&quiet) {
            assert_eq!(load(&sessions, 0, id), Some(record(user)));
        }
        assert_eq!(load(&sessions, 0, 100), None);
        assert!(sessions.0.lock().sessions.len() <= MAX_SESSIONS);
    }
}
