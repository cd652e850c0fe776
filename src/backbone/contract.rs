//! What every backbone promises, as one suite of tests. A backbone passes when each of these holds
//! for it; `suite!` makes a test of each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

/// An [`Events`] that writes down what it is handed.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<(String, SeqNo)>>);

impl Events for Seen {
    fn deliver(&self, topic: &str, record: &Record, _: u64) {
        self.0
            .lock()
            .unwrap()
            .push((topic.to_owned(), record.seq_no));
    }

    fn lost(&self, topic: &str) {
        panic!("records of {topic} are lost");
    }
}

impl Seen {
    pub(crate) fn numbers(&self, topic: &str) -> Vec<SeqNo> {
        let seen = self.0.lock().unwrap();
        seen.iter()
            .filter(|(t, _)| t == topic)
            .map(|(_, seq)| *seq)
            .collect()
    }

    /// The numbers of a topic, once there are so many. Events may come after the answer.
    async fn become_numbers(&self, topic: &str, count: usize) -> Vec<SeqNo> {
        for _ in 0..1000 {
            if self.numbers(topic).len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let numbers = self.numbers(topic);
        assert_eq!(numbers.len(), count);
        numbers
    }
}

pub(crate) fn retention() -> Retention {
    Retention {
        history_size: 100,
        history_ttl: Duration::from_secs(60),
        history_bytes: 64 << 20,
        dedup_ttl: Duration::from_secs(30),
        dedup_bytes: 64 << 20,
    }
}

/// A moment this many milliseconds after the start.
fn at(ms: u64) -> Now {
    Now {
        mono_ns: ms * 1_000_000,
        unix_ms: 1_700_000_000_000 + ms,
    }
}

fn publication<'a>(topic: &'a str, message_id: &'a str, payload: &'a str) -> Publication<'a> {
    Publication {
        user: "ann",
        topic,
        message_id,
        payload,
        sig: None,
    }
}

async fn publish(backbone: &dyn Backbone, topic: &str, id: &str) -> Published {
    backbone
        .publish(at(0), publication(topic, id, "{}"))
        .await
        .unwrap()
}

async fn after(backbone: &dyn Backbone, topic: &str, position: Option<Position>) -> Replay {
    backbone
        .replay(at(0), &Topic::new(topic).unwrap(), position.as_ref())
        .await
        .unwrap()
}

fn position(head: &Head, seq_no: SeqNo) -> Option<Position> {
    Some(Position {
        epoch: Some(head.epoch.clone()),
        seq_no,
    })
}

