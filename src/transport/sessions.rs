//! Sessions across sockets (promise I6): held while a socket lives, kept when it is gone, found again
//! by `resume`, taken over from an older socket.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_local;

use crate::backbone::{Answer, SessionId, SessionRecord, SessionTopic, Unavailable};
use crate::hub::{HeldByNewer, LocalTopic, Whereabouts};
use crate::protocol::{CloseCode, Epoch, ErrorCode, Position, Refusal, SeqNo};
use crate::session::{Held, Input, Resumed, session_id};

use super::connection::{Connection, Key};
use super::shard::{Shard, State};
use super::{Command, TakeOver, Taken};

/// What becomes of a session when its connection lets go of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
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

    /// Finds the session and makes it this connection's; `None` when the answer comes later.
    pub(super) fn resume(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        name: &str,
    ) -> Option<Result<Resumed, Refusal>> {
        let user = state.get(key)?.principal.as_ref()?.user.clone();
        let Some(id) = session_id(name) else {
            return Some(Err(self.give_up_session(state, key, expired())));
        };
        match self.gateway.live().find(id) {
            Some(live) if (live.shard, live.key) == (self.id, key) => {
                Some(Err(self.give_up_session(state, key, expired())))
            }
            Some(live) => {
                let (reply, answer) = oneshot::channel();
                let order = state.get(key)?.order();
                let old = self.peers.get(usize::from(live.shard))?;
                old.tell(Command::TakeOver(
                    live.key,
                    TakeOver {
                        id,
                        user: user.clone(),
                        order,
                        reply,
                    },
                ));
                let taken = async move { answer.await.unwrap_or(Ok(None)) };
                self.resume_later(state, key, id, user, taken);
                None
            }
            None => match self.gateway.sessions().claim(self.gateway.now(), id, &user) {
                Answer::Ready(answer) => Some(self.adopt_session(state, key, id, answer)),
                later @ Answer::Later(_) => {
                    self.ask_later(state, key, id, later);
                    None
                }
            },
        }
    }

    /// Waits for the older socket to let go; where it is gone meanwhile, it has saved the session.
    fn resume_later(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        id: SessionId,
        user: Arc<str>,
        taken: impl Future<Output = Taken> + 'static,
    ) {
        if let Some(connection) = state.get(key) {
            connection.waiting = true;
        }
        let shard = self.clone();
        spawn_local(async move {
            let answer = match taken.await {
                Ok(Some(record)) => Ok(Some(record)),
                Err(HeldByNewer) => return shard.outrun(key),
                Ok(None) => {
                    let now = shard.gateway.now();
                    shard.gateway.sessions().claim(now, id, &user).await
                }
            };
            shard.resume_answered(key, id, answer);
        });
    }

    fn ask_later(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        id: SessionId,
        later: Answer<Result<Option<SessionRecord>, Unavailable>>,
    ) {
        if let Some(connection) = state.get(key) {
            connection.waiting = true;
        }
        let shard = self.clone();
        spawn_local(async move {
            let answer = later.await;
            shard.resume_answered(key, id, answer);
        });
    }

    fn resume_answered(
        self: &Rc<Self>,
        key: Key,
        id: SessionId,
        answer: Result<Option<SessionRecord>, Unavailable>,
    ) {
        self.with(key, |state, now_ms| {
            if let Some(connection) = state.get(key) {
                connection.waiting = false;
            }
            let answer = self.adopt_session(state, key, id, answer);
            self.run(state, key, now_ms, Input::Resumed(answer), None);
        });
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
        if let Some(other) = other.filter(|other| (other.shard, other.key) != (self.id, key))
            && let Some(shard) = self.peers.get(usize::from(other.shard))
        {
            // Two sockets resumed it at the same moment: the newer one has it, the other is closed.
            let (reply, _) = oneshot::channel();
            shard.tell(Command::TakeOver(
                other.key,
                TakeOver {
                    id,
                    user,
                    order: whereabouts.order,
                    reply,
                },
            ));
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

    fn outrun(self: &Rc<Self>, key: Key) {
        self.with(key, |state, now_ms| {
            if let Some(connection) = state.get(key) {
                connection.waiting = false;
            }
            let refusal = self.is_outrun(state, key);
            self.run(state, key, now_ms, Input::Resumed(Err(refusal)), None);
        });
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
    fn release(&self, state: &mut State, key: Key) -> Option<SessionId> {
        let id = state.get(key)?.session_id.take()?;
        self.gateway.live().release(id, self.id, key);
        Some(id)
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
                    taken = Ok(self.detach(state, key, Fate::Moved));
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
        let id = self.release(state, key)?;
        let record = record?;
        if fate == Fate::Kept {
            let now = self.gateway.now();
            let expires = now.unix_ms + self.limits.get().session_ttl.as_millis() as u64;
            self.gateway
                .sessions()
                .save(now, id, &record, Some(expires));
        }
        Some(record)
    }

    /// `ready` was sent: the session is what this connection makes of it from now on.
    pub(super) fn session_is_ready(&self, state: &mut State, key: Key) {
        let Some(connection) = state.get(key) else {
            return;
        };
        connection.is_set_up();
        let resumed = connection.resuming.take();
        if let Some(id) = connection.session_id.filter(|_| resumed.is_some()) {
            self.gateway.sessions().forget(id);
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
            self.gateway
                .sessions()
                .save(self.gateway.now(), id, &record, None);
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
