//! The Rust client against the real gateway: cuts under fire lose, double and disorder nothing (I2,
//! I3, I4, I6).

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use micro_socket::client::{
    Backoff, Event, Options, PublishError, Qos, SignatureError, SigningKey, SubSocket,
};
use micro_socket::protocol::Ready;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::{Request, TestGateway, soon};

/// A network between client and gateway that can be cut.
struct Network {
    url: String,
    /// How often it was cut, and whether it is down.
    state: watch::Sender<(usize, bool)>,
}

impl Network {
    async fn to(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        let (state, watched) = watch::channel((0, false));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, gateway, watched.clone()));
            }
        });
        Self { url, state }
    }

    /// Drops every connection.
    fn cut(&self) {
        self.state.send_modify(|(cuts, _)| *cuts += 1);
    }

    /// Drops every connection, and new ones until it is up again.
    fn set_down(&self, down: bool) {
        self.state.send_modify(|state| *state = (state.0 + 1, down));
    }

    fn open(&self, options: Options) -> SubSocket {
        SubSocket::open(&self.url, options).unwrap()
    }
}

async fn carry(
    mut client: TcpStream,
    gateway: SocketAddr,
    mut state: watch::Receiver<(usize, bool)>,
) {
    if state.borrow_and_update().1 {
        return;
    }
    let mut gateway = TcpStream::connect(gateway).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut gateway) => {}
        _ = state.changed() => {}
    }
}

fn options(topics: &[&str], qos: Qos) -> Options {
    let mut options = Options::new("ann");
    options.topics = topics.iter().map(|t| (*t).to_owned()).collect();
    options.qos = qos;
    options.reconnect = Some(Backoff {
        first: Duration::from_millis(5),
        limit: Duration::from_millis(20),
    });
    options
}

async fn next(socket: &mut SubSocket) -> Event {
    let event = soon("an event", socket.next()).await;
    event.expect("the stream goes on")
}

async fn next_ready(socket: &mut SubSocket) -> Ready<'static> {
    loop {
        if let Event::Ready(ready) = next(socket).await {
            return ready;
        }
    }
}