pub(crate) async fn numbers_rise_and_reach_the_hub_in_order(backbone: &dyn Backbone, seen: &Seen) {
    for i in 0..50 {
        let published = publish(backbone, "t", &i.to_string()).await;
        assert_eq!(published.status, AckStatus::Ok);
    }
    let numbers = seen.become_numbers("t", 50).await;
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

pub(crate) async fn an_id_has_one_effect(backbone: &dyn Backbone, seen: &Seen) {
    let first = publish(backbone, "t", "m").await;
    let second = publish(backbone, "t", "m").await;
    assert_eq!(second.status, AckStatus::Duplicate);
    assert_eq!((second.seq_no, &second.epoch), (first.seq_no, &first.epoch));
    let elsewhere = publish(backbone, "u", "m").await;
    assert_eq!(elsewhere.status, AckStatus::Duplicate);
    assert_eq!(elsewhere.elsewhere.unwrap().as_str(), "t");
    let other = Publication {
        user: "bob",
        ..publication("t", "m", "{}")
    };
    assert_eq!(
        backbone.publish(at(0), other).await.unwrap().status,
        AckStatus::Ok
    );
    seen.become_numbers("t", 2).await;
    assert!(seen.numbers("u").is_empty());
}

pub(crate) async fn copies_in_flight_have_one_effect(backbone: &dyn Backbone, seen: &Seen) {
    let copies: Vec<_> = ["t", "t", "u"]
        .map(|topic| backbone.publish(at(0), publication(topic, "m", "{}")))
        .into_iter()
        .collect();
    let mut answers = Vec::new();
    for copy in copies {
        answers.push(copy.await.unwrap());
    }
    let statuses: Vec<_> = answers.iter().map(|published| published.status).collect();
    assert_eq!(
        statuses,
        [AckStatus::Ok, AckStatus::Duplicate, AckStatus::Duplicate]
    );
    assert!(answers.iter().all(|p| p.seq_no == answers[0].seq_no));
    let elsewhere: Vec<_> = answers.iter().map(|p| p.elsewhere.is_some()).collect();
    assert_eq!(elsewhere, [false, false, true]);
    seen.become_numbers("t", 1).await;
    assert!(seen.numbers("u").is_empty());
}

pub(crate) async fn what_is_in_flight_keeps_its_order(backbone: &dyn Backbone, seen: &Seen) {
    let answers: Vec<_> = (0..100)
        .map(|i| backbone.publish(at(0), publication("t", &i.to_string(), "{}")))
        .collect();
    let mut numbers = Vec::new();
    for answer in answers {
        numbers.push(answer.await.unwrap().seq_no);
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_eq!(seen.become_numbers("t", 100).await, numbers);
}

pub(crate) async fn closing_loses_nothing_that_was_accepted(backbone: &dyn Backbone, seen: &Seen) {
    let accepted = backbone.publish(at(0), publication("t", "m", "{}"));
    backbone.close();
    assert_eq!(accepted.await.unwrap().status, AckStatus::Ok);
    seen.become_numbers("t", 1).await;
}

pub(crate) async fn payloads_come_back_byte_for_byte(backbone: &dyn Backbone, _: &Seen) {
    let payloads = [
        r#"{ "x" : 1.0e400, "x":[ ] }"#,
        "null",
        r#""\u00fc\ud800""#,
        "  7 ".trim(),
    ];
    for (i, payload) in payloads.iter().enumerate() {
        let published = backbone
            .publish(at(0), publication("t", &i.to_string(), payload))
            .await;
        published.unwrap();
    }
    let head = after(backbone, "t", None).await.head;
    let replay = after(backbone, "t", position(&head, 0)).await;
    let texts: Vec<String> = replay
        .outcome
        .unwrap()
        .iter()
        .map(|record| String::from_utf8(record.json().to_vec()).unwrap())
        .collect();
    for (text, payload) in texts.iter().zip(payloads) {
        assert!(text.ends_with(&format!("\"data\":{payload}}}")), "{text}");
    }
}

pub(crate) async fn a_replay_is_all_or_nothing(backbone: &dyn Backbone, _: &Seen) {
    for i in 0..150 {
        publish(backbone, "t", &i.to_string()).await;
    }
    let end = after(backbone, "t", None).await;
    assert!(end.outcome.unwrap().is_empty());
    let head = end.head;
    let some = after(backbone, "t", position(&head, head.seq_no - 5))
        .await
        .outcome
        .unwrap();
    assert_eq!(some.len(), 5);
    assert_eq!(some.last().unwrap().seq_no, head.seq_no);
    let reason = |position| async { after(backbone, "t", position).await.outcome.unwrap_err() };
    assert_eq!(reason(position(&head, 1)).await, UnrecoveredReason::Trimmed);
    assert_eq!(
        reason(position(&head, head.seq_no + 1)).await,
        UnrecoveredReason::Ahead
    );
    let foreign = Position {
        epoch: Some(Epoch::new("another")),
        seq_no: head.seq_no,
    };
    assert_eq!(reason(Some(foreign)).await, UnrecoveredReason::Epoch);
}

pub(crate) async fn history_is_paged(backbone: &dyn Backbone, _: &Seen) {
    for i in 0..20 {
        publish(backbone, "t", &i.to_string()).await;
    }
    let topic = Topic::new("t").unwrap();
    let page = |after, messages, bytes| {
        let page = PageSize { messages, bytes };
        let answer = backbone.history(at(0), &topic, after, page);
        async move { answer.await.unwrap() }
    };
    let first = page(0, 8, usize::MAX).await;
    assert_eq!(first.records.len(), 8);
    let last = first.records.last().unwrap().seq_no;
    let rest = page(last, 100, usize::MAX).await;
    assert_eq!(rest.records.len(), 12);
    assert_eq!(rest.records.last().unwrap().seq_no, rest.head.seq_no);
    // By bytes too, but never by less than one message.
    let some = page(last, 100, 300).await;
    assert!((2..12).contains(&some.records.len()));
    assert_eq!(some.records[0].seq_no, rest.records[0].seq_no);
    assert_eq!(page(last, 100, 1).await.records.len(), 1);
}

pub(crate) async fn publishers_on_many_threads_agree(backbone: Arc<dyn Backbone>, seen: Arc<Seen>) {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let backbone = backbone.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                // Every thread publishes the same ids: each must win exactly once.
                runtime.block_on(async {
                    let mut fresh = 0;
                    for i in 0..500 {
                        let published = publish(&*backbone, "t", &i.to_string()).await;
                        fresh += usize::from(published.status == AckStatus::Ok);
                    }
                    fresh
                })
            })
        })
        .collect();
    let fresh: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(fresh, 500);
    let numbers = seen.become_numbers("t", 500).await;
    assert!(numbers.is_sorted_by(|a, b| a < b));
}

