//! The way from `setup` or `resume` to `ready`: the token first, then the session, then the topics in
//! their order.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use crate::protocol::{
    CloseCode, Epoch, ErrorCode, ErrorFrame, Position, Refusal, Resume, SeqNo, ServerMessage, Topic,
};

use super::{Attached, Identity, Output, Outputs, Phase, Resumed, Session, answer_subscribe};

/// What is left to do of a `setup` or `resume`.
#[derive(Debug)]
pub(super) struct Setup {
    /// What the client had left of its time when this came. It has it again when it has to try again: the
    /// time that answers take is not the client's.
    left_ms: u64,
    /// The topic whose answer is awaited.
    asked: Option<Topic>,
    /// The topics still to ask for.
    rest: VecDeque<Wanted>,
    /// What a `resume` gave.
    resume: Option<Given>,
    resumed: bool,
    /// Whether every topic went on from its position.
    complete: bool,
}

/// A topic to ask for, as it came.
#[derive(Debug)]
struct Wanted {
    name: String,
    after: Option<Position>,
    qos: Option<u8>,
}

/// The client's own positions.
#[derive(Debug)]
struct Given {
    session_id: String,
    last_seq: BTreeMap<String, SeqNo>,
    epochs: BTreeMap<String, String>,
}

impl Setup {
    pub(super) fn new(
        left_ms: u64,
        preset: Option<&Topic>,
        setup: &crate::protocol::Setup<'_>,
    ) -> Self {
        let preset = preset.map(Topic::as_str);
        let topics = setup.topics.iter().map(AsRef::as_ref);
        let wanted = |name: &str| Wanted {
            name: name.to_owned(),
            after: None,
            qos: setup.qos,
        };
        Self {
            left_ms,
            asked: None,
            rest: preset.into_iter().chain(topics).map(wanted).collect(),
            resume: None,
            resumed: false,
            complete: true,
        }
    }

    pub(super) fn resume(left_ms: u64, resume: Resume<'_>) -> Self {
        let owned =
            |(topic, epoch): (Cow<'_, str>, Cow<'_, str>)| (topic.into_owned(), epoch.into_owned());
        let last_seq = resume.last_seq_per_topic.into_iter();
        Self {
            left_ms,
            asked: None,
            rest: VecDeque::new(),
            resume: Some(Given {
                session_id: resume.session_id.into_owned(),
                last_seq: last_seq
                    .map(|(topic, seq)| (topic.into_owned(), seq))
                    .collect(),
                epochs: resume.epochs.into_iter().map(owned).collect(),
            }),
            resumed: false,
            complete: true,
        }
    }

    /// The topics of a session that was found, each from the client's position where it gave one,
    /// else from the session's; then the URL's topic, if the session does not have it.
    fn go_on(&mut self, given: &Given, resumed: Resumed, preset: Option<&Topic>) {
        self.resumed = true;
        let preset = preset.filter(|preset| resumed.topics.iter().all(|t| t.topic != **preset));
        for held in resumed.topics {
            let name = held.topic.as_str();
            let position = match given.last_seq.get(name) {
                Some(seq_no) => {
                    let epoch = given.epochs.get(name).map(|epoch| Epoch::new(epoch));
                    Position {
                        // A client that sends no epochs means those of its session.
                        epoch: epoch.or(held.position.epoch),
                        seq_no: *seq_no,
                    }
                }
                None => held.position,
            };
            self.rest.push_back(Wanted {
                name: name.to_owned(),
                after: Some(position),
                qos: Some(held.qos),
            });
        }
        self.rest.extend(preset.map(|preset| Wanted {
            name: preset.as_str().to_owned(),
            after: None,
            qos: None,
        }));
    }
}

