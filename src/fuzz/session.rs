//! Texts of a client through the decoder into a session, whose questions are answered as the names in
//! them say. What goes out must be well formed, in order, and nothing before its time.
//!
//! An input is lines. `!` and a number lets so many milliseconds pass, `!drain` begins a drain; every
//! other line is a text frame.

use std::borrow::Cow;

use crate::protocol::{
    AckStatus, Epoch, ErrorCode, MessageId, Position, Refusal, ServerMessage, Topic,
    UnrecoveredReason, check_depth, decode_client, decode_server, encode_client, encode_server,
};
use crate::session::{
    Accepted, Attached, Held, Identity, Input, Limits, Output, Outputs, Resumed, Session,
};

const SETUP_MS: u64 = 10_000;

/// Plays the lines.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let preset = text.starts_with('/').then(|| topic("preset"));
    let limits = Limits {
        setup_timeout_ms: SETUP_MS,
        publish_rate: 10,
    };
    let mut play = Play {
        session: Session::new(0, preset, limits),
        now_ms: 0,
        is_known: false,
        is_closed: false,
    };
    for line in text.lines() {
        match line.strip_prefix('!') {
            Some("drain") => play.input(line, Input::Drain),
            Some(ms) => play.pass(ms.parse().unwrap_or(0).min(1 << 40)),
            None => {
                let frame = decode_client(line);
                if let Ok(frame) = &frame {
                    let once = encode_client(frame);
                    let twice = decode_client(&once).map(|frame| encode_client(&frame));
                    assert_eq!(twice, Ok(once), "what was read is written as it reads");
                }
                play.input(line, Input::Frame(frame));
            }
        }
    }
}

/// A session and what was seen of it.
struct Play {
    session: Session,
    now_ms: u64,
    /// Whether a token was accepted.
    is_known: bool,
    is_closed: bool,
}

impl Play {
    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.input("", Input::Deadline);
        let is_due = self.session.deadline().is_some_and(|at| at <= self.now_ms);
        assert!(!is_due, "a deadline that came is over");
        assert!(
            self.is_closed || self.is_known || self.now_ms < SETUP_MS,
            "a stranger stays no longer than the setup timeout"
        );
    }

    fn input<'a>(&mut self, line: &'a str, input: Input<'a>) {
        let mut next = Some(input);
        let mut out = Outputs::new();
        while let Some(input) = next.take() {
            self.session.handle(self.now_ms, input, &mut out);
            for output in std::mem::take(&mut out) {
                assert!(next.is_none(), "a question is the last output");
                assert!(!self.is_closed, "nothing follows a close: {output:?}");
                next = self.act(line, output);
            }
        }
        assert_eq!(self.session.is_closed(), self.is_closed);
    }

    /// Looks at an output, and answers it where it is a question.
    fn act<'a>(&mut self, line: &str, output: Output<'a>) -> Option<Input<'a>> {
        let needs_token = !matches!(
            output,
            Output::Authenticate(_)
                | Output::CountResume { complete: false }
                | Output::Send(_)
                | Output::Close(_)
        );
        assert!(self.is_known || !needs_token, "{output:?} without a token");
        match output {
            Output::Authenticate(token) => {
                let answer = self.identity(&token);
                self.is_known |= answer.is_ok();
                Some(Input::Authenticated(answer))
            }
            Output::Resume { session_id } => {
                let answer = resumed(&session_id);
                self.is_known = answer.is_ok();
                Some(Input::Resumed(answer))
            }
            Output::Subscribe { topic, after, qos } => {
                check_topic(topic.as_str());
                assert!(qos.is_none_or(|qos| qos < 2));
                Some(Input::Subscribed(attached(&topic, after.as_ref())))
            }
            Output::Publish {
                topic,
                message_id,
                payload,
                ..
            } => {
                check_topic(&topic);
                assert!(MessageId::check(&message_id).is_ok());
                assert!(line.contains(payload), "byte for byte");
                assert!(check_depth(payload).is_ok());
                let result = accepted(&topic);
                Some(Input::Published {
                    topic,
                    message_id,
                    result,
                })
            }
            Output::Ack { topic, .. } if topic.starts_with('d') => {
                let refusal = Refusal::new(ErrorCode::BadAck, "no");
                Some(Input::AckRefused { topic, refusal })
            }
            Output::Send(message) => {
                let is_ready = matches!(message, ServerMessage::Ready(_));
                assert!(self.is_known || !is_ready, "ready without a token");
                let text = encode_server(&message);
                let again = decode_server(&text).map(|message| encode_server(&message));
                assert_eq!(again, Ok(text), "a frame that reads as it was written");
                None
            }
            Output::Close(_) => {
                self.is_closed = true;
                None
            }
            Output::Unsubscribe(topic) => {
                check_topic(&topic);
                None
            }
            Output::Ack { .. } | Output::CountResume { .. } | Output::Replay => None,
        }
    }

    fn identity(&self, token: &str) -> Result<Identity, Refusal> {
        let code = match token.bytes().next() {
            None | Some(b'x') => ErrorCode::AuthFailed,
            Some(b'n') => ErrorCode::NotAvailable,
            Some(b't') => ErrorCode::TokenExpired,
            first => {
                let denied = (first == Some(b'd')).then(|| topic("d"));
                return Ok(Identity {
                    user_id: token.chars().rev().collect::<String>().into(),
                    session_id: 1,
                    expires_at_ms: (first == Some(b'e')).then_some(self.now_ms + 1000),
                    durability: None,
                    denied: denied.into_iter().collect(),
                });
            }
        };
        Err(Refusal::new(code, "no"))
    }
}

fn check_topic(name: &str) {
    assert!(Topic::check(name).is_ok(), "{name:?} was let through");
}

fn topic(name: &str) -> Topic {
    Topic::trusted(name)
}

fn resumed(session_id: &str) -> Result<Resumed, Refusal> {
    if !session_id.starts_with('k') {
        return Err(Refusal::new(ErrorCode::SessionExpired, "gone"));
    }
    let held = |name: &str| Held {
        topic: topic(name),
        qos: 1,
        position: Position {
            epoch: Some(Epoch::new("e")),
            seq_no: 3,
        },
    };
    Ok(Resumed {
        session_id: 2,
        topics: vec![held("a"), held("d")],
    })
}

fn attached(topic: &Topic, after: Option<&Position>) -> Result<Attached, Refusal> {
    if topic.as_str().starts_with('d') {
        return Err(Refusal::new(ErrorCode::AclDenied, "no"));
    }
    Ok(Attached {
        seq_no: 7,
        epoch: Epoch::new("e"),
        replay: after.map(|after| {
            let missed = 7_u64.checked_sub(after.seq_no);
            missed.ok_or(UnrecoveredReason::Ahead)
        }),
    })
}

fn accepted<'a>(topic: &str) -> Result<Accepted<'a>, Refusal> {
    if topic.starts_with('d') {
        return Err(Refusal::new(ErrorCode::AclDenied, "no"));
    }
    Ok(Accepted {
        status: AckStatus::Ok,
        topic: Cow::Owned(topic.to_owned()),
        seq_no: u64::MAX,
        epoch: Epoch::new("e"),
    })
}
