//! A client that does not read costs a bounded amount of memory and nobody else's time.

use serde_json::json;

use crate::harness::TestGateway;
use crate::harness::raw::RawSocket;
use crate::harness::socket::publish;

/// One message of the flood; several of them are many times the send queue.
const BYTES: usize = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_closed_with_4108_and_others_go_on() {
    let gateway =
        TestGateway::with(&[("send-queue-bytes", "256KiB"), ("history-size", "10")]).await;
    let mut slow = RawSocket::connect(gateway.addr, "/ws", Some(4096)).await;
    slow.setup("slow", "t").await;
    let mut quick = gateway.user("quick", &["t"]).await;
    let mut publisher = gateway.user("ann", &[]).await;
    let payload = json!("x".repeat(BYTES));
    // At most some 15 MB, which is more than both kernels take in between; and a few messages after the slow
    // one is let go of, which then has a time for its close.
    let (mut sent, mut most) = (0, 250);
    while sent < most {
        sent += 1;
        publisher
            .send(publish("t", &sent.to_string(), payload.clone()))
            .await;
        publisher.expect("ack").await;
        assert_eq!(quick.messages(1).await[0].1, sent);
        if sent % 10 == 0 && gateway.stats().await["subscriptions"] == 1 {
            most = most.min(sent + 20);
        }
    }
    // What it gets when it reads at last: whole frames in order, then why.
    let mut last = 0;
    loop {
        let frame = slow.next().await.expect("a close before the end");
        if frame.opcode == crate::harness::raw::CLOSE {
            assert_eq!(frame.payload[..2], 4108_u16.to_be_bytes());
            break;
        }
        let text = String::from_utf8(frame.payload).unwrap();
        last += 1;
        assert!(text.contains(&format!("\"seqNo\":{last},")), "in order");
    }
    assert!(last < sent);
    quick.publish("t", "on", json!(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_reads_again_is_dropped() {
    let gateway = TestGateway::with(&[("send-queue-bytes", "64KiB"), ("history-size", "1")]).await;
    let mut slow = RawSocket::connect(gateway.addr, "/ws", Some(4096)).await;
    slow.setup("slow", "t").await;
    let mut publisher = gateway.user("ann", &[]).await;
    let payload = json!("x".repeat(BYTES));
    for i in 0..200 {
        publisher
            .send(publish("t", &i.to_string(), payload.clone()))
            .await;
        publisher.expect("ack").await;
    }
    gateway
        .stats_become("only the publisher", |s| {
            s["connections"] == 1 && s["subscriptions"] == 0
        })
        .await;
    drop(slow);
    let metrics = gateway.get("/metrics").await;
    for counted in [
        "micro_socket_slow_consumers_total 1\n",
        "micro_socket_closes_total{code=\"4108\"} 1\n",
        "micro_socket_disconnects_total{cause=\"queue_full\"} 1\n",
    ] {
        assert!(metrics.text().contains(counted), "{counted}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_asks_and_does_not_read_is_not_read_either() {
    // Answers wait for the client; its own requests then wait in its kernel, not in ours.
    let gateway = TestGateway::with(&[("send-queue-bytes", "64KiB")]).await;
    let mut greedy = RawSocket::connect(gateway.addr, "/ws", Some(4096)).await;
    greedy.setup("greedy", "t").await;
    let ping = crate::harness::raw::masked(0x81, br#"{"type":"ping"}"#).repeat(1000);
    let stuck = tokio::time::timeout(std::time::Duration::from_secs(2), async {
        for _ in 0..5000 {
            tokio::io::AsyncWriteExt::write_all(&mut greedy.stream, &ping).await?;
        }
        std::io::Result::Ok(())
    });
    assert!(
        stuck.await.is_err(),
        "five million pings were taken in without an answer read"
    );
    gateway
        .user("ann", &[])
        .await
        .publish("t", "1", json!(1))
        .await;
}
