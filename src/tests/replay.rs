//! Going on from a position: everything after it, once and in order, or a reason why not.

use serde_json::{Value, json};

use crate::harness::socket::{publish, seq_no};
use crate::harness::{Request, Socket, TestGateway};

async fn fill(gateway: &TestGateway, topic: &str, count: u64, payload: &Value) {
    let mut socket = gateway.user("filler", &[]).await;
    let ids: Vec<String> = (0..count).map(|i| format!("{topic}-{i}")).collect();
    for burst in ids.chunks(100) {
        let frames = burst.iter().map(|id| publish(topic, id, payload.clone()));
        socket.send_together(frames.collect()).await;
        for _ in burst {
            socket.expect("ack").await;
        }
    }
}

async fn numbers(socket: &mut Socket, count: usize) -> Vec<u64> {
    socket.messages(count).await.iter().map(|m| m.1).collect()
}

#[tokio::test]
async fn everything_after_the_position_comes_first() {
    let gateway = TestGateway::start().await;
    fill(&gateway, "t", 10, &json!(1)).await;
    let mut socket = gateway.user("ann", &[]).await;
    let subscribed = socket.subscribe_after("t", 7).await;
    assert_eq!(
        (
            &subscribed["seqNo"],
            &subscribed["recovered"],
            &subscribed["replayed"]
        ),
        (&json!(10), &json!(true), &json!(3))
    );
    assert!(subscribed.get("reason").is_none());
    assert_eq!(numbers(&mut socket, 3).await, [8, 9, 10]);
    socket.expect_quiet().await;
    // Again on the same, live subscription; from the head; and of a topic that is empty.
    let again = socket.subscribe_after("t", 9).await;
    assert_eq!(again["replayed"], 1);
    assert_eq!(numbers(&mut socket, 1).await, [10]);
    assert_eq!(socket.subscribe_after("t", 10).await["replayed"], 0);
    let empty = socket.subscribe_after("empty", 0).await;
    assert_eq!(
        (&empty["recovered"], &empty["replayed"]),
        (&json!(true), &json!(0))
    );
    fill(&gateway, "t2", 1, &json!(1)).await;
    socket.expect_quiet().await;
    assert_eq!(gateway.stats().await["subscriptions"], 2);
}

#[tokio::test]
async fn a_replayed_message_is_the_message_that_was_live() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.user("ann", &["t"]).await;
    for i in 0..5 {
        gateway.get(&format!("/demo/publish/t?i={i}")).await;
        live.expect("message").await;
    }
    let mut late = gateway.user("bob", &[]).await;
    late.subscribe_after("t", 0).await;
    late.messages(5).await;
    let end = |socket: &Socket| socket.seen[socket.seen.len() - 5..].to_vec();
    assert_eq!(end(&live), end(&late));
}

#[tokio::test]
async fn what_cannot_be_gone_on_from_is_told_with_a_reason() {
    let gateway = TestGateway::with(&[("history-size", "5")]).await;
    fill(&gateway, "t", 10, &json!(1)).await;
    let mut socket = gateway.user("ann", &[]).await;
    for (frame, reason) in [
        (json!({"lastSeq": 3}), "trimmed"),
        (json!({"lastSeq": 0}), "trimmed"),
        (json!({"lastSeq": 11}), "ahead"),
        (json!({"lastSeq": 9, "epoch": "another"}), "epoch"),
    ] {
        let mut request = json!({"type": "subscribe", "topic": "t"});
        request
            .as_object_mut()
            .unwrap()
            .extend(frame.as_object().unwrap().clone());
        socket.send(request).await;
        let subscribed = socket.expect("subscribed").await;
        assert_eq!(subscribed["recovered"], false, "{frame}");
        assert_eq!(subscribed["reason"], reason, "{frame}");
        assert_eq!(subscribed["replayed"], 0, "{frame}");
        assert_eq!(subscribed["seqNo"], 10, "{frame}");
        socket.expect_quiet().await;
    }
    // It is subscribed all the same: live messages come from now on.
    gateway.get("/demo/publish/t?i=1").await;
    assert_eq!(numbers(&mut socket, 1).await, [11]);
    let epoch = socket.subscribe("t").await["epoch"].clone();
    socket
        .send(json!({"type": "subscribe", "topic": "t", "lastSeq": 6, "epoch": epoch}))
        .await;
    assert_eq!(socket.expect("subscribed").await["recovered"], true);
    assert_eq!(numbers(&mut socket, 5).await, [7, 8, 9, 10, 11]);
}

