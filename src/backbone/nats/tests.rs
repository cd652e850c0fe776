//! The backbone beside its caretaker.

use std::path::Path;

use super::*;
use crate::backbone::contract::nats_server::NatsServer;
use crate::backbone::contract::retention;

struct Nobody;

impl Events for Nobody {
    fn deliver(&self, _: &str, _: &Record, _: u64) {}
    fn lost(&self, _: &str) {}
}

fn options(server: &NatsServer) -> Options {
    Options {
        servers: server.url().parse().into_iter().collect(),
        ..Options::default()
    }
}

/// One on this server, of which nobody hears anything.
pub(super) async fn opened_on(server: &NatsServer) -> Nats {
    let nats = Nats::open(options(server), &retention(), Arc::new(Nobody)).await;
    nats.unwrap()
}

const NOW: Now = Now {
    mono_ns: 0,
    unix_ms: 0,
};

/// Does something again and again until it is as wanted.
async fn until(mut wanted: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !wanted().await {
        assert!(Instant::now() < deadline, "it does not become so");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_goes_with_the_epoch_that_it_was_learned_in() {
    let server = NatsServer::start().await;
    let nats = opened_on(&server).await;
    let topic = Topic::new("t").unwrap();
    nats.interest(&topic, true);
    let before = nats.replay(NOW, &topic, None).await.unwrap().head;
    // The stream is another one, and its pump has not been told yet.
    nats.shared.epochs.write()[0] = Epoch::new("another");
    let head = nats.replay(NOW, &topic, None).await.unwrap().head;
    assert_eq!(head, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_given_again_are_of_another_epoch() {
    let mut server = NatsServer::start().await;
    let nats = opened_on(&server).await;
    let before = nats.shared.epoch(0);
    let (store, earlier) = (server.dir().join("store"), server.dir().join("earlier"));
    server.stop();
    copy(&store, &earlier);
    server.start_again().await;
    until(async || {
        let publication = Publication {
            user: "ann",
            topic: "t",
            message_id: "1",
            payload: "{}",
            sig: None,
        };
        nats.publish(NOW, publication).await.is_ok()
    })
    .await;
    let mut caretaker = Caretaker::new(&nats.shared, &nats.pumps, options(&server), &retention());
    until(async || caretaker.look().await.is_none()).await;
    assert_eq!(nats.shared.epoch(0), before);

    // As after a power cut: what was stored last has not reached the disk.
    server.stop();
    std::fs::remove_dir_all(&store).unwrap();
    copy(&earlier, &store);
    server.start_again().await;
    until(async || {
        caretaker.look().await;
        nats.shared.epoch(0) != before
    })
    .await;
}