impl Session {
    pub(super) fn authenticated<'a>(
        &mut self,
        now_ms: u64,
        answer: Result<Identity, Refusal>,
        out: &mut Outputs<'a>,
    ) {
        match (std::mem::replace(&mut self.phase, Phase::Ready), answer) {
            (Phase::SettingUp(setup), Ok(identity)) => {
                self.identity = Some(Box::new(identity));
                if let Some(given) = &setup.resume {
                    let session_id = given.session_id.clone();
                    self.phase = Phase::SettingUp(setup);
                    out.push(Output::Resume { session_id });
                } else {
                    self.next_topic(now_ms, setup, out);
                }
            }
            (Phase::Refreshing, Ok(identity)) => self.refreshed(now_ms, identity, out),
            (Phase::SettingUp(setup), Err(refusal)) if refusal.code.retryable() => {
                self.start_over(now_ms + setup.left_ms, refusal, out);
            }
            (Phase::Refreshing, Err(refusal)) if refusal.code.retryable() => {
                out.push(Output::Send(ServerMessage::Error(refusal.into_frame())));
            }
            (_, Err(refusal)) => self.turn_away(refusal, out),
            (phase, Ok(_)) => self.phase = phase,
        }
    }

    /// The session was found and is this connection's now, or it cannot be gone on with.
    pub(super) fn resumed(
        &mut self,
        now_ms: u64,
        answer: Result<Resumed, Refusal>,
        out: &mut Outputs<'_>,
    ) {
        match (std::mem::replace(&mut self.phase, Phase::Ready), answer) {
            (Phase::SettingUp(mut setup), Ok(resumed)) => {
                if let Some(identity) = &mut self.identity {
                    identity.session_id = resumed.session_id;
                }
                if let Some(given) = setup.resume.take() {
                    setup.go_on(&given, resumed, self.preset.as_ref());
                }
                self.next_topic(now_ms, setup, out);
            }
            (Phase::SettingUp(setup), Err(refusal)) => {
                self.identity = None;
                if refusal.code == ErrorCode::SessionExpired {
                    out.push(Output::CountResume { complete: false });
                }
                self.start_over(now_ms + setup.left_ms, refusal, out);
            }
            (phase, _) => self.phase = phase,
        }
    }

    /// Says why, and waits for another `setup` or `resume`.
    fn start_over(&mut self, deadline_ms: u64, refusal: Refusal, out: &mut Outputs<'_>) {
        self.phase = Phase::New { deadline_ms };
        out.push(Output::Send(ServerMessage::Error(refusal.into_frame())));
    }

    fn refreshed(&mut self, now_ms: u64, fresh: Identity, out: &mut Outputs<'_>) {
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

    fn turn_away(&mut self, refusal: Refusal, out: &mut Outputs<'_>) {
        let close = match refusal.code {
            ErrorCode::TokenExpired => CloseCode::TokenExpired,
            _ => CloseCode::AuthFailed,
        };
        out.push(Output::Send(ServerMessage::Error(refusal.into_frame())));
        self.close(close, out);
    }

    /// The answer for one topic came; asks for the next or is ready.
    pub(super) fn topic_of_setup(
        &mut self,
        now_ms: u64,
        mut setup: Box<Setup>,
        answer: Result<Attached, Refusal>,
        out: &mut Outputs<'_>,
    ) {
        setup.complete &=
            matches!(&answer, Ok(attached) if attached.replay.is_none_or(|r| r.is_ok()));
        if let Some(topic) = setup.asked.take() {
            answer_subscribe(&topic, answer, out);
        }
        self.next_topic(now_ms, setup, out);
    }

    fn next_topic(&mut self, now_ms: u64, mut setup: Box<Setup>, out: &mut Outputs<'_>) {
        while let Some(wanted) = setup.rest.pop_front() {
            match Topic::new(&wanted.name) {
                Ok(topic) => {
                    setup.asked = Some(topic.clone());
                    self.phase = Phase::SettingUp(setup);
                    out.push(Output::Subscribe {
                        topic,
                        after: wanted.after,
                        qos: wanted.qos,
                    });
                    return;
                }
                Err(error) => {
                    let frame = ErrorFrame::new(ErrorCode::BadTopic, error.to_string());
                    let frame = frame.about(wanted.name);
                    out.push(Output::Send(ServerMessage::Error(frame)));
                }
            }
        }
        self.phase = Phase::Ready;
        if setup.resumed {
            let complete = setup.complete;
            out.push(Output::CountResume { complete });
        }
        out.push(Output::Send(self.ready(now_ms, setup.resumed)));
    }
}
