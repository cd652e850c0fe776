//! Random publishes, cuts, restarts, trims and pauses against a model: whoever resumes gets every
//! message once and in order, or is told that it cannot.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::socket::publish;
use crate::harness::{Socket, TestGateway};

const TOPICS: [&str; 2] = ["a", "b"];
/// Small, so that a long absence loses messages.
const HISTORY: u64 = 40;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// So many messages to one of the topics.
    Publish(usize, u64),
    /// The subscriber reads everything there is.
    Read,
    /// Its socket is gone, and it resumes from its own positions or, with qos 1, from its acks.
    Cut { own: bool },
    /// It resumes while its old socket lives.
    TakeOver,
    /// The gateway stops and starts again.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..TOPICS.len(), 1..30_u64).prop_map(|(topic, count)| Step::Publish(topic, count)),
        3 => Just(Step::Read),
        3 => any::<bool>().prop_map(|own| Step::Cut { own }),
        1 => Just(Step::TakeOver),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 10..40)
}

/// The subscriber and what it has of each topic.
struct Subscriber {
    socket: Socket,
    session: Value,
    epoch: Value,
    last: [u64; 2],
    qos: u8,
}

impl Subscriber {
    async fn begin(gateway: &TestGateway, qos: u8) -> Self {
        let mut socket = gateway.socket("/ws").await;
        let setup = json!({"type": "setup", "token": "ann", "topics": TOPICS, "qos": qos});
        socket.send(setup).await;
        let epoch = socket.expect("subscribed").await["epoch"].clone();
        socket.expect("subscribed").await;
        let session = socket.expect("ready").await["sessionId"].clone();
        Self {
            socket,
            session,
            epoch,
            last: [1; 2],
            qos,
        }
    }

    /// A message must be the next one; after a resume from acks, older ones may come again.
    fn take(&mut self, message: &Value, again: bool) {
        let topic = TOPICS
            .iter()
            .position(|topic| message["topic"] == *topic)
            .unwrap();
        let seq_no = message["seqNo"].as_u64().unwrap();
        if again && seq_no <= self.last[topic] {
            return;
        }
        assert_eq!(seq_no, self.last[topic] + 1, "{message}");
        self.last[topic] = seq_no;
    }

    /// Reads until it has everything.
    async fn read(&mut self, heads: [u64; 2]) {
        while self.last != heads {
            let frame = self.socket.expect("message").await;
            self.take(&frame, true);
        }
        if self.qos == 1 {
            for (topic, last) in TOPICS.iter().zip(self.last) {
                let ack = json!({"type": "ack", "topic": topic, "seqNo": last});
                self.socket.send(ack).await;
            }
        }
    }

    async fn resume(&mut self, gateway: &TestGateway, own: bool, heads: [u64; 2]) {
        self.socket = gateway.socket("/ws").await;
        let positions: Value = match own {
            true => TOPICS
                .iter()
                .zip(self.last)
                .map(|(t, l)| ((*t).to_owned(), json!(l)))
                .collect(),
            false => json!({}),
        };
        let resume = json!({"type": "resume", "token": "ann", "sessionId": self.session, "lastSeqPerTopic": positions});
        self.socket.send(resume).await;
        loop {
            let frame = self.socket.next().await;
            match frame["type"].as_str() {
                Some("message") => self.take(&frame, !own),
                Some("subscribed") => self.told(&frame, heads),
                Some("ready") => {
                    assert_eq!(
                        (&frame["resumed"], &frame["sessionId"]),
                        (&json!(true), &self.session)
                    );
                    break;
                }
                _ => panic!("{frame}"),
            }
        }
    }

    /// What `subscribed` says must be true: nothing is called lost that is still kept.
    fn told(&mut self, subscribed: &Value, heads: [u64; 2]) {
        let topic = TOPICS
            .iter()
            .position(|topic| subscribed["topic"] == *topic)
            .unwrap();
        assert_eq!(subscribed["seqNo"], heads[topic]);
        assert_eq!(
            subscribed["epoch"], self.epoch,
            "a polite stop keeps the numbering"
        );
        if subscribed["recovered"] == false {
            assert_eq!(subscribed["reason"], "trimmed");
            // From its acks it may stand further back than from what it has.
            let behind = heads[topic] - self.last[topic];
            assert!(
                behind > HISTORY || self.qos == 1,
                "{behind} messages are still kept"
            );
            self.last[topic] = heads[topic];
        }
    }
}

async fn run(steps: Vec<Step>, qos: u8) {
    let dir = tempfile::tempdir().unwrap();
    let history = HISTORY.to_string();
    let settings = [
        ("backbone", "disk"),
        ("data-dir", dir.path().to_str().unwrap()),
        ("history-size", history.as_str()),
    ];
    let mut gateway = TestGateway::with(&settings).await;
    let mut publisher = gateway.user("publisher", &[]).await;
    // A topic that begins after a restart need not begin with 1: let both begin now.
    for topic in TOPICS {
        publisher.publish(topic, topic, json!(0)).await;
    }
    let mut heads = [1; 2];
    let mut subscriber = Subscriber::begin(&gateway, qos).await;
    for step in steps {
        match step {
            Step::Publish(topic, count) => {
                let ids = heads[topic]..heads[topic] + count;
                let frames =
                    ids.map(|id| publish(TOPICS[topic], &format!("{topic}-{id}"), json!(id)));
                publisher.send_together(frames.collect()).await;
                // Acks name their message: they need not come in its order.
                for _ in 0..count {
                    let ack = publisher.expect("ack").await;
                    let id = ack["messageId"].as_str().unwrap();
                    let id: u64 = id.split_once('-').unwrap().1.parse().unwrap();
                    assert_eq!(ack["seqNo"], id + 1);
                }
                heads[topic] += count;
            }
            Step::Read => subscriber.read(heads).await,
            // With qos 0, what was sent and not read is known to the client only.
            Step::Cut { own } => subscriber.resume(&gateway, own || qos == 0, heads).await,
            Step::TakeOver => {
                let old = subscriber.socket;
                subscriber.socket = gateway.socket("/ws").await;
                subscriber.resume(&gateway, true, heads).await;
                drop(old);
            }
            Step::Restart => {
                // Sockets that answer no close would hold the stop up.
                drop((publisher, subscriber.socket));
                gateway.drain().await;
                gateway = TestGateway::with(&settings).await;
                subscriber.socket = gateway.socket("/ws").await;
                publisher = gateway.user("publisher", &[]).await;
                subscriber.resume(&gateway, true, heads).await;
            }
        }
    }
    subscriber.read(heads).await;
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_or_it_is_told() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 16,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&(steps(), 0..2_u8), |(steps, qos)| {
        runtime.block_on(run(steps, qos));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
