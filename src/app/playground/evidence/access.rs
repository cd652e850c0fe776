//! I1: what was refused, and whether any of it came all the same.

use std::collections::VecDeque;

use crate::protocol::{ErrorCode, ErrorFrame};

use super::super::client::ClientId;
use super::recent::fingerprint;

/// Refused topics, and refused publishes, that are watched; the oldest is forgotten beyond that.
const MAX_WATCHED: usize = 64;

/// What was refused.
#[derive(Debug, Clone, Default)]
pub(super) struct Access {
    pub(super) refusals: u64,
    /// Messages that came although they, or their topic, were refused.
    pub(super) leaks: u64,
    /// Topics that a client may not read.
    topics: VecDeque<(ClientId, String)>,
    /// Publishes that were not taken: fingerprints of topic and id.
    publishes: VecDeque<u64>,
}

impl Access {
    /// A client is about to say who it is: what was refused before may be allowed now.
    pub(super) fn someone_else(&mut self, client: ClientId) {
        self.topics.retain(|(whose, _)| *whose != client);
    }

    /// A client may read a topic.
    pub(super) fn allowed(&mut self, client: ClientId, topic: &str) {
        self.topics
            .retain(|(whose, name)| *whose != client || name != topic);
    }

    /// The same id is tried again: it may be taken this time.
    pub(super) fn publishes(&mut self, topic: &str, id: &str) {
        if !self.publishes.is_empty() {
            let key = fingerprint(&[topic, id]);
            self.publishes.retain(|refused| *refused != key);
        }
    }

    pub(super) fn refused(&mut self, client: ClientId, error: &ErrorFrame<'_>) {
        if !is_refusal(error.code) {
            return;
        }
        self.refusals += 1;
        let Some(topic) = error.topic.as_deref() else {
            return;
        };
        if let Some(id) = error.message_id.as_deref() {
            keep(&mut self.publishes, fingerprint(&[topic, id]));
        } else if error.code == ErrorCode::AclDenied {
            self.allowed(client, topic);
            keep(&mut self.topics, (client, topic.to_owned()));
        }
    }

    pub(super) fn message(&mut self, client: ClientId, topic: &str, id: &str) {
        let refused = self.topics.iter().any(|(c, t)| *c == client && t == topic)
            || (!self.publishes.is_empty() && self.publishes.contains(&fingerprint(&[topic, id])));
        self.leaks += u64::from(refused);
    }
}

fn keep<T>(watched: &mut VecDeque<T>, one: T) {
    if watched.len() == MAX_WATCHED {
        watched.pop_front();
    }
    watched.push_back(one);
}

/// Whether the code says that somebody may not do what they asked for.
fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::AclDenied
            | ErrorCode::AuthRequired
            | ErrorCode::AuthFailed
            | ErrorCode::TokenExpired
    )
}