/// Publishes `0..count` to a topic as fast as the acks allow, and reads its own stream meanwhile.
async fn publish_all(mut socket: SubSocket, topic: &'static str, count: u64) {
    let handle = socket.handle();
    let reader = tokio::spawn(async move { while socket.next().await.is_some() {} });
    let mut waiting = std::collections::VecDeque::new();
    for value in 0..count {
        waiting.push_back(handle.publish(topic, &value));
        if waiting.len() > 50 {
            waiting.pop_front().unwrap().await.unwrap();
        }
        if value % 25 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    for publishing in waiting {
        let result: Result<_, PublishError> = publishing.await;
        result.unwrap();
    }
    handle.close();
    reader.await.unwrap();
}

async fn cuts_under_fire(qos: Qos) {
    const COUNT: u64 = 4000;
    let gateway = TestGateway::with(&[("history-size", "10000")]).await;
    let network = Network::to(gateway.addr).await;
    let mut socket = network.open(options(&["t"], qos));
    let session = next_ready(&mut socket).await.session_id;
    let publisher = network.open(options(&[], Qos::Zero));
    let publishing = tokio::spawn(publish_all(publisher, "t", COUNT));

    let cutting = async {
        while !publishing.is_finished() {
            tokio::time::sleep(Duration::from_millis(25)).await;
            network.cut();
        }
    };
    let reading = async {
        let (mut seen, mut resumed) = (0, 0);
        while seen < COUNT {
            match next(&mut socket).await {
                Event::Message(message) => {
                    assert_eq!(message.data.get(), seen.to_string());
                    assert_eq!(message.seq_no, seen + 1, "published exactly once");
                    seen += 1;
                }
                Event::Ready(ready) => {
                    assert_eq!((ready.resumed, &ready.session_id), (true, &session));
                    resumed += 1;
                }
                Event::Subscribed(subscribed) => assert_eq!(subscribed.recovered, Some(true)),
                Event::Closed { .. } | Event::Opened => {}
                other => panic!("{other:?}"),
            }
        }
        resumed
    };
    let ((), resumed) = tokio::join!(cutting, reading);
    publishing.await.unwrap();
    assert!(resumed > 3, "resumed {resumed} times only");
    let path = format!("/api/topics/t/history?after={COUNT}");
    let history = Request::get(&path).bearer("ann").send(gateway.addr).await;
    assert_eq!(history.json()["seqNo"], COUNT);
}

#[tokio::test]
async fn cuts_under_fire_lose_double_and_disorder_nothing() {
    cuts_under_fire(Qos::Zero).await;
}

#[tokio::test]
async fn cuts_under_fire_with_client_acks() {
    cuts_under_fire(Qos::One).await;
}

#[tokio::test]
async fn without_its_session_the_client_goes_on_from_its_own_positions() {
    let gateway = TestGateway::with(&[("session-ttl", "100ms")]).await;
    let network = Network::to(gateway.addr).await;
    let mut socket = network.open(options(&["t"], Qos::One));
    let first = next_ready(&mut socket).await;
    network.set_down(true);
    gateway
        .stats_become("the socket to be gone", |s| s["connections"] == 0)
        .await;
    let mut other = gateway.user("bob", &[]).await;
    for value in 0..3 {
        other.publish("t", &format!("{value}"), json!(value)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    network.set_down(false);

    let second = next_ready(&mut socket).await;
    assert!(!second.resumed);
    assert_ne!(second.session_id, first.session_id);
    for expected in 1..=3 {
        loop {
            if let Event::Message(message) = next(&mut socket).await {
                assert_eq!(message.seq_no, expected);
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_socket_that_lost_its_session_to_another_ends() {
    let gateway = TestGateway::start().await;
    let network = Network::to(gateway.addr).await;
    let mut socket = network.open(options(&["t"], Qos::Zero));
    let session = next_ready(&mut socket).await.session_id;
    let mut other = gateway.socket("/ws").await;
    other
        .send(
            json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {}}),
        )
        .await;
    loop {
        if let Event::Closed {
            code, reconnect_in, ..
        } = next(&mut socket).await
        {
            assert_eq!((code, reconnect_in), (4009, None));
            break;
        }
    }
    assert!(soon("the end", socket.next()).await.is_none());
}

#[tokio::test]
async fn a_program_that_takes_its_time_gets_everything_with_client_acks() {
    let gateway = TestGateway::with(&[("history-size", "10000")]).await;
    let network = Network::to(gateway.addr).await;
    let mut socket = network.open(options(&["t"], Qos::One));
    next_ready(&mut socket).await;
    // More than the gateway sends without an ack, while the program reads nothing.
    publish_all(network.open(options(&[], Qos::Zero)), "t", 3000).await;
    for expected in 1..=3000 {
        match next(&mut socket).await {
            Event::Message(message) => assert_eq!(message.seq_no, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_subscribed_and_left_offline_holds_after_the_resume() {
    let gateway = TestGateway::start().await;
    let network = Network::to(gateway.addr).await;
    let mut socket = network.open(options(&["left"], Qos::Zero));
    next_ready(&mut socket).await;
    network.set_down(true);
    while !matches!(next(&mut socket).await, Event::Closed { .. }) {}
    let handle = socket.handle();
    handle.unsubscribe("left").unwrap();
    handle.subscribe("joined").unwrap();
    network.set_down(false);
    assert!(next_ready(&mut socket).await.resumed);
    while !matches!(next(&mut socket).await, Event::Subscribed(s) if s.topic == "joined") {}
    gateway
        .stats_become("one topic", |s| s["subscriptions"] == 1)
        .await;
    let mut other = gateway.user("bob", &[]).await;
    for topic in ["left", "joined"] {
        other.publish(topic, topic, json!(1)).await;
    }
    loop {
        if let Event::Message(message) = next(&mut socket).await {
            assert_eq!(message.topic, "joined");
            break;
        }
    }
}

#[tokio::test]
async fn a_signature_travels_unchanged_over_the_socket_http_and_replay() {
    let gateway = TestGateway::start().await;
    let network = Network::to(gateway.addr).await;
    let key = SigningKey::new(b"0123456789abcdef0123456789abcdef").unwrap();
    let mut signing = options(&["t"], Qos::Zero);
    signing.signing_key = Some(key.clone());
    let mut socket = network.open(signing);
    next_ready(&mut socket).await;
    network.set_down(true);
    gateway
        .stats_become("the socket to be gone", |s| s["connections"] == 0)
        .await;
    let sig = key.sign("t", "m-2", r#"{"a" : 1}"#);
    let body = format!(r#"{{"topic":"t","messageId":"m-2","payload":{{"a" : 1}},"sig":"{sig}"}}"#);
    assert_eq!(
        Request::publish("bob", body)
            .send(gateway.addr)
            .await
            .status,
        200
    );
    let unsigned = r#"{"topic":"t","payload":1}"#;
    assert_eq!(
        Request::publish("bob", unsigned)
            .send(gateway.addr)
            .await
            .status,
        200
    );
    network.set_down(false);
    let publishing = socket.handle().publish("t", &json!({"b": [1.0, "\u{e9}"]}));
    let mut results = Vec::new();
    while results.len() < 3 {
        if let Event::Message(message) = next(&mut socket).await {
            results.push(message.verify(&key));
        }
    }
    publishing.await.unwrap();
    assert_eq!(results, [Ok(()), Err(SignatureError::Missing), Ok(())]);
}
