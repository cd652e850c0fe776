//! Answers of the backbone that come when the test says so, to a shard with real sockets.

use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Limits;
use super::guests::Guests;
use super::operate::Question;
use super::poller::Poller;
use super::shard::Shard;
use super::socket::Socket;
use crate::auth::Authenticator;
use crate::backbone::{
    Answer, Backbone, History, Memory, Now, PageSize, Publication, Published, Replay, Retention,
    Unavailable,
};
use crate::gateway::Gateway;
use crate::hub::Hub;
use crate::protocol::{Epoch, Position, SeqNo, Topic};
use crate::session;
use crate::slo::Slo;

mod sessions;
mod tests;

const PATIENCE: Duration = Duration::from_secs(10);

const LIMITS: Limits = Limits {
    max_message_bytes: 65_536,
    max_topics: 10,
    send_queue_bytes: 1 << 20,
    ping_interval: Duration::from_secs(25),
    pong_timeout: Duration::from_secs(8),
    message_timeout_ms: 30_000,
    max_pending: 0,
    max_connections_per_address: 0,
    session_ttl: Duration::from_secs(120),
    session: session::Limits {
        setup_timeout_ms: 10_000,
        publish_rate: 0,
    },
};

/// A question for a topic's history.
struct Asked {
    topic: Topic,
    after: Option<Position>,
    answer: oneshot::Sender<Result<Replay, Unavailable>>,
}

/// The memory backbone, but for its answers to questions for a history.
struct Late {
    memory: Memory,
    asked: Mutex<VecDeque<Asked>>,
}

impl Backbone for Late {
    fn publish(
        &self,
        now: Now,
        publication: Publication<'_>,
    ) -> Answer<Result<Published, Unavailable>> {
        self.memory.publish(now, publication)
    }

    fn replay(
        &self,
        _: Now,
        topic: &Topic,
        after: Option<&Position>,
    ) -> Answer<Result<Replay, Unavailable>> {
        let (answer, later) = oneshot::channel();
        self.asked.lock().push_back(Asked {
            topic: topic.clone(),
            after: after.cloned(),
            answer,
        });
        Answer::Later(later)
    }

    fn history(
        &self,
        now: Now,
        topic: &Topic,
        after: SeqNo,
        page: PageSize,
    ) -> Answer<Result<History, Unavailable>> {
        self.memory.history(now, topic, after, page)
    }

    fn health(&self) -> Result<(), Unavailable> {
        self.memory.health()
    }

    fn tend(&self, now: Now) {
        self.memory.tend(now);
    }
}

/// A shard, and what is behind it.
struct World {
    shard: Rc<Shard>,
    late: Arc<Late>,
    sessions: Arc<sessions::LateSessions>,
    guests: Arc<Guests>,
}

impl World {
    fn start() -> Self {
        let hub = Arc::new(Hub::new(1));
        let retention = Retention {
            history_size: 5000,
            history_ttl: Duration::from_secs(60),
            history_bytes: 64 << 20,
            dedup_ttl: Duration::from_secs(30),
            dedup_bytes: 64 << 20,
        };
        let late = Arc::new(Late {
            memory: Memory::new(Epoch::new("e"), &retention, hub.clone()),
            asked: Mutex::default(),
        });
        let slo = Slo {
            target: Duration::from_millis(50),
            objective: "0.99".parse().unwrap(),
        };
        let sessions = Arc::new(sessions::LateSessions::default());
        let gateway = Arc::new(Gateway::new(
            Authenticator::Demo,
            late.clone(),
            sessions.clone(),
            hub,
            0,
            slo,
            "late",
        ));
        let poller = Poller::new().unwrap();
        let registry = poller.registry().unwrap();
        let guests = Guests::new(gateway.shared_metrics().pending().clone(), 0);
        let shard = Shard::new(0, gateway, LIMITS, Arc::new([]), registry);
        spawn_local(shard.clone().run_turns(poller));
        Self {
            shard,
            late,
            sessions,
            guests,
        }
    }

    /// A client that is set up.
    async fn user(&self, token: &str) -> Client {
        let mut client = self.client().await;
        let setup = json!({"type": "setup", "token": token});
        client.send([setup]).await;
        client.expect("ready").await;
        client
    }

    async fn client(&self) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(addr), listener.accept());
        let (far, peer) = far.unwrap();
        let socket = Socket::plain(far.into_std().unwrap());
        let permit = self.shard.gateway.admit().unwrap();
        let guest = self.guests.enter(peer.ip()).ok().unwrap();
        self.shard.adopt(socket, &mut [], None, permit, guest);
        let role = Role::Client;
        Client(WebSocketStream::from_raw_socket(near.unwrap(), role, None).await)
    }

    fn publish(&self, topic: &str, id: usize, payload: &str) {
        let publication = Publication {
            user: "publisher",
            topic,
            message_id: &id.to_string(),
            payload,
            sig: None,
        };
        let now = self.shard.gateway.now();
        let Answer::Ready(Ok(_)) = self.late.publish(now, publication) else {
            panic!("memory answers at once");
        };
    }

    /// Waits until so many questions are open.
    async fn asked(&self, count: usize) {
        soon("the questions", async {
            while self.late.asked.lock().len() != count {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// Answers the oldest question, as things are now.
    fn answer(&self) {
        let asked = self.late.asked.lock().pop_front().unwrap();
        let now = self.shard.gateway.now();
        let replay = self
            .late
            .memory
            .replay(now, &asked.topic, asked.after.as_ref());
        let Answer::Ready(answer) = replay else {
            panic!("memory answers at once");
        };
        let _ = asked.answer.send(answer);
    }

    /// Refuses the oldest question.
    fn refuse(&self) {
        let asked = self.late.asked.lock().pop_front().unwrap();
        let _ = asked.answer.send(Err(Unavailable("not now".to_owned())));
    }
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    /// Sends frames with one write.
    async fn send<const N: usize>(&mut self, frames: [Value; N]) {
        for frame in frames {
            self.0.feed(Message::text(frame.to_string())).await.unwrap();
        }
        self.0.flush().await.unwrap();
    }

    async fn expect(&mut self, kind: &str) -> Value {
        let message = soon(kind, self.0.next()).await.unwrap().unwrap();
        let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    async fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            numbers.push(self.expect("message").await["seqNo"].as_u64().unwrap());
        }
        numbers
    }

    async fn expect_quiet(&mut self) {
        self.send([json!({"type": "ping"})]).await;
        self.expect("pong").await;
    }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect(what)
}

fn subscribe(qos: u8, last_seq: u64) -> Value {
    json!({"type": "subscribe", "topic": "t", "qos": qos, "lastSeq": last_seq})
}

fn subscribe_to(topic: &str) -> Value {
    json!({"type": "subscribe", "topic": topic, "lastSeq": 0})
}
