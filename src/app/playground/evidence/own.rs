//! I5 and I7: this page's own publishes, and what came of them: how long each took to each
//! subscriber of the page, and whether it arrived as it was.

use crate::histogram::Distribution;
use crate::protocol::{AckStatus, MessageFrame, Publish, PublishAck};

use super::recent::{Recent, fingerprint};

/// After this long without its message, in milliseconds, a publish may be one that nobody subscribed.
const FORGOTTEN_MS: f64 = 10_000.0;

/// A publish.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: f64,
    /// The payload's fingerprint; `None` when the id was used with several.
    payload: Option<u64>,
    /// Where its ack says it is; `None` before the ack, and when it took no effect.
    seq_no: Option<u64>,
    delivered: bool,
}

/// The page's own publishes.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    /// From sending to receiving, in microseconds; replayed messages are left out.
    pub(super) latency: Distribution,
    /// Deliveries whose payload was compared.
    pub(super) compared: u64,
    /// Bytes that were compared.
    pub(super) bytes: u64,
    /// Those that were not what was sent.
    pub(super) changed: u64,
    sent: Recent<Sent>,
}

impl Own {
    pub(super) fn publish(&mut self, at: f64, frame: &Publish<'_>) {
        let key = fingerprint(&[&frame.topic, &frame.message_id]);
        let payload = fingerprint(&[frame.payload.get()]);
        let new = Sent {
            at,
            payload: Some(payload),
            seq_no: None,
            delivered: false,
        };
        match self.sent.get(key) {
            Some(sent) => {
                if sent.delivered || at - sent.at > FORGOTTEN_MS {
                    sent.at = at;
                }
                // Which of them takes effect is not known here.
                sent.payload = sent.payload.filter(|before| *before == payload);
            }
            None => self.sent.put(key, new),
        }
    }

    pub(super) fn ack(&mut self, ack: &PublishAck<'_>) {
        let key = fingerprint(&[&ack.topic, &ack.message_id]);
        let Some(sent) = self.sent.get(key) else {
            return;
        };
        match ack.status {
            AckStatus::Ok => sent.seq_no = Some(ack.seq_no),
            // Of another sending, perhaps with another payload.
            AckStatus::Duplicate if sent.seq_no != Some(ack.seq_no) => sent.payload = None,
            AckStatus::Duplicate => {}
        }
    }

    /// A message came; `live` when it was not replayed. Others may use the same id: then the ack tells
    /// which message is this page's own.
    pub(super) fn message(&mut self, at: f64, frame: &MessageFrame<'_>, live: bool) {
        let key = fingerprint(&[&frame.topic, &frame.message_id]);
        let Some(sent) = self.sent.get(key) else {
            return;
        };
        if sent.seq_no.is_some_and(|seq_no| seq_no != frame.seq_no) {
            return;
        }
        sent.delivered = true;
        if live {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a time that is not negative"
            )]
            let micros = ((at - sent.at).max(0.0) * 1000.0) as u64;
            self.latency.record(micros);
        }
        if let Some(payload) = sent.payload {
            let data = frame.data.get();
            self.compared += 1;
            self.bytes += data.len() as u64;
            self.changed += u64::from(fingerprint(&[data]) != payload);
        }
    }
}
