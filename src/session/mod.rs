//! One connection's life as a state machine: set up, then subscribe, publish, acknowledge.
//!
//! The caller turns what happens into [`Input`]s and carries out the [`Output`]s in their order.
//! [`Output::Authenticate`], [`Output::Resume`] and [`Output::Subscribe`] are questions: they are always the last output,
//! and the caller hands in no frame before their answer. Time is a parameter, in milliseconds of any
//! monotonic clock.
//!
//! Invariant: pure. The session never sees a socket, a claim, a queue or a frame of bytes.
//!
//! Uses: protocol.

mod budget;
mod setup;
#[cfg(test)]
mod tests;
mod words;

use std::borrow::Cow;

use crate::protocol::message::{ClientAck, TopicOnly};
use crate::protocol::{
    ClientMessage, CloseCode, Epoch, ErrorCode, ErrorFrame, MessageId, NameError, Position,
    Publish, PublishAck, Ready, Refusal, ServerMessage, Subscribed, Topic, check_depth,
};

use budget::ErrorBudget;
use setup::Setup;

pub use budget::RateBudget;
pub use words::{Accepted, Attached, Held, Identity, Input, Limits, Output, Outputs, Resumed};

#[derive(Debug)]
enum Phase {
    /// Nothing valid came yet.
    New { deadline_ms: u64 },
    /// A question of `setup` is open.
    SettingUp(Box<Setup>),
    /// Frames of every kind are welcome.
    Ready,
    /// A `subscribe` is being answered.
    Subscribing(Topic),
    /// A `refresh` is being answered.
    Refreshing,
    /// A close went out.
    Closed,
}

/// The state machine; see the room's text for the rules of calling it.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    /// The topic in the URL, subscribed by `setup` before all others.
    preset: Option<Topic>,
    identity: Option<Box<Identity>>,
    limits: Limits,
    errors: ErrorBudget,
    rate: RateBudget,
}

impl Session {
    /// A connection that begins now, with the topic of its URL, if it has one.
    #[must_use]
    pub fn new(now_ms: u64, preset: Option<Topic>, limits: Limits) -> Self {
        Self {
            phase: Phase::New {
                deadline_ms: now_ms + limits.setup_timeout_ms,
            },
            preset,
            identity: None,
            limits,
            errors: ErrorBudget::default(),
            rate: RateBudget::default(),
        }
    }

    /// The topic in the URL.
    #[cfg(test)]
    pub(crate) fn preset(&self) -> Option<&Topic> {
        self.preset.as_ref()
    }

    /// Whether `setup` is done.
    #[must_use]
    pub fn is_set_up(&self) -> bool {
        self.identity.is_some() && !self.is_closed()
    }

