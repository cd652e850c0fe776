//! What a session wants, done: questions asked of the gateway, answers handed back, frames queued.

use std::borrow::Cow;
use std::rc::Rc;

use tokio::task::spawn_local;

use crate::backbone::{Answer, Publication, Published, Record, Replay, Unavailable};
use crate::hub::Joined;
use crate::protocol::{ErrorCode, Position, Refusal, ServerMessage, Topic};
use crate::session::{Accepted, Attached, Input, Output};
use crate::websocket::push_text;

use super::connection::Key;
use super::shard::{Local, Shard, State};

/// Publishes of one connection whose answers are open; more are not read until some are there.
pub(super) const MAX_IN_FLIGHT: u32 = 1024;
/// Replays up to this many bytes are copied into one write; larger ones are queued by reference.
const SMALL_REPLAY: usize = 32 * 1024;

/// A replay that was answered and is to be sent behind its `subscribed`.
struct Pending {
    local: Local,
    records: Vec<Record>,
    head: u64,
}

impl Shard {
    /// Hands an input to the session and does everything it wants, until it wants no more.
    pub(super) fn handle<'a>(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        now_ms: u64,
        input: Input<'a>,
    ) {
        self.run(state, key, now_ms, input, None);
    }

    /// [`Shard::handle`], with the replay that belongs to an answer handed in.
    fn run<'a>(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        now_ms: u64,
        input: Input<'a>,
        mut replay: Option<Pending>,
    ) {
        let mut out: Vec<Output<'a>> = Vec::new();
        let mut input = Some(input);
        while let Some(next) = input.take() {
            let Some(connection) = state.get(key) else {
                return;
            };
            connection.session.handle(now_ms, next, &mut out);
            // Questions and publishes come last, so their answer follows what was wanted before.
            for output in std::mem::take(&mut out) {
                match output {
                    Output::Send(message) => send(state, key, &message),
                    Output::Close(code) => {
                        if let Some(connection) = state.get(key) {
                            connection.close(now_ms, code);
                        }
                    }
                    Output::Authenticate(token) => {
                        let answer = self.authenticate(state, key, &token);
                        input = answer.map(Input::Authenticated);
                    }
                    Output::Subscribe { topic, after } => {
                        let answer = self.subscribe(state, key, &topic, after.as_ref());
                        if let Some(answer) = answer {
                            let (answer, pending) = split(answer);
                            input = Some(Input::Subscribed(answer));
                            replay = pending;
                        }
                    }
                    Output::Replay => {
                        if let Some(pending) = replay.take() {
                            send_replay(state, key, pending);
                        }
                    }
                    Output::Unsubscribe(topic) => self.unsubscribe(state, key, &topic),
                    Output::Publish {
                        topic,
                        message_id,
                        payload,
                        sig,
                    } => {
                        input =
                            self.publish(state, key, topic, message_id, payload, sig.as_deref());
                    }
                }
            }
        }
    }

    /// Attaches the topic; `None` when the answer comes later.
    fn subscribe(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        topic: &Topic,
        after: Option<&Position>,
    ) -> Option<Result<(Attached, Pending), Refusal>> {
        let principal = state.get(key)?.principal.clone()?;
        let slot = key.0;
        let mut joined = None;
        let asked = self
            .gateway
            .subscribe(self.gateway.now(), &principal, topic, after, || {
                let full = state.topics.count(slot) >= self.limits.max_topics;
                if full && state.topics.subscribed(slot, topic.as_str()).is_none() {
                    let text = format!(
                        "at most {} topics on one connection",
                        self.limits.max_topics
                    );
                    return Err(Refusal::new(ErrorCode::LimitExceeded, text));
                }
                let (local, how) = state.topics.join(slot, topic);
                if how == Joined::First {
                    self.gateway.hub().join(topic, self.id, local);
                }
                joined = Some((local, how));
                Ok(())
            });
        self.count_subscriptions(state);
        let (asked, (local, how)) = match (asked, joined) {
            (Ok(asked), Some(joined)) => (asked, joined),
            (Err(refusal), _) => return Some(Err(refusal)),
            (Ok(_), None) => return None,
        };
        let positioned = after.is_some();
        if positioned && how == Joined::Already {
            // What was live until now must not overtake the replay or come twice.
            state.topics.take_care(slot, local);
        }
        match asked {
            Answer::Ready(answer) => {
                Some(self.attached(state, key, topic, (local, how), positioned, answer))
            }
            Answer::Later(later) => {
                let (shard, topic) = (self.clone(), topic.clone());
                state.get(key)?.waiting = true;
                spawn_local(async move {
                    let answer = Answer::Later(later).await;
                    shard.with(key, |state, now_ms| {
                        if let Some(connection) = state.get(key) {
                            connection.waiting = false;
                            connection.wake_reader();
                        }
                        let answer =
                            shard.attached(state, key, &topic, (local, how), positioned, answer);
                        let (answer, pending) = split(answer);
                        shard.run(state, key, now_ms, Input::Subscribed(answer), pending);
                    });
                });
                None
            }
        }
    }

    fn attached(
        &self,
        state: &mut State,
        key: Key,
        topic: &Topic,
        (local, how): (Local, Joined),
        positioned: bool,
        answer: Result<Replay, Unavailable>,
    ) -> Result<(Attached, Pending), Refusal> {
        match answer {
            Ok(replay) => {
                let outcome = replay
                    .outcome
                    .map(|records| (records.len() as u64, records));
                let attached = Attached {
                    seq_no: replay.head.seq_no,
                    epoch: replay.head.epoch,
                    replay: positioned.then_some(match &outcome {
                        Ok((count, _)) => Ok(*count),
                        Err(reason) => Err(*reason),
                    }),
                };
                let records = outcome.map(|(_, records)| records).unwrap_or_default();
                let head = replay.head.seq_no;
                Ok((
                    attached,
                    Pending {
                        local,
                        records,
                        head,
                    },
                ))
            }
            Err(unavailable) => {
                if how != Joined::Already {
                    self.unsubscribe(state, key, topic.as_str());
                }
                Err(unavailable.into())
            }
        }
    }

    fn unsubscribe(&self, state: &mut State, key: Key, topic: &str) {
        if let Some((topic, local)) = state.topics.leave(key.0, topic) {
            self.gateway.hub().leave(&topic, self.id, local);
        }
        self.count_subscriptions(state);
    }

    /// Publishes; `None` when the answer comes later.
    fn publish<'a>(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        topic: Cow<'a, str>,
        message_id: Cow<'a, str>,
        payload: &str,
        sig: Option<&str>,
    ) -> Option<Input<'a>> {
        let connection = state.get(key)?;
        let principal = connection.principal.as_deref()?;
        let publication = Publication {
            user: &principal.user,
            topic: &topic,
            message_id: &message_id,
            payload,
            sig,
        };
        let result = match self
            .gateway
            .publish(self.gateway.now(), principal, publication)
        {
            Err(refusal) => Err(refusal),
            Ok(Answer::Ready(answer)) => answer.map_err(Refusal::from),
            Ok(Answer::Later(later)) => {
                connection.in_flight += 1;
                let shard = self.clone();
                let (topic, message_id) = (topic.into_owned(), message_id.into_owned());
                spawn_local(async move {
                    let answer = Answer::Later(later).await;
                    shard.with(key, |state, now_ms| {
                        if let Some(connection) = state.get(key) {
                            connection.in_flight -= 1;
                            connection.wake_reader();
                        }
                        if let Ok(published) = &answer {
                            shard.gateway.count(published.status);
                        }
                        let input = published(
                            topic.into(),
                            message_id.into(),
                            answer.map_err(Refusal::from),
                        );
                        shard.handle(state, key, now_ms, input);
                    });
                });
                return None;
            }
        };
        Some(published(topic, message_id, result))
    }
}

