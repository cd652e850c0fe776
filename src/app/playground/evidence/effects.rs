//! I2: of the acks of one id of one user, one is `ok` and all name one position.

use crate::protocol::{AckStatus, PublishAck};

use super::recent::{Recent, fingerprint};

/// The default of the setting dedup-ttl, in milliseconds.
const DEDUP_TTL_MS: f64 = 300_000.0;

/// Of one id.
#[derive(Debug, Clone, Copy)]
struct First {
    seq_no: u64,
    at: f64,
    /// Whether an `ok` was among the acks.
    ok: bool,
}

/// The acks.
#[derive(Debug, Clone)]
pub(super) struct Effects {
    /// How long an id is held against the gateway, in milliseconds: as long as that remembers it.
    pub(super) dedup_ttl_ms: f64,
    pub(super) acks: u64,
    pub(super) duplicates: u64,
    /// Ids that were accepted twice, and duplicates with another position than the first.
    pub(super) wrong: u64,
    /// By user, id and epoch: another numbering knows nothing of the one before.
    first: Recent<First>,
}

impl Default for Effects {
    fn default() -> Self {
        Self::within(DEDUP_TTL_MS)
    }
}

impl Effects {
    /// None yet, of a gateway that remembers an id for so long.
    pub(super) fn within(dedup_ttl_ms: f64) -> Self {
        Self {
            dedup_ttl_ms,
            acks: 0,
            duplicates: 0,
            wrong: 0,
            first: Recent::default(),
        }
    }

    pub(super) fn ack(&mut self, at: f64, user: &str, ack: &PublishAck<'_>) {
        let ok = ack.status == AckStatus::Ok;
        self.acks += 1;
        self.duplicates += u64::from(!ok);
        let key = fingerprint(&[user, &ack.message_id, ack.epoch.as_str()]);
        let seq_no = ack.seq_no;
        match self.first.get(key) {
            Some(first) if at - first.at < self.dedup_ttl_ms => {
                let twice = ok && first.ok;
                self.wrong += u64::from(twice || first.seq_no != seq_no);
                first.ok |= ok;
            }
            _ => self.first.put(key, First { seq_no, at, ok }),
        }
    }
}