    /// Whether a close went out.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// When to hand in [`Input::Deadline`], if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        match &self.phase {
            Phase::New { deadline_ms } => Some(*deadline_ms),
            Phase::Closed => None,
            Phase::SettingUp(_) | Phase::Ready | Phase::Subscribing(_) | Phase::Refreshing => {
                self.identity.as_ref()?.expires_at_ms
            }
        }
    }

    /// Takes an input and appends what is to be done about it.
    pub fn handle<'a>(&mut self, now_ms: u64, input: Input<'a>, out: &mut Outputs<'a>) {
        if self.is_closed() {
            return;
        }
        match input {
            Input::Frame(Ok(message)) => self.frame(now_ms, message, out),
            Input::Frame(Err(error)) => {
                let refusal = Refusal::new(ErrorCode::BadRequest, error.to_string());
                self.refuse(now_ms, refusal.into_frame(), out);
            }
            Input::Authenticated(answer) => self.authenticated(now_ms, answer, out),
            Input::Resumed(answer) => self.resumed(now_ms, answer, out),
            Input::AckRefused { topic, refusal } => {
                self.refuse(now_ms, refusal.into_frame().about(topic), out);
            }
            Input::Subscribed(answer) => self.subscribed(now_ms, answer, out),
            Input::Published {
                topic,
                message_id,
                result,
            } => out.push(Output::Send(match result {
                Ok(accepted) => ServerMessage::Ack(PublishAck {
                    message_id,
                    status: accepted.status,
                    topic: accepted.topic,
                    seq_no: accepted.seq_no,
                    epoch: accepted.epoch,
                }),
                Err(refusal) => {
                    ServerMessage::Error(refusal.into_frame().about(topic).publish(message_id))
                }
            })),
            Input::Deadline => self.deadline_came(now_ms, out),
            Input::Drain => self.close(CloseCode::Restart, out),
        }
    }

    fn frame<'a>(&mut self, now_ms: u64, message: ClientMessage<'a>, out: &mut Outputs<'a>) {
        match (&self.phase, message) {
            (_, ClientMessage::Ping) => out.push(Output::Send(ServerMessage::Pong)),
            (Phase::New { deadline_ms }, ClientMessage::Setup(setup)) => {
                let left_ms = deadline_ms.saturating_sub(now_ms);
                out.push(Output::Authenticate(setup.token.clone()));
                let setup = Setup::new(left_ms, self.preset.as_ref(), &setup);
                self.phase = Phase::SettingUp(Box::new(setup));
            }
            (Phase::New { deadline_ms }, ClientMessage::Resume(resume)) => {
                let left_ms = deadline_ms.saturating_sub(now_ms);
                out.push(Output::Authenticate(resume.token.clone()));
                let setup = Setup::resume(left_ms, resume);
                self.phase = Phase::SettingUp(Box::new(setup));
            }
            (Phase::New { .. }, _) => {
                let text = "send setup with a token first";
                self.refuse(now_ms, ErrorFrame::new(ErrorCode::AuthRequired, text), out);
            }
            (_, ClientMessage::Setup(_) | ClientMessage::Resume(_)) => {
                let text = "this socket is set up already; use subscribe for more topics";
                self.refuse(now_ms, ErrorFrame::new(ErrorCode::AlreadySetup, text), out);
            }
            (_, ClientMessage::Subscribe(subscribe)) => match Topic::new(&subscribe.topic) {
                Ok(topic) => {
                    self.phase = Phase::Subscribing(topic.clone());
                    let after = subscribe.last_seq.map(|seq_no| Position {
                        epoch: subscribe.epoch.as_deref().map(Epoch::new),
                        seq_no,
                    });
                    let qos = subscribe.qos;
                    out.push(Output::Subscribe { topic, after, qos });
                }
                Err(error) => self.bad_topic(now_ms, error, subscribe.topic, out),
            },
            (_, ClientMessage::Unsubscribe(TopicOnly { topic })) => match Topic::check(&topic) {
                Ok(()) => {
                    out.push(Output::Unsubscribe(topic.clone()));
                    let frame = ServerMessage::Unsubscribed(TopicOnly { topic });
                    out.push(Output::Send(frame));
                }
                Err(error) => self.bad_topic(now_ms, error, topic, out),
            },
            (_, ClientMessage::Publish(publish)) => self.publish(now_ms, publish, out),
            (_, ClientMessage::Ack(ClientAck { topic, seq_no })) => {
                out.push(Output::Ack { topic, seq_no });
            }
            (_, ClientMessage::Refresh(refresh)) => {
                self.phase = Phase::Refreshing;
                out.push(Output::Authenticate(refresh.token));
            }
        }
    }

    fn publish<'a>(&mut self, now_ms: u64, publish: Publish<'a>, out: &mut Outputs<'a>) {
        if let Err(error) = Topic::check(&publish.topic) {
            let frame = ErrorFrame::new(ErrorCode::BadTopic, error.to_string());
            let frame = frame.about(publish.topic).publish(publish.message_id);
            return self.refuse(now_ms, frame, out);
        }
        if let Err(error) = MessageId::check(&publish.message_id) {
            let frame = ErrorFrame::new(ErrorCode::BadRequest, error.to_string());
            return self.refuse(now_ms, frame.about(publish.topic), out);
        }
        if let Err(refusal) = check_depth(publish.payload.get()) {
            let frame = refusal.into_frame().about(publish.topic);
            return self.refuse(now_ms, frame.publish(publish.message_id), out);
        }
        if !self.rate.take(now_ms, self.limits.publish_rate) {
            let text = format!("at most {} publishes a second", self.limits.publish_rate);
            let frame = ErrorFrame::new(ErrorCode::TooManyRequests, text);
            let frame = frame.about(publish.topic).publish(publish.message_id);
            out.push(Output::Send(ServerMessage::Error(frame)));
            return;
        }
        out.push(Output::Publish {
            topic: publish.topic,
            message_id: publish.message_id,
            payload: publish.payload.get(),
            sig: publish.sig,
        });
    }

    fn subscribed(
        &mut self,
        now_ms: u64,
        answer: Result<Attached, Refusal>,
        out: &mut Outputs<'_>,
    ) {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Subscribing(topic) => answer_subscribe(&topic, answer, out),
            Phase::SettingUp(setup) => self.topic_of_setup(now_ms, setup, answer, out),
            phase => self.phase = phase,
        }
    }

    fn deadline_came(&mut self, now_ms: u64, out: &mut Outputs<'_>) {
        if self.deadline().is_none_or(|deadline| now_ms < deadline) {
            return;
        }
        if self.identity.is_some() {
            let text = "the token has expired; reconnect with a new one";
            let frame = ErrorFrame::new(ErrorCode::TokenExpired, text);
            out.push(Output::Send(ServerMessage::Error(frame)));
            self.close(CloseCode::TokenExpired, out);
        } else {
            self.close(CloseCode::SetupTimeout, out);
        }
    }

    fn ready<'a>(&self, now_ms: u64, resumed: bool) -> ServerMessage<'a> {
        let identity = self.identity.as_deref();
        ServerMessage::Ready(Ready {
            session_id: identity
                .map(|i| session_name(i.session_id))
                .unwrap_or_default()
                .into(),
            resumed,
            user_id: identity
                .map(|i| i.user_id.to_string())
                .unwrap_or_default()
                .into(),
            expires_in: identity
                .and_then(|i| i.expires_at_ms)
                .map(|at| at.saturating_sub(now_ms) / 1000),
            durability: identity.and_then(|i| i.durability.clone()).map(Into::into),
            // Whoever has the socket knows.
            node: None,
        })
    }

    fn bad_topic<'a>(
        &mut self,
        now_ms: u64,
        error: NameError,
        topic: Cow<'a, str>,
        out: &mut Outputs<'a>,
    ) {
        let frame = ErrorFrame::new(ErrorCode::BadTopic, error.to_string());
        self.refuse(now_ms, frame.about(topic), out);
    }

    /// Answers a client's mistake; too many of them in a short time end the connection.
    fn refuse<'a>(&mut self, now_ms: u64, frame: ErrorFrame<'a>, out: &mut Outputs<'a>) {
        out.push(Output::Send(ServerMessage::Error(frame)));
        if !self.errors.take(now_ms) {
            self.close(CloseCode::TooManyErrors, out);
        }
    }

    fn close(&mut self, code: CloseCode, out: &mut Outputs<'_>) {
        self.phase = Phase::Closed;
        out.push(Output::Close(code));
    }
}

/// A session's id on the wire.
#[must_use]
pub fn session_name(id: u128) -> String {
    format!("{id:032x}")
}

/// The session that a client names; `None` where no session has such a name.
#[must_use]
pub fn session_id(name: &str) -> Option<u128> {
    (name.len() == 32).then(|| u128::from_str_radix(name, 16).ok())?
}

/// The frames that answer a `subscribe`.
fn answer_subscribe(topic: &Topic, answer: Result<Attached, Refusal>, out: &mut Outputs<'_>) {
    match answer {
        Ok(attached) => {
            out.push(Output::Send(ServerMessage::Subscribed(Subscribed {
                topic: Cow::Owned(topic.as_str().to_owned()),
                seq_no: attached.seq_no,
                epoch: attached.epoch,
                recovered: attached.replay.map(|replay| replay.is_ok()),
                replayed: attached.replay.map(|replay| replay.unwrap_or(0)),
                reason: attached.replay.and_then(Result::err),
            })));
            out.push(Output::Replay);
        }
        Err(refusal) => {
            let frame = refusal.into_frame().about(topic.as_str().to_owned());
            out.push(Output::Send(ServerMessage::Error(frame)));
        }
    }
}
