//! Many requests in one breath: each is answered once, and nothing is passed over.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::TestGateway;
use crate::harness::socket::{Socket, publish, seq_no};

/// Counts acks and messages by id until both are complete, then checks that nothing follows.
async fn each_once(socket: &mut Socket, ids: &[String]) {
    let mut seen: BTreeMap<(String, String), u32> = BTreeMap::new();
    for _ in 0..2 * ids.len() {
        let frame = socket.next().await;
        let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        let times = seen.entry((text("type"), text("messageId"))).or_default();
        *times += 1;
        assert_eq!(*times, 1, "twice: {frame}");
    }
    socket.expect_quiet().await;
    for id in ids {
        for kind in ["ack", "message"] {
            assert!(
                seen.contains_key(&(kind.to_owned(), id.clone())),
                "no {kind} of {id}"
            );
        }
    }
}

#[tokio::test]
async fn publishes_to_more_topics_than_one_write_takes() {
    let gateway = TestGateway::start().await;
    let topics: Vec<String> = (0..100).map(|i| format!("t{i}")).collect();
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut socket = gateway.user("ann", &names).await;
    socket
        .send_together(names.iter().map(|t| publish(t, t, json!(1))).collect())
        .await;
    each_once(&mut socket, &topics).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishes_of_a_client_that_reads_later() {
    let gateway = TestGateway::with(&[("history-size", "1")]).await;
    let mut socket = Socket::connect_narrow(gateway.addr, "/ws", 4096).await;
    socket.setup("ann", &["t"]).await;
    let filler = "x".repeat(3000);
    let ids: Vec<String> = (0..3000).map(|i| i.to_string()).collect();
    for burst in ids.chunks(100) {
        socket
            .send_together(
                burst
                    .iter()
                    .map(|id| publish("t", id, json!(filler)))
                    .collect(),
            )
            .await;
        each_once(&mut socket, burst).await;
    }
}

#[tokio::test]
async fn a_second_subscribe_does_not_pass_over_what_came_between() {
    let gateway = TestGateway::start().await;
    let mut first = gateway.user("ann", &[]).await;
    for i in 0..5 {
        first.publish("t", &i.to_string(), json!(i)).await;
    }
    let mut socket = gateway.user("bob", &[]).await;
    socket
        .send_together(vec![
            json!({"type": "subscribe", "topic": "t"}),
            publish("t", "between", json!(1)),
            json!({"type": "subscribe", "topic": "t"}),
            publish("t", "after", json!(2)),
        ])
        .await;
    let mut messages: Vec<(u64, Value)> = Vec::new();
    for _ in 0..6 {
        let frame = socket.next().await;
        if frame["type"] == "message" {
            messages.push((seq_no(&frame), frame["messageId"].clone()));
        }
    }
    assert_eq!(messages, [(6, json!("between")), (7, json!("after"))]);
    socket.expect_quiet().await;
}

#[tokio::test]
async fn leaving_and_joining_in_one_breath_gets_what_follows() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("bob", &["t"]).await;
    let mut witness = gateway.user("eve", &["t"]).await;
    let mut frames = Vec::new();
    for i in 0..50 {
        frames.push(json!({"type": "unsubscribe", "topic": "t"}));
        frames.push(publish("t", &format!("missed{i}"), json!(i)));
        frames.push(json!({"type": "subscribe", "topic": "t"}));
        frames.push(publish("t", &format!("heard{i}"), json!(i)));
        frames.push(json!({"type": "ping"}));
    }
    let count = frames.len();
    socket.send_together(frames).await;
    // Frames in one breath may leave before their messages are handed out: only the last `heard`
    // must come, none may come twice, and `missed` never.
    let mut heard = Vec::new();
    let mut others = 0;
    while others < count || heard.last() != Some(&json!("heard49")) {
        let frame = socket.next().await;
        if frame["type"] == "message" {
            heard.push(frame["messageId"].clone());
        } else {
            others += 1;
        }
    }
    assert!(
        heard
            .iter()
            .all(|id| id.as_str().unwrap().starts_with("heard")),
        "{heard:?}"
    );
    let unique: std::collections::BTreeSet<_> = heard.iter().map(Value::to_string).collect();
    assert_eq!(unique.len(), heard.len());
    socket.expect_quiet().await;
    assert_eq!(witness.messages(100).await.last().unwrap().1, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catching_up_on_many_topics_at_once_is_not_slow() {
    // Far more than the send queue holds, asked for in one breath by one who reads all the time.
    let gateway = TestGateway::with(&[("send-queue-bytes", "64KiB")]).await;
    let topics: Vec<String> = (0..300).map(|i| format!("t{i}")).collect();
    let mut filler = gateway.user("ann", &[]).await;
    for topic in &topics {
        filler
            .publish(topic, topic, json!("x".repeat(20_000)))
            .await;
    }
    let mut socket = Socket::connect_narrow(gateway.addr, "/ws", 4096).await;
    socket.setup("bob", &[]).await;
    let requests = topics
        .iter()
        .map(|topic| json!({"type": "subscribe", "topic": topic, "lastSeq": 0}));
    socket.send_together(requests.collect()).await;
    for topic in &topics {
        let subscribed = socket.expect("subscribed").await;
        assert_eq!(
            (&subscribed["topic"], &subscribed["replayed"]),
            (&json!(topic), &json!(1))
        );
        assert_eq!(&socket.messages(1).await[0].0, topic);
    }
    socket.expect_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resuming_many_topics_is_not_slow() {
    let gateway = TestGateway::with(&[("send-queue-bytes", "64KiB")]).await;
    let topics: Vec<String> = (0..300).map(|i| format!("t{i}")).collect();
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut before = gateway.socket("/ws").await;
    let session = before.setup("bob", &names).await["sessionId"].clone();
    drop(before);
    let mut filler = gateway.user("ann", &[]).await;
    for topic in &topics {
        filler
            .publish(topic, topic, json!("x".repeat(20_000)))
            .await;
    }
    let mut socket = Socket::connect_narrow(gateway.addr, "/ws", 4096).await;
    let resume =
        json!({"type": "resume", "token": "bob", "sessionId": session, "lastSeqPerTopic": {}});
    socket.send(resume).await;
    for _ in &topics {
        assert_eq!(socket.expect("subscribed").await["recovered"], true);
        socket.messages(1).await;
    }
    assert_eq!(socket.expect("ready").await["resumed"], true);
    socket.expect_quiet().await;
}
