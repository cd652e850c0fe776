//! What the program took is acknowledged.

use super::*;

fn guarded() -> Rig {
    let mut rig = Rig::new(Options {
        qos: Qos::One,
        topics: vec!["a".to_owned()],
        ..options()
    });
    assert_eq!(
        rig.input(Input::Opened)[2],
        r#"> {"type":"setup","token":"me","topics":["a"],"qos":1}"#
    );
    rig.subscribed("a", 5, "e1");
    rig.ready();
    rig
}

#[test]
fn what_the_program_took_is_acknowledged_together() {
    let mut rig = guarded();
    let first = rig.message_event("a", 6);
    let second = rig.message_event("a", 7);
    assert!(rig.taken(first, 1).is_empty());
    rig.now += ms(100);
    assert!(rig.taken(second, 1).is_empty());
    rig.now += ms(100);
    assert_eq!(
        rig.input(Input::Tick),
        [r#"> {"type":"ack","topic":"a","seqNo":7}"#]
    );
    let many = rig.message_event("a", 8);
    assert_eq!(
        rig.taken(many, 100),
        [r#"> {"type":"ack","topic":"a","seqNo":8}"#]
    );
    let last = rig.message_event("a", 9);
    rig.taken(last, 1);
    let close = Command::Close {
        code: 1000,
        reason: String::new(),
    };
    assert_eq!(
        rig.input(Input::Command(close)),
        [r#"> {"type":"ack","topic":"a","seqNo":9}"#, "close 1000"]
    );
}

#[test]
fn receipts_of_an_older_connection_are_not_acknowledged() {
    let mut rig = guarded();
    let old = rig.message_event("a", 6);
    rig.resume();
    let lost = r#"{"type":"subscribed","topic":"a","seqNo":2,"epoch":"e2","recovered":false,"reason":"epoch"}"#;
    rig.text(lost);
    let new = rig.message_event("a", 3);
    assert!(rig.taken(old, 1).is_empty());
    assert!(rig.taken(new, 1).is_empty(), "not before ready");
    assert_eq!(
        rig.resumed(),
        ["ready", r#"> {"type":"ack","topic":"a","seqNo":3}"#]
    );
}

fn qos_one(topic: &str) -> Input<'static, u32> {
    Input::Command(Command::Subscribe(topic.to_owned(), Some(Qos::One)))
}

const ONE: &str = r#"> {"type":"subscribe","topic":"a","qos":1}"#;
const LEAVE: &str = r#"> {"type":"unsubscribe","topic":"a"}"#;
const LEFT: &str = r#"{"type":"unsubscribed","topic":"a"}"#;

#[test]
fn of_several_questions_about_a_topic_the_last_answer_counts() {
    let mut rig = Rig::ready_with(&[]);
    let leave = || Input::Command(Command::Unsubscribe("a".to_owned()));
    assert_eq!(rig.input(qos_one("a")), [ONE]);
    assert_eq!(rig.input(leave()), [LEAVE]);
    assert_eq!(rig.input(qos_one("a")), [ONE]);
    assert_eq!(rig.subscribed("a", 5, "e1"), [""; 0], "that one was left");
    assert_eq!(rig.message("a", 6), [""; 0]);
    assert_eq!(rig.text(LEFT), ["unsubscribed a"]);
    assert_eq!(rig.subscribed("a", 6, "e1"), ["subscribed a 6"]);
    let message = rig.message_event("a", 7);
    let acked = rig.taken(message, 100);
    assert_eq!(acked, [r#"> {"type":"ack","topic":"a","seqNo":7}"#]);
    // A refusal of an older question is not the last word either.
    rig.input(leave());
    rig.input(qos_one("a"));
    rig.input(leave());
    rig.input(qos_one("a"));
    rig.text(LEFT);
    rig.text(
        r#"{"type":"error","code":"NOT_AVAILABLE","message":"","topic":"a","retryable":true}"#,
    );
    rig.text(LEFT);
    assert_eq!(rig.subscribed("a", 8, "e1"), ["subscribed a 8"]);
    assert_eq!(rig.message("a", 9), ["a#9"]);
}

#[test]
fn a_qos_that_changes_before_the_answer_is_asked_for_again() {
    let mut rig = Rig::ready_with(&["a"]);
    let from = |n: u64, qos: u8| {
        format!(r#"> {{"type":"subscribe","topic":"a","lastSeq":{n},"epoch":"e1","qos":{qos}}}"#)
    };
    let qos_zero = || Input::Command(Command::Subscribe("a".to_owned(), Some(Qos::Zero)));
    assert_eq!(rig.input(qos_one("a")), [from(5, 1)]);
    assert_eq!(rig.input(qos_zero()), [from(5, 0)]);
    assert_eq!(rig.recovered("a", 6, true, 1), [""; 0]);
    rig.message("a", 6);
    assert_eq!(
        rig.recovered("a", 6, true, 1),
        ["subscribed a 6 true", "a#6"]
    );
    // A cut may swallow the question or the answer: the session need not know.
    assert_eq!(rig.input(qos_one("a")), [from(6, 1)]);
    rig.resume();
    rig.recovered("a", 6, true, 0);
    assert_eq!(rig.resumed(), ["ready", &from(6, 1)]);
    assert_eq!(rig.recovered("a", 6, true, 0), ["subscribed a 6 true"]);
    rig.resume();
    rig.recovered("a", 6, true, 0);
    assert_eq!(rig.resumed(), ["ready"]);
}

#[test]
fn a_setup_that_might_be_too_large_names_no_topics() {
    let mut options = options();
    options.topics = (0..1000).map(|n| format!("{n:0>70}")).collect();
    options.topics.push(options.topics[0].clone());
    let mut rig = Rig::new(options);
    rig.outputs();
    let setup = r#"> {"type":"setup","token":"me"}"#;
    assert_eq!(rig.input(Input::Opened), ["opened", setup]);
    assert_eq!(rig.ready().len(), 1 + 1000, "each on its own");
}

#[test]
fn what_setup_cannot_say_is_asked_for_after_it() {
    let mut options = options();
    options.topics = ["a", "b", "b"].map(str::to_owned).to_vec();
    let mut rig = Rig::new(options);
    rig.outputs();
    rig.input(qos_one("a"));
    let setup = r#"> {"type":"setup","token":"me","topics":["b"]}"#;
    assert_eq!(rig.input(Input::Opened), ["opened", setup]);
    rig.subscribed("b", 1, "e1");
    assert_eq!(rig.ready(), ["ready", ONE]);
    assert_eq!(rig.message("b", 2), ["b#2"]);
}

#[test]
fn another_qos_is_asked_for_from_the_own_position() {
    let mut rig = Rig::ready_with(&["a"]);
    let want = |qos| Input::Command(Command::Subscribe("a".to_owned(), Some(qos)));
    assert_eq!(
        rig.input(want(Qos::One)),
        [r#"> {"type":"subscribe","topic":"a","lastSeq":5,"epoch":"e1","qos":1}"#]
    );
    assert!(
        rig.message("a", 6).is_empty(),
        "held: its order is not known"
    );
    assert_eq!(
        rig.recovered("a", 6, true, 1),
        ["subscribed a 6 true", "a#6"]
    );
    assert!(rig.message("a", 6).is_empty(), "the replay of it");
    assert!(rig.input(want(Qos::One)).is_empty());
    // Said again after a resume, since the session may know the older one.
    rig.closed(1006);
    rig.input(want(Qos::Zero));
    rig.tick_at_deadline();
    rig.input(Input::Opened);
    rig.recovered("a", 6, true, 0);
    assert_eq!(
        rig.resumed(),
        [
            "ready",
            r#"> {"type":"subscribe","topic":"a","lastSeq":6,"epoch":"e1","qos":0}"#
        ]
    );
}
