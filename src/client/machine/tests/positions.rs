//! What came is told in order and from where the program is.

use super::*;

#[test]
fn setup_comes_first_with_the_topics_in_order() {
    let mut options = options();
    options.topics = vec!["prices".to_owned(), "alerts".to_owned()];
    let mut rig = Rig::new(options);
    assert_eq!(rig.outputs(), ["connect"]);
    assert!(
        rig.publish("a", 1).is_empty(),
        "nothing goes out before ready"
    );
    assert_eq!(
        rig.input(Input::Opened),
        [
            "opened",
            r#"> {"type":"setup","token":"me","topics":["prices","alerts"]}"#
        ]
    );
    assert_eq!(rig.subscribed("prices", 3, "e1"), ["subscribed prices 3"]);
    assert_eq!(rig.subscribed("alerts", 0, "e1"), ["subscribed alerts 0"]);
    assert_eq!(rig.ready(), ["ready", "> publish a"]);
    assert_eq!(rig.message("prices", 4), ["prices#4"]);
}

#[test]
fn a_reconnect_goes_on_from_each_topics_own_position() {
    let mut rig = Rig::ready_with(&["alerts", "prices"]);
    rig.message("prices", 6);
    assert_eq!(rig.reopen(), [r#"> {"type":"setup","token":"me"}"#]);
    assert_eq!(
        rig.ready(),
        [
            "ready",
            r#"> {"type":"subscribe","topic":"alerts","lastSeq":5,"epoch":"e1"}"#,
            r#"> {"type":"subscribe","topic":"prices","lastSeq":6,"epoch":"e1"}"#,
        ]
    );
    assert_eq!(
        rig.recovered("alerts", 5, true, 0),
        ["subscribed alerts 5 true"]
    );
    assert_eq!(
        rig.recovered("prices", 8, true, 2),
        ["subscribed prices 8 true"]
    );
    assert_eq!(rig.message("prices", 6), [""; 0], "had it before the cut");
    assert_eq!(rig.message("prices", 7), ["prices#7"]);
    assert_eq!(rig.message("prices", 8), ["prices#8"]);
    assert_eq!(rig.message("prices", 8), [""; 0], "twice");
    assert_eq!(rig.message("prices", 9), ["prices#9"]);
    assert_eq!(rig.message("alerts", 6), ["alerts#6"]);
}

/// On `/ws/sub/prices` the gateway subscribes the topic at its head before we can ask.
fn reopened_at_head(head: u64) -> Rig {
    let mut rig = Rig::new(options());
    rig.input(Input::Opened);
    assert_eq!(rig.subscribed("prices", 5, "e1"), ["subscribed prices 5"]);
    rig.ready();
    rig.reopen();
    assert_eq!(
        rig.subscribed("prices", head, "e1"),
        [""; 0],
        "the answer that counts follows"
    );
    rig
}

const ASK: &str = r#"> {"type":"subscribe","topic":"prices","lastSeq":5,"epoch":"e1"}"#;

#[test]
fn live_messages_wait_for_the_replay_that_fills_the_gap_before_them() {
    let mut rig = reopened_at_head(7);
    assert_eq!(rig.message("prices", 8), [""; 0], "held before ready");
    assert_eq!(rig.ready(), ["ready", ASK]);
    assert_eq!(rig.message("prices", 9), [""; 0], "held");
    // The replay ends before the live messages that were sent already.
    assert_eq!(
        rig.recovered("prices", 7, true, 2),
        ["subscribed prices 7 true"]
    );
    assert_eq!(rig.message("prices", 6), ["prices#6"]);
    assert_eq!(
        rig.message("prices", 7),
        ["prices#7", "prices#8", "prices#9"]
    );
    assert_eq!(rig.message("prices", 10), ["prices#10"]);
}

#[test]
fn a_replay_that_repeats_live_messages_doubles_nothing() {
    let mut rig = reopened_at_head(7);
    rig.ready();
    rig.message("prices", 8);
    assert_eq!(
        rig.recovered("prices", 8, true, 3),
        ["subscribed prices 8 true"]
    );
    let seen: Vec<String> = (6..=9).flat_map(|seq| rig.message("prices", seq)).collect();
    assert_eq!(seen, ["prices#6", "prices#7", "prices#8", "prices#9"]);
}

#[test]
fn an_unrecovered_position_says_so_and_keeps_what_came_since() {
    let mut rig = reopened_at_head(70);
    rig.ready();
    rig.message("prices", 71);
    assert_eq!(
        rig.recovered("prices", 71, false, 0),
        ["subscribed prices 71 false", "prices#71"]
    );
    assert_eq!(rig.message("prices", 72), ["prices#72"]);
}

#[test]
fn more_live_messages_than_may_be_held_come_with_the_replay() {
    let mut rig = reopened_at_head(5);
    rig.ready();
    for seq in 6..=1100 {
        assert!(rig.message("prices", seq).is_empty());
    }
    rig.recovered("prices", 1100, true, 1095);
    let mut seen = Vec::new();
    for seq in 6..=1101 {
        seen.extend(rig.message("prices", seq));
    }
    let expected: Vec<String> = (6..=1101).map(|seq| format!("prices#{seq}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_new_epoch_starts_a_new_position() {
    let mut rig = Rig::ready_with(&["prices"]);
    rig.reopen();
    rig.ready();
    let lost = r#"{"type":"subscribed","topic":"prices","seqNo":2,"epoch":"e2","recovered":false,"reason":"epoch"}"#;
    assert_eq!(rig.text(lost), ["subscribed prices 2 false"]);
    assert_eq!(
        rig.message("prices", 3),
        ["prices#3"],
        "3 of e2 is new although 5 of e1 was seen"
    );
    rig.reopen();
    assert_eq!(
        rig.ready()[1],
        r#"> {"type":"subscribe","topic":"prices","lastSeq":3,"epoch":"e2"}"#
    );
}

#[test]
fn a_hole_is_told_and_a_compacted_numbering_is_none() {
    let mut rig = Rig::ready_with(&["prices"]);
    assert_eq!(rig.message("prices", 8), ["gap prices 5..8", "prices#8"]);
    let sparse =
        r#"{"type":"message","topic":"prices","seqNo":12,"prevSeq":8,"messageId":"m","data":1}"#;
    assert_eq!(rig.text(sparse), ["prices#12"]);
}

/// A number that no message has is a topic's end where numbers have holes.
#[test]
fn a_replay_is_over_when_as_many_came_as_the_gateway_told() {
    let live = |seq: u64, before: u64| {
        format!(
            r#"{{"type":"message","topic":"a","seqNo":{seq},"prevSeq":{before},"messageId":"m","data":1}}"#
        )
    };
    let mut rig = Rig::ready_with(&["a"]);
    rig.resume();
    assert_eq!(rig.recovered("a", 9, true, 0), ["subscribed a 9 true"]);
    rig.resumed();
    assert_eq!(rig.text(&live(12, 9)), ["a#12"]);
    rig.resume();
    rig.recovered("a", 30, true, 2);
    rig.resumed();
    assert_eq!(rig.text(&live(20, 12)), ["a#20"]);
    assert_eq!(rig.text(&live(20, 12)), [""; 0], "twice");
    assert_eq!(rig.text(&live(25, 20)), ["a#25"]);
    assert_eq!(rig.text(&live(33, 30)), ["a#33"]);
}

#[test]
fn where_the_gateway_does_not_tell_how_many_the_replay_ends_with_the_head() {
    let mut rig = Rig::ready_with(&["a"]);
    rig.resume();
    rig.text(r#"{"type":"subscribed","topic":"a","seqNo":7,"epoch":"e1","recovered":true}"#);
    assert_eq!(rig.message("a", 8), [""; 0], "held");
    assert_eq!(rig.message("a", 6), ["a#6"]);
    assert_eq!(rig.message("a", 7), ["a#7", "a#8"]);
}
