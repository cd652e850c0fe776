//! Several gateways on one NATS: they are one to their clients.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{NatsServer, Socket, TestGateway, soon};

async fn gateway(nats: &NatsServer) -> TestGateway {
    let url = nats.url();
    TestGateway::with(&[("backbone", "nats"), ("nats-url", &url)]).await
}

async fn two_gateways() -> (NatsServer, TestGateway, TestGateway) {
    let nats = NatsServer::start().await;
    let (a, b) = (gateway(&nats).await, gateway(&nats).await);
    (nats, a, b)
}

/// Publishes and returns the ack.
async fn publish(socket: &mut Socket, topic: &str, id: &str) -> Value {
    let frame = json!({"type": "publish", "topic": topic, "messageId": id, "payload": {"id": id}});
    socket.send(frame).await;
    socket.expect("ack").await
}

#[tokio::test]
async fn what_one_gateway_takes_every_gateway_delivers() {
    let (_nats, a, b) = two_gateways().await;
    let mut ann = b.user("ann", &["prices", "a.b *> ü"]).await;
    let mut bob = a.user("bob", &[]).await;
    for (n, topic) in ["prices", "a.b *> ü", "prices"].into_iter().enumerate() {
        let ack = publish(&mut bob, topic, &n.to_string()).await;
        let message = ann.expect("message").await;
        assert_eq!(message["topic"], topic);
        assert_eq!(message["seqNo"], ack["seqNo"]);
        assert_eq!(message["messageId"], n.to_string());
        assert_eq!(message["data"], json!({"id": n.to_string()}));
    }
}

#[tokio::test]
async fn an_id_has_one_effect_on_all_gateways() {
    let (_nats, a, b) = two_gateways().await;
    let mut listener = b.user("eve", &["t", "u"]).await;
    let (mut on_a, mut on_b) = (a.user("ann", &[]).await, b.user("ann", &[]).await);
    let first = publish(&mut on_a, "t", "m").await;
    assert_eq!(first["status"], "ok");
    for topic in ["t", "u"] {
        let again = publish(&mut on_b, topic, "m").await;
        assert_eq!(again["status"], "duplicate");
        assert_eq!(again["topic"], "t");
        assert_eq!(
            (&again["seqNo"], &again["epoch"]),
            (&first["seqNo"], &first["epoch"])
        );
    }
    assert_eq!(
        publish(&mut b.user("bob", &[]).await, "t", "m").await["status"],
        "ok"
    );
    for _ in 0..2 {
        listener.expect("message").await;
    }
    listener.expect_quiet().await;
}

#[tokio::test]
async fn a_session_goes_on_on_another_gateway() {
    let (_nats, a, b) = two_gateways().await;
    let mut ann = a.socket("/ws").await;
    let session = ann.setup("ann", &["t", "empty"]).await["sessionId"].clone();
    let mut bob = b.user("bob", &[]).await;
    let first = publish(&mut bob, "t", "1").await;
    assert_eq!(ann.expect("message").await["seqNo"], first["seqNo"]);
    drop(ann);
    for id in ["2", "3"] {
        publish(&mut bob, "t", id).await;
    }
    publish(&mut bob, "empty", "4").await;
    let mut ann = b.socket("/ws").await;
    ann.send(
        json!({"type": "resume", "token": "ann", "sessionId": session,
        "lastSeqPerTopic": {"t": first["seqNo"]}}),
    )
    .await;
    let mut seen = Vec::new();
    loop {
        let frame = ann.next().await;
        match frame["type"].as_str() {
            Some("subscribed") => assert_eq!(frame["recovered"], true, "{frame}"),
            Some("message") => seen.push(frame["messageId"].as_str().unwrap().to_owned()),
            Some("ready") => {
                assert_eq!(
                    (&frame["resumed"], &frame["sessionId"]),
                    (&json!(true), &session)
                );
                break;
            }
            _ => panic!("{frame}"),
        }
    }
    seen.sort();
    assert_eq!(seen, ["2", "3", "4"]);
}

#[tokio::test]
async fn a_newer_socket_takes_the_session_over_from_another_gateway() {
    let (_nats, a, b) = two_gateways().await;
    let mut old = a.socket("/ws").await;
    let session = old.setup("ann", &["t"]).await["sessionId"].clone();
    let mut bob = b.user("bob", &[]).await;
    let sent = publish(&mut bob, "t", "1").await;
    old.expect("message").await;
    // Another user gets nothing, and does no harm.
    let mut eve = b.socket("/ws").await;
    eve.send(
        json!({"type": "resume", "token": "eve", "sessionId": session, "lastSeqPerTopic": {}}),
    )
    .await;
    eve.expect_error("SESSION_EXPIRED").await;
    old.expect_quiet().await;

    let mut new = b.socket("/ws").await;
    new.send(
        json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {}}),
    )
    .await;
    // The position is the older socket's, not the one it had when it was written down.
    let subscribed = new.expect("subscribed").await;
    assert_eq!(
        (&subscribed["recovered"], &subscribed["replayed"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(subscribed["seqNo"], sent["seqNo"]);
    assert_eq!(new.expect("ready").await["resumed"], true);
    old.expect_close(4009).await;
    publish(&mut bob, "t", "2").await;
    assert_eq!(new.expect("message").await["messageId"], "2");

    // And back again.
    let mut back = a.socket("/ws").await;
    back.send(
        json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {}}),
    )
    .await;
    assert_eq!(back.expect("subscribed").await["recovered"], true);
    assert_eq!(back.expect("ready").await["resumed"], true);
    new.expect_close(4009).await;
}

#[tokio::test]
async fn of_many_who_take_a_session_over_at_once_one_keeps_it() {
    let (_nats, a, b) = two_gateways().await;
    let mut first = a.socket("/ws").await;
    let session = first.setup("ann", &["t"]).await["sessionId"].clone();
    let mut sockets = Vec::new();
    for n in 0..8 {
        let gateway = if n % 2 == 0 { &a } else { &b };
        sockets.push(gateway.socket("/ws").await);
    }
    let resume =
        json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {}});
    for socket in &mut sockets {
        socket.send(resume.clone()).await;
    }
    let mut bob = a.user("bob", &[]).await;
    let mut steady = 0;
    soon("all but one to let go of it", async {
        while steady < 10 {
            let (a, b) = (a.stats().await, b.stats().await);
            let one =
                a["subscriptions"].as_u64().unwrap() + b["subscriptions"].as_u64().unwrap() == 1;
            steady = if one { steady + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    publish(&mut bob, "t", "1").await;
    sockets.push(first);
    let mut served = 0;
    for socket in &mut sockets {
        served += usize::from(gets_the_message(socket).await);
    }
    assert_eq!(served, 1);
}

/// Whether a message comes, rather than a refusal or the end.
async fn gets_the_message(socket: &mut Socket) -> bool {
    while let Some(message) = socket.next_message().await {
        match message {
            Message::Text(text) if text.contains("\"type\":\"message\"") => return true,
            Message::Text(text) if text.contains("\"type\":\"error\"") => return false,
            Message::Close(frame) => {
                assert_eq!(u16::from(frame.unwrap().code), 4009);
                return false;
            }
            _ => {}
        }
    }
    false
}
