//! Faults on purpose: what follows is what follows a bad network.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::socket::publish;
use crate::harness::{Answer, Request, TestGateway, soon};

async fn inflict(gateway: &TestGateway, body: Value) -> Answer {
    let request = Request::new("POST", "/demo/faults").body(body.to_string());
    request.send(gateway.addr).await
}

#[tokio::test]
async fn a_cut_is_no_close_and_the_session_goes_on() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    let session = socket.setup("ann", &["t"]).await["sessionId"].clone();
    let answer = inflict(&gateway, json!({"sessionId": session, "fault": "cut"})).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"ok": true})));
    assert!(socket.next_message().await.is_none(), "no close frame");
    gateway
        .user("ben", &[])
        .await
        .publish("t", "1", json!(1))
        .await;

    let mut socket = gateway.socket("/ws").await;
    let resume = json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {"t": 0}});
    socket.send(resume).await;
    assert_eq!(socket.expect("subscribed").await["replayed"], 1);
    assert_eq!(socket.messages(1).await[0].1, 1);
    assert_eq!(socket.expect("ready").await["resumed"], true);
}

#[tokio::test]
async fn a_stalled_socket_fills_its_queue_and_is_closed_with_4108() {
    let gateway = TestGateway::with(&[("send-queue-bytes", "64KiB")]).await;
    let mut slow = gateway.socket("/ws").await;
    let session = slow.setup("ann", &["t"]).await["sessionId"].clone();
    let mut quick = gateway.user("cleo", &["t"]).await;
    let stall = json!({"sessionId": session, "fault": "stall", "seconds": 60});
    assert_eq!(inflict(&gateway, stall).await.status, 200);
    let mut publisher = gateway.user("ben", &[]).await;
    let payload = json!("x".repeat(20_000));
    for id in 1..=5_u64 {
        publisher
            .send(publish("t", &id.to_string(), payload.clone()))
            .await;
        publisher.expect("ack").await;
        assert_eq!(quick.messages(1).await[0].1, id, "others go on");
    }
    // The first thing that is written to it is the close.
    match slow.next_message().await {
        Some(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 4108),
        other => panic!("expected a close, got {other:?}"),
    }
    let metrics = gateway.get("/metrics").await;
    let counted = "micro_socket_closes_total{code=\"4108\"} 1\n";
    assert!(metrics.text().contains(counted));
}

#[tokio::test]
async fn a_stalled_socket_that_reads_again_gets_everything_in_order() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    let session = socket.setup("ann", &["t"]).await["sessionId"].clone();
    let stall = json!({"sessionId": session, "fault": "stall", "seconds": 1});
    let begun = Instant::now();
    assert_eq!(inflict(&gateway, stall).await.status, 200);
    let mut publisher = gateway.user("ben", &[]).await;
    for id in 1..=3 {
        publisher.publish("t", &id.to_string(), json!(id)).await;
    }
    let numbers = socket.messages(3).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(numbers.iter().map(|m| m.1).collect::<Vec<_>>(), [1, 2, 3]);
    socket.expect_quiet().await;
}

/// How many messages a session goes on with that is resumed without a position of the client's own.
async fn goes_on_with(gateway: &TestGateway, session: &Value) -> Value {
    let mut socket = gateway.socket("/ws").await;
    let resume =
        json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {}});
    socket.send(resume).await;
    socket.expect("subscribed").await["replayed"].clone()
}

#[tokio::test]
async fn what_waited_for_a_socket_that_was_cut_is_sent_to_the_next() {
    let gateway = TestGateway::start().await;
    let mut slow = gateway.socket("/ws").await;
    let session = slow.setup("ann", &["t"]).await["sessionId"].clone();
    let stall = json!({"sessionId": session, "fault": "stall", "seconds": 60});
    assert_eq!(inflict(&gateway, stall).await.status, 200);
    let mut quick = gateway.user("cleo", &["t"]).await;
    let mut publisher = gateway.user("ben", &[]).await;
    for id in 1..=3 {
        publisher.publish("t", &id.to_string(), json!(id)).await;
    }
    assert_eq!(quick.messages(3).await[2].1, 3);
    let cut = json!({"sessionId": session, "fault": "cut"});
    assert_eq!(inflict(&gateway, cut).await.status, 200);
    assert_eq!(goes_on_with(&gateway, &session).await, 3);
}

#[tokio::test]
async fn a_replay_that_waited_for_a_socket_that_was_cut_is_sent_to_the_next() {
    let gateway = TestGateway::start().await;
    let mut publisher = gateway.user("ben", &[]).await;
    for id in 1..=3 {
        publisher.publish("t", &id.to_string(), json!(id)).await;
    }
    let mut slow = gateway.socket("/ws").await;
    let session = slow.setup("ann", &[]).await["sessionId"].clone();
    let stall = json!({"sessionId": session, "fault": "stall", "seconds": 60});
    assert_eq!(inflict(&gateway, stall).await.status, 200);
    slow.send(json!({"type": "subscribe", "topic": "t", "lastSeq": 0}))
        .await;
    gateway
        .stats_become("the subscription", |s| s["subscriptions"] == 1)
        .await;
    let cut = json!({"sessionId": session, "fault": "cut"});
    assert_eq!(inflict(&gateway, cut).await.status, 200);
    assert_eq!(goes_on_with(&gateway, &session).await, 3);
}

#[tokio::test]
async fn only_for_a_session_that_lives_here_and_only_well_formed() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    let session = socket.setup("ann", &[]).await["sessionId"].clone();
    for unknown in ["", "0123456789abcdef0123456789abcdef", "x"] {
        let answer = inflict(&gateway, json!({"sessionId": unknown, "fault": "cut"})).await;
        answer.expect_error(404, "SESSION_EXPIRED");
    }
    for bad in [
        json!({"fault": "cut"}),
        json!({"sessionId": session}),
        json!({"sessionId": session, "fault": "melt"}),
        json!({"sessionId": session, "fault": "cut", "all": true}),
        json!({"sessionId": session, "fault": "stall", "seconds": 0}),
        json!({"sessionId": session, "fault": "stall", "seconds": 61}),
    ] {
        inflict(&gateway, bad)
            .await
            .expect_error(400, "BAD_REQUEST");
    }
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "http://evil.example"),
    ] {
        let body = json!({"sessionId": session, "fault": "cut"}).to_string();
        let request = Request::new("POST", "/demo/faults").body(body);
        let answer = request.header(name, value).send(gateway.addr).await;
        answer.expect_error(403, "ACL_DENIED");
    }
    socket.expect_quiet().await;
}

#[tokio::test]
async fn who_may_not_ask_is_refused_before_anything_is_read_and_who_may_is_read_a_little() {
    let gateway = TestGateway::with(&[("demo-endpoints", "off")]).await;
    let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
    let head = "POST /demo/faults HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon("an answer", stream.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");

    let gateway = TestGateway::start().await;
    let body = format!("{{\"sessionId\":\"{}\"}}", "x".repeat(5000));
    let request = Request::new("POST", "/demo/faults").body(body);
    let answer = request.send(gateway.addr).await;
    answer.expect_error(413, "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn never_without_the_demo_endpoints() {
    let gateway = TestGateway::with(&[("demo-endpoints", "off")]).await;
    let mut socket = gateway.socket("/ws").await;
    let session = socket.setup("ann", &[]).await["sessionId"].clone();
    let answer = inflict(&gateway, json!({"sessionId": session, "fault": "cut"})).await;
    assert!(
        answer
            .expect_error(404, "BAD_REQUEST")
            .contains("demo-endpoints")
    );
    socket.expect_quiet().await;
}
