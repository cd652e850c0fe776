//! Questions and answers between gateways, and what operators are answered.
//!
//! Invariant: pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::slo::Counted;

/// Bytes of topics in one answer from gateway to gateway.
pub(super) const ROOM: usize = 128 << 10;
/// Connections of a user that are told.
pub(super) const MOST_CONNECTIONS: usize = 100;
/// What stands around a name in an answer, in bytes.
const AROUND: usize = 32;

/// Whose sockets to close.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Disconnect {
    pub(super) user: Option<String>,
    pub(super) jti: Option<String>,
    /// Up to which moment their tokens are refused, in milliseconds since the Unix epoch.
    pub(super) revoked_ms: Option<u64>,
}

/// Which topic to take from whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Unsubscribe {
    pub(super) user: String,
    pub(super) topic: String,
}

/// Which topics: the first behind `after` that begin with `prefix`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) prefix: String,
    pub(super) after: String,
    pub(super) limit: usize,
}

/// Those of one gateway, in the order of their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TopicsFound {
    pub(super) topics: Vec<(String, usize)>,
    /// There are more behind them.
    pub(super) more: bool,
}

/// Whose connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Whose {
    pub(super) user: String,
}

/// One gateway's part in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NodeAnswer)]
pub struct Part {
    /// The gateway's name (setting node).
    pub node: String,
    /// Whether it answered in time; if not, its part is missing.
    pub ok: bool,
}

/// Who was disconnected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Disconnected {
    /// Sockets that were closed with 4003.
    pub disconnected: usize,
    /// Which gateways answered; not there with a single gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nodes: Option<Vec<Part>>,
}

/// From whom a topic was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unsubscribed {
    /// Connections that had subscribed it.
    pub unsubscribed: usize,
    /// Which gateways answered; not there with a single gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nodes: Option<Vec<Part>>,
}

/// Topics with a subscriber, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TopicList {
    /// The topics.
    pub topics: Vec<TopicCount>,
    /// Where to go on: the `after` of the next request. Not there when these were all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next: Option<String>,
    /// Which gateways answered; not there with a single gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nodes: Option<Vec<Part>>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TopicCount {
    /// The topic.
    pub topic: String,
    /// Connections that subscribe it.
    pub subscribers: usize,
}

/// A user's connections.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Connections {
    /// How many there are.
    pub count: usize,
    /// The first 100 of them.
    pub connections: Vec<ConnectionInfo>,
    /// Which gateways answered; not there with a single gateway.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    #[schema(nullable = false)]
    pub nodes: Option<Vec<Part>>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionInfo {
    /// The gateway that has it.
    pub node: String,
    /// The session that it holds.
    pub session_id: String,
    /// Where it comes from: a load balancer's address behind one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub address: Option<String>,
    /// The id of its token (claim jti).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub jti: Option<String>,
    /// Seconds until its token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expires_in: Option<u64>,
    /// How many topics it subscribes.
    pub subscriptions: usize,
    /// The first 100 of them.
    pub topics: Vec<String>,
    /// Bytes that wait because the peer does not read.
    pub waiting_bytes: usize,
}

/// What a gateway counts, as it can be added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// WebSockets open now.
    pub connections: u64,
    /// Topics with a subscriber now.
    pub topics: u64,
    /// Pairs of topic and connection now.
    pub subscriptions: u64,
    /// Messages accepted.
    pub published: u64,
    /// Publishes that were duplicates.
    pub duplicates: u64,
    /// Messages written into subscribers' sockets.
    pub delivered: u64,
    /// Sessions that went on.
    pub resumed: u64,
    /// Those that could not.
    pub not_resumed: u64,
    /// Accept to write, in nanoseconds: buckets, and how many deliveries; see
    /// [`crate::histogram::Distribution::filled`].
    pub latency: Vec<(usize, u64)>,
    /// Deliveries of the last minutes, and those within the target.
    pub recent: (u64, u64),
    /// Seconds since the start; added up, those of the gateway that has run longest.
    pub uptime_s: u64,
}

