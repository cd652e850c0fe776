//! What is subscribed and left.

use super::*;

#[test]
fn subscriptions_are_kept_across_connections() {
    let mut rig = Rig::ready_with(&["a"]);
    let subscribe = |topic: &str| Input::Command(Command::Subscribe(topic.to_owned(), None));
    let unsubscribe = |topic: &str| Input::Command(Command::Unsubscribe(topic.to_owned()));
    assert_eq!(
        rig.input(subscribe("b")),
        [r#"> {"type":"subscribe","topic":"b"}"#]
    );
    assert!(rig.input(subscribe("b")).is_empty(), "asked already");
    rig.subscribed("b", 0, "e1");
    assert_eq!(
        rig.input(unsubscribe("a")),
        [r#"> {"type":"unsubscribe","topic":"a"}"#]
    );
    assert!(rig.message("a", 6).is_empty(), "not wanted any more");
    rig.closed(1012);
    assert!(rig.input(subscribe("c")).is_empty());
    rig.tick_at_deadline();
    rig.input(Input::Opened);
    rig.text(SESSION_EXPIRED);
    assert_eq!(
        rig.ready(),
        [
            "ready",
            r#"> {"type":"unsubscribe","topic":"a"}"#,
            r#"> {"type":"subscribe","topic":"b","lastSeq":0,"epoch":"e1"}"#,
            r#"> {"type":"subscribe","topic":"c"}"#,
        ]
    );
}

#[test]
fn subscribing_again_at_once_starts_afresh() {
    let mut rig = Rig::ready_with(&["a"]);
    rig.input(Input::Command(Command::Unsubscribe("a".to_owned())));
    assert_eq!(
        rig.input(Input::Command(Command::Subscribe("a".to_owned(), None))),
        [r#"> {"type":"subscribe","topic":"a"}"#]
    );
    assert!(rig.message("a", 6).is_empty(), "of the old subscription");
    assert_eq!(
        rig.text(r#"{"type":"unsubscribed","topic":"a"}"#),
        ["unsubscribed a"]
    );
    assert_eq!(rig.subscribed("a", 6, "e1"), ["subscribed a 6"]);
    assert_eq!(rig.message("a", 7), ["a#7"]);
}

#[test]
fn refused_topics_are_asked_for_again_only_where_that_helps() {
    let mut rig = Rig::ready_with(&["a", "b"]);
    rig.reopen();
    rig.ready();
    let error = |code: &str, topic: &str, retryable: bool| {
        format!(
            r#"{{"type":"error","code":"{code}","message":"","topic":"{topic}","retryable":{retryable}}}"#
        )
    };
    assert_eq!(
        rig.text(&error("ACL_DENIED", "a", false)),
        ["error ACL_DENIED"]
    );
    assert_eq!(
        rig.text(&error("NOT_AVAILABLE", "b", true)),
        ["error NOT_AVAILABLE"]
    );
    assert_eq!(
        rig.tick_at_deadline(),
        [r#"> {"type":"subscribe","topic":"b","lastSeq":5,"epoch":"e1"}"#]
    );
    rig.reopen();
    assert_eq!(rig.ready().len(), 2, "a is gone");
}

/// The gateway died before it wrote down that the topic was left.
#[test]
fn a_session_from_before_a_topic_was_left_does_not_bring_it_back() {
    let mut rig = Rig::ready_with(&["a", "b"]);
    rig.input(Input::Command(Command::Unsubscribe("b".to_owned())));
    rig.text(r#"{"type":"unsubscribed","topic":"b"}"#);
    rig.resume();
    rig.recovered("a", 5, true, 0);
    assert!(rig.recovered("b", 7, true, 1).is_empty());
    assert!(rig.message("b", 7).is_empty(), "not wanted any more");
    assert_eq!(
        rig.resumed(),
        ["ready", r#"> {"type":"unsubscribe","topic":"b"}"#]
    );
}
