//! What is published, to whom.

use std::time::Duration;

use crate::swarm::Greeting;
use crate::text::{self, Kind};
use crate::wire;

/// A plan.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Topics that are published to.
    pub topics: usize,
    /// Subscribers of each of them.
    pub subscribers: usize,
    /// Connections that publish, each to one topic, evenly.
    pub publishers: usize,
    /// Publishes of one publisher that may be under way: without ack, or not yet with every subscriber.
    pub window: usize,
    /// Instead of as fast as the window allows: one publish in this time.
    pub pace: Option<Duration>,
}

impl Plan {
    /// As fast as the window allows.
    pub const fn closed(
        topics: usize,
        subscribers: usize,
        publishers: usize,
        window: usize,
    ) -> Self {
        Self {
            topics,
            subscribers,
            publishers,
            window,
            pace: None,
        }
    }

    /// Connections that the plan needs.
    pub fn connections(&self) -> usize {
        self.topics * self.subscribers + self.publishers
    }

    /// The topic of a subscriber's connection, or of a publisher.
    pub fn topic_of(&self, id: usize) -> usize {
        id % self.topics
    }
}

impl Greeting for Plan {
    fn first(&self, id: usize) -> Vec<u8> {
        let subscribes = id < self.topics * self.subscribers;
        let topics: Vec<String> = subscribes
            .then(|| text::topic(self.topic_of(id)))
            .into_iter()
            .collect();
        let mut out = Vec::new();
        wire::masked(&mut out, wire::TEXT, text::setup(id, &topics).as_bytes());
        out
    }

    fn is_done(&self, payload: &[u8]) -> bool {
        text::kind(payload) == Kind::Ready
    }
}
