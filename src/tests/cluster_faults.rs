//! NATS away, lost, cut off, clogged: no publisher waits for ever, and no subscriber is left in
//! silence.

use std::time::Duration;

use micro_socket::config::{RawSettings, Settings};
use micro_socket::server::Server;
use serde_json::{Value, json};

use crate::harness::process::free_ports;
use crate::harness::raw::{FIN, PONG};
use crate::harness::{NatsServer, Socket, TestGateway, Wire, soon};

async fn gateway(url: &str, more: &[(&'static str, &str)]) -> TestGateway {
    let mut settings = vec![("backbone", "nats"), ("nats-url", url)];
    settings.extend_from_slice(more);
    TestGateway::with(&settings).await
}

/// A server to be stopped and started again: while it is away, no client's socket is bound to its port by chance.
async fn nats_to_restart() -> NatsServer {
    let [port] = free_ports();
    NatsServer::on(port).await
}

/// A gateway that reaches NATS through a wire.
async fn wired(nats: &NatsServer, more: &[(&'static str, &str)]) -> (Wire, TestGateway) {
    let wire = Wire::to(([127, 0, 0, 1], nats.port()).into()).await;
    let gateway = gateway(&format!("nats://{}", wire.addr), more).await;
    (wire, gateway)
}

/// For sockets that are not read, and so answer no ping, as long as others send.
const UNREAD: [(&str, &str); 1] = [("ping-interval", "5m")];

async fn becomes_ready(gateway: &TestGateway, status: u16) {
    soon("readiness", async {
        while gateway.get("/readyz").await.status != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn publish(socket: &mut Socket, topic: &str, id: &str) -> Value {
    let frame = json!({"type": "publish", "topic": topic, "messageId": id, "payload": {"id": id}});
    socket.send(frame).await;
    socket.expect("ack").await
}

async fn ids(socket: &mut Socket, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut last = 0;
    while ids.len() < count {
        let message = socket.expect("message").await;
        let seq_no = message["seqNo"].as_u64().unwrap();
        let previous = message["prevSeq"].as_u64().unwrap_or(seq_no - 1);
        assert!(
            seq_no > last && (last == 0 || previous == last),
            "{message} after {last}"
        );
        last = seq_no;
        ids.push(message["messageId"].as_str().unwrap().to_owned());
    }
    ids
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn nats_away_and_back() {
    let mut nats = nats_to_restart().await;
    let (a, b) = (
        gateway(&nats.url(), &[]).await,
        gateway(&nats.url(), &[]).await,
    );
    let mut ann = b.user("ann", &["t"]).await;
    let mut bob = a.user("bob", &[]).await;
    publish(&mut bob, "t", "1").await;
    ann.expect("message").await;
    becomes_ready(&a, 200).await;

    nats.stop();
    becomes_ready(&a, 503).await;
    let frame = json!({"type": "publish", "topic": "t", "messageId": "2", "payload": 2});
    bob.send(frame.clone()).await;
    let refused = bob.expect_error("NOT_AVAILABLE").await;
    assert_eq!(
        (&refused["messageId"], &refused["retryable"]),
        (&json!("2"), &json!(true))
    );
    ann.expect_quiet().await;

    nats.start_again().await;
    becomes_ready(&a, 200).await;
    becomes_ready(&b, 200).await;
    bob.send(frame).await;
    assert_eq!(bob.expect("ack").await["status"], "ok");
    assert_eq!(ann.expect("message").await["messageId"], "2");
    assert_eq!(publish(&mut bob, "t", "1").await["status"], "duplicate");
}

#[tokio::test]
async fn a_position_that_cannot_be_looked_up_leaves_the_subscription_as_it_was() {
    let mut nats = nats_to_restart().await;
    let gateway = gateway(&nats.url(), &[]).await;
    let mut bob = gateway.user("bob", &[]).await;
    publish(&mut bob, "t", "0").await;
    let mut ann = gateway.user("ann", &["t"]).await;
    let mut guarded = gateway.user("eve", &[]).await;
    let subscribe = json!({"type": "subscribe", "topic": "t", "qos": 1});
    guarded.send(subscribe.clone()).await;
    guarded.expect("subscribed").await;
    nats.stop();
    becomes_ready(&gateway, 503).await;
    let mut with_position = subscribe;
    with_position["lastSeq"] = json!(0);
    with_position["qos"] = json!(1);
    guarded.send(with_position.clone()).await;
    // What it was sent and did not acknowledge is not known any more.
    guarded.expect_close(4200).await;
    with_position["qos"] = json!(0);
    ann.send(with_position).await;
    let refused = ann.expect_error("NOT_AVAILABLE").await;
    assert_eq!(refused["topic"], "t");
    nats.start_again().await;
    becomes_ready(&gateway, 200).await;
    publish(&mut bob, "t", "1").await;
    assert_eq!(ids(&mut ann, 1).await, ["1"]);
}

#[tokio::test]
async fn a_gateway_that_was_cut_off_from_nats_catches_up_in_order() {
    let nats = NatsServer::start().await;
    let a = gateway(&nats.url(), &[]).await;
    let (wire, b) = wired(&nats, &[]).await;
    let mut ann = b.user("ann", &["t"]).await;
    let quiet = ann.subscribe("quiet").await;
    let mut bob = a.user("bob", &[]).await;
    publish(&mut bob, "t", "0").await;
    assert_eq!(ids(&mut ann, 1).await, ["0"]);
    wire.cut();
    becomes_ready(&b, 503).await;
    for id in names(1..40) {
        publish(&mut bob, "t", &id).await;
    }
    ann.expect_quiet().await;
    wire.mend();
    // Nothing comes behind them that would show the gap.
    assert_eq!(ids(&mut ann, 39).await, names(1..40));
    publish(&mut bob, "t", "40").await;
    assert_eq!(ids(&mut ann, 1).await, ["40"]);
    // Nothing was published here: what its subscriber knows is what the message says was before.
    publish(&mut bob, "quiet", "41").await;
    assert_eq!(ann.expect("message").await["prevSeq"], quiet["seqNo"]);
}

#[tokio::test]
async fn what_is_gone_from_the_stream_meanwhile_closes_the_subscribers() {
    let nats = NatsServer::start().await;
    let history = [("history-size", "5")];
    let a = gateway(&nats.url(), &history).await;
    let (wire, b) = wired(&nats, &history).await;
    let mut ann = b.user("ann", &["t"]).await;
    let mut other = b.user("eve", &["u"]).await;
    let mut bob = a.user("bob", &[]).await;
    publish(&mut bob, "u", "first").await;
    other.expect("message").await;
    wire.cut();
    becomes_ready(&b, 503).await;
    for id in names(0..20) {
        publish(&mut bob, "t", &id).await;
    }
    wire.mend();
    ann.expect_close(4200).await;
    other.expect_quiet().await;
    publish(&mut bob, "u", "u").await;
    other.expect("message").await;
}

#[tokio::test]
async fn a_stream_that_is_lost_is_made_again_with_a_new_epoch() {
    let mut nats = nats_to_restart().await;
    let a = gateway(&nats.url(), &[]).await;
    let mut ann = a.socket("/ws").await;
    ann.setup("ann", &[]).await;
    let before = ann.subscribe("t").await["epoch"].clone();
    let mut bob = a.user("bob", &[]).await;
    publish(&mut bob, "t", "1").await;
    ann.expect("message").await;
    nats.stop();
    std::fs::remove_dir_all(nats.dir().join("store")).unwrap();
    becomes_ready(&a, 503).await;
    nats.start_again().await;
    ann.expect_close(4200).await;
    becomes_ready(&a, 200).await;
    let mut ann = a.socket("/ws").await;
    ann.setup("ann", &[]).await;
    let frame = json!({"type": "subscribe", "topic": "t", "lastSeq": 1, "epoch": before});
    ann.send(frame).await;
    let subscribed = ann.expect("subscribed").await;
    assert_ne!(subscribed["epoch"], before);
    assert_eq!(subscribed["reason"], "epoch");
    assert_eq!(publish(&mut bob, "t", "1").await["status"], "ok");
    assert_eq!(ann.expect("message").await["epoch"], Value::Null);
}

#[tokio::test]
async fn a_duplicate_of_a_message_that_is_gone_holds_up_no_other_topic() {
    let nats = NatsServer::start().await;
    let gateway = gateway(&nats.url(), &[("history-size", "5")]).await;
    let _listener = gateway.user("eve", &["u"]).await;
    let mut bob = gateway.user("bob", &[]).await;
    for id in names(0..10) {
        publish(&mut bob, "t", &id).await;
    }
    let again = publish(&mut bob, "u", "0").await;
    assert_eq!(again["status"], "duplicate");
    // Which topic's number that was, nobody knows any more: this one has none that is waited for.
    let mut ann = gateway.user("ann", &[]).await;
    assert_eq!(ann.subscribe("u").await["seqNo"], 0);
}

/// What JetStream says of the bucket of sessions, or does with it.
async fn sessions_bucket(nats: &async_nats::Client, verb: &str) -> Value {
    let subject = format!("$JS.API.STREAM.{verb}.KV_micro-socket-sessions");
    let answer = nats.request(subject, "".into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

#[tokio::test]
async fn a_session_that_the_bucket_has_lost_is_written_anew() {
    let nats = NatsServer::start().await;
    let (a, b) = (
        gateway(&nats.url(), &[]).await,
        gateway(&nats.url(), &[]).await,
    );
    let mut ann = a.socket("/ws").await;
    let session = ann.setup("ann", &["t"]).await["sessionId"].clone();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let is_written = || {
        soon("the session to be written", async {
            while sessions_bucket(&client, "INFO").await["state"]["messages"] != 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    };
    is_written().await;
    let purged = sessions_bucket(&client, "PURGE").await;
    assert_eq!(purged["success"], true, "{purged}");
    // Nobody has taken it: its socket stays, and it is written with what it has now.
    ann.subscribe("u").await;
    is_written().await;
    ann.expect_quiet().await;
    let mut moved = b.socket("/ws").await;
    let resume =
        json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {}});
    moved.send(resume).await;
    for topic in ["t", "u"] {
        assert_eq!(moved.expect("subscribed").await["topic"], topic);
    }
    moved.expect("ready").await;
    ann.expect_close(4009).await;
}

#[tokio::test]
async fn a_bucket_that_is_lost_alone_is_made_again() {
    let nats = NatsServer::start().await;
    let gateway = gateway(&nats.url(), &[]).await;
    let client = async_nats::connect(nats.url()).await.unwrap();
    let deleted = sessions_bucket(&client, "DELETE").await;
    assert_eq!(deleted["success"], true, "{deleted}");
    soon("the bucket", async {
        while sessions_bucket(&client, "INFO").await["error"].is_object() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    becomes_ready(&gateway, 200).await;
    let mut ann = gateway.socket("/ws").await;
    let session = ann.setup("ann", &["t"]).await["sessionId"].clone();
    drop(ann);
    let mut ann = gateway.socket("/ws").await;
    let resume =
        json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {}});
    ann.send(resume).await;
    ann.expect("subscribed").await;
    assert_eq!(ann.expect("ready").await["resumed"], true);
}

#[tokio::test]
async fn who_waits_for_a_slow_nats_is_not_taken_for_silent() {
    let nats = NatsServer::start().await;
    let limits = [("ping-interval", "300ms"), ("pong-timeout", "1s")];
    let (wire, gateway) = wired(&nats, &limits).await;
    let mut raw = gateway.raw("/ws").await;
    wire.clog();
    raw.text(r#"{"type":"setup","token":"ann","topics":["t"]}"#)
        .await;
    // It answers what it is asked, and is not read meanwhile.
    let waits = tokio::time::timeout(Duration::from_secs(2), async {
        loop {
            let frame = raw.next().await.expect("not cut off while it waits");
            raw.frame(FIN | PONG, &frame.payload).await;
        }
    });
    assert!(waits.await.is_err());
    wire.mend();
    for answer in ["subscribed", "ready"] {
        let text = raw.next_text().await;
        assert!(text.contains(answer), "{text}");
    }
}

#[tokio::test]
async fn a_clogged_wire_refuses_in_time_and_keeps_little() {
    let nats = NatsServer::start().await;
    let (wire, a) = wired(&nats, &UNREAD).await;
    let mut bob = a.user("bob", &[]).await;
    publish(&mut bob, "t", "0").await;
    wire.clog();
    // Twice what may be on its way, by number of bytes.
    let payload = "x".repeat(60_000);
    let mut sockets = Vec::new();
    for user in 0..20 {
        let mut socket = a.user(&format!("user {user}"), &[]).await;
        for id in 0..110 {
            let frame = json!({"type": "publish", "topic": "t", "messageId": format!("{id}"), "payload": payload});
            socket.send(frame).await;
        }
        sockets.push(socket);
    }
    let clock = std::time::Instant::now();
    for socket in &mut sockets {
        for _ in 0..110 {
            socket.expect_error("NOT_AVAILABLE").await;
        }
    }
    assert!(
        clock.elapsed() < Duration::from_secs(30),
        "{:?}",
        clock.elapsed()
    );
    becomes_ready(&a, 503).await;
    wire.mend();
    becomes_ready(&a, 200).await;
    soon("a publish to be taken again", async {
        let frame = json!({"type": "publish", "topic": "t", "messageId": "last", "payload": 1});
        loop {
            bob.send(frame.clone()).await;
            if bob.next().await["type"] == "ack" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_slow_wire_lets_no_publisher_wait_long() {
    let nats = NatsServer::start().await;
    let wire = Wire::slow(([127, 0, 0, 1], nats.port()).into(), 1 << 20).await;
    let a = gateway(&format!("nats://{}", wire.addr), &UNREAD).await;
    // What takes the wire forty seconds.
    let payload = "x".repeat(2000);
    let mut sockets = Vec::new();
    for user in 0..20 {
        let mut socket = a.user(&format!("user {user}"), &[]).await;
        let frame = |id: usize| json!({"type": "publish", "topic": "t", "messageId": id.to_string(), "payload": payload});
        socket.send_together((0..1000).map(frame).collect()).await;
        sockets.push(socket);
    }
    let clock = std::time::Instant::now();
    let mut kept = 0;
    for socket in &mut sockets {
        for _ in 0..1000 {
            let answer = socket.next().await;
            let refused = answer["code"] == "NOT_AVAILABLE";
            assert!(refused || answer["type"] == "ack", "{answer}");
            kept += usize::from(!refused);
        }
    }
    assert!(
        kept > 0 && clock.elapsed() < Duration::from_secs(25),
        "{kept} kept, {:?}",
        clock.elapsed()
    );
}

/// Why a gateway with these settings does not start.
async fn refusal(settings: &[(&'static str, &str)]) -> String {
    let mut raw = RawSettings::default();
    raw.add("addr", "127.0.0.1:0".to_owned(), String::new());
    raw.add("backbone", "nats".to_owned(), String::new());
    for (name, value) in settings {
        raw.add(name, (*value).to_owned(), String::new());
    }
    let settings = Settings::resolve(&raw, None).unwrap();
    let started = tokio::time::timeout(Duration::from_secs(20), Server::start(&settings)).await;
    let told = started.unwrap().map(drop).unwrap_err().to_string();
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

#[tokio::test]
async fn what_does_not_fit_is_refused_at_the_start() {
    let nats = NatsServer::start().await;
    let url = nats.url();
    let _first = gateway(&url, &[]).await;
    for (setting, told) in [
        (
            ("history-size", "7"),
            "max_msgs_per_subject is 1025 instead of 8",
        ),
        (("history-ttl", "7m"), "max_age is"),
        (("nats-partitions", "2"), "partition 0 of 2"),
        (("nats-replicas", "3"), "needs a cluster"),
        (("max-message-bytes", "2MiB"), "max_payload"),
    ] {
        let refused = refusal(&[("nats-url", &url), setting]).await;
        assert!(
            refused.starts_with("nats: ") && refused.contains(told),
            "{refused}"
        );
    }
    let other = NatsServer::start().await;
    let url = other.url();
    let refused = refusal(&[("nats-url", &url), ("nats-replicas", "3")]).await;
    assert!(refused.contains("cluster"), "{refused}");
    let closed = NatsServer::with("authorization { user: ann, password: hunter2 }").await;
    let url = closed.url();
    let refused = refusal(&[("nats-url", &url)]).await;
    assert!(refused.contains("authorization"), "{refused}");
    let wrong = url.replace("nats://", "nats://ann:hunter3@");
    let refused = refusal(&[("nats-url", &wrong)]).await;
    assert!(
        refused.contains("authorization") && !refused.contains("hunter"),
        "{refused}"
    );
    gateway(&url.replace("nats://", "nats://ann:hunter2@"), &[]).await;
    let refused = refusal(&[("nats-url", &url), ("nats-creds", "/no/such.creds")]).await;
    assert!(refused.contains("nats-creds /no/such.creds"), "{refused}");
}

#[tokio::test]
async fn nobody_there_or_no_jetstream_is_refused_after_a_while() {
    // Nobody may listen there.
    let nobody = "nats://127.0.0.1:1";
    let bare = NatsServer::without_jetstream().await;
    let bare_url = bare.url();
    let (nobody, bare) = ([("nats-url", nobody)], [("nats-url", &*bare_url)]);
    let (nobody, bare) = tokio::join!(refusal(&nobody), refusal(&bare));
    assert!(nobody.contains("cannot connect"), "{nobody}");
    assert!(bare.contains("is JetStream enabled"), "{bare}");
}