impl Counts {
    /// Adds another gateway's.
    pub fn add(&mut self, other: &Self) {
        for (into, more) in [
            (&mut self.connections, other.connections),
            (&mut self.topics, other.topics),
            (&mut self.subscriptions, other.subscriptions),
            (&mut self.published, other.published),
            (&mut self.duplicates, other.duplicates),
            (&mut self.delivered, other.delivered),
            (&mut self.resumed, other.resumed),
            (&mut self.not_resumed, other.not_resumed),
            (&mut self.recent.0, other.recent.0),
            (&mut self.recent.1, other.recent.1),
        ] {
            *into = into.saturating_add(more);
        }
        let mut latency: BTreeMap<usize, u64> = BTreeMap::new();
        for (bucket, count) in self.latency.iter().chain(&other.latency) {
            let into = latency.entry(*bucket).or_default();
            *into = into.saturating_add(*count);
        }
        self.latency = latency.into_iter().collect();
        self.uptime_s = self.uptime_s.max(other.uptime_s);
    }

    /// Deliveries of the last minutes.
    #[must_use]
    pub const fn recent(&self) -> Counted {
        let (all, within) = self.recent;
        Counted { all, within }
    }
}

impl TopicsFound {
    /// The same in at most so many bytes; what had to go is behind the rest.
    pub(super) fn fitted(mut self, room: usize) -> Self {
        let mut bytes = 0;
        let fits = |(name, _): &&(String, usize)| {
            // Every byte could be escaped.
            bytes += 2 * name.len() + AROUND;
            bytes <= room
        };
        let kept = self.topics.iter().take_while(fits).count();
        self.more |= kept < self.topics.len();
        self.topics.truncate(kept);
        self
    }

    /// Whether it can be the answer to a question for at most so many.
    pub(super) fn is_sound(&self, limit: usize) -> bool {
        self.topics.len() <= limit && !(self.more && self.topics.is_empty())
    }

    /// Those of all gateways, at most `limit`. Behind the last topic of a gateway that has more nothing
    /// is known of it, so the page ends there.
    pub(super) fn merged(parts: Vec<Self>, limit: usize) -> (Vec<TopicCount>, Option<String>) {
        let ends = parts.iter().filter(|part| part.more);
        let end = ends.filter_map(|part| part.topics.last()).min();
        let end = end.map(|(name, _)| name.clone());
        let mut all: BTreeMap<String, usize> = BTreeMap::new();
        for (name, count) in parts.into_iter().flat_map(|part| part.topics) {
            let sum = all.entry(name).or_default();
            *sum = sum.saturating_add(count);
        }
        if let Some(end) = &end {
            all.retain(|name, _| name <= end);
        }
        let more = end.is_some() || all.len() > limit;
        let topics: Vec<TopicCount> = all
            .into_iter()
            .take(limit)
            .map(|(topic, subscribers)| TopicCount { topic, subscribers })
            .collect();
        let last = topics.last().filter(|_| more);
        let next = last.map(|last| last.topic.clone());
        (topics, next)
    }
}

impl Connections {
    /// The same in at most so many bytes; the last ones go.
    pub(super) fn fitted(mut self, room: usize) -> Self {
        let mut bytes = 0;
        let fits = |one: &&ConnectionInfo| {
            let topics = one.topics.iter().map(|topic| 2 * topic.len() + AROUND);
            let names = [one.node.len(), one.session_id.len()];
            let names = names.into_iter().chain(one.jti.as_ref().map(String::len));
            // A token's id may have control characters, of which each becomes six bytes.
            bytes += topics.sum::<usize>() + 6 * names.sum::<usize>() + 8 * AROUND;
            bytes <= room
        };
        let kept = self.connections.iter().take_while(fits).count();
        self.connections.truncate(kept);
        self
    }

    /// Adds another gateway's.
    pub(super) fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.connections.extend(other.connections);
        self.connections.truncate(MOST_CONNECTIONS);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(names: &[&str], more: bool) -> TopicsFound {
        let topics = names.iter().map(|name| ((*name).to_owned(), 1));
        TopicsFound {
            topics: topics.collect(),
            more,
        }
    }

    fn names(topics: &[TopicCount]) -> Vec<&str> {
        topics.iter().map(|one| one.topic.as_str()).collect()
    }

