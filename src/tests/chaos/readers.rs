//! Those who read with the Rust client, and one who meddles with it where it may not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use micro_socket::client::{Event, Handle, PublishError, SubSocket};
use micro_socket::protocol::ErrorCode;
use serde_json::value::RawValue;

use super::truth::{Seen, Truth, Witness};
use super::world::{SECRET, World};
use crate::harness::Dice;

/// Reads with the Rust client until it has seen all.
pub async fn read(
    world: Arc<World>,
    mut socket: SubSocket,
    mut witness: Witness,
    measured: bool,
) -> Witness {
    let mut ends = world.ends.subscribe();
    while !world.has_all(&witness) {
        let event = tokio::select! {
            event = socket.next() => event,
            _ = ends.changed() => continue,
        };
        match event {
            Some(Event::Message(message)) => {
                let seen = Seen {
                    topic: &message.topic,
                    seq_no: message.seq_no,
                    prev_seq: message.prev_seq,
                    id: &message.message_id,
                    data: message.data.get(),
                };
                world.saw(&mut witness, &seen, measured);
            }
            Some(Event::Subscribed(s)) => {
                let truth = &mut world.truth();
                truth.epoch(&s.topic, s.epoch.as_str());
                witness.subscribed(truth, &s.topic, s.seq_no, s.recovered);
            }
            Some(other) => happened(&mut world.truth(), &other),
            None => break,
        }
    }
    witness
}

/// Everything that may happen to a socket besides what it is there for.
pub fn happened(truth: &mut Truth, event: &Event) {
    match event {
        Event::Ready(ready) if ready.resumed => truth.note("resumed"),
        Event::Error(error) if error.code == ErrorCode::AclDenied => truth.note("denied"),
        Event::Error(error) if error.retryable => truth.note("refused for now"),
        Event::Closed {
            code, reconnect_in, ..
        } => {
            truth.note(match code {
                4108 => "closed as too slow",
                _ => "cut off",
            });
            if reconnect_in.is_none() {
                truth.fault("I6", format!("a socket was closed for good with {code}"));
            }
        }
        Event::Gap { .. } | Event::Undecodable(_) | Event::Error(_) => {
            truth.fault("I4", format!("{event:?}"));
        }
        _ => {}
    }
}

/// Tries again and again to read and to write what is not allowed, with a socket that may read others.
pub async fn meddle(world: Arc<World>, handle: Handle, mut dice: Dice) {
    let payload: Box<RawValue> = RawValue::from_string(r#""from a meddler""#.to_owned()).unwrap();
    while world.pause(dice.upto(Duration::from_millis(200))).await {
        let _ = handle.subscribe(SECRET);
        match handle.publish(SECRET, &payload).await {
            Err(PublishError::Refused(error)) if error.code == ErrorCode::AclDenied => {
                world.note("denied");
            }
            Err(PublishError::Refused(error)) if error.retryable => {}
            other => world
                .truth()
                .fault("I1", format!("a meddler's publish: {other:?}")),
        }
    }
}
