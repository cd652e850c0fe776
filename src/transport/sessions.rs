//! Sessions across sockets (promise I6): held while a socket lives, kept when it is gone, found again
//! by `resume`, taken over from an older socket.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_local;

use crate::backbone::{SessionId, SessionRecord, SessionTopic, Unavailable};
use crate::hub::{HeldByNewer, LocalTopic, Whereabouts};
use crate::protocol::{CloseCode, Epoch, ErrorCode, Position, Refusal, SeqNo};
use crate::session::{Held, Input, Resumed, session_id};

use super::connection::{Connection, Key};
use super::shard::{Shard, State};
use super::{Command, TakeOver, Taken};

/// How often a session may go from one socket to another while it is searched for.
const MOST_SEARCHES: usize = 8;

/// A session that was searched for.
type Found = Result<Result<Option<SessionRecord>, Unavailable>, HeldByNewer>;

/// What becomes of a session when its connection lets go of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It can be resumed.
    Kept,
    /// Another connection has it.
    Moved,
}

fn expired() -> Refusal {
    let text = "this session is unknown, has expired or is another user's; send setup, then subscribe with lastSeq";
    Refusal::new(ErrorCode::SessionExpired, text)
}

impl Shard {
    /// The session of this connection; a new one, if it holds none yet.
    pub(super) fn hold_session(&self, state: &mut State, key: Key) -> SessionId {
        let Some(connection) = state.get(key) else {
            return 0;
        };
        if let Some(id) = connection.session_id {
            return id;
        }
        let id = uuid::Uuid::new_v4().as_u128();
        connection.session_id = Some(id);
        let whereabouts = self.whereabouts(key, connection);
        // Nobody else knows the id yet.
        let _ = self.gateway.live().claim(id, whereabouts);
        id
    }

    const fn whereabouts(&self, key: Key, connection: &Connection) -> Whereabouts {
        Whereabouts {
            shard: self.id,
            key,
            order: connection.order(),
        }
    }

    /// Finds the session and makes it this connection's; `None`, because the answer comes later.
    pub(super) fn resume(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        name: &str,
    ) -> Option<Result<Resumed, Refusal>> {
        let connection = state.get(key)?;
        let user = connection.principal.as_ref()?.user.clone();
        let own = connection.session_id;
        let Some(id) = session_id(name).filter(|id| own != Some(*id)) else {
            return Some(Err(self.give_up_session(state, key, expired())));
        };
        connection.waiting = true;
        let order = connection.order();
        let shard = self.clone();
        spawn_local(async move {
            let found = shard.search(id, &user, order).await;
            shard.found(key, id, found);
        });
        None
    }

    /// Asks the socket that holds the session, then for what is kept of it. Where it went from one to the
    /// other meanwhile, they are asked again.
    async fn search(&self, id: SessionId, user: &Arc<str>, order: u64) -> Found {
        let live = self.gateway.live();
        let mut holder = live.find(id);
        for _ in 0..MOST_SEARCHES {
            if let Some(record) = self.ask_holder(holder, id, user, order).await? {
                return Ok(Ok(Some(record)));
            }
            let now = self.gateway.now();
            let kept = self.gateway.sessions().claim(now, id, user).await;
            let before = std::mem::replace(&mut holder, live.find(id));
            if !matches!(kept, Ok(None)) || holder == before {
                return Ok(kept);
            }
        }
        Ok(Ok(None))
    }

    /// Has the older socket let go of the session.
    async fn ask_holder(
        &self,
        holder: Option<Whereabouts>,
        id: SessionId,
        user: &Arc<str>,
        order: u64,
    ) -> Taken {
        let Some(holder) = holder else {
            return Ok(None);
        };
        let (reply, answer) = oneshot::channel();
        let asked = TakeOver {
            id,
            user: user.clone(),
            order,
            // Until the one that asks has it, others find it there.
            fate: Fate::Kept,
            reply,
        };
        self.tell(holder, asked);
        answer.await.unwrap_or(Ok(None))
    }

    fn tell(&self, holder: Whereabouts, asked: TakeOver) {
        if let Some(shard) = self.peers.get(usize::from(holder.shard)) {
            shard.tell(Command::TakeOver(holder.key, asked));
        }
    }

