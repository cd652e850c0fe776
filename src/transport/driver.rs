//! What a session wants, done: questions asked of the gateway, answers handed back, frames queued.

use std::borrow::Cow;
use std::rc::Rc;

use tokio::task::spawn_local;

use crate::backbone::{Answer, Publication, Published};
use crate::protocol::{Refusal, ServerMessage, write_server};
use crate::session::{Accepted, Input, Output, Outputs};
use crate::websocket::push_text;

use super::connection::Key;
use super::shard::{Shard, State};
use super::subscribe::{Pending, split};

/// Publishes of one connection whose answers are open; more are not read until some are there.
pub(super) const MAX_IN_FLIGHT: u32 = 1024;
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
    pub(super) fn run<'a>(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        now_ms: u64,
        input: Input<'a>,
        mut replay: Option<Pending>,
    ) {
        let mut out = Outputs::new();
        let mut input = Some(input);
        while let Some(next) = input.take() {
            // Nothing is done for one that is closed, such as who was kicked before an answer came.
            let Some(connection) = state.get(key).filter(|c| c.is_open()) else {
                return;
            };
            connection.session.handle(now_ms, next, &mut out);
            // Questions and publishes come last, so their answer follows what was wanted before.
            for output in out.drain(..) {
                match output {
                    Output::Send(mut message) => {
                        if let ServerMessage::Ready(ready) = &mut message {
                            ready.node = Some(self.gateway.node().to_owned().into());
                        }
                        if let ServerMessage::Error(error) = &message {
                            self.metrics.refused(error.code);
                        }
                        send(state, key, &message);
                        self.sent(state, key, &message);
                    }
                    Output::Close(code) => {
                        if let Some(connection) = state.get(key) {
                            connection.close(now_ms, code);
                        }
                    }
                    Output::Authenticate(token) => {
                        let answer = self.authenticate(state, key, &token);
                        input = answer.map(Input::Authenticated);
                    }
                    Output::Resume { session_id } => {
                        input = self.resume(state, key, &session_id).map(Input::Resumed);
                    }
                    Output::CountResume { complete } => {
                        self.gateway.shared_metrics().resumed(complete);
                    }
                    Output::Subscribe { topic, after, qos } => {
                        let answer = self.subscribe(state, key, &topic, after.as_ref(), qos);
                        if let Some(answer) = answer {
                            let (answer, pending) = split(answer);
                            input = Some(Input::Subscribed(answer));
                            replay = pending;
                        }
                    }
                    Output::Replay => {
                        if let Some(pending) = replay.take() {
                            self.send_replay(state, key, pending);
                        }
                        // It has a position only now.
                        self.keep_live_session(state, key);
                    }
                    Output::Ack { topic, seq_no } => {
                        input = self.acked(state, key, topic, seq_no);
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

    /// Keeps the session up to date where it outlives the process.
    fn sent(&self, state: &mut State, key: Key, message: &ServerMessage<'_>) {
        if matches!(message, ServerMessage::Ready(_)) {
            self.session_is_ready(state, key);
        }
        if matches!(
            message,
            ServerMessage::Ready(_) | ServerMessage::Unsubscribed(_)
        ) {
            self.keep_live_session(state, key);
        }
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
        let now = state.now;
        let connection = state.get(key)?;
        let principal = connection.principal.as_deref()?;
        let publication = Publication {
            user: &principal.user,
            topic: &topic,
            message_id: &message_id,
            payload,
            sig,
        };
        let result = match self.gateway.publish(now, principal, publication) {
            Err(refusal) => Err(refusal),
            Ok(Answer::Ready(answer)) => answer.map_err(Refusal::from),
            Ok(Answer::Later(later)) => {
                connection.in_flight += 1;
                let shard = self.clone();
                let (topic, message_id) = (topic.into_owned(), message_id.into_owned());
                spawn_local(async move {
                    let answer = Answer::Later(later).await;
                    shard.gateway.count_later(now, &answer);
                    shard.with(key, |state, now_ms| {
                        if let Some(connection) = state.get(key) {
                            connection.in_flight -= 1;
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

pub(super) fn send(state: &mut State, key: Key, message: &ServerMessage<'_>) {
    // Nothing follows a close, also where the answer to a publish comes after it.
    let Some(connection) = state.connections.get_mut(key.0) else {
        return;
    };
    if connection.generation == key.1 && connection.is_open() {
        if connection.out.capacity() == 0 {
            connection.out = state.spare.take();
        }
        push_text(&mut connection.out, |out| write_server(out, message));
    }
}
