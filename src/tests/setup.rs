//! The way in: `setup` on both endpoints, and everything that can be wrong with it.

use serde_json::json;

use crate::harness::{RawSocket, TestGateway};

#[tokio::test]
async fn answers_to_the_topics_come_in_order_then_ready() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    socket
        .send(json!({"type": "setup", "token": "ann", "topics": ["b", "", "a", "b"]}))
        .await;
    assert_eq!(socket.expect("subscribed").await["topic"], "b");
    assert_eq!(socket.expect_error("BAD_TOPIC").await["topic"], "");
    assert_eq!(socket.expect("subscribed").await["topic"], "a");
    assert_eq!(socket.expect("subscribed").await["topic"], "b");
    let ready = socket.expect("ready").await;
    assert_eq!(ready["userId"], "ann");
    assert_eq!(ready["resumed"], false);
    assert!(ready["sessionId"].as_str().unwrap().len() >= 32);
    socket.expect_quiet().await;
}

#[tokio::test]
async fn the_topic_of_the_url_comes_first() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws/sub/prices").await;
    socket
        .send(json!({"type": "setup", "token": "ann", "topics": ["alerts"]}))
        .await;
    assert_eq!(socket.expect("subscribed").await["topic"], "prices");
    assert_eq!(socket.expect("subscribed").await["topic"], "alerts");
    socket.expect("ready").await;
}

#[tokio::test]
async fn topics_in_urls_are_percent_decoded() {
    let gateway = TestGateway::start().await;
    let longest = "x".repeat(255);
    for (path, topic) in [
        ("/ws/sub/caf%C3%A9%20%F0%9F%8E%BB", "café 🎻"),
        ("/ws/sub/a%2Fb", "a/b"),
        ("/ws/sub/100%25", "100%"),
        ("/ws/sub/a+b", "a+b"),
        (&format!("/ws/sub/{longest}"), &longest),
    ] {
        let mut socket = gateway.socket(path).await;
        socket.send(json!({"type": "setup", "token": "ann"})).await;
        assert_eq!(socket.expect("subscribed").await["topic"], topic);
        socket.expect("ready").await;
        socket
            .publish(topic, path.get(..20).unwrap_or(path), json!(1))
            .await;
    }
}

#[tokio::test]
async fn every_session_has_an_id_of_its_own() {
    let gateway = TestGateway::start().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let mut socket = gateway.socket("/ws").await;
        let ready = socket.setup("ann", &[]).await;
        assert!(ids.insert(ready["sessionId"].as_str().unwrap().to_owned()));
    }
}

#[tokio::test]
async fn nothing_but_ping_is_answered_before_setup() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    for frame in [
        json!({"type": "subscribe", "topic": "t"}),
        json!({"type": "unsubscribe", "topic": "t"}),
        json!({"type": "publish", "topic": "t", "messageId": "1", "payload": 1}),
        json!({"type": "ack", "topic": "t", "seqNo": 1}),
        json!({"type": "refresh", "token": "ann"}),
    ] {
        socket.send(frame).await;
        assert_eq!(
            socket.expect_error("AUTH_REQUIRED").await["retryable"],
            false
        );
    }
    socket.expect_quiet().await;
    assert_eq!(gateway.stats().await["published"], 0);
    socket.setup("ann", &["t"]).await;
}

#[tokio::test]
async fn a_bad_token_is_refused_and_closes() {
    let gateway = TestGateway::start().await;
    for frame in [
        json!({"type": "setup", "token": ""}),
        json!({"type": "setup"}),
        json!({"type": "setup", "token": null}),
        json!({"type": "setup", "token": "x".repeat(9000), "topics": ["t"]}),
    ] {
        let mut socket = gateway.socket("/ws").await;
        socket.send(frame).await;
        socket.expect_error("AUTH_FAILED").await;
        assert_eq!(socket.expect_close(4001).await, "authentication failed");
    }
    gateway
        .stats_become("no connection", |s| {
            s["connections"] == 0 && s["topics"] == 0
        })
        .await;
}

#[tokio::test]
async fn a_second_setup_is_refused_and_changes_nothing() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("ann", &["t"]).await;
    socket.send(json!({"type": "setup", "token": "bob"})).await;
    socket.expect_error("ALREADY_SETUP").await;
    socket
        .send(json!({"type": "resume", "token": "ann", "sessionId": "s", "lastSeqPerTopic": {}}))
        .await;
    socket.expect_error("ALREADY_SETUP").await;
    socket.publish("t", "1", json!(1)).await;
}

#[tokio::test]
async fn an_unknown_session_expired_and_setup_still_works() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    socket
        .send(json!({"type": "resume", "token": "ann", "sessionId": "no such", "lastSeqPerTopic": {"t": 3}}))
        .await;
    socket.expect_error("SESSION_EXPIRED").await;
    socket.setup("ann", &["t"]).await;
}

#[tokio::test]
async fn who_does_not_set_up_in_time_is_closed() {
    let gateway = TestGateway::with(&[("setup-timeout", "2s")]).await;
    let mut silent = gateway.socket("/ws").await;
    let mut chatty = gateway.socket("/ws/sub/t").await;
    let mut prompt = gateway.user("ann", &[]).await;
    chatty.expect_quiet().await;
    assert_eq!(silent.expect_close(4002).await, "no setup in time");
    chatty.expect_close(4002).await;
    prompt.expect_quiet().await;
}

#[tokio::test]
async fn frames_sent_together_with_setup_are_answered_in_order() {
    let gateway = TestGateway::start().await;
    let mut socket: RawSocket = gateway.raw("/ws/sub/t").await;
    let frames = [
        r#"{"type":"setup","token":"ann"}"#,
        r#"{"type":"publish","topic":"t","messageId":"1","payload":1}"#,
        r#"{"type":"unsubscribe","topic":"t"}"#,
    ];
    let bytes: Vec<u8> = frames
        .iter()
        .flat_map(|text| crate::harness::raw::masked(0x81, text.as_bytes()))
        .collect();
    socket.write(&bytes).await;
    let mut kinds = Vec::new();
    while kinds.len() < 4 {
        let frame: serde_json::Value = serde_json::from_str(&socket.next_text().await).unwrap();
        kinds.push(frame["type"].as_str().unwrap().to_owned());
    }
    // The message of a topic that was left in the same breath does not come.
    assert_eq!(kinds, ["subscribed", "ready", "ack", "unsubscribed"]);
}
