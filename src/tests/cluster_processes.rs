//! Gateways and NATS servers as processes of their own, killed with SIGKILL under load and stopped: what was
//! acknowledged is seen by every reader, once and in order, and operators are told whom they did not reach.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::load::{Acked, Told, end, kept, publisher, reader};
use crate::harness::nats_cluster::NatsCluster;
use crate::harness::process::Process;
use crate::harness::tokens::{SECRET, now, token};
use crate::harness::{NatsServer, Request, Socket, soon};

/// Messages of each publisher.
const MESSAGES: usize = 300;
/// How long all of a test's load may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn gateway(url: &str, node: &str, more: &[&str]) -> Process {
    let url = format!("--nats-url={url}");
    let node = format!("--node={node}");
    let mut flags = vec!["--backbone=nats", &url, &node];
    flags.extend_from_slice(more);
    Process::start_on_nats(&flags)
}

/// Two publishers and two readers on each of two gateways; each goes to the other one when its own is gone.
struct Load {
    acked: Arc<AtomicUsize>,
    publishers: Vec<JoinHandle<Acked>>,
    readers: Vec<JoinHandle<(Told, usize)>>,
}

impl Load {
    async fn begin(a: SocketAddr, b: SocketAddr) -> Self {
        let (acked, ready) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let ways = |n: usize| {
            if n.is_multiple_of(2) {
                vec![a, b]
            } else {
                vec![b, a]
            }
        };
        let read = |n| tokio::spawn(reader(format!("reader {n}"), ways(n), ready.clone()));
        let readers: Vec<_> = (0..4).map(read).collect();
        until("the readers", || ready.load(Ordering::Relaxed) == 4).await;
        let publish =
            |n| tokio::spawn(publisher(format!("p{n}"), ways(n), MESSAGES, acked.clone()));
        let publishers = (0..4).map(publish).collect();
        Self {
            acked,
            publishers,
            readers,
        }
    }

    /// Returns when a part of it is done.
    async fn reaches(&self, messages: usize) {
        until("the load", || {
            self.acked.load(Ordering::Relaxed) >= messages
        })
        .await;
    }

