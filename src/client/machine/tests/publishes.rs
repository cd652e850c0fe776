//! Publishes are kept until their answer.

use super::*;

#[test]
fn unacked_publishes_go_out_again_in_order() {
    let mut rig = Rig::ready_with(&[]);
    for (id, answer) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(rig.publish(id, answer), [format!("> publish {id}")]);
    }
    let ack = r#"{"type":"ack","messageId":"a","status":"ok","seqNo":1}"#;
    assert_eq!(rig.text(ack), ["answer 1: Ok 1"]);
    rig.reopen();
    assert!(rig.publish("d", 4).is_empty());
    assert_eq!(
        rig.ready(),
        ["ready", "> publish b", "> publish c", "> publish d"]
    );
    let duplicate = r#"{"type":"ack","messageId":"b","status":"duplicate","seqNo":2}"#;
    assert_eq!(rig.text(duplicate), ["answer 2: Duplicate 2"]);
    assert_eq!(rig.text(duplicate), ["acked b"], "nobody waits any more");
    let refused =
        r#"{"type":"error","code":"ACL_DENIED","message":"no","messageId":"c","topic":"t"}"#;
    let told = rig.text(refused);
    assert_eq!(told, [format!("answer 3: ACL_DENIED: no{EARLIER}")]);
    assert_eq!(
        rig.closed(4003),
        [
            "closed 4003 for good",
            "answer 4: the socket closed before the ack came",
            "done"
        ]
    );
}

#[test]
fn without_reconnect_unacked_publishes_fail() {
    let mut rig = Rig::new(Options {
        reconnect: None,
        ..options()
    });
    rig.input(Input::Opened);
    rig.ready();
    rig.publish("a", 1);
    assert_eq!(
        rig.closed(1006),
        [
            "closed 1006 for good",
            "answer 1: the socket closed before the ack came",
            "done"
        ]
    );
}

#[test]
fn waiting_publishes_are_bounded() {
    let mut rig = Rig::ready_with(&[]);
    for index in 0..MAX_WAITING {
        rig.publish(&format!("{index}"), 0);
    }
    assert_eq!(
        rig.publish("x", 7),
        ["answer 7: too many publishes are waiting for their acks"]
    );
}

#[test]
fn a_refusal_of_a_publish_that_was_sent_again_tells_no_more_than_it_knows() {
    let mut rig = Rig::ready_with(&[]);
    rig.publish("a", 1);
    rig.resume();
    rig.publish("b", 2);
    rig.resumed();
    let refused = |id: &str| {
        format!(
            r#"{{"type":"error","code":"TOO_MANY_REQUESTS","message":"slower","messageId":"{id}","retryable":true}}"#
        )
    };
    let told = rig.text(&refused("a"));
    let known = "answer 1: TOO_MANY_REQUESTS: slower (an earlier copy may have been accepted; the same message id has no second effect)";
    assert_eq!(told, [known]);
    let told = rig.text(&refused("b"));
    assert_eq!(told, ["answer 2: TOO_MANY_REQUESTS: slower"]);
}
