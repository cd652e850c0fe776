use super::super::Playground;
use super::super::session_file::Line;
use super::*;

const A: ClientId = ClientId::FIRST;
const SETUP: &str = r#"{"type":"setup","token":"a"}"#;
const READY: &str = r#"{"type":"ready","sessionId":"s"}"#;

fn publish(id: &str) -> String {
    format!(r#"{{"type":"publish","topic":"t","messageId":"{id}","payload":{{ "n":1.0 }}}}"#)
}

fn ack(id: &str, status: &str) -> String {
    format!(r#"{{"type":"ack","messageId":"{id}","status":"{status}"}}"#)
}

fn denied(id: &str) -> String {
    format!(r#"{{"type":"error","code":"ACL_DENIED","message":"","topic":"t","messageId":"{id}"}}"#)
}

/// The rows of a session: client A's texts with their times.
fn session(lines: &[(f64, &str)]) -> Vec<Arc<Row>> {
    let line = |(at, text): &(f64, &str)| Line {
        client: A,
        at: *at,
        way: if decode_server(text).is_ok() {
            Way::Received
        } else {
            Way::Sent
        },
        kind: String::new(),
        text: (*text).to_owned(),
    };
    let session = Playground::of_session(lines.iter().map(line).collect());
    session.log().all()
}

/// What is due at a time.
fn due(replay: &mut Replay, now: f64) -> Vec<String> {
    std::iter::from_fn(|| replay.poll(now))
        .map(|(_, text)| text)
        .collect()
}

fn tell(replay: &mut Replay, at: f64, event: Event) {
    let client = A;
    replay.happened(&Happened { client, at, event });
}

/// What was due went out, and is answered.
fn answered(replay: &mut Replay, at: f64, sent: &[String], answers: &[String]) {
    for text in sent {
        tell(replay, at, Event::Sent(text.clone()));
    }
    for text in answers {
        tell(replay, at, Event::Received(text.clone()));
    }
}

#[test]
fn frames_are_due_in_their_order_with_the_spaces_as_they_were() {
    let (a, b, c) = (publish("a"), publish("b"), publish("c"));
    // The clock was set back before the last.
    let rows = session(&[
        (0.0, SETUP),
        (500.0, READY),
        (1000.0, &a),
        (3000.0, &b),
        (2000.0, &c),
    ]);
    let times = |speed, at: &[f64]| {
        let mut replay = Replay::new(&rows, speed, None, 50.0);
        at.iter()
            .map(|at| due(&mut replay, 50.0 + at).len())
            .collect::<Vec<_>>()
    };
    assert_eq!(times(Speed::AsThen, &[0.0, 1999.0, 2000.0]), [1, 0, 2]);
    assert_eq!(times(Speed::Tenfold, &[0.0, 199.0, 200.0]), [1, 0, 2]);
    assert_eq!(times(Speed::AtOnce, &[0.0, 1.0]), [3, 0]);
    let mut replay = Replay::new(&rows, Speed::AsThen, None, 0.0);
    assert_eq!(due(&mut replay, 9000.0), [a, b, c]);
}

#[test]
fn it_asks_for_the_time_when_something_is_due() {
    let (a, b) = (publish("a"), publish("b"));
    let rows = session(&[(0.0, &a), (400.0, &b)]);
    let mut replay = Replay::new(&rows, Speed::AsThen, None, 0.0);
    due(&mut replay, 0.0);
    assert_eq!(replay.tick(0.0), Some(250));
    assert_eq!(replay.tick(390.0), Some(10));
    assert_eq!(replay.tick(400.0), Some(1));
}

#[test]
fn tokens_are_not_sent_again_and_the_rest_is_as_it_was() {
    let subscribe = r#"{"type":"subscribe","topic":"t", "lastSeq":4}"#;
    let refresh = r#"{"type":"refresh","token":"a"}"#;
    let resume = r#"{"type":"resume","token":"a","sessionId":"s","lastSeqPerTopic":{}}"#;
    let rows = session(&[
        (0.0, SETUP),
        (1.0, subscribe),
        (2.0, refresh),
        (3.0, resume),
        (4.0, "{ not a frame"),
    ]);
    let mut replay = Replay::new(&rows, Speed::AtOnce, Some("new"), 0.0);
    assert_eq!(due(&mut replay, 0.0), [subscribe, "{ not a frame"]);
    assert_eq!(replay.clients().collect::<Vec<_>>(), [A]);
}

#[test]
fn message_ids_are_renewed_the_same_by_the_same() {
    let (a, b) = (publish("a"), publish("b"));
    let rows = session(&[(0.0, &a), (1.0, &b), (2.0, &a)]);
    let mut replay = Replay::new(&rows, Speed::AtOnce, Some("new"), 0.0);
    let expected = ["new-1", "new-2", "new-1"].map(publish);
    assert_eq!(due(&mut replay, 0.0), expected);
    let mut kept = Replay::new(&rows, Speed::AtOnce, None, 0.0);
    assert_eq!(due(&mut kept, 0.0), [a.clone(), b, a]);
}

#[test]
fn what_is_answered_otherwise_is_told() {
    let (a, b) = (publish("a"), publish("b"));
    let silent = r#"{"type":"ack","topic":"t","seqNo":1}"#;
    let rows = session(&[
        (0.0, &a),
        (1.0, &ack("a", "ok")),
        (2.0, &b),
        (3.0, &ack("b", "ok")),
        (4.0, &b),
        (5.0, &ack("b", "duplicate")),
        (6.0, silent),
    ]);
    let mut replay = Replay::new(&rows, Speed::AtOnce, Some("n"), 0.0);
    let sent = due(&mut replay, 0.0);
    assert_eq!(replay.words(), "4 of 4 sent.");
    // Somebody else's frame in between is nobody's answer here.
    answered(&mut replay, 1.0, &[publish("other")], &[]);
    let answers = [
        ack("other", "ok"),
        ack("n-1", "ok"),
        denied("n-2"),
        ack("n-2", "ok"),
    ];
    answered(&mut replay, 1.0, &sent, &answers);
    assert!(replay.differences().is_empty());
    replay.tick(1.0 + GRACE_MS);
    assert!(!replay.is_on());
    assert_eq!(replay.words(), "2 of 4 answered as then.");
    assert_eq!(
        replay.differences(),
        [
            "#3 publish of A: then ack, now error ACL_DENIED",
            "#5 publish of A: then ack duplicate, now ack",
        ]
    );
}

#[test]
fn a_missing_answer_is_waited_for_and_then_told() {
    let a = publish("a");
    let rows = session(&[(0.0, &a), (1.0, &ack("a", "ok"))]);
    let mut replay = Replay::new(&rows, Speed::AtOnce, None, 0.0);
    let sent = due(&mut replay, 0.0);
    answered(&mut replay, 0.0, &sent, &[]);
    replay.tick(PATIENCE_MS - 1.0);
    assert!(replay.is_on());
    assert_eq!(replay.tick(PATIENCE_MS), None);
    assert_eq!(
        replay.differences(),
        ["#1 publish of A: then ack, now nothing"]
    );
}

#[test]
fn not_too_many_are_on_their_way_at_once() {
    let many: Vec<_> = (0..IN_FLIGHT + 5)
        .map(|n| (publish(&n.to_string()), ack(&n.to_string(), "ok")))
        .collect();
    let lines: Vec<_> = many
        .iter()
        .flat_map(|(p, a)| [(0.0, p.as_str()), (0.0, a.as_str())])
        .collect();
    let mut replay = Replay::new(&session(&lines), Speed::AtOnce, None, 0.0);
    let first = due(&mut replay, 0.0);
    assert_eq!(first.len(), IN_FLIGHT);
    let acks: Vec<_> = many.iter().map(|(_, ack)| ack.clone()).collect();
    answered(&mut replay, 1.0, &first, &acks[..3]);
    assert_eq!(due(&mut replay, 1.0).len(), 3);
    replay.tick(1.0 + PATIENCE_MS);
    assert!(
        replay
            .words()
            .starts_with("The gateway does not answer. 503 of 505 sent; 3 of"),
        "{}",
        replay.words()
    );
    assert_eq!(replay.differences().len(), TOLD + 1);
    assert_eq!(replay.differences()[TOLD], "and 480 more");
}

#[test]
fn a_close_or_a_press_of_stop_ends_it() {
    let rows = session(&[(0.0, &publish("a")), (9.0, &publish("b"))]);
    let mut replay = Replay::new(&rows, Speed::AsThen, None, 0.0);
    due(&mut replay, 0.0);
    let closed = |code| Event::Closed {
        code,
        reason: String::new(),
    };
    replay.happened(&Happened {
        client: ClientId::ALL[1],
        at: 1.0,
        event: closed(4100),
    });
    assert!(replay.is_on());
    tell(&mut replay, 1.0, closed(4101));
    replay.stop("Stopped.");
    assert_eq!(
        replay.words(),
        "Client A was closed (4101). 1 of 2 sent; 1 of 1 answered as then."
    );
    assert_eq!((due(&mut replay, 99.0).len(), replay.tick(99.0)), (0, None));
}
