//! The way from `setup` to `ready`: the token first, then the topics in their order.

use std::collections::VecDeque;

use crate::protocol::{CloseCode, ErrorCode, ErrorFrame, Refusal, ServerMessage, Topic};

use super::{Attached, Identity, Output, Phase, Session, answer_subscribe};

/// What is left to do of a `setup`.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) deadline_ms: u64,
    /// The topic whose answer is awaited.
    asked: Option<Topic>,
    /// The topics still to ask for, as they came.
    rest: VecDeque<String>,
}

impl Setup {
    pub(super) fn new(
        deadline_ms: u64,
        preset: Option<&Topic>,
        setup: &crate::protocol::Setup<'_>,
    ) -> Self {
        let preset = preset.map(Topic::as_str);
        let topics = setup.topics.iter().map(AsRef::as_ref);
        Self {
            deadline_ms,
            asked: None,
            rest: preset
                .into_iter()
                .chain(topics)
                .map(str::to_owned)
                .collect(),
        }
    }
}

impl Session {
    pub(super) fn authenticated(
        &mut self,
        now_ms: u64,
        answer: Result<Identity, Refusal>,
        out: &mut Vec<Output<'_>>,
    ) {
        match (std::mem::replace(&mut self.phase, Phase::Ready), answer) {
            (Phase::SettingUp(setup), Ok(identity)) => {
                self.identity = Some(Box::new(identity));
                self.next_topic(now_ms, setup, out);
            }
            (Phase::Refreshing, Ok(identity)) => self.refreshed(now_ms, identity, out),
            (Phase::SettingUp(setup), Err(refusal)) if refusal.code.retryable() => {
                let deadline_ms = setup.deadline_ms;
                self.phase = Phase::New { deadline_ms };
                out.push(Output::Send(ServerMessage::Error(refusal.into_frame())));
            }
            (Phase::Refreshing, Err(refusal)) if refusal.code.retryable() => {
                out.push(Output::Send(ServerMessage::Error(refusal.into_frame())));
            }
            (_, Err(refusal)) => self.turn_away(refusal, out),
            (phase, Ok(_)) => self.phase = phase,
        }
    }

    fn refreshed(&mut self, now_ms: u64, fresh: Identity, out: &mut Vec<Output<'_>>) {
        match self.identity.as_mut() {
            Some(identity) if identity.user_id == fresh.user_id => {
                identity.expires_at_ms = fresh.expires_at_ms;
                for topic in fresh.denied {
                    let text = "the new token does not allow you to read this topic";
                    let frame = ErrorFrame::new(ErrorCode::AclDenied, text);
                    let name = topic.as_str().to_owned();
                    out.push(Output::Unsubscribe(name.clone().into()));
                    out.push(Output::Send(ServerMessage::Error(frame.about(name))));
                }
                out.push(Output::Send(self.ready(now_ms, false)));
            }
            _ => {
                let text = "the new token is another user's; open a new socket for it";
                self.turn_away(Refusal::new(ErrorCode::AuthFailed, text), out);
            }
        }
    }

    fn turn_away(&mut self, refusal: Refusal, out: &mut Vec<Output<'_>>) {
        let close = match refusal.code {
            ErrorCode::TokenExpired => CloseCode::TokenExpired,
            _ => CloseCode::AuthFailed,
        };
        out.push(Output::Send(ServerMessage::Error(refusal.into_frame())));
        self.close(close, out);
    }

    /// The answer for one topic of `setup` came; asks for the next or is ready.
    pub(super) fn topic_of_setup(
        &mut self,
        now_ms: u64,
        mut setup: Box<Setup>,
        answer: Result<Attached, Refusal>,
        out: &mut Vec<Output<'_>>,
    ) {
        if let Some(topic) = setup.asked.take() {
            answer_subscribe(&topic, answer, out);
        }
        self.next_topic(now_ms, setup, out);
    }

    fn next_topic(&mut self, now_ms: u64, mut setup: Box<Setup>, out: &mut Vec<Output<'_>>) {
        while let Some(name) = setup.rest.pop_front() {
            match Topic::new(&name) {
                Ok(topic) => {
                    setup.asked = Some(topic.clone());
                    self.phase = Phase::SettingUp(setup);
                    out.push(Output::Subscribe { topic, after: None });
                    return;
                }
                Err(error) => {
                    let frame = ErrorFrame::new(ErrorCode::BadTopic, error.to_string());
                    out.push(Output::Send(ServerMessage::Error(frame.about(name))));
                }
            }
        }
        self.phase = Phase::Ready;
        out.push(Output::Send(self.ready(now_ms, false)));
    }
}
