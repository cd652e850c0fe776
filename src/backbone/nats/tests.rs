//! The backbone beside its caretaker.

use super::*;
use crate::backbone::contract::nats_server::NatsServer;
use crate::backbone::contract::retention;

struct Nobody;

impl Events for Nobody {
    fn deliver(&self, _: &str, _: &Record, _: u64) {}
    fn lost(&self, _: &str) {}
}

/// One on this server, of which nobody hears anything.
pub(super) async fn opened_on(server: &NatsServer) -> Nats {
    let options = Options {
        servers: server.url().parse().into_iter().collect(),
        ..Options::default()
    };
    let nats = Nats::open(options, &retention(), Arc::new(Nobody)).await;
    nats.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_goes_with_the_epoch_that_it_was_learned_in() {
    let server = NatsServer::start().await;
    let nats = opened_on(&server).await;
    let now = Now {
        mono_ns: 0,
        unix_ms: 0,
    };
    let topic = Topic::new("t").unwrap();
    nats.interest(&topic, true);
    let before = nats.replay(now, &topic, None).await.unwrap().head;
    // The stream is another one, and its pump has not been told yet.
    nats.shared.epochs.write()[0] = Epoch::new("another");
    let head = nats.replay(now, &topic, None).await.unwrap().head;
    assert_eq!(head, before);
}
