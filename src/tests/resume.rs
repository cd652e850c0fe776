//! A session goes on after its socket is gone (I6), and what was acknowledged is what it goes on
//! from (I4).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::socket::publish;
use crate::harness::{Socket, TestGateway, soon};

fn resume(token: &str, session: &Value, last: Value) -> Value {
    json!({"type": "resume", "token": token, "sessionId": session, "lastSeqPerTopic": last})
}

/// Sets up and returns the session's id.
async fn set_up(socket: &mut Socket, token: &str, topics: &[&str]) -> Value {
    socket.setup(token, topics).await["sessionId"].clone()
}

async fn fill(gateway: &TestGateway, topic: &str, ids: std::ops::Range<usize>) {
    let mut publisher = gateway.user("publisher", &[]).await;
    for id in ids {
        publisher
            .publish(topic, &format!("{topic}-{id}"), json!(id))
            .await;
    }
}

/// The numbers of the next messages.
async fn numbers(socket: &mut Socket, count: usize) -> Vec<u64> {
    let messages = socket.messages(count).await;
    messages.into_iter().map(|(_, seq_no, _)| seq_no).collect()
}

#[tokio::test]
async fn what_was_missed_comes_in_order_then_ready_then_what_is_live() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    let session = set_up(&mut socket, "ann", &["a", "b"]).await;
    drop(socket);
    gateway
        .stats_become("the socket to be gone", |s| s["connections"] == 0)
        .await;
    fill(&gateway, "a", 0..5).await;

    let mut socket = gateway.socket("/ws").await;
    socket
        .send(resume("ann", &session, json!({"a": 2, "b": 0})))
        .await;
    for _ in 0..2 {
        let subscribed = socket.expect("subscribed").await;
        assert_eq!(subscribed["recovered"], true);
        if subscribed["topic"] == "a" {
            assert_eq!(
                (&subscribed["replayed"], &subscribed["seqNo"]),
                (&json!(3), &json!(5))
            );
            assert_eq!(numbers(&mut socket, 3).await, [3, 4, 5]);
        }
    }
    let ready = socket.expect("ready").await;
    assert_eq!(
        (&ready["resumed"], &ready["sessionId"]),
        (&json!(true), &session)
    );
    fill(&gateway, "a", 5..6).await;
    assert_eq!(numbers(&mut socket, 1).await, [6]);
    assert_eq!(
        gateway.stats().await["resumes"],
        json!({"ok": 1, "failed": 0})
    );
}

#[tokio::test]
async fn without_a_position_it_goes_on_from_what_was_sent() {
    let gateway = TestGateway::start().await;
    fill(&gateway, "a", 0..3).await;
    let mut socket = gateway.socket("/ws/sub/a").await;
    socket.send(json!({"type": "setup", "token": "ann"})).await;
    socket.expect("subscribed").await;
    let session = socket.expect("ready").await["sessionId"].clone();
    fill(&gateway, "a", 3..5).await;
    assert_eq!(numbers(&mut socket, 2).await, [4, 5]);
    drop(socket);
    gateway
        .stats_become("the socket to be gone", |s| s["connections"] == 0)
        .await;
    fill(&gateway, "a", 5..8).await;
    let mut socket = gateway.socket("/ws").await;
    socket.send(resume("ann", &session, json!({}))).await;
    assert_eq!(socket.expect("subscribed").await["replayed"], 3);
    assert_eq!(numbers(&mut socket, 3).await, [6, 7, 8]);
    assert_eq!(socket.expect("ready").await["resumed"], true);
}

#[tokio::test]
async fn a_newer_socket_takes_a_living_session_over() {
    let gateway = TestGateway::start().await;
    let mut old = gateway.socket("/ws").await;
    let session = set_up(&mut old, "ann", &["a"]).await;
    fill(&gateway, "a", 0..3).await;
    assert_eq!(numbers(&mut old, 3).await, [1, 2, 3]);
    for round in 1..4 {
        let mut new = gateway.socket("/ws").await;
        new.send(resume("ann", &session, json!({"a": 2}))).await;
        assert_eq!(new.expect("subscribed").await["recovered"], true);
        assert_eq!(numbers(&mut new, round).await.first(), Some(&3));
        assert_eq!(new.expect("ready").await["sessionId"], session);
        old.expect_close(4009).await;
        fill(&gateway, "a", 2 + round..3 + round).await;
        assert_eq!(numbers(&mut new, 1).await, [3 + round as u64]);
        old = new;
    }
    gateway
        .stats_become("one socket", |s| s["subscriptions"] == 1)
        .await;
}

