//! The end of a connection, from either side.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::raw::{CLOSE, FIN, PING, PONG};
use crate::harness::{Request, TestGateway, soon};

#[tokio::test]
async fn a_close_of_the_client_is_answered_with_its_code() {
    let gateway = TestGateway::start().await;
    for code in [1000, 1001, 3000, 4999] {
        let socket = gateway.user("ann", &["t"]).await;
        assert_eq!(socket.close(code, "bye").await, Some(code));
    }
    let mut raw = gateway.raw("/ws").await;
    raw.setup("ann", "t").await;
    raw.frame(FIN | CLOSE, b"").await;
    let answer = raw.next().await.unwrap();
    assert_eq!((answer.opcode, answer.payload.len()), (CLOSE, 0));
    raw.expect_end().await;
    drop(raw);
    gateway
        .stats_become("nobody", |s| {
            s["connections"] == 0 && s["topics"] == 0 && s["subscriptions"] == 0
        })
        .await;
}

#[tokio::test]
async fn a_peer_that_vanishes_leaves_nothing_behind() {
    let gateway = TestGateway::start().await;
    let mut sockets = Vec::new();
    for i in 0..20 {
        sockets.push(gateway.user("ann", &["t", &format!("own{i}")]).await);
    }
    let stats = gateway.stats().await;
    assert_eq!(stats["connections"], 20);
    assert_eq!(stats["topics"], 21);
    assert_eq!(stats["subscriptions"], 40);
    drop(sockets);
    gateway
        .stats_become("nobody", |s| {
            s["connections"] == 0 && s["topics"] == 0 && s["subscriptions"] == 0
        })
        .await;
}

