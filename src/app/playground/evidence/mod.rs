//! Evidence for the seven promises from the page's own traffic: what was seen of each, and whether it
//! fits.
//!
//! Fed with every frame of every client; what it keeps does not grow with them. [`verification`] is
//! the other kind of evidence: a run of checks on sockets of their own.

mod access;
mod effects;
mod own;
mod recent;
mod returns;
mod summary;
pub mod verification;

use crate::protocol::{ClientMessage, MessageFrame, ServerMessage};

use super::client::{Client, ClientId};
use super::continuity::Counts;
use super::latencies::Latencies;
use access::Access;
use effects::Effects;
use own::Own;
use recent::{Recent, fingerprint};
use returns::Returns;
pub use summary::{Promise, Verdict};

/// What was seen since it was begun.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    access: Access,
    effects: Effects,
    own: Own,
    returns: Returns,
    /// By topic, epoch and seqNo: the fingerprint of the message that some client got there.
    places: Recent<u64>,
    /// Two clients, or one at two times, got different messages at one place.
    differing: u64,
    /// What clients had received that are gone.
    gone: Counts,
    /// What all of them had received when it was begun.
    before: Counts,
}

impl Evidence {
    /// Begins anew, while the clients go on.
    pub(super) fn begin(&mut self, clients: &[Client]) {
        let (gone, before) = (self.gone, self.received_in_all(clients));
        *self = Self {
            effects: Effects::within(self.effects.dedup_ttl_ms),
            gone,
            before,
            ..Self::default()
        };
    }

    /// The gateway remembers an id for so many milliseconds.
    pub(super) fn remembers_for(&mut self, dedup_ttl_ms: u64) {
        self.effects.dedup_ttl_ms = dedup_ttl_ms as f64;
    }

    /// A client is sent away.
    pub(super) fn leaves(&mut self, id: ClientId, client: &Client) {
        self.gone = self.gone.and(client.continuity().total());
        self.access.someone_else(id);
    }

    pub(super) fn sent(&mut self, id: ClientId, at: f64, frame: &ClientMessage<'_>) {
        match frame {
            ClientMessage::Setup(_) | ClientMessage::Resume(_) | ClientMessage::Refresh(_) => {
                self.access.someone_else(id);
            }
            ClientMessage::Publish(f) => {
                self.access.publishes(&f.topic, &f.message_id);
                self.own.publish(at, f);
            }
            _ => {}
        }
        self.returns.sent(frame);
    }

    /// Takes a frame after its client did.
    pub(super) fn received(
        &mut self,
        id: ClientId,
        at: f64,
        client: &Client,
        frame: &ServerMessage<'_>,
    ) {
        match frame {
            ServerMessage::Message(f) => self.message(id, at, client, f),
            ServerMessage::Ack(f) => {
                self.effects.ack(at, client.user(), f);
                self.own.ack(f);
            }
            ServerMessage::Error(f) => self.access.refused(id, f),
            ServerMessage::Subscribed(f) => self.access.allowed(id, &f.topic),
            _ => {}
        }
        self.returns.received(frame);
    }

    fn message(&mut self, id: ClientId, at: f64, client: &Client, frame: &MessageFrame<'_>) {
        self.access.message(id, &frame.topic, &frame.message_id);
        let record = client.continuity().topics().get(frame.topic.as_ref());
        let Some(record) = record else {
            return;
        };
        self.own
            .message(at, frame, !record.is_replayed(frame.seq_no));
        let place = fingerprint(&[&frame.topic, &record.epoch]) ^ spread(frame.seq_no);
        let message = fingerprint(&[&frame.message_id]);
        match self.places.get(place) {
            Some(other) => self.differing += u64::from(*other != message),
            None => self.places.put(place, message),
        }
    }

    /// How long this page's own messages took from publish to deliver.
    pub(super) fn latencies(&self) -> Latencies {
        Latencies::of(&self.own.latency)
    }

    fn received_in_all(&self, clients: &[Client]) -> Counts {
        let counts = clients.iter().map(|client| client.continuity().total());
        counts.fold(self.gone, Counts::and)
    }

    /// What the clients received since it was begun.
    fn received_since(&self, clients: &[Client]) -> Counts {
        self.received_in_all(clients).since(self.before)
    }
}

/// Sets neighbouring numbers far apart.
fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests;