    #[test]
    fn a_page_ends_where_a_gateway_is_not_known_any_more() {
        let parts = vec![found(&["a", "c"], true), found(&["b", "d"], false)];
        let (topics, next) = TopicsFound::merged(parts, 10);
        assert_eq!(names(&topics), ["a", "b", "c"]);
        assert_eq!(next.as_deref(), Some("c"));
        let parts = vec![found(&["a", "c"], false), found(&["a", "d"], false)];
        let (topics, next) = TopicsFound::merged(parts, 10);
        assert_eq!(names(&topics), ["a", "c", "d"]);
        assert_eq!(topics[0].subscribers, 2);
        assert_eq!(next, None);
        let (topics, next) = TopicsFound::merged(vec![found(&["a", "b"], false)], 1);
        assert_eq!((names(&topics), next.as_deref()), (vec!["a"], Some("a")));
    }

    #[test]
    fn answers_that_cannot_be_are_none() {
        assert!(found(&["a"], true).is_sound(1));
        assert!(!found(&[], true).is_sound(1));
        assert!(!found(&["a", "b"], false).is_sound(1));
    }

    #[test]
    fn what_does_not_fit_is_said_to_be_behind_the_rest() {
        let fitted = found(&["a", "b", "c"], false).fitted(2 * (2 + AROUND));
        assert_eq!(fitted, found(&["a", "b"], true));
        assert!(!found(&["a"], false).fitted(1000).more);
        let one = ConnectionInfo {
            node: "a".to_owned(),
            session_id: "s".repeat(32),
            address: None,
            jti: None,
            expires_in: None,
            subscriptions: 1,
            topics: vec!["t".repeat(255)],
            waiting_bytes: 0,
        };
        let many = Connections {
            count: 50,
            connections: vec![one; 50],
            nodes: None,
        };
        let fitted = many.fitted(8 << 10);
        assert_eq!(fitted.count, 50);
        assert!(serde_json::to_vec(&fitted).unwrap().len() <= 8 << 10);
        assert!(!fitted.connections.is_empty());
    }

    #[test]
    fn whatever_others_count_is_added_without_an_overflow() {
        let most = Counts {
            connections: u64::MAX,
            latency: vec![(3, u64::MAX), (usize::MAX, 1)],
            recent: (u64::MAX, 1),
            uptime_s: 5,
            ..Counts::default()
        };
        let mut sum = Counts {
            connections: 1,
            latency: vec![(3, 1), (4, 1)],
            uptime_s: 7,
            ..Counts::default()
        };
        sum.add(&most);
        assert_eq!(sum.connections, u64::MAX);
        assert_eq!(sum.latency, [(3, u64::MAX), (4, 1), (usize::MAX, 1)]);
        assert_eq!((sum.recent, sum.uptime_s), ((u64::MAX, 1), 7));
    }

    proptest! {
        /// Page by page, every topic of every gateway comes once with its whole count.
        #[test]
        fn pages_leave_nothing_out(
            nodes in prop::collection::vec(prop::collection::btree_map("[a-c]{1,3}", 1_usize..5, 0..30), 1..4),
            limit in 1_usize..5,
            room in 40_usize..200,
        ) {
            let mut whole: BTreeMap<String, usize> = BTreeMap::new();
            for (name, count) in nodes.iter().flatten() {
                *whole.entry(name.clone()).or_default() += count;
            }
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let parts = nodes.iter().map(|topics| {
                    let behind = topics.iter().filter(|(name, _)| **name > after);
                    let mut topics: Vec<_> = behind.map(|(name, count)| (name.clone(), *count)).collect();
                    let more = topics.len() > limit;
                    topics.truncate(limit);
                    TopicsFound { topics, more }.fitted(room)
                });
                let parts: Vec<_> = parts.collect();
                prop_assert!(parts.iter().all(|part| part.is_sound(limit)));
                let (topics, next) = TopicsFound::merged(parts, limit);
                prop_assert!(topics.len() <= limit);
                seen.extend(topics.into_iter().map(|one| (one.topic, one.subscribers)));
                match next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            prop_assert_eq!(seen, whole.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(body: Vec<u8>) {
            let _ = serde_json::from_slice::<TopicsFound>(&body);
            let _ = serde_json::from_slice::<Connections>(&body);
            let _ = serde_json::from_slice::<Counts>(&body);
            let _ = serde_json::from_slice::<Disconnect>(&body);
        }
    }
}