/// Somebody listens to the topics of these tests, from their ends on.
async fn listen(backbone: &dyn Backbone) {
    for topic in ["t", "u"] {
        backbone.interest(&Topic::new(topic).unwrap(), true);
        assert!(after(backbone, topic, None).await.outcome.is_ok());
    }
}

/// `$open` makes a backbone, and what must live as long as it.
macro_rules! suite {
    ($name:ident, $open:ident) => {
        mod $name {
            use super::*;
            suite!(@tests $open; numbers_rise_and_reach_the_hub_in_order an_id_has_one_effect
                copies_in_flight_have_one_effect what_is_in_flight_keeps_its_order payloads_come_back_byte_for_byte
                a_replay_is_all_or_nothing history_is_paged
                closing_loses_nothing_that_was_accepted);

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn publishers_on_many_threads_agree() {
                let seen = Arc::new(Seen::default());
                let (backbone, _guard) = $open(seen.clone()).await;
                listen(&backbone).await;
                super::publishers_on_many_threads_agree(Arc::new(backbone), seen).await;
            }
        }
    };
    (@tests $open:ident; $($test:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let seen = Arc::new(Seen::default());
            let (backbone, _guard) = $open(seen.clone()).await;
            listen(&backbone).await;
            super::$test(&backbone, &seen).await;
        })*
    };
}

async fn in_memory(seen: Arc<Seen>) -> (Memory, ()) {
    (Memory::new(Epoch::new("e1"), &retention(), seen), ())
}

fn on_disk(seen: Arc<Seen>, fsync_interval: Option<Duration>) -> (Disk, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options = disk::Options {
        dir: dir.path().to_owned(),
        fsync_interval,
        new_epoch: Epoch::new("e1"),
    };
    let disk = Disk::open(at(0), options, &retention(), seen).unwrap();
    (disk, dir)
}

async fn synced(seen: Arc<Seen>) -> (Disk, tempfile::TempDir) {
    on_disk(seen, None)
}

async fn synced_later(seen: Arc<Seen>) -> (Disk, tempfile::TempDir) {
    on_disk(seen, Some(Duration::from_millis(20)))
}

#[path = "../tests/harness/nats.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the integration tests use all of it, from outside"
)]
pub(super) mod nats_server;

async fn on_nats(seen: Arc<Seen>, partitions: u16) -> (Nats, nats_server::NatsServer) {
    let server = nats_server::NatsServer::start().await;
    let options = nats::Options {
        partitions,
        servers: vec![server.url().parse().unwrap()],
        ..nats::Options::default()
    };
    let nats = Nats::open(options, &retention(), seen).await.unwrap();
    (nats, server)
}

async fn in_one_stream(seen: Arc<Seen>) -> (Nats, nats_server::NatsServer) {
    on_nats(seen, 1).await
}

async fn in_many_streams(seen: Arc<Seen>) -> (Nats, nats_server::NatsServer) {
    on_nats(seen, 4).await
}

suite!(nats_in_one_stream, in_one_stream);
suite!(nats_in_many_streams, in_many_streams);
suite!(memory, in_memory);
suite!(disk_synced, synced);
suite!(disk_synced_later, synced_later);
