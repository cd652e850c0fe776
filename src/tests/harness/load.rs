//! Publishers that try again until they are told, and readers that come back wherever they can: what all of
//! them saw can be compared message by message.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::socket::{publish, seq_no};
use super::{PATIENCE, Request, Socket};

/// The topics of all of it.
pub const TOPICS: [&str; 3] = ["t0", "t1", "t2"];
/// Publishes that each publisher has on their way at once.
const IN_FLIGHT: usize = 16;
/// The message that ends a topic.
const END: &str = "end";

/// By topic, in its order: number and id.
pub type Told = BTreeMap<String, BTreeMap<u64, String>>;

/// What was acknowledged, by id: topic, number and epoch.
pub type Acked = HashMap<String, (String, u64, String)>;

type Ws = WebSocketStream<TcpStream>;

/// Gateways, tried in turn.
struct Ways {
    addrs: Vec<SocketAddr>,
    at: usize,
}

impl Ways {
    async fn open(&mut self) -> Ws {
        loop {
            let addr = self.addrs[self.at % self.addrs.len()];
            let opening = async {
                let stream = TcpStream::connect(addr).await.ok()?;
                let url = format!("ws://{addr}/ws");
                Some(tokio_tungstenite::client_async(url, stream).await.ok()?.0)
            };
            if let Ok(Some(ws)) = timeout(PATIENCE, opening).await {
                return ws;
            }
            self.at += 1;
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The next frame; `None` when the gateway is gone.
async fn next(ws: &mut Ws) -> Option<Value> {
    loop {
        match ws.next().await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn send(ws: &mut Ws, frame: Value) -> bool {
    ws.send(Message::text(frame.to_string())).await.is_ok()
}

/// Publishes so many messages; each until it is acknowledged, with the first of these gateways that can.
/// `acked` counts them.
pub async fn publisher(
    name: String,
    addrs: Vec<SocketAddr>,
    count: usize,
    acked: Arc<AtomicUsize>,
) -> Acked {
    let mut ways = Ways { addrs, at: 0 };
    let mut places = Acked::new();
    let mut left: VecDeque<String> = (0..count).map(|n| format!("{name}-{n}")).collect();
    let topic_of = |id: &str| {
        let n: usize = id.rsplit('-').next().unwrap().parse().unwrap();
        TOPICS[n % TOPICS.len()]
    };
    'connection: loop {
        let mut ws = ways.open().await;
        let setup = json!({"type": "setup", "token": name, "topics": []});
        if !send(&mut ws, setup).await || next(&mut ws).await.is_none() {
            continue;
        }
        let mut waiting: VecDeque<String> = VecDeque::new();
        loop {
            while waiting.len() < IN_FLIGHT
                && let Some(id) = left.pop_front()
            {
                let frame = publish(topic_of(&id), &id, json!({"id": id}));
                waiting.push_back(id);
                // What was lost is seen with the answer.
                let _ = send(&mut ws, frame).await;
            }
            if waiting.is_empty() {
                return places;
            }
            let Some(answer) = next(&mut ws).await else {
                left.extend(waiting);
                continue 'connection;
            };
            let id = answer["messageId"].as_str().unwrap_or_default().to_owned();
            waiting.retain(|other| *other != id);
            match answer["type"].as_str() {
                Some("ack") => {
                    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
                    let place = (text("topic"), seq_no(&answer), text("epoch"));
                    assert!(places.insert(id, place).is_none());
                    acked.fetch_add(1, Ordering::Relaxed);
                }
                _ => {
                    assert_eq!(answer["code"], "NOT_AVAILABLE", "{answer}");
                    left.push_back(id);
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

/// Reads every topic to its end, on the first of these gateways, and on another one when that is gone: without a
/// loss, a double or disorder. Returns what it saw, and how often it had to come back.
pub async fn reader(
    name: String,
    addrs: Vec<SocketAddr>,
    ready: Arc<AtomicUsize>,
) -> (Told, usize) {
    let mut ways = Ways { addrs, at: 0 };
    let mut session: Option<String> = None;
    let mut positions: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut told = Told::new();
    let mut ended = 0;
    let mut back = 0;
    while ended < TOPICS.len() {
        let mut ws = ways.open().await;
        let hello = match &session {
            None => json!({"type": "setup", "token": name, "topics": TOPICS}),
            Some(session) => {
                let last = positions.iter().map(|(topic, (seq_no, _))| (topic, seq_no));
                let epochs = positions.iter().map(|(topic, (_, epoch))| (topic, epoch));
                json!({"type": "resume", "token": name, "sessionId": session,
                    "lastSeqPerTopic": last.collect::<BTreeMap<_, _>>(), "epochs": epochs.collect::<BTreeMap<_, _>>()})
            }
        };
        if !send(&mut ws, hello).await {
            continue;
        }
        // Not with `ready`: who comes late may be told all that is left before it.
        back += usize::from(session.is_some());
        while ended < TOPICS.len()
            && let Some(frame) = next(&mut ws).await
        {
            let topic = || frame["topic"].as_str().unwrap().to_owned();
            match frame["type"].as_str().unwrap() {
                "subscribed" if session.is_none() => {
                    let epoch = frame["epoch"].as_str().unwrap().to_owned();
                    positions.insert(topic(), (seq_no(&frame), epoch));
                }
                "subscribed" => assert_eq!(frame["recovered"], true, "{name}: {frame}"),
                "ready" => {
                    let id = frame["sessionId"].as_str().unwrap();
                    assert!(session.as_ref().is_none_or(|session| session == id));
                    session = Some(id.to_owned());
                    ready.fetch_add(1, Ordering::Relaxed);
                }
                "message" => {
                    let topic = topic();
                    let position = positions.get_mut(&topic).unwrap();
                    let before = frame["prevSeq"].as_u64();
                    let before = before.unwrap_or_else(|| seq_no(&frame) - 1);
                    // What the gateway says was before is what we had: nothing is missing.
                    let first = !told.contains_key(&topic);
                    assert!(
                        seq_no(&frame) > position.0 && (first || before == position.0),
                        "{name} at {position:?}: {frame}"
                    );
                    position.0 = seq_no(&frame);
                    let id = frame["messageId"].as_str().unwrap().to_owned();
                    assert_eq!(frame["data"], json!({"id": id}));
                    ended += usize::from(id.starts_with(END));
                    told.entry(topic).or_default().insert(position.0, id);
                }
                _ => panic!("{name}: {frame}"),
            }
        }
        ways.at += 1;
    }
    (told, back)
}

/// Publishes the message that ends each topic; adds them to what was told.
pub async fn end(addr: SocketAddr, told: &mut Told) {
    let mut socket = Socket::connect(addr, "/ws").await;
    socket.setup("end", &[]).await;
    for topic in TOPICS {
        let id = format!("{END}-{topic}");
        let ack = socket.publish(topic, &id, json!({"id": id})).await;
        let topic = told.entry(topic.to_owned()).or_default();
        topic.insert(seq_no(&ack), id);
    }
}

/// What a gateway has kept of all topics.
pub async fn kept(addr: SocketAddr) -> Told {
    let mut told = Told::new();
    for topic in TOPICS {
        let path = format!("/api/topics/{topic}/history?after=0&limit=1000");
        let page = Request::get(&path).bearer("ann").send(addr).await.json();
        let messages = page["messages"].as_array().unwrap().iter();
        let messages = messages.map(|message| {
            let id = message["messageId"].as_str().unwrap().to_owned();
            (seq_no(message), id)
        });
        told.insert(topic.to_owned(), messages.collect());
    }
    told
}
