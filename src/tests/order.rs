//! One order for everyone, nothing lost, nothing twice (promises I3 and I4).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::socket::{publish, seq_no};
use crate::harness::{Request, Socket, TestGateway};

/// Publishes `count` messages in bursts and takes in the acks.
async fn hammer(addr: std::net::SocketAddr, name: String, topic: &'static str, count: usize) {
    let mut socket = Socket::connect(addr, "/ws").await;
    socket.setup(&name, &[]).await;
    let ids: Vec<String> = (0..count).map(|i| format!("{name}-{i}")).collect();
    for burst in ids.chunks(25) {
        let frames = burst.iter().map(|id| publish(topic, id, json!(id)));
        socket.send_together(frames.collect()).await;
        for id in burst {
            let ack = socket.expect("ack").await;
            assert_eq!(
                (&ack["messageId"], &ack["status"]),
                (&json!(id), &json!("ok"))
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_publishers_and_one_order_for_all_subscribers() {
    let gateway = TestGateway::start().await;
    let mut subscribers = Vec::new();
    for i in 0..6 {
        subscribers.push(gateway.user(&format!("s{i}"), &["t"]).await);
    }
    let publishers: Vec<_> = (0..4)
        .map(|i| tokio::spawn(hammer(gateway.addr, format!("p{i}"), "t", 250)))
        .collect();
    let mut orders = Vec::new();
    for subscriber in &mut subscribers {
        let messages = subscriber.messages(1000).await;
        let numbers: Vec<u64> = messages.iter().map(|m| m.1).collect();
        assert_eq!(numbers, (1..=1000).collect::<Vec<u64>>());
        orders.push(messages.into_iter().map(|m| m.2).collect::<Vec<_>>());
        subscriber.expect_quiet().await;
        assert!(subscriber.seen.iter().all(|text| !text.contains("prevSeq")));
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert!(orders.iter().all(|order| *order == orders[0]));
    // Each publisher's own order is kept.
    for i in 0..4 {
        let own = orders[0]
            .iter()
            .filter(|id| id.starts_with(&format!("p{i}-")));
        let expected = (0..250).map(|n| format!("p{i}-{n}"));
        assert!(own.eq(expected.collect::<Vec<_>>().iter()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_id_sent_by_everyone_at_once_has_one_effect() {
    let gateway = TestGateway::start().await;
    let mut witness = gateway.user("witness", &["t"]).await;
    let rivals: Vec<_> = (0..6)
        .map(|_| {
            let addr = gateway.addr;
            tokio::spawn(async move {
                let mut socket = Socket::connect(addr, "/ws").await;
                socket.setup("ann", &[]).await;
                let mut acks: Vec<(String, u64)> = Vec::new();
                for i in 0..100 {
                    let ack = socket.publish("t", &i.to_string(), json!(i)).await;
                    acks.push((ack["status"].as_str().unwrap().to_owned(), seq_no(&ack)));
                }
                acks
            })
        })
        .collect();
    let mut firsts = 0;
    let mut places: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); 100];
    for rival in rivals {
        for (i, (status, seq_no)) in rival.await.unwrap().into_iter().enumerate() {
            firsts += usize::from(status == "ok");
            places[i].insert(seq_no);
        }
    }
    assert_eq!(firsts, 100);
    assert!(
        places.iter().all(|seqs| seqs.len() == 1),
        "all acks name one place"
    );
    let ids: BTreeSet<String> = witness
        .messages(100)
        .await
        .into_iter()
        .map(|m| m.2)
        .collect();
    assert_eq!(ids.len(), 100);
    witness.expect_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_sockets_get_each_message() {
    let gateway = TestGateway::start().await;
    let mut sockets = Vec::new();
    for _ in 0..300 {
        let mut socket = gateway.socket("/ws/sub/t").await;
        socket.send(json!({"type": "setup", "token": "s"})).await;
        sockets.push(socket);
    }
    for socket in &mut sockets {
        socket.expect("subscribed").await;
        socket.expect("ready").await;
    }
    let publisher = tokio::spawn(hammer(gateway.addr, "p".to_owned(), "t", 50));
    for socket in &mut sockets {
        let numbers: Vec<u64> = socket.messages(50).await.iter().map(|m| m.1).collect();
        assert_eq!(numbers, (1..=50).collect::<Vec<u64>>());
    }
    publisher.await.unwrap();
    // The publisher is gone.
    gateway
        .stats_become("all deliveries to 300 sockets", |s| {
            s["delivered"] == 15_000 && s["latency"]["count"] == 15_000 && s["connections"] == 300
        })
        .await;
}

#[tokio::test]
async fn topics_are_numbered_apart_and_reach_only_their_own() {
    let gateway = TestGateway::start().await;
    let topics: Vec<String> = (0..200).map(|i| format!("t{i}")).collect();
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut everything = gateway.user("bob", &names).await;
    let mut one = gateway.user("eve", &["t7"]).await;
    let mut publisher = gateway.user("ann", &[]).await;
    for round in 1..=2 {
        publisher
            .send_together(
                names
                    .iter()
                    .map(|t| publish(t, &format!("{t}-{round}"), json!(1)))
                    .collect(),
            )
            .await;
        for _ in &names {
            assert_eq!(seq_no(&publisher.expect("ack").await), round);
        }
    }
    let got: BTreeSet<(String, u64)> = everything
        .messages(400)
        .await
        .into_iter()
        .map(|m| (m.0, m.1))
        .collect();
    assert_eq!(got.len(), 400);
    let own = one.messages(2).await;
    assert!(own.iter().all(|m| m.0 == "t7"));
    one.expect_quiet().await;
    assert_eq!(gateway.stats().await["topics"], 200);
}

#[tokio::test]
async fn all_ways_in_share_one_numbering() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("ann", &["t"]).await;
    socket.send(publish("t", "s1", json!("socket"))).await;
    socket.next().await;
    socket.next().await;
    assert_eq!(
        gateway.get("/demo/publish/t?from=demo").await.json()["seqNo"],
        2
    );
    let body = r#"[{"topic":"t","payload":"api"},{"topic":"t","payload":"api"}]"#;
    let answer: Value = Request::publish("ann", body)
        .send(gateway.addr)
        .await
        .json();
    assert_eq!((seq_no(&answer[0]), seq_no(&answer[1])), (3, 4));
    let numbers: Vec<u64> = socket.messages(3).await.iter().map(|m| m.1).collect();
    assert_eq!(numbers, [2, 3, 4]);
}
