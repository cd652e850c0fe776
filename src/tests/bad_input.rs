//! What is not well formed is refused with a reason, and the socket lives.

use serde_json::json;

use crate::harness::TestGateway;

#[tokio::test]
async fn a_bad_frame_is_refused_naming_the_field() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("ann", &[]).await;
    for (frame, named) in [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("nonsense", "not JSON"),
        ("{\"type\":\"ping\"} {}", "not JSON"),
        ("[]", "object"),
        ("[\"ping\"]", "object"),
        ("\"ping\"", "object"),
        ("null", "object"),
        ("7", "object"),
        ("{}", "`type`"),
        (r#"{"type":null}"#, "type"),
        (r#"{"type":7}"#, "`type`"),
        (r#"{"type":"nope"}"#, "nope"),
        (r#"{"type":"PING"}"#, "PING"),
        (
            r#"{"type":"message","topic":"t","seqNo":1,"messageId":"1","data":1}"#,
            "message",
        ),
        (r#"{"type":"pong"}"#, "pong"),
        (r#"{"type":"subscribe"}"#, "`topic`"),
        (r#"{"type":"subscribe","topic":null}"#, "`topic`"),
        (r#"{"type":"subscribe","topic":["t"]}"#, "`topic`"),
        (
            r#"{"type":"subscribe","topic":"t","lastSeq":"3"}"#,
            "`lastSeq`",
        ),
        (
            r#"{"type":"subscribe","topic":"t","lastSeq":-1}"#,
            "`lastSeq`",
        ),
        (
            r#"{"type":"subscribe","topic":"t","lastSeq":1.5}"#,
            "`lastSeq`",
        ),
        (r#"{"type":"subscribe","topic":"t","epoch":5}"#, "`epoch`"),
        (r#"{"type":"subscribe","topic":"t","qos":2}"#, "`qos`"),
        (r#"{"type":"unsubscribe"}"#, "`topic`"),
        (
            r#"{"type":"publish","topic":"t","messageId":"1"}"#,
            "`payload`",
        ),
        (
            r#"{"type":"publish","topic":"t","payload":1}"#,
            "`messageId`",
        ),
        (
            r#"{"type":"publish","messageId":"1","payload":1}"#,
            "`topic`",
        ),
        (
            r#"{"type":"publish","topic":"t","messageId":1,"payload":1}"#,
            "`messageId`",
        ),
        (
            r#"{"type":"publish","topic":"t","messageId":"","payload":1}"#,
            "messageId",
        ),
        (
            r#"{"type":"publish","topic":"t","messageId":"1","payload":1,"sig":2}"#,
            "`sig`",
        ),
        (
            r#"{"type":"publish","topic":"t","messageId":"1","payload":nan}"#,
            "not JSON",
        ),
        (r#"{"type":"ack","topic":"t"}"#, "`seqNo`"),
        (r#"{"type":"ack","topic":"t","seqNo":"1"}"#, "`seqNo`"),
    ] {
        socket.send_text(frame).await;
        let error = socket.expect_error("BAD_REQUEST").await;
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(named),
            "{frame} is answered by {message:?}"
        );
        assert_eq!(error["retryable"], false);
    }
    let long = "i".repeat(129);
    socket
        .send(json!({"type": "publish", "topic": "t", "messageId": long, "payload": 1}))
        .await;
    let error = socket.expect_error("BAD_REQUEST").await;
    assert!(error["message"].as_str().unwrap().contains("messageId"));
    socket.publish("t", &"i".repeat(128), json!(1)).await;
}

#[tokio::test]
async fn a_bad_setup_is_refused_and_a_good_one_still_works() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    for (frame, named) in [
        (r#"{"type":"setup","token":5}"#, "`token`"),
        (r#"{"type":"setup","token":"ann","topics":"t"}"#, "`topics`"),
        (r#"{"type":"setup","token":"ann","topics":[1]}"#, "`topics`"),
        (r#"{"type":"resume","token":"ann"}"#, "`sessionId`"),
        (
            r#"{"type":"resume","token":"ann","sessionId":"s"}"#,
            "`lastSeqPerTopic`",
        ),
    ] {
        socket.send_text(frame).await;
        let error = socket.expect_error("BAD_REQUEST").await;
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(named),
            "{frame} is answered by {message:?}"
        );
    }
    socket.setup("ann", &["t"]).await;
}

#[tokio::test]
async fn a_bad_topic_is_refused_wherever_it_stands() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("ann", &[]).await;
    let long = "x".repeat(256);
    for topic in ["", "a\nb", "\u{0}", "\u{7f}", "\u{85}", &long] {
        for frame in [
            json!({"type": "subscribe", "topic": topic}),
            json!({"type": "unsubscribe", "topic": topic}),
            json!({"type": "publish", "topic": topic, "messageId": "1", "payload": 1}),
        ] {
            socket.send(frame).await;
            assert_eq!(socket.expect_error("BAD_TOPIC").await["topic"], topic);
        }
    }
    let longest = "ü".repeat(127) + "x";
    assert_eq!(longest.len(), 255);
    socket.subscribe(&longest).await;
    for path in ["/ws/sub/%0A", "/ws/sub/%FF", &format!("/ws/sub/{long}")] {
        let answer = crate::harness::Request::upgrade(path)
            .send(gateway.addr)
            .await;
        answer.expect_error(400, "BAD_TOPIC");
    }
}

#[tokio::test]
async fn too_many_errors_end_the_connection() {
    let gateway = TestGateway::start().await;
    let mut bad = gateway.user("ann", &["t"]).await;
    let mut good = gateway.user("bob", &["t"]).await;
    bad.send_together((0..200).map(|_| json!({"type": "nope"})).collect())
        .await;
    assert_eq!(bad.expect_close(4008).await, "too many errors");
    drop(bad);
    good.publish("t", "1", json!(1)).await;
    gateway
        .stats_become("one connection", |s| s["connections"] == 1)
        .await;
}
