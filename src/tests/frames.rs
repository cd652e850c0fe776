//! Every frame of the protocol, with the exact shape of its answers.

use serde_json::{Value, json};

use crate::harness::TestGateway;
use crate::harness::socket::{publish, seq_no};

/// The fields of a frame in the order in which they stand.
fn fields(text: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(text).unwrap();
    let mut places: Vec<(usize, String)> = value
        .as_object()
        .unwrap()
        .keys()
        .map(|name| (text.find(&format!("\"{name}\":")).unwrap(), name.clone()))
        .collect();
    places.sort();
    places.into_iter().map(|(_, name)| name).collect()
}

#[tokio::test]
async fn each_request_has_its_answer() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    socket
        .send(json!({"type": "setup", "token": "ann", "topics": ["a"]}))
        .await;
    let subscribed = socket.next_text().await;
    let epoch = serde_json::from_str::<Value>(&subscribed).unwrap()["epoch"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!epoch.is_empty());
    assert_eq!(
        subscribed,
        format!(r#"{{"type":"subscribed","topic":"a","seqNo":0,"epoch":"{epoch}"}}"#)
    );
    assert_eq!(
        fields(&socket.next_text().await),
        ["type", "sessionId", "resumed", "userId", "node"]
    );

    socket.send(publish("b", "m1", json!({"n": 1}))).await;
    assert_eq!(
        socket.next_text().await,
        format!(
            r#"{{"type":"ack","messageId":"m1","status":"ok","topic":"b","seqNo":1,"epoch":"{epoch}"}}"#
        )
    );
    socket.send(publish("b", "m1", json!({"n": 2}))).await;
    assert_eq!(
        socket.next_text().await,
        format!(
            r#"{{"type":"ack","messageId":"m1","status":"duplicate","topic":"b","seqNo":1,"epoch":"{epoch}"}}"#
        )
    );

    socket
        .send(json!({"type": "subscribe", "topic": "b"}))
        .await;
    assert_eq!(
        socket.next_text().await,
        format!(r#"{{"type":"subscribed","topic":"b","seqNo":1,"epoch":"{epoch}"}}"#)
    );
    socket
        .send(json!({"type": "unsubscribe", "topic": "b"}))
        .await;
    assert_eq!(
        socket.next_text().await,
        r#"{"type":"unsubscribed","topic":"b"}"#
    );
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.next_text().await, r#"{"type":"pong"}"#);

    socket
        .send(json!({"type": "refresh", "token": "ann"}))
        .await;
    assert_eq!(socket.expect("ready").await["userId"], "ann");
    socket
        .send(json!({"type": "ack", "topic": "a", "seqNo": 0}))
        .await;
    socket.expect_quiet().await;
}

#[tokio::test]
async fn a_message_stands_as_it_was_published() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("ann", &["t"]).await;
    let before = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    socket
        .send_text(
            r#"{"type":"publish","topic":"t","messageId":"m","payload":{"x":1},"sig":"ab=="}"#,
        )
        .await;
    let (mut message, mut ack) = (None, None);
    while message.is_none() || ack.is_none() {
        let text = socket.next_text().await;
        let slot = if text.contains("\"ack\"") {
            &mut ack
        } else {
            &mut message
        };
        assert!(slot.replace(text).is_none());
    }
    let text = message.unwrap();
    let ts = serde_json::from_str::<Value>(&text).unwrap()["ts"]
        .as_u64()
        .unwrap();
    assert!(ts >= before && ts < before + 60_000);
    assert_eq!(
        text,
        format!(
            r#"{{"type":"message","topic":"t","seqNo":1,"messageId":"m","ts":{ts},"sig":"ab==","data":{{"x":1}}}}"#
        )
    );
}

#[tokio::test]
async fn payloads_are_byte_for_byte() {
    let gateway = TestGateway::start().await;
    let mut publisher = gateway.user("ann", &[]).await;
    let mut subscriber = gateway.user("bob", &["t"]).await;
    let payloads = [
        "null",
        "\"\"",
        "1e400",
        "-0.0",
        "123456789012345678901234567890",
        r#"{ "a" :  [1, 2 ,3] , "a": "twice" }"#,
        r#""\u0041\ud83d\ude00\/ ü 😀 \u2028""#,
        "[\n\t1,\r\n 2\n]",
        r#"{"type":"ack","topic":"no","messageId":"no","payload":0}"#,
        r#""\u0000</script>""#,
    ];
    for (i, payload) in payloads.iter().enumerate() {
        publisher
            .send_text(&format!(
                r#" {{"payload": {payload} ,"messageId":"{i}","unknown":[1],"topic":"t","type":"publish"}} "#
            ))
            .await;
        publisher.expect("ack").await;
        let text = subscriber.next_text().await;
        let data = text.split_once(",\"data\":").unwrap().1;
        assert_eq!(data, format!("{payload}}}"));
    }
    let history = crate::harness::Request::get("/api/topics/t/history")
        .bearer("ann")
        .send(gateway.addr)
        .await;
    for payload in payloads {
        let kept = format!(",\"data\":{payload}}}");
        assert!(
            history.text().contains(&kept),
            "{payload} is not kept as it was"
        );
    }
}