fn split(
    answer: Result<(Attached, Pending), Refusal>,
) -> (Result<Attached, Refusal>, Option<Pending>) {
    match answer {
        Ok((attached, pending)) => (Ok(attached), Some(pending)),
        Err(refusal) => (Err(refusal), None),
    }
}

fn published<'a>(
    topic: Cow<'a, str>,
    message_id: Cow<'a, str>,
    result: Result<Published, Refusal>,
) -> Input<'a> {
    let result = result.map(|published| Accepted {
        status: published.status,
        topic: match published.elsewhere {
            Some(first) => Cow::Owned(first.as_str().to_owned()),
            None => topic.clone(),
        },
        seq_no: published.seq_no,
        epoch: published.epoch,
    });
    Input::Published {
        topic,
        message_id,
        result,
    }
}

fn send(state: &mut State, key: Key, message: &ServerMessage<'_>) {
    // Nothing follows a close, also where the answer to a publish comes after it.
    if let Some(connection) = state.get(key).filter(|c| c.is_open()) {
        push_text(&mut connection.out, |out| {
            // Frames hold strings, numbers and checked JSON: writing them to memory cannot fail.
            let _ = serde_json::to_writer(out, message);
        });
    }
}

/// Sends a replay; the connection gets live messages behind it.
fn send_replay(state: &mut State, key: Key, pending: Pending) {
    let Some(connection) = state.get(key) else {
        return;
    };
    let bytes: usize = pending
        .records
        .iter()
        .map(|record| record.frame.len())
        .sum();
    if bytes <= SMALL_REPLAY {
        for record in &pending.records {
            connection.out.extend_from_slice(&record.frame);
        }
    } else {
        connection.queue_shared(pending.records.into_iter().map(|record| record.frame));
    }
    let after = connection.release_held(pending.local, pending.head);
    state.topics.settle(key.0, pending.local, after);
}
