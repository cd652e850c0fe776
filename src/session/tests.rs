//! Scenarios: what comes in, what must go out.

use super::*;
use crate::protocol::{UnrecoveredReason, decode_client, encode_server};

const LIMITS: Limits = Limits {
    setup_timeout_ms: 10_000,
    publish_rate: 0,
};

/// A session and a caller that answers its questions: every topic exists at seqNo 7 of epoch "e",
/// "denied" is denied, the token "bad" is refused.
struct Table {
    session: Session,
    now_ms: u64,
}

impl Table {
    fn new(preset: Option<&str>) -> Self {
        let preset = preset.map(|name| Topic::new(name).unwrap());
        let session = Session::new(0, preset, LIMITS);
        Self { session, now_ms: 0 }
    }

    fn ready() -> Self {
        let mut table = Self::new(None);
        table.frame(r#"{"type":"setup","token":"ann"}"#);
        table
    }

    fn frame(&mut self, text: &str) -> Vec<String> {
        self.input(Input::Frame(decode_client(text)))
    }

    fn input(&mut self, input: Input<'_>) -> Vec<String> {
        let mut done = Vec::new();
        let mut out = Outputs::new();
        self.session.handle(self.now_ms, input, &mut out);
        while let Some(last) = out.pop() {
            for output in out.drain(..) {
                done.push(show(&output));
            }
            let answer = match &last {
                Output::Authenticate(token) => Some(Input::Authenticated(identity(token))),
                Output::Resume { session_id } => Some(Input::Resumed(resume(session_id))),
                Output::Subscribe { topic, after, .. } => {
                    Some(Input::Subscribed(attach(topic, after.as_ref())))
                }
                _ => None,
            };
            match answer {
                Some(answer) => self.session.handle(self.now_ms, answer, &mut out),
                None => done.push(show(&last)),
            }
        }
        done
    }
}

fn identity(token: &str) -> Result<Identity, Refusal> {
    match token {
        "bad" => Err(Refusal::new(ErrorCode::AuthFailed, "no")),
        "later" => Err(Refusal::new(ErrorCode::NotAvailable, "keys")),
        user => Ok(Identity {
            user_id: user.into(),
            session_id: 1,
            expires_at_ms: (user == "short").then_some(5_000),
            durability: None,
            denied: Vec::new(),
        }),
    }
}

fn resume(session_id: &str) -> Result<Resumed, Refusal> {
    let held = |name: &str, seq_no| Held {
        topic: Topic::new(name).unwrap(),
        qos: 0,
        position: Position {
            epoch: Some(Epoch::new("e")),
            seq_no,
        },
    };
    match session_id {
        "kept" => Ok(Resumed {
            session_id: 2,
            topics: vec![held("a", 3), held("b", 6)],
        }),
        _ => Err(Refusal::new(ErrorCode::SessionExpired, "gone")),
    }
}

fn attach(topic: &Topic, after: Option<&Position>) -> Result<Attached, Refusal> {
    if topic.as_str() == "denied" {
        return Err(Refusal::new(ErrorCode::AclDenied, "no"));
    }
    let replay = after.map(|position| match position.seq_no {
        seq_no @ 0..=7 => Ok(7 - seq_no),
        _ => Err(UnrecoveredReason::Ahead),
    });
    let epoch = Epoch::new("e");
    Ok(Attached {
        seq_no: 7,
        epoch,
        replay,
    })
}

/// An output in short: frames without the parts that do not matter here.
fn show(output: &Output<'_>) -> String {
    match output {
        Output::Send(ServerMessage::Error(error)) => {
            let topic = error
                .topic
                .as_deref()
                .map(|t| format!(" {t}"))
                .unwrap_or_default();
            format!("error {}{topic}", error.code.as_str())
        }
        Output::Send(ServerMessage::Ready(ready)) if ready.resumed => {
            format!("ready {} again as {}", ready.session_id, ready.user_id)
        }
        Output::Send(ServerMessage::Ready(ready)) => format!("ready {}", ready.user_id),
        Output::Send(ServerMessage::Subscribed(s)) => match s.recovered {
            None => format!("subscribed {}", s.topic),
            Some(recovered) => format!("subscribed {} {recovered} {:?}", s.topic, s.replayed),
        },
        Output::Send(message) => encode_server(message),
        Output::Close(code) => format!("close {}", code.code()),
        Output::Publish { topic, payload, .. } => format!("publish {topic} {payload}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_payload_that_nests_too_deep_is_refused_by_its_name() {
    let mut table = Table::ready();
    let publish = |levels: usize| {
        let payload = "[".repeat(levels) + &"]".repeat(levels);
        format!(r#"{{"type":"publish","topic":"t","messageId":"1","payload":{payload}}}"#)
    };
    assert!(table.frame(&publish(120))[0].starts_with("publish t [["));
    assert_eq!(table.frame(&publish(121)), ["error BAD_REQUEST t"]);
}

#[test]
fn setup_answers_each_topic_in_order_the_urls_first_then_ready() {
    let mut table = Table::new(Some("prices"));
    assert_eq!(
        table.frame(r#"{"type":"setup","token":"ann","topics":["a","denied","","b"]}"#),
        [
            "subscribed prices",
            "Replay",
            "subscribed a",
            "Replay",
            "error ACL_DENIED denied",
            "error BAD_TOPIC ",
            "subscribed b",
            "Replay",
            "ready ann",
        ]
    );
}

#[test]
fn nothing_comes_before_setup_and_setup_comes_once() {
    let mut table = Table::new(None);
    for early in [
        r#"{"type":"subscribe","topic":"a"}"#,
        r#"{"type":"publish","topic":"a","messageId":"m","payload":1}"#,
        r#"{"type":"refresh","token":"ann"}"#,
    ] {
        assert_eq!(table.frame(early), ["error AUTH_REQUIRED"]);
    }
    assert_eq!(table.frame(r#"{"type":"ping"}"#), [r#"{"type":"pong"}"#]);
    assert_eq!(
        table.frame(r#"{"type":"setup","token":"ann"}"#),
        ["ready ann"]
    );
    assert_eq!(
        table.frame(r#"{"type":"setup","token":"bob"}"#),
        ["error ALREADY_SETUP"]
    );
    assert!(table.session.is_set_up());
}

#[test]
fn a_refused_token_ends_it_a_missing_key_server_does_not() {
    let mut table = Table::new(None);
    assert_eq!(
        table.frame(r#"{"type":"setup","token":"later"}"#),
        ["error NOT_AVAILABLE"]
    );
    assert_eq!(
        table.frame(r#"{"type":"setup","token":"bad"}"#),
        ["error AUTH_FAILED", "close 4001"]
    );
    assert!(table.frame(r#"{"type":"ping"}"#).is_empty());
}

#[test]
fn a_silent_connection_is_closed_in_time() {
    let mut table = Table::new(None);
    assert_eq!(table.session.deadline(), Some(10_000));
    table.now_ms = 9_999;
    assert!(table.input(Input::Deadline).is_empty());
    table.now_ms = 10_000;
    assert_eq!(table.input(Input::Deadline), ["close 4002"]);
}

#[test]
fn a_token_expires_inside_the_session_unless_it_is_refreshed() {
    let mut table = Table::new(None);
    table.frame(r#"{"type":"setup","token":"short"}"#);
    assert_eq!(table.session.deadline(), Some(5_000));
    table.now_ms = 5_000;
    assert_eq!(
        table.input(Input::Deadline),
        ["error TOKEN_EXPIRED", "close 4101"]
    );

    let mut table = Table::ready();
    assert_eq!(
        table.frame(r#"{"type":"refresh","token":"ann"}"#),
        ["ready ann"]
    );
    assert_eq!(
        table.frame(r#"{"type":"refresh","token":"bob"}"#),
        ["error AUTH_FAILED", "close 4001"]
    );
}

#[test]
fn subscribe_says_what_became_of_the_position() {
    let mut table = Table::ready();
    assert_eq!(
        table.frame(r#"{"type":"subscribe","topic":"a"}"#),
        ["subscribed a", "Replay"]
    );
    assert_eq!(
        table.frame(r#"{"type":"subscribe","topic":"a","lastSeq":5,"epoch":"e"}"#),
        ["subscribed a true Some(2)", "Replay"]
    );
    assert_eq!(
        table.frame(r#"{"type":"subscribe","topic":"a","lastSeq":9}"#),
        ["subscribed a false Some(0)", "Replay"]
    );
    assert_eq!(
        table.frame(r#"{"type":"subscribe","topic":""}"#),
        ["error BAD_TOPIC "]
    );
    assert_eq!(
        table.frame(r#"{"type":"unsubscribe","topic":"a"}"#),
        [
            "Unsubscribe(\"a\")",
            r#"{"type":"unsubscribed","topic":"a"}"#
        ]
    );
}

#[test]
fn resume_goes_on_from_the_clients_position_else_from_the_sessions() {
    let mut table = Table::new(Some("b"));
    assert_eq!(
        table.frame(
            r#"{"type":"resume","token":"ann","sessionId":"kept","lastSeqPerTopic":{"a":5,"x":1}}"#
        ),
        [
            "subscribed a true Some(2)",
            "Replay",
            "subscribed b true Some(1)",
            "Replay",
            "CountResume { complete: true }",
            "ready 00000000000000000000000000000002 again as ann",
        ]
    );
    let mut table = Table::new(Some("prices"));
    assert_eq!(
        table.frame(
            r#"{"type":"resume","token":"ann","sessionId":"kept","lastSeqPerTopic":{"a":9}}"#
        )[..3],
        [
            "subscribed a false Some(0)",
            "Replay",
            "subscribed b true Some(1)"
        ]
    );
}

#[test]
fn after_a_failed_resume_the_socket_can_be_set_up() {
    let mut table = Table::new(None);
    assert_eq!(
        table.frame(r#"{"type":"resume","token":"ann","sessionId":"?","lastSeqPerTopic":{}}"#),
        ["CountResume { complete: false }", "error SESSION_EXPIRED"]
    );
    assert!(!table.session.is_set_up());
    assert_eq!(table.session.deadline(), Some(10_000));
    assert_eq!(
        table.frame(r#"{"type":"setup","token":"ann"}"#),
        ["ready ann"]
    );
}

#[test]
fn acks_are_handed_on_and_refusals_answered() {
    let mut table = Table::ready();
    assert_eq!(
        table.frame(r#"{"type":"ack","topic":"a","seqNo":7}"#),
        ["Ack { topic: \"a\", seq_no: 7 }"]
    );
    let refusal = Refusal::new(ErrorCode::BadAck, "no");
    assert_eq!(
        table.input(Input::AckRefused {
            topic: "a".into(),
            refusal
        }),
        ["error BAD_ACK a"]
    );
}

#[test]
fn publish_is_checked_then_handed_on_with_its_bytes() {
    let mut table = Table::ready();
    let publish = |topic: &str, id: &str| {
        format!(r#"{{"type":"publish","topic":"{topic}","messageId":"{id}","payload":{{ "a":1}}}}"#)
    };
    assert_eq!(table.frame(&publish("a", "m")), [r#"publish a { "a":1}"#]);
    assert_eq!(table.frame(&publish("", "m")), ["error BAD_TOPIC "]);
    assert_eq!(table.frame(&publish("a", "")), ["error BAD_REQUEST a"]);
    assert_eq!(
        table.frame(&publish("a", &"x".repeat(129))),
        ["error BAD_REQUEST a"]
    );
}

#[test]
fn the_publish_rate_is_held_without_ending_the_connection() {
    let mut table = Table::ready();
    table.session.limits.publish_rate = 1;
    let publish = r#"{"type":"publish","topic":"a","messageId":"m","payload":1}"#;
    assert_eq!(table.frame(publish), ["publish a 1"]);
    assert_eq!(table.frame(publish), ["publish a 1"]);
    assert_eq!(table.frame(publish), ["error TOO_MANY_REQUESTS a"]);
    table.now_ms = 1_000;
    assert_eq!(table.frame(publish), ["publish a 1"]);
}

#[test]
fn mistakes_are_answered_and_too_many_end_it() {
    let mut table = Table::ready();
    for _ in 0..100 {
        assert_eq!(table.frame("{"), ["error BAD_REQUEST"]);
    }
    assert_eq!(table.frame("{"), ["error BAD_REQUEST", "close 4008"]);
}

#[test]
fn a_drain_closes_with_1012() {
    assert_eq!(Table::ready().input(Input::Drain), ["close 1012"]);
}

#[test]
fn the_time_that_answers_take_is_not_the_clients() {
    let mut session = Session::new(0, None, LIMITS);
    let mut out = Outputs::new();
    let mut handle = |now_ms, input: Input<'static>| {
        session.handle(now_ms, input, &mut out);
        let shown = out
            .drain(..)
            .map(|output| show(&output))
            .collect::<Vec<_>>();
        (shown.join(", "), session.deadline())
    };
    let setup = || {
        Input::Frame(decode_client(
            r#"{"type":"setup","token":"ann","topics":["a"]}"#,
        ))
    };
    handle(4_000, setup());
    assert_eq!(handle(30_000, Input::Deadline).0, "");
    // No key could be had: it has what was left of its time.
    let refused = handle(30_000, Input::Authenticated(identity("later")));
    assert_eq!(refused, ("error NOT_AVAILABLE".to_owned(), Some(36_000)));
    handle(31_000, setup());
    handle(32_000, Input::Authenticated(identity("ann")));
    assert_eq!(handle(60_000, Input::Deadline).0, "");
    let topic = Topic::new("a").unwrap();
    let told = handle(60_000, Input::Subscribed(attach(&topic, None))).0;
    assert_eq!(told, "subscribed a, Replay, ready ann");
    // A token has its own time.
    let mut session = Session::new(0, None, LIMITS);
    let mut out = Outputs::new();
    let setup = Input::Frame(decode_client(
        r#"{"type":"setup","token":"short","topics":["a"]}"#,
    ));
    session.handle(0, setup, &mut out);
    session.handle(0, Input::Authenticated(identity("short")), &mut out);
    out.clear();
    session.handle(5_000, Input::Deadline, &mut out);
    assert_eq!(out.last().map(show).as_deref(), Some("close 4101"));
}
