//! `SubSocket` on real sockets, against a gateway that follows a script.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::{ConnectError, Event, Options, PublishError, SendError, SubSocket};

struct Gateway {
    listener: TcpListener,
    url: String,
}

impl Gateway {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        Self { listener, url }
    }

    async fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.unwrap();
        Peer(accept_async(stream).await.unwrap())
    }

    /// Accepts a socket and answers its setup.
    async fn accept_ready(&self) -> Peer {
        let mut peer = self.accept().await;
        assert!(peer.expect().await.starts_with(r#"{"type":"setup""#));
        peer.send(READY).await;
        peer
    }
}

struct Peer(WebSocketStream<TcpStream>);

impl Peer {
    /// The next text frame; a close shows as `close <code>`, the end as `end`.
    async fn expect(&mut self) -> String {
        let next = tokio::time::timeout(Duration::from_secs(10), self.0.next());
        match next.await.expect("the client says something") {
            Some(Ok(Frame::Text(text))) => text.as_str().to_owned(),
            Some(Ok(Frame::Close(Some(frame)))) => {
                let _ = self.0.flush().await; // the answer
                format!("close {} {}", u16::from(frame.code), frame.reason)
            }
            Some(Ok(other)) => format!("{other:?}"),
            Some(Err(_)) | None => "end".to_owned(),
        }
    }

    async fn send(&mut self, text: &str) {
        self.0.send(Frame::text(text)).await.unwrap();
    }

    async fn close(mut self, code: u16, reason: &str) {
        let reason = reason.to_owned().into();
        let frame = CloseFrame {
            code: code.into(),
            reason,
        };
        self.0.close(Some(frame)).await.unwrap();
        while self.0.next().await.is_some_and(|frame| frame.is_ok()) {}
    }
}

const READY: &str = r#"{"type":"ready","sessionId":"s1","resumed":false,"userId":"me"}"#;

fn message(seq: u64) -> String {
    format!(
        r#"{{"type":"message","topic":"prices","seqNo":{seq},"messageId":"m{seq}","data":{{"n" : {seq}}}}}"#
    )
}

/// The next event that `pick` takes.
async fn wait<T>(socket: &mut SubSocket, pick: impl Fn(&Event) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = socket.next().await.expect("the stream goes on");
            if let Some(found) = pick(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found)
        .await
        .expect("in time")
}

fn seq_no(event: &Event) -> Option<u64> {
    match event {
        Event::Message(message) => Some(message.seq_no),
        _ => None,
    }
}

fn closed(event: &Event) -> Option<(u16, String, bool, bool)> {
    match event {
        Event::Closed {
            code,
            reason,
            was_clean,
            reconnect_in,
        } => Some((*code, reason.clone(), *was_clean, reconnect_in.is_some())),
        _ => None,
    }
}

#[tokio::test]
async fn by_topics_receives_and_publishes() {
    let gateway = Gateway::start().await;
    let script = async {
        let mut peer = gateway.accept().await;
        assert_eq!(
            peer.expect().await,
            r#"{"type":"setup","token":"me","topics":["prices"]}"#
        );
        peer.send(r#"{"type":"subscribed","topic":"prices","seqNo":4,"epoch":"e1"}"#)
            .await;
        peer.send(READY).await;
        peer.send(&message(5)).await;
        let publish = peer.expect().await;
        assert!(publish.ends_with(r#","payload":{"a":1}}"#), "{publish}");
        let id = publish.split('"').nth(11).unwrap().to_owned();
        assert_eq!(id.len(), 32, "{publish}");
        peer.send(&format!(
            r#"{{"type":"ack","messageId":"{id}","status":"ok","topic":"prices","seqNo":6,"epoch":"e1"}}"#
        ))
        .await;
        assert_eq!(peer.expect().await, "close 3001 enough");
    };
    let program = async {
        let mut socket = SubSocket::by_topics(&gateway.url, "me", ["prices"])
            .await
            .unwrap();
        assert!(
            matches!(socket.next().await, Some(Event::Opened)),
            "nothing is swallowed"
        );
        let text = wait(&mut socket, |event| match event {
            Event::Message(message) => Some(message.data.get().to_owned()),
            _ => None,
        });
        assert_eq!(text.await, r#"{"n" : 5}"#, "byte for byte");
        let handle = socket.handle();
        let payload: Box<serde_json::value::RawValue> = serde_json::from_str(r#"{"a":1}"#).unwrap();
        let ack = handle.publish("prices", &payload).await.unwrap();
        assert_eq!((ack.seq_no, ack.epoch.as_str()), (6, "e1"));
        handle.close_with(3001, "enough").unwrap();
        let end = wait(&mut socket, closed).await;
        assert_eq!(end, (3001, "enough".to_owned(), true, false));
        assert!(socket.next().await.is_none(), "the stream ends");
        assert_eq!(handle.subscribe("x"), Err(SendError::Closed));
        assert_eq!(handle.publish("x", &1).await, Err(PublishError::Closed));
    };
    tokio::join!(script, program);
}

#[tokio::test]
async fn a_cut_is_mended_without_loss_or_double() {
    let gateway = Gateway::start().await;
    let script = async {
        let mut peer = gateway.accept().await;
        peer.expect().await;
        peer.send(r#"{"type":"subscribed","topic":"prices","seqNo":0,"epoch":"e1"}"#)
            .await;
        peer.send(READY).await;
        peer.send(&message(1)).await;
        let publish = peer.expect().await;
        drop(peer); // no close frame, no ack

        let mut peer = gateway.accept().await;
        assert_eq!(
            peer.expect().await,
            r#"{"type":"resume","token":"me","sessionId":"s1","lastSeqPerTopic":{"prices":1},"epochs":{"prices":"e1"}}"#
        );
        peer.send(r#"{"type":"subscribed","topic":"prices","seqNo":3,"epoch":"e1","recovered":true,"replayed":2}"#).await;
        for seq in [1, 2] {
            peer.send(&message(seq)).await;
        }
        peer.send(READY).await;
        assert_eq!(peer.expect().await, publish, "the same id again");
        for seq in [3, 3, 4] {
            peer.send(&message(seq)).await;
        }
        peer.send(r#"{"type":"ack","messageId":"mine","status":"duplicate","seqNo":2}"#)
            .await;
        assert_eq!(peer.expect().await, "close 1000 ");
    };
    let program = async {
        let mut socket = SubSocket::by_topics(&gateway.url, "me", ["prices"])
            .await
            .unwrap();
        assert_eq!(wait(&mut socket, seq_no).await, 1);
        let ack = socket.handle().publish_with_id("prices", "mine", "hello");
        assert_eq!(ack.message_id(), "mine");
        let end = wait(&mut socket, closed).await;
        assert_eq!((end.0, end.3), (1006, true));
        for expected in 2..=4 {
            assert_eq!(wait(&mut socket, seq_no).await, expected);
        }
        assert_eq!(ack.await.unwrap().seq_no, 2);
        // Dropping the socket closes it, whatever handles are left.
    };
    tokio::join!(script, program);
}

#[tokio::test]
async fn refusals_are_typed() {
    let gateway = Gateway::start().await;
    let script = async {
        let mut peer = gateway.accept().await;
        peer.expect().await;
        peer.send(r#"{"type":"error","code":"AUTH_FAILED","message":"no such token"}"#)
            .await;
        peer.close(4001, "authentication failed").await;
        let mut peer = gateway.accept().await;
        peer.expect().await;
        peer.close(1013, "overloaded").await;
    };
    let program = async {
        match SubSocket::by_url(&gateway.url, "bad").await {
            Err(ConnectError::Refused(error)) => assert_eq!(error.message, "no such token"),
            other => panic!("{other:?}"),
        }
        let error = SubSocket::by_url(&gateway.url, "me").await.unwrap_err();
        assert_eq!(
            error,
            ConnectError::Closed {
                code: 1013,
                reason: "overloaded".to_owned()
            }
        );
    };
    tokio::join!(script, program);
    let url = gateway.url.clone();
    drop(gateway);
    for url in [
        url.as_str(),
        "not a url",
        "http://127.0.0.1/",
        "wss://127.0.0.1:1/ws",
    ] {
        let error = SubSocket::by_url(url, "me").await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Unreachable(_)),
            "{url}: {error}"
        );
    }
}

#[tokio::test]
async fn manual_speaks_raw_and_shows_everything() {
    let gateway = Gateway::start().await;
    let script = async {
        let mut peer = gateway.accept().await;
        assert_eq!(peer.expect().await, "anything {");
        peer.send("something }").await;
        peer.0.send(Frame::binary(vec![1, 2, 3])).await.unwrap();
        peer.close(4002, "no setup in time").await;
    };
    let program = async {
        let mut socket = SubSocket::open(&gateway.url, Options::manual()).unwrap();
        let handle = socket.handle();
        assert_eq!(handle.send_raw("too early"), Err(SendError::NotOpen));
        wait(&mut socket, |event| {
            matches!(event, Event::Opened).then_some(())
        })
        .await;
        handle.send_raw("anything {").unwrap();
        let mut seen = Vec::new();
        while let Some(event) = socket.next().await {
            seen.push(match event {
                Event::Sent(text) => format!("sent {text}"),
                Event::Received(text) => format!("received {text}"),
                Event::Undecodable(_) => "undecodable".to_owned(),
                Event::Binary(bytes) => format!("binary {}", bytes.len()),
                Event::Closed {
                    code,
                    reason,
                    was_clean,
                    reconnect_in: None,
                } => {
                    format!("closed {code} {reason} {was_clean}")
                }
                other => format!("{other:?}"),
            });
        }
        assert_eq!(
            seen,
            [
                "sent anything {",
                "received something }",
                "undecodable",
                "binary 3",
                "closed 4002 no setup in time true",
            ]
        );
        assert_eq!(handle.send_raw("too late"), Err(SendError::NotOpen));
    };
    tokio::join!(script, program);
}

#[tokio::test]
async fn a_program_that_does_not_read_stops_the_gateway_not_its_memory() {
    let gateway = Gateway::start().await;
    let mut socket = SubSocket::open(
        &gateway.url,
        Options {
            topics: vec!["prices".to_owned()],
            ..Options::new("me")
        },
    )
    .unwrap();
    let mut peer = gateway.accept_ready().await;
    peer.send(r#"{"type":"subscribed","topic":"prices","seqNo":0,"epoch":"e1"}"#)
        .await;
    let filler = "x".repeat(60_000);
    let mut sent = 0;
    let flood = async {
        while sent < 2000 {
            let seq = sent + 1;
            peer.send(&format!(
                r#"{{"type":"message","topic":"prices","seqNo":{seq},"messageId":"m","data":"{filler}"}}"#
            ))
            .await;
            sent = seq;
        }
    };
    // 120 MB do not fit into the client's 4 MiB and the kernel's buffers.
    let stopped = tokio::time::timeout(Duration::from_millis(1500), flood).await;
    assert!(stopped.is_err(), "the gateway was let run");
    for expected in 1..=sent {
        assert_eq!(
            wait(&mut socket, seq_no).await,
            expected,
            "nothing is dropped"
        );
    }
}

#[tokio::test]
async fn a_close_before_it_is_open_ends_it() {
    // Accepts TCP and never answers the handshake.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let mut socket = SubSocket::open(&url, Options::new("me")).unwrap();
    let handle = socket.handle();
    let publish = handle.publish("prices", &1);
    handle.close();
    assert_eq!(wait(&mut socket, closed).await.0, 1006);
    assert!(socket.next().await.is_none());
    assert_eq!(publish.await, Err(PublishError::Closed));
}

#[tokio::test]
async fn names_and_closes_are_checked_before_they_are_sent() {
    let socket = SubSocket::open("ws://127.0.0.1:1/ws", Options::new("me")).unwrap();
    let handle = socket.handle();
    assert!(matches!(handle.subscribe(""), Err(SendError::Name(_))));
    assert!(matches!(
        handle.publish("a\n", &1).await,
        Err(PublishError::Name(_))
    ));
    assert_eq!(handle.close_with(1006, ""), Err(SendError::BadClose));
    assert_eq!(
        handle.close_with(3000, &"x".repeat(124)),
        Err(SendError::BadClose)
    );
    let no_json = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(
        handle.publish("a", &no_json).await,
        Err(PublishError::Payload(_))
    ));
}

#[test]
fn outside_a_runtime_it_says_so() {
    let error = SubSocket::open("ws://127.0.0.1:1/ws", Options::new("me")).unwrap_err();
    assert!(matches!(error, ConnectError::Platform(_)));
}

#[test]
fn random_ids_differ() {
    let ids: std::collections::HashSet<u128> =
        (0..1000).map(|_| super::platform::random()).collect();
    assert_eq!(ids.len(), 1000);
}
