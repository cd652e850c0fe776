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
    Answer, Backbone, History, Memory, MemorySessions, Now, PageSize, Publication, Published,
    Replay, Retention, Unavailable,
};
use crate::gateway::Gateway;
use crate::hub::Hub;
use crate::protocol::{Epoch, Position, SeqNo, Topic};
use crate::session;
use crate::slo::Slo;

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
        let sessions = Arc::new(MemorySessions::default());
        let gateway = Arc::new(Gateway::new(
            Authenticator::Demo,
            late.clone(),
            sessions,
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
            guests,
        }
    }

    /// A client that is set up.
    async fn user(&self, token: &str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(addr), listener.accept());
        let (far, peer) = far.unwrap();
        let socket = Socket::plain(far.into_std().unwrap());
        let permit = self.shard.gateway.admit().unwrap();
        let guest = self.guests.enter(peer.ip()).ok().unwrap();
        self.shard.adopt(socket, &mut [], None, permit, guest);
        let role = Role::Client;
        let mut client = Client(WebSocketStream::from_raw_socket(near.unwrap(), role, None).await);
        client
            .send([json!({"type": "setup", "token": token})])
            .await;
        client.expect("ready").await;
        client
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

#[tokio::test]
async fn what_the_replay_has_and_the_turn_had_too_is_not_asked_for_again() {
    let test = async {
        let world = World::start();
        let mut other = world.user("bob").await;
        other.send([subscribe(0, 0)]).await;
        world.asked(1).await;
        world.answer();
        other.expect("subscribed").await;
        let mut ann = world.user("ann").await;
        ann.send([subscribe(1, 0)]).await;
        world.asked(1).await;
        world.publish("t", 1, "1");
        // It is handed out, and ann is passed over.
        assert_eq!(other.numbers(1).await, [1]);
        world.answer();
        assert_eq!(ann.expect("subscribed").await["replayed"], 1);
        assert_eq!(ann.numbers(1).await, [1]);
        ann.expect_quiet().await;
        world.asked(0).await;
        world.publish("t", 2, "2");
        assert_eq!(ann.numbers(1).await, [2]);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn an_answer_for_a_window_that_is_gone_is_let_go() {
    let test = async {
        let world = World::start();
        let mut ann = world.user("ann").await;
        ann.send([subscribe(1, 0)]).await;
        world.asked(1).await;
        world.answer();
        ann.expect("subscribed").await;
        (1..=1001).for_each(|id| world.publish("t", id, "1"));
        assert!(ann.numbers(1000).await.into_iter().eq(1..=1000));
        // The window is full; what follows is asked for, and the subscription begins anew meanwhile.
        let ack = json!({"type": "ack", "topic": "t", "seqNo": 1000});
        ann.send([ack, subscribe(1, 990)]).await;
        world.asked(2).await;
        world.answer();
        // The older answer has been looked at when this one has come.
        ann.send([json!({"type": "ping"})]).await;
        world.answer();
        assert_eq!(ann.expect("subscribed").await["replayed"], 11);
        assert!(ann.numbers(11).await.into_iter().eq(991..=1001));
        ann.expect("pong").await;
        world.asked(0).await;
        world.publish("t", 1002, "1");
        assert_eq!(ann.numbers(1).await, [1002]);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_topic_that_an_operator_took_before_the_answer_is_refused() {
    let test = async {
        let world = World::start();
        world.publish("t", 1, "1");
        let mut ann = world.user("ann").await;
        ann.send([subscribe(0, 0)]).await;
        world.asked(1).await;
        let (reply, taken) = oneshot::channel();
        let topic = Topic::new("t").unwrap();
        let question = Question::Unsubscribe("ann".into(), topic, reply);
        soon(
            "the operator's answer",
            world.shard.clone().answer(question),
        )
        .await;
        assert_eq!(taken.await, Ok(1));
        ann.expect("unsubscribed").await;
        world.answer();
        let error = ann.expect("error").await;
        assert_eq!(
            (&error["code"], &error["topic"]),
            (&json!("NOT_AVAILABLE"), &json!("t"))
        );
        ann.expect_quiet().await;
        ann.send([subscribe(0, 0)]).await;
        world.asked(1).await;
        world.answer();
        assert_eq!(ann.expect("subscribed").await["replayed"], 1);
        assert_eq!(ann.numbers(1).await, [1]);
    };
    LocalSet::new().run_until(test).await;
}

/// A peer that was never behind has all its time for a replay.
#[tokio::test]
async fn a_replay_has_its_time_from_when_it_is_queued() {
    let test = async {
        let world = World::start();
        let payload = format!("\"{}\"", "x".repeat(1000));
        (1..=100).for_each(|id| world.publish("t", id, &payload));
        let mut ann = world.user("ann").await;
        let key = world.shard.keys_where(|_| true)[0];
        let then = world.shard.now_ms();
        soon("the next millisecond", async {
            while world.shard.now_ms() == then {
                tokio::task::yield_now().await;
            }
        })
        .await;
        world
            .shard
            .with(key, |state, _| state.get(key).unwrap().socket.stall(true));
        ann.send([subscribe(0, 0)]).await;
        world.asked(1).await;
        let now_ms = world.shard.now_ms();
        world.answer();
        let deadline = || {
            let mut state = world.shard.state.borrow_mut();
            let connection = state.get(key)?;
            let behind = connection.backlog.is_some();
            behind.then(|| connection.deadline(&LIMITS))
        };
        let deadline = soon("a backlog", async {
            loop {
                match deadline() {
                    Some(deadline) => return deadline,
                    None => sleep(Duration::from_millis(1)).await,
                }
            }
        })
        .await;
        assert!(deadline >= now_ms + 10_000, "{deadline} after {now_ms}");
        world
            .shard
            .with(key, |state, _| state.get(key).unwrap().take_again());
        assert_eq!(ann.expect("subscribed").await["replayed"], 100);
        assert!(ann.numbers(100).await.into_iter().eq(1..=100));
    };
    LocalSet::new().run_until(test).await;
}