    fn found(self: &Rc<Self>, key: Key, id: SessionId, found: Found) {
        let mut found = Some(found);
        self.with(key, |state, now_ms| {
            let Some(connection) = state.get(key) else {
                return;
            };
            connection.waiting = false;
            if !connection.is_open() {
                return;
            }
            let answer = match found.take() {
                Some(Ok(answer)) => self.adopt_session(state, key, id, answer),
                _ => Err(self.is_outrun(state, key)),
            };
            self.run(state, key, now_ms, Input::Resumed(answer), None);
        });
        if let Some(Ok(Ok(Some(record)))) = found {
            // Who asked is gone: the session waits for the next one.
            let live = self.gateway.live();
            live.while_free(id, || self.keep(id, &record));
        }
    }

    /// Makes a session that was found this connection's.
    fn adopt_session(
        &self,
        state: &mut State,
        key: Key,
        id: SessionId,
        answer: Result<Option<SessionRecord>, Unavailable>,
    ) -> Result<Resumed, Refusal> {
        let Some(connection) = state.get(key) else {
            return Err(expired());
        };
        let whereabouts = self.whereabouts(key, connection);
        let Some(user) = connection.principal.as_ref().map(|p| p.user.clone()) else {
            return Err(expired());
        };
        let record = match answer {
            Ok(Some(record)) if *record.user == *user => record,
            Ok(_) => return Err(self.give_up_session(state, key, expired())),
            Err(unavailable) => return Err(self.give_up_session(state, key, unavailable.into())),
        };
        self.release(state, key);
        let Ok(other) = self.gateway.live().claim(id, whereabouts) else {
            return Err(self.is_outrun(state, key));
        };
        if let Some(other) = other.filter(|other| (other.shard, other.key) != (self.id, key)) {
            // Two sockets resumed it at the same moment: the newer one has it, the other is closed.
            let (reply, _) = oneshot::channel();
            let order = whereabouts.order;
            let fate = Fate::Moved;
            let asked = TakeOver {
                id,
                user,
                order,
                fate,
                reply,
            };
            self.tell(other, asked);
        }
        if let Some(connection) = state.get(key) {
            connection.session_id = Some(id);
            connection.resuming = Some(Box::new(record.clone()));
        }
        let topics = record.topics.into_iter().map(|held| Held {
            topic: held.topic,
            qos: held.qos,
            position: Position {
                epoch: Some(held.epoch),
                seq_no: held.seq_no,
            },
        });
        Ok(Resumed {
            session_id: id,
            topics: topics.collect(),
        })
    }

    /// A newer socket has the session that this connection resumes: its peer gave this one up before
    /// the `resume` was read.
    fn is_outrun(&self, state: &mut State, key: Key) -> Refusal {
        let refusal = self.give_up_session(state, key, expired());
        let now_ms = self.now_ms();
        if let Some(connection) = state.get(key) {
            connection.close(now_ms, CloseCode::TakenOver);
        }
        refusal
    }

    /// The connection goes back to the time before its `resume`.
    fn give_up_session(&self, state: &mut State, key: Key, why: Refusal) -> Refusal {
        self.release(state, key);
        if let Some(connection) = state.get(key) {
            connection.principal = None;
        }
        why
    }

    /// The connection no longer holds the session that it was given by its token.
    fn release(&self, state: &mut State, key: Key) {
        if let Some(id) = state.get(key).and_then(|c| c.session_id.take()) {
            self.gateway.live().release(id, self.id, key, || {});
        }
    }

    /// A newer socket wants the session: hands it over and closes with 4009, if it is of the same user.
    /// Who asks from an older socket gets nothing: its peer has given that one up.
    pub(super) fn hand_over(self: &Rc<Self>, key: Key, asked: TakeOver) {
        let mut taken = Ok(None);
        self.with(key, |state, now_ms| {
            let theirs = |c: &&mut Connection| {
                let user = c.principal.as_ref().map(|p| &p.user);
                c.session_id == Some(asked.id) && user == Some(&asked.user)
            };
            match state.get(key).filter(theirs) {
                None => {}
                Some(connection) if connection.order() > asked.order => taken = Err(HeldByNewer),
                Some(_) => {
                    taken = Ok(self.detach(state, key, asked.fate));
                    if let Some(connection) = state.get(key) {
                        connection.close(now_ms, CloseCode::TakenOver);
                    }
                }
            }
        });
        let _ = asked.reply.send(taken);
    }

