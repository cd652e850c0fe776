//! The real binary, killed with SIGKILL under load, in rounds: what was acknowledged or seen by a
//! subscriber is there afterwards, once, at its place, in the same epoch.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::process::{Process, program};
use crate::harness::socket::{publish, seq_no};
use crate::harness::{Request, Socket, soon};

const ROUNDS: u64 = 8;
const PUBLISHERS: u64 = 4;
/// Publishes that each publisher has on their way at once.
const IN_FLIGHT: u64 = 64;

type Ws = WebSocketStream<TcpStream>;

/// A gateway that keeps its messages in this folder.
fn start(data_dir: &Path, more: &[&str]) -> Process {
    let data_dir = format!("--data-dir={}", data_dir.display());
    let mut flags = vec![
        "--backbone=disk",
        &data_dir,
        "--history-size=1000000",
        "--history-ttl=1h",
        "--dedup-ttl=1h",
    ];
    flags.extend_from_slice(more);
    Process::start(&flags)
}

/// Where a message was said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    topic: String,
    seq_no: u64,
    epoch: String,
}

/// What one round learned before the gateway died.
#[derive(Default)]
struct Learned {
    acked: HashMap<String, Place>,
    unanswered: Vec<(String, String)>,
}

async fn connect(addr: SocketAddr, token: &str, topics: &[&str]) -> Ws {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut ws, _) = tokio_tungstenite::client_async(format!("ws://{addr}/ws"), stream)
        .await
        .unwrap();
    let setup = json!({"type": "setup", "token": token, "topics": topics});
    ws.send(Message::text(setup.to_string())).await.unwrap();
    while next(&mut ws).await.unwrap()["type"] != "ready" {}
    ws
}