#[tokio::test]
async fn a_resume_that_is_read_late_takes_nothing_from_a_newer_socket() {
    let gateway = TestGateway::start().await;
    let mut first = gateway.socket("/ws").await;
    let session = set_up(&mut first, "ann", &["a"]).await;
    let mut given_up = gateway.socket("/ws").await;
    let mut foreign = gateway.socket("/ws").await;
    let mut newest = gateway.socket("/ws").await;
    newest.send(resume("ann", &session, json!({"a": 0}))).await;
    newest.expect("subscribed").await;
    newest.expect("ready").await;
    first.expect_close(4009).await;
    given_up
        .send(resume("ann", &session, json!({"a": 0})))
        .await;
    given_up.expect_close(4009).await;
    newest.expect_quiet().await;
    fill(&gateway, "a", 0..1).await;
    assert_eq!(numbers(&mut newest, 1).await, [1]);
    // One whose user it is not learns nothing of it.
    foreign.send(resume("bob", &session, json!({}))).await;
    foreign.expect_error("SESSION_EXPIRED").await;
    newest.expect_quiet().await;
}

/// Whichever of them is served first.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_resume_at_once_the_newer_has_the_session() {
    let gateway = TestGateway::start().await;
    let mut held = gateway.socket("/ws").await;
    let session = set_up(&mut held, "ann", &["a"]).await;
    for round in 0..200 {
        let mut older = gateway.socket("/ws").await;
        let mut newer = gateway.socket("/ws").await;
        let frame = resume("ann", &session, json!({"a": 0}));
        tokio::join!(older.send(frame.clone()), newer.send(frame));
        let first = newer.next().await;
        assert_eq!(first["recovered"], true, "round {round}: {first}");
        assert_eq!(newer.expect("ready").await["sessionId"], session);
        older.expect_close(4009).await;
        held.expect_close(4009).await;
        held = newer;
    }
}