    /// Takes the connection's topics and its session away from it. Called as soon as it is given no
    /// more messages, so that the session's positions are those of what it was sent.
    pub(super) fn detach(&self, state: &mut State, key: Key, fate: Fate) -> Option<SessionRecord> {
        let record = self.record(state, key);
        state.topics.leave_all(key.0, |topic, local| {
            self.gateway.leave(&topic, self.id, local);
        });
        self.metrics.set_subscriptions(state.topics.subscriptions());
        let connection = state.get(key)?;
        let record = match connection.resuming.take() {
            Some(resuming) => Some(*resuming),
            None => record.filter(|_| connection.was_set_up),
        };
        let id = connection.session_id.take()?;
        self.gateway.live().release(id, self.id, key, || {
            if let Some(record) = record.as_ref().filter(|_| fate == Fate::Kept) {
                self.keep(id, record);
            }
        });
        record
    }

    /// Keeps a session whose socket is gone.
    fn keep(&self, id: SessionId, record: &SessionRecord) {
        let now = self.gateway.now();
        let expires = now.unix_ms + self.limits.get().session_ttl.as_millis() as u64;
        self.gateway.sessions().save(now, id, record, Some(expires));
    }

    /// `ready` was sent: the session is what this connection makes of it from now on.
    pub(super) fn session_is_ready(&self, state: &mut State, key: Key) {
        let Some(connection) = state.get(key) else {
            return;
        };
        connection.is_set_up();
        let resumed = connection.resuming.take();
        if let Some(id) = connection.session_id.filter(|_| resumed.is_some()) {
            let live = self.gateway.live();
            live.while_held(id, self.id, key, || self.gateway.sessions().forget(id));
        }
    }

    /// Keeps the session for the case that this process dies, where that can help.
    pub(super) fn keep_live_session(&self, state: &mut State, key: Key) {
        if !self.gateway.sessions().outlives_the_process() {
            return;
        }
        let id = state
            .get(key)
            .filter(|c| c.was_set_up)
            .and_then(|c| c.session_id);
        if let (Some(id), Some(record)) = (id, self.record(state, key)) {
            let (live, sessions) = (self.gateway.live(), self.gateway.sessions());
            live.while_held(id, self.id, key, || {
                sessions.save(self.gateway.now(), id, &record, None);
            });
        }
    }

    /// Writes every session, a few at a time.
    pub(super) async fn keep_sessions(self: Rc<Self>) {
        for keys in self
            .keys_where(|connection| connection.was_set_up)
            .chunks(64)
        {
            for key in keys {
                self.with(*key, |state, _| self.keep_live_session(state, *key));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The session as it stands.
    fn record(&self, state: &mut State, key: Key) -> Option<SessionRecord> {
        let connection = state.get(key)?;
        let user = connection.principal.as_ref()?.user.to_string();
        let mut unsent: HashMap<LocalTopic, SeqNo> = HashMap::new();
        for (local, seq_no) in connection.unsent() {
            let first = unsent.entry(local).or_insert(seq_no);
            *first = seq_no.min(*first);
        }
        let acked: HashMap<LocalTopic, SeqNo> = connection
            .windows()
            .map(|(local, window)| (*local, window.acked()))
            .collect();
        let topics = state.topics.of(key.0).map(|member| {
            let acked = acked.get(&member.local).copied();
            // An epoch that equals none: it will be told that it cannot go on from there.
            let (handed, epoch) = member.handed.unwrap_or_else(|| (0, Epoch::new("")));
            let sent = match unsent.get(&member.local) {
                Some(first) => handed.min(first.saturating_sub(1)),
                None => handed,
            };
            SessionTopic {
                topic: member.topic,
                qos: u8::from(acked.is_some()),
                seq_no: acked.unwrap_or(sent),
                epoch,
            }
        });
        let topics = topics.collect();
        Some(SessionRecord { user, topics })
    }
}
