use super::*;
use crate::protocol::{decode_client, decode_server};

/// Feeds frames, as `> ` sent or `< ` received, short for topic `t`: `> sub`, `> sub 3`, `> resume 3`,
/// `< sub 5 e1`, `< back 5 e1 2`, `< lost 5 e1`, `< 6`, `< 6 after 4`, `< 6 other`, `< gone`, `cut`.
fn fed(story: &[&str]) -> Record {
    let mut continuity = Continuity::default();
    for line in story {
        let words: Vec<_> = line.split(' ').collect();
        let sent = |text: String, c: &mut Continuity| c.sent(&decode_client(&text).unwrap());
        let received =
            |text: String, c: &mut Continuity| c.received(&decode_server(&text).unwrap());
        let subscribed = |n: &str, e: &str, more: &str| {
            format!(r#"{{"type":"subscribed","topic":"t","seqNo":{n},"epoch":"{e}"{more}}}"#)
        };
        let message = |n: &str, id: &str, more: &str| {
            format!(
                r#"{{"type":"message","topic":"t","seqNo":{n},"messageId":"{id}","data":1{more}}}"#
            )
        };
        let c = &mut continuity;
        match words[..] {
            ["cut"] => c.opening(),
            [">", "sub"] => sent(r#"{"type":"subscribe","topic":"t"}"#.into(), c),
            [">", "sub", n] => sent(
                format!(r#"{{"type":"subscribe","topic":"t","lastSeq":{n}}}"#),
                c,
            ),
            [">", "resume", n] => sent(
                format!(
                    r#"{{"type":"resume","token":"a","sessionId":"s","lastSeqPerTopic":{{"t":{n}}}}}"#
                ),
                c,
            ),
            ["<", "sub", n, e] => received(subscribed(n, e, ""), c),
            ["<", "back", n, e, many] => {
                let more = format!(r#","recovered":true,"replayed":{many}"#);
                received(subscribed(n, e, &more), c);
            }
            ["<", "lost", n, e] => received(
                subscribed(n, e, r#","recovered":false,"reason":"trimmed""#),
                c,
            ),
            ["<", "gone"] => received(r#"{"type":"unsubscribed","topic":"t"}"#.into(), c),
            ["<", n] => received(message(n, n, ""), c),
            ["<", n, "after", before] => {
                received(message(n, n, &format!(r#","prevSeq":{before}"#)), c);
            }
            ["<", n, "other"] => received(message(n, "other", ""), c),
            _ => panic!("{line}"),
        }
    }
    assert_eq!(continuity.total(), continuity.topics()["t"].counts);
    continuity.topics()["t"].clone()
}

fn counts(story: &[&str]) -> (u64, u64, u64, u64) {
    let c = fed(story).counts;
    (c.received, c.gaps, c.doubles, c.disorder)
}

#[test]
fn an_unbroken_chain_is_clean() {
    let story = ["< sub 5 e", "< 6", "< 7", "< 12 after 7", "< 13"];
    assert_eq!(counts(&story), (4, 0, 0, 0));
    assert!(fed(&story).counts.are_clean());
    assert_eq!(fed(&story).seq_no, 13);
}

#[test]
fn what_is_missing_double_or_late_is_told_apart() {
    assert_eq!(counts(&["< sub 5 e", "< 7"]), (1, 1, 0, 0), "gap at once");
    assert_eq!(counts(&["< sub 5 e", "< 6", "< 9 after 8"]), (2, 1, 0, 0));
    assert_eq!(counts(&["< sub 5 e", "< 6", "< 7", "< 6"]), (3, 0, 1, 0));
    // 6 was missing when 7 came: a gap, and then out of order.
    let late = ["< sub 5 e", "< 5", "< 6 after 5", "< 8", "< 7"];
    assert_eq!(counts(&late), (4, 1, 1, 1));
    let other = ["< sub 5 e", "< 6", "< 6 other"];
    assert_eq!(counts(&other), (2, 0, 0, 1), "two messages, one number");
}

#[test]
fn a_double_is_known_long_afterwards() {
    let numbers: Vec<_> = (1..200).map(|n| format!("< {n}")).collect();
    let mut story = vec!["< sub 0 e"];
    story.extend(numbers.iter().map(String::as_str));
    story.push("< 3");
    assert_eq!(counts(&story), (200, 0, 1, 0));
}

#[test]
fn a_recovered_position_goes_on_without_a_gap() {
    let story = [
        "< sub 5 e",
        "< 6",
        "cut",
        "> resume 6",
        "< back 8 e 2",
        "< 7",
        "< 8",
        "< 9",
    ];
    let record = fed(&story);
    assert!(record.counts.are_clean());
    let back = record.last_return.unwrap();
    assert!(back.recovered);
    assert_eq!((back.announced, back.replayed), (2, 2), "9 is live");
}

#[test]
fn a_replay_that_leaves_one_out_is_a_gap() {
    let story = ["< sub 5 e", "cut", "> sub 5", "< back 8 e 3", "< 6", "< 8"];
    let record = fed(&story);
    assert_eq!(record.counts.gaps, 1);
    let back = record.last_return.unwrap();
    assert_eq!(back.words(), "recovered, 2 of 3 replayed");
}

#[test]
fn who_asks_for_old_messages_gets_no_doubles() {
    let story = ["< sub 0 e", "< 1", "< 2", "> sub 0", "< back 2 e 2"];
    let again = [&story[..], &["< 1", "< 2", "< 3"]].concat();
    assert_eq!(counts(&again), (5, 0, 0, 0));
    // Nobody asked for these.
    let unasked = ["< sub 0 e", "< 1", "< 2", "cut", "< back 2 e 2"];
    let unasked = [&unasked[..], &["< 1", "< 2"]].concat();
    assert_eq!(counts(&unasked), (4, 0, 2, 0));
}

#[test]
fn what_was_declared_lost_is_no_gap() {
    let story = ["< sub 5 e", "cut", "> sub 5", "< lost 90 e", "< 91"];
    let record = fed(&story);
    assert!(record.counts.are_clean());
    let back = record.last_return.unwrap();
    assert!(!back.recovered);
    assert_eq!(
        back.words(),
        "not recovered: the history does not reach back so far (trimmed)"
    );
}

#[test]
fn another_epoch_is_another_numbering() {
    let story = ["< sub 5 e1", "< 6", "cut", "> sub 6", "< lost 2 e2", "< 3"];
    assert_eq!(counts(&story), (2, 0, 0, 0));
    assert_eq!(fed(&story).epoch, "e2");
}

#[test]
fn subscribing_twice_changes_nothing() {
    let story = ["< sub 5 e", "> sub", "< sub 7 e", "< 6", "< 7", "< 8"];
    assert_eq!(counts(&story), (3, 0, 0, 0));
    // After leaving it, it begins at the head again.
    let left = ["< sub 5 e", "< gone", "< sub 9 e", "< 10"];
    assert_eq!(counts(&left), (1, 0, 0, 0));
}

#[test]
fn a_session_of_somebody_else_begins_where_it_is() {
    let story = ["> sub", "< back 9 e 2", "< 8", "< 9", "< 10"];
    let record = fed(&story);
    assert_eq!(record.counts.received, 3);
    assert!(record.counts.are_clean());
    assert_eq!(record.last_return.unwrap().replayed, 2);
}

#[test]
fn a_message_of_nowhere_begins_where_it_is() {
    let mut continuity = Continuity::default();
    let text = r#"{"type":"message","topic":"t","seqNo":9,"messageId":"m","data":1}"#;
    continuity.received(&decode_server(text).unwrap());
    assert!(continuity.total().are_clean());
}

#[test]
fn counts_of_a_while() {
    let early = fed(&["< sub 0 e", "< 2"]).counts;
    let late = fed(&["< sub 0 e", "< 2", "< 3", "< 3"]).counts;
    let between = late.since(early);
    assert_eq!((between.received, between.gaps, between.doubles), (2, 0, 1));
    assert_eq!(between.words(), "1 double");
    assert_eq!(late.words(), "1 gap, 1 double");
    assert_eq!(Counts::default().words(), "no gap, no double, in order");
}

#[test]
fn topics_are_bounded() {
    let mut continuity = Continuity::default();
    for n in 0..=MAX_TOPICS {
        let text = format!(r#"{{"type":"subscribed","topic":"{n}","seqNo":0}}"#);
        continuity.received(&decode_server(&text).unwrap());
    }
    assert_eq!(continuity.topics().len(), MAX_TOPICS);
}
