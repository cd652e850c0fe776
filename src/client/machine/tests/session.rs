//! Going on with a session.

use super::*;

#[test]
fn a_session_goes_on_from_the_own_positions() {
    let mut rig = Rig::ready_with(&["alerts", "prices"]);
    rig.message("prices", 6);
    assert_eq!(
        rig.resume(),
        [
            "opened",
            r#"> {"type":"resume","token":"me","sessionId":"s","lastSeqPerTopic":{"alerts":5,"prices":6},"epochs":{"alerts":"e1","prices":"e1"}}"#
        ]
    );
    assert_eq!(
        rig.recovered("prices", 8, true, 2),
        ["subscribed prices 8 true"]
    );
    assert_eq!(rig.message("prices", 7), ["prices#7"]);
    assert_eq!(rig.message("prices", 8), ["prices#8"]);
    assert_eq!(
        rig.recovered("alerts", 9, false, 0),
        ["subscribed alerts 9 false"]
    );
    assert_eq!(rig.resumed(), ["ready"], "nothing is left to ask for");
    assert_eq!(rig.message("prices", 9), ["prices#9"]);
    assert_eq!(rig.message("alerts", 10), ["alerts#10"]);
}

#[test]
fn what_changed_while_offline_is_made_up_for_after_ready() {
    let mut rig = Rig::ready_with(&["gone", "kept"]);
    rig.closed(1006);
    for topic in ["gone", "never"] {
        rig.input(Input::Command(Command::Unsubscribe(topic.to_owned())));
    }
    rig.input(Input::Command(Command::Subscribe("new".to_owned(), None)));
    rig.tick_at_deadline();
    let resume = rig.input(Input::Opened).remove(1);
    assert!(
        resume.contains(r#""lastSeqPerTopic":{"kept":5}"#),
        "{resume}"
    );
    // The session still has it.
    assert_eq!(rig.recovered("gone", 6, true, 1), [""; 0]);
    assert_eq!(rig.message("gone", 6), [""; 0]);
    // And has forgotten the other one.
    assert_eq!(
        rig.resumed(),
        [
            "ready",
            r#"> {"type":"unsubscribe","topic":"gone"}"#,
            r#"> {"type":"subscribe","topic":"kept","lastSeq":5,"epoch":"e1"}"#,
            r#"> {"type":"subscribe","topic":"new"}"#,
        ]
    );
    assert_eq!(
        rig.text(r#"{"type":"unsubscribed","topic":"gone"}"#),
        ["unsubscribed gone"]
    );
    assert!(!rig.resume()[1].contains("gone"));
}

#[test]
fn a_topic_left_and_wanted_again_before_ready_goes_on_from_its_own_position() {
    let mut rig = Rig::ready_with(&["a", "kept"]);
    rig.closed(1006);
    rig.input(Input::Command(Command::Unsubscribe("a".to_owned())));
    rig.tick_at_deadline();
    let resume = rig.input(Input::Opened).remove(1);
    assert!(
        resume.contains(r#""lastSeqPerTopic":{"kept":5}"#),
        "{resume}"
    );
    rig.input(Input::Command(Command::Subscribe("a".to_owned(), None)));
    rig.recovered("kept", 5, true, 0);
    // The session had sent more of it than has come: that is not where the program stands.
    assert_eq!(rig.recovered("a", 8, true, 1), [""; 0]);
    assert_eq!(rig.message("a", 8), [""; 0]);
    assert_eq!(
        rig.resumed(),
        [
            "ready",
            r#"> {"type":"subscribe","topic":"a","lastSeq":5,"epoch":"e1"}"#
        ]
    );
    assert_eq!(rig.recovered("a", 8, true, 3), ["subscribed a 8 true"]);
    for seq in [6, 7] {
        assert_eq!(rig.message("a", seq).first(), Some(&format!("a#{seq}")));
    }
    assert_eq!(rig.message("a", 9), ["a#9"]);
}

#[test]
fn an_answer_that_a_cut_swallowed_is_found_again() {
    let mut rig = Rig::ready_with(&[]);
    rig.input(Input::Command(Command::Subscribe("a".to_owned(), None)));
    assert!(rig.resume()[1].contains(r#""lastSeqPerTopic":{}"#));
    // The session has it from a position that the program never saw: it begins at the head.
    assert_eq!(rig.recovered("a", 7, true, 2), ["subscribed a 7 true"]);
    assert_eq!(rig.message("a", 6), [""; 0]);
    assert_eq!(rig.resumed(), ["ready"]);
    assert_eq!(rig.message("a", 8), ["a#8"]);
}

#[test]
fn a_gateway_that_cannot_find_sessions_now_is_left_and_asked_again() {
    let mut rig = Rig::ready_with(&[]);
    rig.resume();
    assert_eq!(
        rig.text(r#"{"type":"error","code":"NOT_AVAILABLE","message":"","retryable":true}"#),
        [
            "error NOT_AVAILABLE",
            "abort: the gateway cannot set up a socket now"
        ]
    );
    assert!(rig.resume()[1].starts_with(r#"> {"type":"resume""#));
}

#[test]
fn a_resume_that_might_be_too_large_is_none() {
    let topics: Vec<String> = (0..300).map(|n| format!("{n:0>200}")).collect();
    let mut rig = Rig::ready_with(&topics.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(rig.resume()[1], r#"> {"type":"setup","token":"me"}"#);
    assert_eq!(rig.ready().len(), 301);
}
