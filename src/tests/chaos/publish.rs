//! Those who publish.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use micro_socket::client::{Handle, PublishError, SubSocket};
use micro_socket::protocol::AckStatus;
use serde_json::value::RawValue;
use tokio::time::{MissedTickBehavior, interval};

use super::payload::{id, payload};
use super::readers::happened;
use super::world::World;
use crate::harness::Dice;

/// Publishes that one publisher has on their way at once.
const IN_FLIGHT: usize = 64;
/// One publish in so many is sent over a second socket too.
const TWICE: u64 = 10;

/// Publishes to topics in turn, one message each time, until it is over; every one of them is acknowledged
/// in the end.
pub struct Publisher {
    pub name: String,
    pub topics: Vec<&'static str>,
    pub every: Duration,
    /// Two sockets of the same user.
    pub sockets: [SubSocket; 2],
    pub dice: Dice,
}

impl Publisher {
    pub async fn run(self, world: Arc<World>) {
        let Self {
            name,
            topics,
            every,
            sockets,
            mut dice,
        } = self;
        let handles = sockets.each_ref().map(SubSocket::handle);
        let listening = sockets.map(|socket| tokio::spawn(listen(world.clone(), socket)));
        let mut over = world.over.subscribe();
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pending = FuturesUnordered::new();
        let mut number = 0;
        loop {
            tokio::select! {
                _ = over.wait_for(|over| *over) => break,
                Some(()) = pending.next() => {}
                _ = tick.tick(), if pending.len() < IN_FLIGHT => {
                    number += 1;
                    let id = id(&name, number, world.now_us());
                    let topic = topics[number as usize % topics.len()];
                    let [first, second] = &handles;
                    pending.push(insist(&world, first, topic, id.clone()));
                    if dice.roll(TWICE) == 0 {
                        pending.push(insist(&world, second, topic, id));
                    }
                }
            }
        }
        while pending.next().await.is_some() {}
        for listening in listening {
            listening.abort();
        }
    }
}

/// Publishes until it is acknowledged.
pub async fn insist(world: &World, handle: &Handle, topic: &str, id: String) {
    let payload = RawValue::from_string(payload(&id)).unwrap();
    loop {
        match handle.publish_with_id(topic, &id, &payload).await {
            Ok(ack) => {
                let truth = &mut world.truth();
                truth.epoch(&ack.topic, ack.epoch.as_str());
                let accepted = ack.status == AckStatus::Ok;
                return truth.acked(&ack.topic, ack.seq_no, &id, accepted);
            }
            Err(PublishError::Refused(error)) if error.retryable => {
                world.note("refused for now");
            }
            Err(PublishError::Full) => {}
            Err(other) => {
                return world
                    .truth()
                    .fault("I4", format!("{id} to {topic}: {other}"));
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A socket that is not read takes in no acks.
async fn listen(world: Arc<World>, mut socket: SubSocket) {
    while let Some(event) = socket.next().await {
        happened(&mut world.truth(), &event);
    }
}
