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