#[tokio::test]
async fn history_ends_with_its_time() {
    let gateway = TestGateway::with(&[("history-ttl", "150ms")]).await;
    fill(&gateway, "t", 3, &json!(1)).await;
    let mut socket = gateway.user("ann", &[]).await;
    let subscribed = crate::harness::soon("the history's end", async {
        loop {
            let subscribed = socket.subscribe_after("t", 0).await;
            if subscribed["recovered"] == false {
                return subscribed;
            }
            numbers(&mut socket, 3).await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(subscribed["reason"], "trimmed");
    assert_eq!(socket.subscribe_after("t", 3).await["recovered"], true);
}

#[tokio::test]
async fn a_replay_may_be_larger_than_every_buffer() {
    // More than one write takes (32 KiB), more than the send queue and the kernel hold.
    let gateway = TestGateway::with(&[("send-queue-bytes", "64KiB")]).await;
    fill(&gateway, "t", 900, &json!("x".repeat(10_000))).await;
    let mut socket = Socket::connect_narrow(gateway.addr, "/ws", 4096).await;
    socket.setup("ann", &[]).await;
    let subscribed = socket.subscribe_after("t", 0).await;
    assert_eq!(subscribed["replayed"], 900);
    fill(&gateway, "t", 0, &json!(1)).await;
    let half = numbers(&mut socket, 450).await;
    gateway.get("/demo/publish/t?live=1").await;
    let rest = numbers(&mut socket, 451).await;
    assert!(half.into_iter().chain(rest).eq(1..=901));
    socket.expect_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_gap_and_no_double_between_replay_and_live() {
    const EACH: u64 = 600;
    const PUBLISHERS: u64 = 3;
    let gateway = TestGateway::with(&[("history-size", "10000")]).await;
    let addr = gateway.addr;
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|p| {
            tokio::spawn(async move {
                let mut socket = Socket::connect(addr, "/ws").await;
                socket.setup(&format!("p{p}"), &[]).await;
                for burst in 0..EACH / 10 {
                    let ids = (0..10).map(|i| format!("{burst}-{i}"));
                    socket
                        .send_together(ids.map(|id| publish("t", &id, json!(1))).collect())
                        .await;
                    for _ in 0..10 {
                        socket.expect("ack").await;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let joiners: Vec<_> = (0..12)
        .map(|j: u64| {
            tokio::spawn(async move {
                let mut socket = Socket::connect(addr, "/ws").await;
                socket.setup(&format!("j{j}"), &[]).await;
                let mut last = 0;
                // Joins again and again: from 0, from where it is, on a live subscription, after a leave.
                for round in 0..u64::MAX {
                    if last >= EACH * PUBLISHERS {
                        return;
                    }
                    if (round + j).is_multiple_of(3) {
                        socket
                            .send(json!({"type": "unsubscribe", "topic": "t"}))
                            .await;
                        while socket.next().await["type"] != "unsubscribed" {}
                    }
                    let from = if round % 16 == 5 { 0 } else { last };
                    let request = json!({"type": "subscribe", "topic": "t", "lastSeq": from});
                    socket.send(request).await;
                    // What was on its way before the answer goes on from where we were.
                    loop {
                        let frame = socket.next().await;
                        if frame["type"] == "subscribed" {
                            assert_eq!(frame["recovered"], true, "{frame}");
                            assert_eq!(frame["replayed"], seq_no(&frame) - from);
                            break;
                        }
                        last += 1;
                        assert_eq!(seq_no(&frame), last);
                    }
                    let until = (last + 40).min(EACH * PUBLISHERS);
                    last = from;
                    while last < until {
                        last += 1;
                        let message = socket.expect("message").await;
                        assert_eq!(seq_no(&message), last, "round {round} of {j}");
                    }
                }
            })
        })
        .collect();
    for task in publishers.into_iter().chain(joiners) {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn the_history_call_pages_through_what_is_kept() {
    let gateway = TestGateway::with(&[("history-size", "150")]).await;
    fill(&gateway, "a/b", 200, &json!(1)).await;
    let mut after = 0;
    let mut pages = Vec::new();
    loop {
        let path = format!("/api/topics/a%2Fb/history?after={after}&limit=60");
        let page = Request::get(&path)
            .bearer("ann")
            .send(gateway.addr)
            .await
            .json();
        assert_eq!(
            (&page["topic"], &page["seqNo"]),
            (&json!("a/b"), &json!(200))
        );
        let messages = page["messages"].as_array().unwrap();
        pages.push(messages.len());
        match messages.last() {
            Some(last) => after = seq_no(last),
            None => break,
        }
    }
    assert_eq!(pages, [60, 60, 30, 0]);
    let page = Request::get("/api/topics/a%2Fb/history").bearer("ann");
    let page = page.send(gateway.addr).await.json();
    assert_eq!(page["messages"].as_array().unwrap().len(), 100);
    assert_eq!(page["messages"][0]["seqNo"], 51);
    assert_eq!(page["messages"][0]["type"], "message");
    let nothing = Request::get("/api/topics/none/history").bearer("ann");
    let nothing = nothing.send(gateway.addr).await.json();
    assert_eq!(
        (&nothing["seqNo"], &nothing["messages"]),
        (&json!(0), &json!([]))
    );
}