#[tokio::test]
async fn names_keep_quotes_and_letters_of_all_scripts() {
    let gateway = TestGateway::start().await;
    let topic = r#"a "quoted\" ü/😀"#;
    let mut socket = gateway.user("ann", &[topic]).await;
    let ack = socket.publish(topic, r#"id "1" \ ß"#, json!(1)).await;
    assert_eq!(ack["messageId"], r#"id "1" \ ß"#);
    assert_eq!(ack["topic"], topic);
    let mut late = gateway.user("bob", &[]).await;
    late.subscribe_after(topic, 0).await;
    assert_eq!(late.expect("message").await["messageId"], r#"id "1" \ ß"#);
}

#[tokio::test]
async fn a_publisher_needs_no_subscription_and_hears_itself_with_one() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("ann", &[]).await;
    socket.send(publish("t", "1", json!(1))).await;
    socket.expect("ack").await;
    socket.expect_quiet().await;
    socket.subscribe("t").await;
    socket.send(publish("t", "2", json!(2))).await;
    let kinds = [socket.next().await, socket.next().await];
    let mut kinds = kinds.map(|frame| (frame["type"].as_str().unwrap().to_owned(), seq_no(&frame)));
    kinds.sort();
    assert_eq!(kinds, [("ack".to_owned(), 2), ("message".to_owned(), 2)]);
}

#[tokio::test]
async fn subscribe_and_unsubscribe_twice_are_as_once() {
    let gateway = TestGateway::start().await;
    let mut publisher = gateway.user("ann", &[]).await;
    let mut socket = gateway.user("bob", &["t", "t"]).await;
    socket.subscribe("t").await;
    assert_eq!(gateway.stats().await["subscriptions"], 1);
    publisher.publish("t", "1", json!(1)).await;
    assert_eq!(socket.messages(1).await[0].1, 1);
    socket.expect_quiet().await;
    for _ in 0..2 {
        socket
            .send(json!({"type": "unsubscribe", "topic": "t"}))
            .await;
        assert_eq!(socket.expect("unsubscribed").await["topic"], "t");
    }
    assert_eq!(gateway.stats().await["subscriptions"], 0);
    socket
        .send(json!({"type": "unsubscribe", "topic": "never"}))
        .await;
    socket.expect("unsubscribed").await;
    publisher.publish("t", "2", json!(2)).await;
    socket.expect_quiet().await;
}

#[tokio::test]
async fn no_message_follows_unsubscribed() {
    let gateway = TestGateway::start().await;
    let addr = gateway.addr;
    let hammer = tokio::spawn(async move {
        let mut publisher = crate::harness::Socket::connect(addr, "/ws").await;
        publisher.setup("ann", &[]).await;
        for i in 0_u32.. {
            publisher.publish("t", &i.to_string(), json!(i)).await;
        }
    });
    let mut socket = gateway.user("bob", &[]).await;
    for _ in 0..100 {
        socket.subscribe("t").await;
        socket.messages(2).await;
        socket
            .send(json!({"type": "unsubscribe", "topic": "t"}))
            .await;
        while socket.next().await["type"] != "unsubscribed" {}
        socket.expect_quiet().await;
    }
    hammer.abort();
}

#[tokio::test]
async fn the_ids_of_a_user_are_one_space_for_all_ways_in() {
    let gateway = TestGateway::start().await;
    let mut first = gateway.user("ann", &[]).await;
    let mut second = gateway.user("ann", &[]).await;
    let mut other = gateway.user("bob", &["t"]).await;
    assert_eq!(first.publish("t", "id", json!(1)).await["status"], "ok");
    let again = second.publish("elsewhere", "id", json!(2)).await;
    assert_eq!(again["status"], "duplicate");
    assert_eq!((&again["topic"], seq_no(&again)), (&json!("t"), 1));
    let http =
        |body: &'static str| crate::harness::Request::publish("ann", body).send(gateway.addr);
    let again = http(r#"{"topic":"t","messageId":"id","payload":3}"#)
        .await
        .json();
    assert_eq!((&again["status"], seq_no(&again)), (&json!("duplicate"), 1));
    assert_eq!(
        http(r#"{"topic":"t","messageId":"h","payload":4}"#)
            .await
            .json()["status"],
        "ok"
    );
    assert_eq!(
        second.publish("t", "h", json!(5)).await["status"],
        "duplicate"
    );
    assert_eq!(other.publish("t", "id", json!(6)).await["status"], "ok");
    let stats = gateway.stats().await;
    assert_eq!(
        (&stats["published"], &stats["duplicates"]),
        (&json!(3), &json!(3))
    );
}