async fn next(ws: &mut (impl StreamExt<Item = Result<Message, Error>> + Unpin)) -> Option<Value> {
    loop {
        match ws.next().await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

type Error = tokio_tungstenite::tungstenite::Error;

/// Publishes with many on their way until the gateway is gone.
async fn publish_until_death(ws: Ws, round: u64, publisher: u64) -> Learned {
    let (mut out, mut acks): (SplitSink<Ws, Message>, SplitStream<Ws>) = ws.split();
    let mut learned = Learned::default();
    let mut waiting = HashMap::new();
    for i in 0.. {
        let topic = format!("t{}", (publisher + i) % 3);
        let id = format!("{round}-{publisher}-{i}");
        let frame = publish(&topic, &id, json!({"id": id})).to_string();
        waiting.insert(id, topic);
        if out.send(Message::text(frame)).await.is_err() {
            break;
        }
        if (waiting.len() as u64) < IN_FLIGHT {
            continue;
        }
        let Some(ack) = next(&mut acks).await else {
            break;
        };
        take_ack(&ack, &mut waiting, &mut learned);
    }
    while let Some(ack) = next(&mut acks).await {
        take_ack(&ack, &mut waiting, &mut learned);
    }
    learned.unanswered = waiting.into_iter().collect();
    learned
}

fn take_ack(ack: &Value, waiting: &mut HashMap<String, String>, learned: &mut Learned) {
    assert_eq!(ack["status"], "ok", "{ack}");
    let text = |name: &str| ack[name].as_str().unwrap().to_owned();
    waiting.remove(&text("messageId")).unwrap();
    let place = Place {
        topic: text("topic"),
        seq_no: seq_no(ack),
        epoch: text("epoch"),
    };
    learned.acked.insert(text("messageId"), place);
}

/// Notes what a subscriber sees until the gateway is gone.
async fn listen_until_death(mut ws: Ws) -> Vec<(String, u64, String)> {
    let mut seen = Vec::new();
    while let Some(frame) = next(&mut ws).await {
        let text = |name: &str| frame[name].as_str().unwrap().to_owned();
        seen.push((text("topic"), seq_no(&frame), text("messageId")));
    }
    seen
}

/// Every kept message of a topic by number, and the epoch.
async fn history(addr: SocketAddr, topic: &str) -> (HashMap<u64, String>, String) {
    let mut kept = HashMap::new();
    let mut after = 0;
    loop {
        let path = format!("/api/topics/{topic}/history?after={after}&limit=1000");
        let page = Request::get(&path).bearer("ann").send(addr).await.json();
        let messages = page["messages"].as_array().unwrap();
        for message in messages {
            after = seq_no(message);
            let id = message["messageId"].as_str().unwrap();
            assert_eq!(message["data"], json!({"id": id}), "the payload of {id}");
            kept.insert(after, id.to_owned());
        }
        if messages.is_empty() {
            return (kept, page["epoch"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked: HashMap<String, Place> = HashMap::new();
    let mut gateway = start(dir.path(), &[]);
    for round in 0..ROUNDS {
        let listener = connect(gateway.addr, "bob", &["t0", "t1", "t2"]).await;
        let listener = tokio::spawn(listen_until_death(listener));
        let mut publishers: Vec<JoinHandle<Learned>> = Vec::new();
        for publisher in 0..PUBLISHERS {
            let ws = connect(gateway.addr, "ann", &[]).await;
            let publishing = publish_until_death(ws, round, publisher);
            publishers.push(tokio::spawn(publishing));
        }
        tokio::time::sleep(Duration::from_millis(60 + round * 89 % 250)).await;
        gateway.kill();
        let mut unanswered = Vec::new();
        let mut fresh = Vec::new();
        for publisher in publishers {
            let learned = soon("a publisher", publisher).await.unwrap();
            unanswered.extend(learned.unanswered);
            fresh.extend(learned.acked.keys().take(20).cloned());
            acked.extend(learned.acked);
        }
        let seen = soon("the listener", listener).await.unwrap();

        gateway = start(dir.path(), &[]);
        let mut kept = HashMap::new();
        for topic in ["t0", "t1", "t2"] {
            let (messages, epoch) = history(gateway.addr, topic).await;
            for place in acked.values().filter(|place| place.topic == topic) {
                assert_eq!(place.epoch, epoch, "round {round}");
            }
            let mut ids: Vec<&String> = messages.values().collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(
                ids.len(),
                messages.len(),
                "round {round}: an id is there twice"
            );
            kept.insert(topic.to_owned(), messages);
        }
        for (id, place) in &acked {
            let found = kept[&place.topic].get(&place.seq_no);
            assert_eq!(found, Some(id), "round {round}: {place:?}");
        }
        for (topic, seq_no, id) in &seen {
            let found = kept[topic].get(seq_no);
            assert_eq!(found, Some(id), "round {round}: seen, then taken back");
        }
        // Sent again, each has one effect; what was acknowledged is where it was.
        let mut socket = Socket::connect(gateway.addr, "/ws").await;
        socket.setup("ann", &[]).await;
        for id in fresh {
            let place = &acked[&id];
            let ack = socket.publish(&place.topic, &id, json!({"id": id})).await;
            assert_eq!(ack["status"], "duplicate", "{ack}");
            assert_eq!(seq_no(&ack), place.seq_no, "{ack}");
        }
        for (id, topic) in unanswered {
            let ack = socket.publish(&topic, &id, json!({"id": id})).await;
            let written = kept[&topic].iter().find(|(_, found)| **found == id);
            match written {
                Some((place, _)) => assert_eq!(
                    (&ack["status"], seq_no(&ack)),
                    (&json!("duplicate"), *place)
                ),
                None => assert_eq!(ack["status"], "ok", "{ack}"),
            }
            let epoch = ack["epoch"].as_str().unwrap().to_owned();
            let seq_no = seq_no(&ack);
            acked.insert(
                id,
                Place {
                    topic,
                    seq_no,
                    epoch,
                },
            );
        }
        eprintln!(
            "round {round}: {} acknowledged in all, {} seen in this round",
            acked.len(),
            seen.len()
        );
    }
    assert!(acked.len() as u64 > ROUNDS * IN_FLIGHT, "{}", acked.len());
}

#[tokio::test]
async fn a_session_goes_on_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = start(dir.path(), &[]);
    let mut socket = Socket::connect(gateway.addr, "/ws").await;
    let ready = socket.setup("ann", &["t"]).await;
    let session = ready["sessionId"].as_str().unwrap().to_owned();
    let first = socket.publish("t", "m1", json!(1)).await;
    let kept = dir.path().join("sessions");
    soon("the session on disk", async {
        while !std::fs::read(&kept).is_ok_and(|text| {
            let text = String::from_utf8_lossy(&text).into_owned();
            text.contains(&session)
        }) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    gateway.kill();

    let gateway = start(dir.path(), &[]);
    let mut other = Socket::connect(gateway.addr, "/ws").await;
    other.setup("bob", &[]).await;
    other.publish("t", "m2", json!(2)).await;
    let mut socket = Socket::connect(gateway.addr, "/ws").await;
    let resume = json!({"type": "resume", "token": "ann", "sessionId": session,
        "lastSeqPerTopic": {"t": seq_no(&first)}, "epochs": {"t": first["epoch"]}});
    socket.send(resume).await;
    let subscribed = socket.expect("subscribed").await;
    assert_eq!(subscribed["recovered"], true, "{subscribed}");
    assert_eq!(subscribed["epoch"], first["epoch"], "{subscribed}");
    assert_eq!(socket.messages(1).await[0].2, "m2");
    let ready = socket.expect("ready").await;
    assert_eq!(ready["resumed"], true, "{ready}");
    assert_eq!(ready["sessionId"], session, "{ready}");
}

#[tokio::test]
async fn a_topic_subscribed_last_goes_on_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = start(dir.path(), &[]);
    let mut socket = Socket::connect(gateway.addr, "/ws").await;
    let session = socket.setup("ann", &[]).await["sessionId"].clone();
    let first = socket.publish("t", "m1", json!(1)).await;
    socket.subscribe("t").await;
    let kept = dir.path().join("sessions");
    soon("the topic on disk", async {
        while !std::fs::read(&kept)
            .is_ok_and(|text| String::from_utf8_lossy(&text).contains(r#"["t","#))
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    gateway.kill();

    let gateway = start(dir.path(), &[]);
    let mut socket = Socket::connect(gateway.addr, "/ws").await;
    let resume = json!({"type": "resume", "token": "ann", "sessionId": session,
        "lastSeqPerTopic": {"t": seq_no(&first)}});
    socket.send(resume).await;
    let subscribed = socket.expect("subscribed").await;
    assert_eq!(subscribed["recovered"], true, "{subscribed}");
    assert_eq!(socket.expect("ready").await["resumed"], true);
}

#[tokio::test]
async fn a_second_process_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let _first = start(dir.path(), &[]);
    let second = program()
        .args(["--addr=127.0.0.1:0", "--backbone=disk", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let errors = String::from_utf8(second.stderr).unwrap();
    assert!(errors.contains("another micro-socket"), "{errors}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_polite_stop_with_an_interval_keeps_everything_and_the_epoch() {
    let dir = tempfile::tempdir().unwrap();
    // So long that only the stop can have brought it to the disk.
    let interval = ["--fsync=60s"];
    let mut gateway = start(dir.path(), &interval);
    let mut socket = Socket::connect(gateway.addr, "/ws").await;
    socket.setup("ann", &[]).await;
    let ack = socket.publish("t", "m", json!({"id": "m"})).await;
    gateway.signal("TERM");
    let status = tokio::task::spawn_blocking(move || gateway.child.wait().unwrap());
    assert!(soon("the end", status).await.unwrap().success());

    let gateway = start(dir.path(), &interval);
    let (messages, epoch) = history(gateway.addr, "t").await;
    assert_eq!(messages[&seq_no(&ack)], "m");
    assert_eq!(ack["epoch"], epoch);
    gateway.kill();
    // Killed, it cannot know what was on the disk, and says so.
    let gateway = start(dir.path(), &interval);
    assert_ne!(history(gateway.addr, "t").await.1, epoch);
}

/// How many of these users get all they wrote replayed.
async fn replayed(addr: SocketAddr, users: &[String]) -> usize {
    let mut whole = 0;
    for user in users {
        let mut socket = Socket::connect(addr, "/ws").await;
        socket.setup(user, &[]).await;
        let subscribed = socket.subscribe_after(&format!("notes-{user}"), 0).await;
        if subscribed["recovered"] == true {
            let ids = socket.messages(5).await.into_iter().map(|(.., id)| id);
            assert!(ids.eq((0..5).map(|i| i.to_string())), "{user}");
            whole += 1;
        } else {
            assert_eq!(subscribed["reason"], "trimmed", "{subscribed}");
        }
    }
    whole
}

#[tokio::test]
async fn one_who_floods_does_not_push_out_the_history_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let small = ["--history-bytes=512KiB"];
    let gateway = start(dir.path(), &small);
    // One of them may share a group with the one who floods; which one is up to chance, at each start.
    let users: Vec<String> = (0..8).map(|i| format!("user{i}")).collect();
    for user in &users {
        let mut socket = Socket::connect(gateway.addr, "/ws").await;
        socket.setup(user, &[]).await;
        for i in 0..5 {
            let topic = format!("notes-{user}");
            let ack = socket
                .publish(&topic, &i.to_string(), json!({"i": i}))
                .await;
            assert_eq!(ack["status"], "ok", "{ack}");
        }
    }
    let mut flooding = Socket::connect(gateway.addr, "/ws").await;
    flooding.setup("flooder", &[]).await;
    let payload = "x".repeat(1000);
    for round in 0..40 {
        let frames = (0..100).map(|i| {
            let topic = format!("flood{}", i % 10);
            publish(&topic, &format!("{round}-{i}"), json!(payload))
        });
        flooding.send_together(frames.collect()).await;
        for _ in 0..100 {
            assert_eq!(flooding.expect("ack").await["status"], "ok");
        }
    }
    let log = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".log");
    let files = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
    let files = files.filter(|file| log(&file.file_name()));
    let bytes: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= 512 << 10, "{bytes} of 4 MB");
    assert!(replayed(gateway.addr, &users).await >= 5);
    let subscribed = flooding.subscribe_after("flood0", 0).await;
    assert_eq!(subscribed["reason"], "trimmed", "{subscribed}");
    gateway.kill();

    let gateway = start(dir.path(), &small);
    assert!(replayed(gateway.addr, &users).await >= 5);
}
