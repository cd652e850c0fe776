//! The Rust client against the real gateway.

use std::net::SocketAddr;

use futures_util::StreamExt;
use micro_socket::client::{ConnectError, Event, Message, SubSocket};
use micro_socket::protocol::{AckStatus, UnrecoveredReason};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::process::free_ports;
use crate::harness::{TestGateway, soon};

async fn next(socket: &mut SubSocket) -> Event {
    soon("an event", socket.next())
        .await
        .expect("the socket goes on")
}

async fn message(socket: &mut SubSocket) -> Message {
    loop {
        match next(socket).await {
            Event::Message(message) => return message,
            Event::Gap { .. } => panic!("a gap"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn by_topics_and_by_url() {
    let gateway = TestGateway::start().await;
    let url = format!("ws://{}/ws", gateway.addr);
    let mut ann = SubSocket::by_topics(&url, "ann", ["a", "b"]).await.unwrap();
    let mut bob = SubSocket::by_url(&format!("{url}/sub/b"), "bob")
        .await
        .unwrap();
    let ack = soon("an ack", ann.handle().publish("b", &json!({"n": 1})))
        .await
        .unwrap();
    assert_eq!(
        (&*ack.topic, ack.seq_no, ack.status),
        ("b", 1, AckStatus::Ok)
    );
    for socket in [&mut ann, &mut bob] {
        let message = message(socket).await;
        assert_eq!((&*message.topic, message.seq_no), ("b", 1));
        assert_eq!(message.message_id, ack.message_id);
        assert_eq!(message.data.get(), r#"{"n":1}"#);
    }
    let again = bob.handle().publish_with_id("a", "id", &1);
    assert_eq!(soon("an ack", again).await.unwrap().status, AckStatus::Ok);
    let again = bob.handle().publish_with_id("a", "id", &1);
    assert_eq!(
        soon("an ack", again).await.unwrap().status,
        AckStatus::Duplicate
    );
    assert_eq!(message(&mut ann).await.topic, "a");
    bob.handle().subscribe("c").unwrap();
    ann.handle().publish("c", &"hello").await.unwrap();
    loop {
        // Subscribed before or after the publish: the next one comes in any case.
        if matches!(next(&mut bob).await, Event::Subscribed(s) if s.topic == "c") {
            break;
        }
    }
    ann.handle().publish("c", &"again").await.unwrap();
    while message(&mut bob).await.data.get() != r#""again""# {}
}

#[tokio::test]
async fn a_refused_token_is_an_error() {
    let gateway = TestGateway::start().await;
    let url = format!("ws://{}/ws", gateway.addr);
    let refused = soon("a refusal", SubSocket::by_url(&url, "")).await;
    assert!(
        matches!(refused, Err(ConnectError::Refused(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_new_gateway_on_the_same_port_is_found_again() {
    // While it is away, no client's socket is bound to it by chance.
    let [port] = free_ports();
    let addr = format!("127.0.0.1:{port}");
    let gateway = TestGateway::with(&[("addr", &addr)]).await;
    let url = format!("ws://{addr}/ws");
    let mut socket = SubSocket::by_topics(&url, "ann", ["t"]).await.unwrap();
    let handle = socket.handle();
    for i in 0..3 {
        handle.publish("t", &i).await.unwrap();
        assert_eq!(message(&mut socket).await.seq_no, i + 1);
    }
    soon("the drain", gateway.drain()).await;
    let closed = async {
        loop {
            if let Event::Closed {
                code, reconnect_in, ..
            } = next(&mut socket).await
            {
                return (code, reconnect_in.is_some());
            }
        }
    };
    assert_eq!(closed.await, (1012, true));
    // Published while nobody is there: kept by the client until somebody is.
    let waiting = tokio::spawn(handle.publish("t", &"waits"));
    let _gateway = TestGateway::with(&[("addr", &addr)]).await;
    let ack = soon("the ack after the restart", waiting)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ack.seq_no, 1, "a memory gateway that restarted begins anew");
    let subscribed = async {
        loop {
            if let Event::Subscribed(subscribed) = next(&mut socket).await {
                return subscribed;
            }
        }
    };
    let subscribed = subscribed.await;
    assert_eq!(subscribed.recovered, Some(false));
    assert_eq!(subscribed.reason, Some(UnrecoveredReason::Epoch));
    handle.publish("t", &"goes on").await.unwrap();
    while message(&mut socket).await.data.get() != r#""goes on""# {}
}

/// Passes bytes on until it is told to cut every connection; `true` lets new ones through.
async fn proxy(to: SocketAddr, open: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut open = open.clone();
            tokio::spawn(async move {
                if *open.borrow_and_update() {
                    let mut gateway = TcpStream::connect(to).await.unwrap();
                    let copying = tokio::io::copy_bidirectional(&mut client, &mut gateway);
                    tokio::select! { _ = copying => {}, _ = open.changed() => {} }
                }
            });
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_cost_no_message() {
    let gateway = TestGateway::start().await;
    let (switch, open) = watch::channel(true);
    let through = proxy(gateway.addr, open).await;
    let mut socket = SubSocket::by_url(&format!("ws://{through}/ws/sub/t"), "ann")
        .await
        .unwrap();
    let mut publisher = gateway.user("bob", &[]).await;
    let mut own = Vec::new();
    let mut expected = 0;
    for round in 0..4 {
        for i in 0..20 {
            publisher
                .publish("t", &format!("{round}-{i}"), json!(i))
                .await;
        }
        // Our own publishes are in flight when the cut comes.
        for i in 0..5 {
            let publishing = socket.handle().publish("t", &format!("own {round} {i}"));
            own.push(tokio::spawn(publishing));
        }
        switch.send(false).unwrap();
        for i in 20..40 {
            publisher
                .publish("t", &format!("{round}-{i}"), json!(i))
                .await;
        }
        switch.send(true).unwrap();
        for _ in 0..45 {
            expected += 1;
            assert_eq!(message(&mut socket).await.seq_no, expected);
        }
    }
    for publishing in own {
        soon("an ack", publishing).await.unwrap().unwrap();
    }
    assert_eq!(gateway.stats().await["published"], expected);
}
