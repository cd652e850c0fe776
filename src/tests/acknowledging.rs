//! A qos 1 subscriber that is behind goes on when it has acknowledged, or is told that it cannot.

use serde_json::{Value, json};

use crate::harness::socket::{publish, seq_no};
use crate::harness::{Socket, TestGateway};

async fn guarded(gateway: &TestGateway, user: &str, topic: &str) -> Socket {
    let mut socket = gateway.user(user, &[]).await;
    socket
        .send(json!({"type": "subscribe", "topic": topic, "qos": 1}))
        .await;
    socket.expect("subscribed").await;
    socket
}

async fn fill(gateway: &TestGateway, topic: &str, payloads: &[Value]) {
    let mut publisher = gateway.user("publisher", &[]).await;
    for (id, payload) in payloads.iter().enumerate() {
        publisher
            .publish(topic, &id.to_string(), payload.clone())
            .await;
    }
}

async fn ack(socket: &mut Socket, topic: &str, seq_no: u64) {
    socket
        .send(json!({"type": "ack", "topic": topic, "seqNo": seq_no}))
        .await;
}

#[tokio::test]
async fn one_whose_next_message_is_gone_is_closed_with_4200() {
    let gateway = TestGateway::with(&[("history-size", "10")]).await;
    let mut socket = guarded(&gateway, "ann", "t").await;
    fill(&gateway, "t", &vec![json!(1); 1020]).await;
    assert_eq!(socket.messages(1000).await[999].1, 1000);
    socket.expect_quiet().await;
    ack(&mut socket, "t", 1000).await;
    socket.expect_close(4200).await;
}

#[tokio::test]
async fn one_whose_next_message_has_no_room_yet_waits_for_its_next_ack() {
    let gateway = TestGateway::with(&[("max-message-bytes", "2MiB")]).await;
    let mut socket = guarded(&gateway, "ann", "t").await;
    let (some, much) = (json!("x".repeat(300_000)), json!("x".repeat(900_000)));
    fill(&gateway, "t", &[some, much]).await;
    assert_eq!(socket.messages(1).await[0].1, 1);
    // There is room, but not for so much.
    ack(&mut socket, "t", 0).await;
    socket.expect_quiet().await;
    ack(&mut socket, "t", 1).await;
    assert_eq!(socket.messages(1).await[0].1, 2);
}

/// A message may be in the answer to a `subscribe` and on its way to all subscribers, both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribing_again_and_again_under_fire_closes_nobody() {
    const MESSAGES: u64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    let gateway = TestGateway::with(&[("backbone", "disk"), ("data-dir", dir)]).await;
    let mut publisher = gateway.user("publisher", &[]).await;
    let mut socket = guarded(&gateway, "ann", "t").await;
    let fire = tokio::spawn(async move {
        for id in 0..MESSAGES {
            publisher
                .send(publish("t", &id.to_string(), json!(id)))
                .await;
            publisher.expect("ack").await;
        }
    });
    let mut last = 0;
    while last < MESSAGES {
        let from = last;
        socket
            .send(json!({"type": "subscribe", "topic": "t", "qos": 1, "lastSeq": from}))
            .await;
        // What was on its way before the answer is replayed behind it.
        let subscribed = loop {
            let frame = socket.next().await;
            if frame["type"] == "subscribed" {
                break frame;
            }
            last += 1;
            assert_eq!(seq_no(&frame), last);
        };
        assert_eq!(subscribed["recovered"], true, "{subscribed}");
        last = from;
        for _ in 0..subscribed["replayed"].as_u64().unwrap() {
            last += 1;
            assert_eq!(seq_no(&socket.expect("message").await), last);
        }
    }
    fire.await.unwrap();
}