#[tokio::test]
async fn foreign_unknown_and_expired_sessions_are_refused_alike() {
    let gateway = TestGateway::with(&[("session-ttl", "200ms")]).await;
    let mut socket = gateway.socket("/ws").await;
    let session = set_up(&mut socket, "ann", &["a"]).await;
    let mut other = gateway.socket("/ws").await;
    for (token, session) in [
        ("bob", session.clone()),
        ("bob", json!("nonsense")),
        ("bob", json!("0".repeat(32))),
    ] {
        other.send(resume(token, &session, json!({}))).await;
        other.expect_error("SESSION_EXPIRED").await;
    }
    // The refused one did the rightful owner no harm, and can still be set up.
    socket.expect_quiet().await;
    other.setup("bob", &["a"]).await;
    drop(socket);
    soon("the session to expire", async {
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let mut late = gateway.socket("/ws").await;
            late.send(resume("ann", &session, json!({}))).await;
            if late.next().await["code"] == "SESSION_EXPIRED" {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_position_that_cannot_be_gone_on_from_is_named() {
    let gateway = TestGateway::with(&[("history-size", "3")]).await;
    let mut socket = gateway.socket("/ws").await;
    let session = set_up(&mut socket, "ann", &["a"]).await;
    fill(&gateway, "a", 0..10).await;
    drop(socket);
    for (last, epochs, reason) in [
        (json!({"a": 2}), json!({}), "trimmed"),
        (json!({"a": 99}), json!({}), "ahead"),
        (json!({"a": 9}), json!({"a": "older"}), "epoch"),
    ] {
        let mut socket = gateway.socket("/ws").await;
        let mut frame = resume("ann", &session, last);
        frame["epochs"] = epochs;
        socket.send(frame).await;
        let subscribed = socket.expect("subscribed").await;
        assert_eq!(subscribed["recovered"], false);
        assert_eq!(
            (&subscribed["reason"], &subscribed["replayed"]),
            (&json!(reason), &json!(0))
        );
        assert_eq!(socket.expect("ready").await["resumed"], true);
    }
    assert_eq!(gateway.stats().await["resumes"]["failed"], 3);
}

#[tokio::test]
async fn qos_1_waits_for_acks_and_goes_on_from_the_acked_position() {
    let gateway = TestGateway::with(&[("history-size", "5000")]).await;
    let mut socket = gateway.socket("/ws").await;
    let session = set_up(&mut socket, "ann", &[]).await;
    socket
        .send(json!({"type": "subscribe", "topic": "a", "qos": 1}))
        .await;
    socket.expect("subscribed").await;
    fill(&gateway, "a", 0..1300).await;
    assert_eq!(
        numbers(&mut socket, 1000).await,
        (1..=1000).collect::<Vec<_>>()
    );
    // The window is full: nothing more comes, though the connection is well.
    socket.expect_quiet().await;
    socket
        .send(json!({"type": "ack", "topic": "a", "seqNo": 700}))
        .await;
    assert_eq!(
        numbers(&mut socket, 300).await,
        (1001..=1300).collect::<Vec<_>>()
    );
    fill(&gateway, "a", 1300..1302).await;
    assert_eq!(numbers(&mut socket, 2).await, [1301, 1302]);

    socket
        .send(json!({"type": "ack", "topic": "a", "seqNo": 1303}))
        .await;
    socket.expect_error("BAD_ACK").await;
    socket
        .send(json!({"type": "ack", "topic": "other", "seqNo": 0}))
        .await;
    socket.expect_error("BAD_ACK").await;
    socket
        .send(json!({"type": "ack", "topic": "a", "seqNo": 1300}))
        .await;
    socket.expect_quiet().await;
    drop(socket);
    let mut socket = gateway.socket("/ws").await;
    socket.send(resume("ann", &session, json!({}))).await;
    assert_eq!(socket.expect("subscribed").await["replayed"], 2);
    assert_eq!(numbers(&mut socket, 2).await, [1301, 1302]);
    socket.expect("ready").await;
    // It is still qos 1.
    fill(&gateway, "a", 1302..2400).await;
    assert_eq!(numbers(&mut socket, 998).await.len(), 998);
    socket.expect_quiet().await;
}

#[tokio::test]
async fn a_slow_consumer_can_resume_without_loss() {
    let gateway = TestGateway::with(&[
        ("send-queue-bytes", "64KiB"),
        ("history-size", "100000"),
        ("max-message-bytes", "64KiB"),
    ])
    .await;
    let mut slow = Socket::connect_narrow(gateway.addr, "/ws", 4096).await;
    let session = set_up(&mut slow, "ann", &["a"]).await;
    let mut publisher = gateway.user("publisher", &[]).await;
    let payload = json!("x".repeat(10_000));
    let mut count = 0;
    soon("the slow one to be given up", async {
        loop {
            publisher
                .publish("a", &count.to_string(), payload.clone())
                .await;
            count += 1;
            if count % 20 == 0 && gateway.stats().await["subscriptions"] == 0 {
                break;
            }
        }
    })
    .await;
    let mut last = 0;
    while let Some(message) = slow.next_message().await {
        if let Ok(text) = message.to_text()
            && let Ok(frame) = serde_json::from_str::<Value>(text)
        {
            assert_eq!(frame["seqNo"], last + 1);
            last += 1;
        } else if message.is_close() {
            break;
        }
    }
    let mut socket = gateway.socket("/ws").await;
    socket.send(resume("ann", &session, json!({}))).await;
    let subscribed = socket.expect("subscribed").await;
    assert_eq!(subscribed["recovered"], true);
    let replayed = subscribed["replayed"].as_u64().unwrap();
    let rest = numbers(&mut socket, replayed as usize).await;
    assert!(
        rest.first().is_none_or(|first| *first <= last + 1),
        "{rest:?} after {last}"
    );
    assert!(rest.is_empty() || rest.last() == Some(&count));
    assert!(rest.is_sorted_by(|a, b| a + 1 == *b));
    socket.expect("ready").await;
}

/// One subscriber that is cut again and again under fire and resumes from its own position: it sees
/// every message once, in order.
#[tokio::test]
async fn cut_under_fire_nothing_is_lost_doubled_or_out_of_order() {
    const MESSAGES: u64 = 3000;
    let gateway = TestGateway::with(&[("history-size", "100000")]).await;
    let mut publisher = gateway.user("publisher", &[]).await;
    let mut socket = gateway.socket("/ws").await;
    let session = set_up(&mut socket, "ann", &["a"]).await;
    let fire = tokio::spawn(async move {
        for id in 0..MESSAGES / 10 {
            let batch = (0..10).map(|n| publish("a", &format!("{id}-{n}"), json!(n)));
            publisher.send_together(batch.collect()).await;
            for _ in 0..10 {
                publisher.expect("ack").await;
            }
        }
    });
    let mut last = 0;
    let mut cut_after = 7;
    loop {
        for _ in 0..cut_after {
            if last == MESSAGES {
                break;
            }
            let frame = socket.next().await;
            if frame["type"] == "message" {
                assert_eq!(frame["seqNo"], last + 1);
                last += 1;
            } else {
                assert!(frame["recovered"] != false, "{frame}");
            }
        }
        if last == MESSAGES {
            break;
        }
        cut_after = (cut_after * 7) % 211 + 3;
        // The old socket may live on: it is taken over then.
        let old = std::mem::replace(&mut socket, gateway.socket("/ws").await);
        if cut_after % 2 == 0 {
            drop(old);
        }
        socket
            .send(resume("ann", &session, json!({"a": last})))
            .await;
    }
    fire.await.unwrap();
    // The last may have come with a replay, before its `ready`.
    socket.send(json!({"type": "ping"})).await;
    let rest = loop {
        let frame = socket.next().await;
        if frame["type"] != "ready" {
            break frame;
        }
    };
    assert_eq!(rest["type"], "pong");
}

/// A client whose network fails again while it resumes has not lost its session by that.
#[tokio::test]
async fn a_cut_in_the_middle_of_a_resume_does_not_end_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    let gateway = TestGateway::with(&[("backbone", "disk"), ("data-dir", dir)]).await;
    let topics: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut socket = gateway.socket("/ws").await;
    let session = set_up(&mut socket, "ann", &topics).await;
    for topic in &topics {
        // Something to read from the disk, so that the answers come later.
        fill(&gateway, topic, 0..3).await;
    }
    for round in 0..40 {
        socket = gateway.socket("/ws").await;
        let last: Value = topics.iter().map(|t| ((*t).to_owned(), json!(0))).collect();
        socket.send(resume("ann", &session, last)).await;
        for _ in 0..round % 5 {
            // The one before, still on its way on another core, may take it over again: 4009.
            let Some(frame) = socket.next_message().await else {
                break;
            };
            let text = frame.to_text().unwrap_or_default();
            assert!(!text.contains("SESSION_EXPIRED"), "round {round}: {text}");
        }
    }
    drop(socket);
    gateway
        .stats_become("the cut sockets to be gone", |s| s["connections"] == 0)
        .await;
    socket = gateway.socket("/ws").await;
    socket.send(resume("ann", &session, json!({}))).await;
    let mut subscribed = 0;
    loop {
        let frame = socket.next().await;
        match frame["type"].as_str() {
            Some("subscribed") => {
                assert_eq!(frame["recovered"], true);
                subscribed += 1;
            }
            Some("message") => {}
            Some("ready") => {
                assert_eq!(frame["resumed"], true);
                assert_eq!(frame["sessionId"], session);
                break;
            }
            _ => panic!("{frame}"),
        }
    }
    assert_eq!(subscribed, topics.len());
}
