//! What a gateway allows, and what it looks like beyond that.

use serde_json::json;

use crate::harness::socket::publish;
use crate::harness::{Request, TestGateway};

#[tokio::test]
async fn topics_of_one_connection() {
    let gateway = TestGateway::with(&[("max-topics", "3")]).await;
    let mut socket = gateway.socket("/ws/sub/a").await;
    socket
        .send(json!({"type": "setup", "token": "ann", "topics": ["b", "c", "d"]}))
        .await;
    for topic in ["a", "b", "c"] {
        assert_eq!(socket.expect("subscribed").await["topic"], topic);
    }
    assert_eq!(socket.expect_error("LIMIT_EXCEEDED").await["topic"], "d");
    socket.expect("ready").await;
    socket
        .send(json!({"type": "subscribe", "topic": "e"}))
        .await;
    socket.expect_error("LIMIT_EXCEEDED").await;
    // What is subscribed already may be asked for again; what is left makes room.
    socket.subscribe_after("a", 0).await;
    socket
        .send(json!({"type": "unsubscribe", "topic": "a"}))
        .await;
    socket.expect("unsubscribed").await;
    socket.subscribe("e").await;
    assert_eq!(gateway.stats().await["topics"], 3);
}

#[tokio::test]
async fn publishes_of_one_connection() {
    let gateway = TestGateway::with(&[("publish-rate", "5")]).await;
    let mut socket = gateway.user("ann", &[]).await;
    socket
        .send_together(
            (0..30)
                .map(|i| publish("t", &i.to_string(), json!(i)))
                .collect(),
        )
        .await;
    let mut accepted = 0;
    let mut refused = None;
    for i in 0..30 {
        let frame = socket.next().await;
        assert_eq!(frame["messageId"], i.to_string());
        if frame["type"] == "ack" {
            accepted += 1;
        } else {
            assert_eq!(frame["code"], "TOO_MANY_REQUESTS");
            assert_eq!(
                (&frame["retryable"], &frame["topic"]),
                (&json!(true), &json!("t"))
            );
            refused = Some(i.to_string());
        }
    }
    assert!(
        (10..=15).contains(&accepted),
        "a burst of twice the rate, not {accepted}"
    );
    // The same message is taken later: a refusal leaves no trace.
    let refused = refused.unwrap();
    crate::harness::soon("room for a publish", async {
        loop {
            socket.send(publish("t", &refused, json!(1))).await;
            let frame = socket.next().await;
            if frame["type"] == "ack" {
                return assert_eq!(frame["status"], "ok");
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    gateway
        .user("bob", &[])
        .await
        .publish("t", "1", json!(1))
        .await;
}

#[tokio::test]
async fn publishes_of_one_user_over_http() {
    let gateway = TestGateway::with(&[("publish-rate", "1")]).await;
    let item = |i: usize| json!({"topic": "t", "messageId": i.to_string(), "payload": i});
    let many = json!((0..1000).map(item).collect::<Vec<_>>()).to_string();
    let answer = Request::publish("ann", many).send(gateway.addr).await;
    assert_eq!(answer.status, 200);
    let results = answer.json();
    let results = results.as_array().unwrap();
    let (taken, refused): (Vec<_>, Vec<_>) =
        (results.iter()).partition(|result| result["status"] == "ok");
    // A burst of two, and what came due while they were read.
    assert!((2..20).contains(&taken.len()), "{}", taken.len());
    assert_eq!(taken.len() + refused.len(), 1000);
    for result in &refused {
        assert_eq!(result["error"]["code"], "TOO_MANY_REQUESTS");
    }
    assert_eq!(gateway.stats().await["published"], taken.len());

    // One alone is refused as a whole. On a busy machine some may be due before.
    let too_many = |what: &'static str, request: fn() -> Request| {
        let addr = gateway.addr;
        crate::harness::soon(what, async move {
            loop {
                let answer = request().send(addr).await;
                if answer.status != 200 {
                    return answer;
                }
            }
        })
    };
    let one = || Request::publish("ann", r#"{"topic":"t","payload":1}"#);
    let demo = || Request::get("/demo/publish/t?k=v");
    for answer in [
        too_many("a refusal", one).await,
        too_many("a refusal of the demo", demo).await,
    ] {
        let message = answer.expect_error(429, "TOO_MANY_REQUESTS");
        assert!(message.contains("at most 1 publishes"), "{message}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let bob = Request::publish("bob", r#"{"topic":"t","payload":1}"#);
    assert_eq!(bob.send(gateway.addr).await.status, 200);
    let metrics = gateway.get("/metrics").await;
    let line = "micro_socket_publishes_refused_total{code=\"TOO_MANY_REQUESTS\"} ";
    let count = metrics.text().lines().find_map(|l| l.strip_prefix(line));
    let count: f64 = count.unwrap().parse().unwrap();
    assert_eq!(count as usize, refused.len() + 2);

    // The limit is changed while the gateway runs.
    gateway.reload(&[]).unwrap();
    for _ in 0..50 {
        assert_eq!(one().send(gateway.addr).await.status, 200);
    }
}

#[tokio::test]
async fn connections_in_all() {
    let gateway = TestGateway::with(&[("max-connections", "2")]).await;
    let first = gateway.user("ann", &[]).await;
    let mut second = gateway.user("bob", &[]).await;
    for _ in 0..3 {
        let answer = Request::upgrade("/ws").send(gateway.addr).await;
        answer.expect_error(503, "NOT_AVAILABLE");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    // HTTP is not a connection in this sense, and those who are in stay in.
    assert_eq!(gateway.get("/readyz").await.status, 200);
    second.publish("t", "1", json!(1)).await;
    assert_eq!(first.close(1000, "").await, Some(1000));
    gateway
        .stats_become("room", |s| s["connections"] == 1)
        .await;
    gateway.user("eve", &[]).await;
}

#[tokio::test]
async fn origins() {
    let upgrade = |origin: &str| Request::upgrade("/ws/sub/t").header("Origin", origin);
    let gateway = TestGateway::start().await;
    let own = format!("http://{}", gateway.addr);
    assert_eq!(upgrade(&own).send(gateway.addr).await.status, 101);
    for other in [
        "http://evil.example",
        "null",
        &format!("{own}.evil.example"),
        "http://127.0.0.1",
    ] {
        let answer = upgrade(other).send(gateway.addr).await;
        let message = answer.expect_error(403, "ACL_DENIED");
        assert!(message.contains("allowed-origins"), "{message}");
    }
    // HTTP that acts for somebody is held to the same list.
    for (page, status) in [(own.as_str(), 200), ("http://evil.example", 403)] {
        let publish = Request::publish("ann", r#"{"topic":"t","payload":1}"#);
        let history = Request::get("/api/topics/t/history").bearer("ann");
        let demo = Request::get("/demo/publish/t?k=v");
        for request in [publish, history, demo] {
            let answer = request.header("Origin", page).send(gateway.addr).await;
            assert_eq!(answer.status, status, "{page}: {}", answer.text());
        }
    }
    let listed =
        TestGateway::with(&[("allowed-origins", "https://app.example,https://b.example")]).await;
    assert_eq!(
        upgrade("https://b.example").send(listed.addr).await.status,
        101
    );
    let own = format!("http://{}", listed.addr);
    assert_eq!(upgrade(&own).send(listed.addr).await.status, 403);
    let any = TestGateway::with(&[("allowed-origins", "*")]).await;
    assert_eq!(
        upgrade("http://evil.example").send(any.addr).await.status,
        101
    );
}

#[tokio::test]
async fn levels_of_a_payload() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("ann", &["t"]).await;
    let payload = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    for (levels, taken) in [(120, true), (121, false), (30_000, false)] {
        let payload = payload(levels);
        socket
            .send_text(&format!(
                r#"{{"type":"publish","topic":"t","messageId":"s{levels}","payload":{payload}}}"#
            ))
            .await;
        let delivered = format!(r#""data":{payload}}}"#);
        if taken {
            assert_eq!(socket.expect("ack").await["status"], "ok");
            // Readers that go down level by level, as this one does, read it in every form.
            socket.expect("message").await;
            assert!(socket.seen.pop().unwrap().ends_with(&delivered));
        } else {
            let error = socket.expect_error("BAD_REQUEST").await;
            assert_eq!(error["messageId"], format!("s{levels}"));
            assert!(error["message"].as_str().unwrap().contains("120 levels"));
        }
        let body = format!(r#"{{"topic":"t","messageId":"h{levels}","payload":{payload}}}"#);
        let answer = Request::publish("ann", body).send(gateway.addr).await;
        if taken {
            assert_eq!(answer.status, 200);
            assert!(socket.next_text().await.ends_with(&delivered));
        } else {
            let message = answer.expect_error(400, "BAD_REQUEST");
            assert!(message.contains("120 levels"), "{message}");
        }
    }
    let history = "/api/topics/t/history";
    let history = Request::get(history).bearer("ann").send(gateway.addr).await;
    assert_eq!(history.json()["messages"].as_array().unwrap().len(), 2);
    // Brackets in a string are none.
    socket.publish("t", "1", json!("[".repeat(1000))).await;
}