#[tokio::test]
async fn who_says_all_and_hangs_up_is_still_answered() {
    let gateway = TestGateway::start().await;
    for i in 0..30 {
        let mut raw = gateway.raw("/ws").await;
        raw.setup("ann", "t").await;
        let publish = format!(r#"{{"type":"publish","topic":"u","messageId":"{i}","payload":1}}"#);
        let publish = crate::harness::raw::masked(0x81, publish.as_bytes());
        let close = crate::harness::raw::masked(FIN | CLOSE, &1000_u16.to_be_bytes());
        raw.write(&[publish, close].concat()).await;
        // The end comes together with the last words, or right behind them.
        raw.stream.shutdown().await.unwrap();
        let ack = raw.next_text().await;
        assert!(ack.contains(r#""status":"ok""#), "{ack}");
        raw.expect_close(1000).await;
    }
}

#[tokio::test]
async fn nothing_is_heard_after_a_close() {
    let gateway = TestGateway::start().await;
    let mut witness = gateway.user("bob", &["t"]).await;
    let mut raw = gateway.raw("/ws").await;
    raw.setup("ann", "t").await;
    let close = crate::harness::raw::masked(FIN | CLOSE, &1000_u16.to_be_bytes());
    let publish = crate::harness::raw::masked(
        0x81,
        br#"{"type":"publish","topic":"t","messageId":"1","payload":1}"#,
    );
    raw.write(&[close, publish].concat()).await;
    raw.expect_close(1000).await;
    raw.expect_end().await;
    witness.expect_quiet().await;
}

#[tokio::test]
async fn a_half_open_peer_is_pinged_and_then_dropped() {
    let gateway = TestGateway::with(&[("ping-interval", "1s"), ("pong-timeout", "1s")]).await;
    let mut dead = gateway.raw("/ws").await;
    dead.setup("ann", "t").await;
    assert_eq!(dead.next().await.unwrap().opcode, PING);
    // It reads, but it does not answer: only bytes that come in count as life.
    dead.expect_end().await;
    gateway
        .stats_become("nobody", |s| s["connections"] == 0 && s["topics"] == 0)
        .await;
}

#[tokio::test]
async fn a_peer_that_only_receives_is_half_open_too() {
    let gateway = TestGateway::with(&[("ping-interval", "1s"), ("pong-timeout", "1s")]).await;
    let mut dead = gateway.raw("/ws").await;
    dead.setup("ann", "t").await;
    let mut publisher = gateway.user("bob", &[]).await;
    let publishing = async {
        for i in 0_u32.. {
            publisher.publish("t", &i.to_string(), json!(i)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = async { while dead.next().await.is_some() {} };
    soon("the end of a peer that never answers", async {
        tokio::select! { () = publishing => {}, () = ended => {} }
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_answers_pings_stays() {
    // As long as an answer is awaited there is no other ping.
    let gateway = TestGateway::with(&[("ping-interval", "100ms"), ("pong-timeout", "10s")]).await;
    let mut raw = gateway.raw("/ws").await;
    raw.setup("ann", "t").await;
    for _ in 0..8 {
        assert_eq!(raw.next().await.unwrap().opcode, PING);
        raw.frame(FIN | PONG, b"").await;
    }
    raw.text(r#"{"type":"ping"}"#).await;
    assert_eq!(raw.next_text().await, r#"{"type":"pong"}"#);
}

#[tokio::test]
async fn a_drain_tells_everyone_and_ends() {
    let gateway = TestGateway::start().await;
    let addr = gateway.addr;
    let mut sockets = Vec::new();
    for i in 0..10 {
        sockets.push(gateway.user(&format!("user{i}"), &["t"]).await);
    }
    let mut new = gateway.socket("/ws").await;
    let ack = sockets[0].publish("t", "last", json!(1)).await;
    assert_eq!(ack["status"], "ok");
    let told = tokio::spawn(async move {
        for mut socket in sockets.drain(1..) {
            assert_eq!(socket.messages(1).await[0].2, "last");
            assert_eq!(socket.expect_close(1012).await, "restarting");
        }
        new.expect_close(1012).await;
    });
    soon("the drain", gateway.drain()).await;
    told.await.unwrap();
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn while_draining_it_is_not_ready_and_takes_nobody() {
    let gateway = TestGateway::start().await;
    let addr = gateway.addr;
    // A peer that does not answer the close holds the drain up.
    let mut stubborn = gateway.raw("/ws").await;
    stubborn.setup("ann", "t").await;
    assert_eq!(gateway.get("/readyz").await.status, 200);
    let draining = tokio::spawn(gateway.drain());
    stubborn.expect_close(1012).await;
    for request in [Request::get("/readyz"), Request::upgrade("/ws")] {
        let answer = request.send(addr).await;
        answer.expect_error(503, "NOT_AVAILABLE");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(Request::get("/healthz").send(addr).await.status, 200);
    stubborn.frame(FIN | CLOSE, &1012_u16.to_be_bytes()).await;
    soon("the drain", draining).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_never_answers_cannot_hold_a_drain_up() {
    let gateway = TestGateway::with(&[("drain-timeout", "300ms")]).await;
    let mut stubborn = gateway.raw("/ws").await;
    stubborn.setup("ann", "t").await;
    let began = std::time::Instant::now();
    soon("the drain", gateway.drain()).await;
    // Before the time of its close was over.
    assert!(began.elapsed() < Duration::from_secs(5));
    stubborn.expect_close(1012).await;
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.socket("/ws").await;
    socket.send_message(Message::Ping("hello".into())).await;
    assert_eq!(
        socket.next_message().await,
        Some(Message::Pong("hello".into()))
    );
}

#[tokio::test]
async fn a_peer_that_does_not_finish_its_close_is_cut_off_and_holds_nobody_up() {
    let gateway = TestGateway::start().await;
    let cores = std::thread::available_parallelism().unwrap().get();
    // Some on every core: a core that waits for one of them would answer nobody.
    let mut stubborn = Vec::new();
    for _ in 0..8 * cores {
        let mut raw = gateway.raw("/ws").await;
        raw.frame(FIN | CLOSE, b"").await;
        stubborn.push(raw);
    }
    gateway
        .stats_become("the end of those who never hang up", |s| {
            s["connections"] == 0
        })
        .await;
    for _ in 0..8 * cores {
        gateway.user("ann", &["t"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_while_it_goes_is_told_or_refused() {
    let gateway = TestGateway::start().await;
    let url = format!("ws://{}/ws", gateway.addr);
    let comers: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                let mut sockets = Vec::new();
                while let Ok((socket, _)) = tokio_tungstenite::connect_async(&url).await {
                    sockets.push(socket);
                }
                for socket in &mut sockets {
                    let close = soon("a close", socket.next()).await;
                    let Some(Ok(Message::Close(Some(frame)))) = close else {
                        panic!("expected a close, got {close:?}");
                    };
                    assert_eq!(u16::from(frame.code), 1012);
                    while soon("the end", socket.next()).await.is_some() {}
                }
                sockets.len()
            })
        })
        .collect();
    gateway
        .stats_become("some sockets", |s| s["connections"].as_u64() > Some(50))
        .await;
    soon("the drain", gateway.drain()).await;
    for comer in comers {
        assert!(comer.await.unwrap() > 0);
    }
}