    /// Waits for all of it and compares what everybody saw with what was acknowledged. Returns how often the
    /// readers had to come back.
    async fn finish(self, addr: SocketAddr) -> usize {
        let finishing = async {
            let mut told = Told::new();
            let mut epochs = Vec::new();
            for publisher in self.publishers {
                let places = publisher.await.unwrap();
                assert_eq!(places.len(), MESSAGES);
                for (id, (topic, seq_no, epoch)) in places {
                    let before = told.entry(topic).or_default().insert(seq_no, id);
                    assert_eq!(before, None, "two messages at one place");
                    epochs.push(epoch);
                }
            }
            epochs.sort();
            epochs.dedup();
            assert_eq!(epochs.len(), 1, "{epochs:?}");
            end(addr, &mut told).await;
            let mut back = 0;
            for reader in self.readers {
                let (seen, times) = reader.await.unwrap();
                assert_eq!(seen, told);
                back += times;
            }
            assert_eq!(kept(addr).await, told);
            back
        };
        let finished = tokio::time::timeout(PATIENCE, finishing).await;
        finished.expect("the load ends")
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_killed_under_load_costs_no_message() {
    let nats = NatsServer::start().await;
    let (a, b) = (
        gateway(&nats.url(), "a", &[]),
        gateway(&nats.url(), "b", &[]),
    );
    let addr = b.addr;
    let load = Load::begin(a.addr, addr).await;
    load.reaches(MESSAGES).await;
    a.kill();
    let back = load.finish(addr).await;
    assert!(
        back >= 2,
        "the readers of the killed gateway came back: {back}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_streams_leader_killed_under_load_costs_no_message() {
    let mut nats = NatsCluster::start().await;
    let urls = nats.urls();
    let replicas = ["--nats-replicas=3"];
    let (a, b) = (
        gateway(&urls, "a", &replicas),
        gateway(&urls, "b", &replicas),
    );
    let load = Load::begin(a.addr, b.addr).await;
    load.reaches(MESSAGES).await;
    nats.kill(&leader(&urls).await);
    load.finish(b.addr).await;
    // The numbers are the same ones for whoever comes now.
    let late = gateway(&urls, "c", &replicas);
    assert_eq!(kept(late.addr).await, kept(a.addr).await);
    let mut socket = Socket::connect(late.addr, "/ws").await;
    socket.setup("ann", &[]).await;
    let epoch = socket.subscribe("t0").await["epoch"].clone();
    let mut socket = Socket::connect(a.addr, "/ws").await;
    socket.setup("ann", &[]).await;
    assert_eq!(socket.subscribe("t0").await["epoch"], epoch);
}

/// The server that leads the stream of the messages.
async fn leader(urls: &str) -> String {
    let urls: Vec<&str> = urls.split(',').collect();
    let client = soon("NATS", async_nats::connect(&urls[..])).await.unwrap();
    let asking = client.request("$JS.API.STREAM.INFO.MICRO_SOCKET_0", "".into());
    let info = soon("the stream", asking).await.unwrap();
    let info: Value = serde_json::from_slice(&info.payload).unwrap();
    info["cluster"]["leader"].as_str().unwrap().to_owned()
}

fn root() -> String {
    token("root", &json!({"admin": true}))
}

async fn disconnect(addr: SocketAddr, user: &str) -> Value {
    let request = Request::new("POST", "/api/disconnect").bearer(&root());
    let body = json!({"user": user}).to_string();
    let answer = request.body(body).send(addr).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn reached(answer: &Value) -> Vec<(&str, bool)> {
    let nodes = answer["nodes"].as_array().unwrap().iter();
    let node = |node: &'_ Value| node["ok"].as_bool().unwrap();
    nodes
        .map(|one| (one["node"].as_str().unwrap(), node(one)))
        .collect()
}

#[tokio::test]
async fn a_revocation_outlives_the_gateway_that_was_told() {
    let nats = NatsServer::start().await;
    let secret = format!("--jwt-secret={SECRET}");
    let jwt = ["--auth=jwt", &secret];
    let (a, b) = (
        gateway(&nats.url(), "a", &jwt),
        gateway(&nats.url(), "b", &jwt),
    );
    let ann = token("ann", &json!({"iat": now()}));
    let mut socket = Socket::connect(b.addr, "/ws").await;
    socket.setup(&ann, &[]).await;
    let answer = disconnect(a.addr, "ann").await;
    assert_eq!(answer["disconnected"], 1);
    assert_eq!(reached(&answer), [("a", true), ("b", true)]);
    a.kill();
    socket.expect_close(4003).await;
    let late = gateway(&nats.url(), "c", &jwt);
    for addr in [b.addr, late.addr] {
        let mut socket = Socket::connect(addr, "/ws").await;
        socket.send(json!({"type": "setup", "token": ann})).await;
        socket.expect_error("AUTH_FAILED").await;
    }
    // Killed, it could not say goodbye: it is missed for a while.
    let answer = disconnect(b.addr, "eve").await;
    assert_eq!(reached(&answer), [("a", false), ("b", true), ("c", true)]);
    // Its name is free all the same.
    let again = gateway(&nats.url(), "a", &jwt);
    let answer = disconnect(again.addr, "eve").await;
    assert_eq!(reached(&answer), [("a", true), ("b", true), ("c", true)]);
}

#[tokio::test]
async fn a_gateway_that_stands_still_is_named_in_time() {
    let nats = NatsServer::start().await;
    let secret = format!("--jwt-secret={SECRET}");
    let jwt = ["--auth=jwt", &secret];
    let (a, b) = (
        gateway(&nats.url(), "a", &jwt),
        gateway(&nats.url(), "b", &jwt),
    );
    let ann = token("ann", &json!({"iat": now()}));
    let (mut on_a, mut on_b) = (
        Socket::connect(a.addr, "/ws").await,
        Socket::connect(b.addr, "/ws").await,
    );
    on_a.setup(&ann, &[]).await;
    on_b.setup(&ann, &[]).await;
    let stats = async || {
        Request::get("/stats?scope=cluster")
            .send(a.addr)
            .await
            .json()
    };
    let both = stats().await;
    assert_eq!(
        (&both["connections"], reached(&both)),
        (&json!(2), vec![("a", true), ("b", true)])
    );

    b.signal("STOP");
    // Each request is given up after ten seconds; the answer comes well before.
    soon("b to be missed", async {
        loop {
            let some = stats().await;
            if reached(&some) == [("a", true), ("b", false)] {
                assert_eq!(some["connections"], 1);
                assert!(some["nodes"][1]["stats"].is_null());
                break;
            }
        }
    })
    .await;
    let answer = disconnect(a.addr, "ann").await;
    assert_eq!(answer["disconnected"], 1);
    assert_eq!(reached(&answer), [("a", true), ("b", false)]);
    on_a.expect_close(4003).await;

    b.signal("CONT");
    on_b.expect_close(4003).await;
    soon("b to answer again", async {
        while reached(&stats().await) != [("a", true), ("b", true)] {}
    })
    .await;
}
