//! What this gateway has, and what it does when an operator or another gateway asks.

use std::sync::{Arc, Weak};

use crate::gateway::Gateway;
use crate::protocol::Topic;
use crate::transport::{Seen, ShardHandle, Whom};

use super::words::{
    ConnectionInfo, Connections, Counts, Disconnect, MOST_CONNECTIONS, Page, TopicsFound,
    Unsubscribe,
};

/// This gateway. It keeps nothing alive: what it answers from ends with the gateway.
pub(super) struct Local {
    pub(super) node: String,
    gateway: Weak<Gateway>,
    pub(super) shards: Vec<ShardHandle>,
}

impl Local {
    pub(super) fn new(node: &str, gateway: &Arc<Gateway>, shards: Vec<ShardHandle>) -> Self {
        Self {
            node: node.to_owned(),
            gateway: Arc::downgrade(gateway),
            shards,
        }
    }

    pub(super) fn gateway(&self) -> Option<Arc<Gateway>> {
        self.gateway.upgrade()
    }

    /// Closes sockets; how many.
    pub(super) async fn kick(&self, whom: &Whom) -> usize {
        let mut count = 0;
        for shard in &self.shards {
            count += shard.kick(whom.clone()).await;
        }
        count
    }

    /// First refused, then closed: nobody slips in between.
    pub(super) async fn disconnect(&self, question: &Disconnect) -> usize {
        let (user, jti) = (question.user.as_deref(), question.jti.as_deref());
        if let (Some(at_ms), Some(gateway)) = (question.revoked_ms, self.gateway()) {
            gateway.revoke(at_ms, user, jti);
        }
        let whom = Whom {
            user: user.map(Into::into),
            token_id: jti.map(Into::into),
            issued_by_ms: None,
        };
        self.kick(&whom).await
    }

    /// Takes a topic from a user; from how many connections.
    pub(super) async fn unsubscribe(&self, question: &Unsubscribe) -> usize {
        let Ok(topic) = Topic::new(&question.topic) else {
            return 0;
        };
        let mut count = 0;
        for shard in &self.shards {
            count += shard.unsubscribe(&question.user, &topic).await;
        }
        count
    }

    pub(super) async fn topics(&self, page: &Page) -> TopicsFound {
        let Some(gateway) = self.gateway() else {
            return TopicsFound::default();
        };
        // One more tells whether there is more.
        let most = page.limit.saturating_add(1);
        let mut names = gateway.hub().page(&page.prefix, &page.after, most);
        let more = names.len() > page.limit;
        names.truncate(page.limit);
        let mut counts = vec![0; names.len()];
        for shard in &self.shards {
            let here = shard.subscribers(names.as_slice().into()).await;
            for (count, here) in counts.iter_mut().zip(here) {
                *count += here;
            }
        }
        let names = names.iter().map(|topic| topic.as_str().to_owned());
        TopicsFound {
            topics: names.zip(counts).collect(),
            more,
        }
    }

    pub(super) async fn connections(&self, user: &str) -> Connections {
        let unix_ms = self.gateway().map_or(0, |gateway| gateway.now().unix_ms);
        let mut all = Connections::default();
        for shard in &self.shards {
            let room = MOST_CONNECTIONS - all.connections.len();
            let found = shard.connections(user, room).await;
            all.count += found.count;
            let seen = found.connections.iter().take(room);
            let seen = seen.map(|seen| self.info(seen, unix_ms));
            all.connections.extend(seen);
        }
        all
    }

    fn info(&self, seen: &Seen, unix_ms: u64) -> ConnectionInfo {
        let expires = seen.expires_unix_ms;
        ConnectionInfo {
            node: self.node.clone(),
            session_id: seen.session_id.clone(),
            address: seen.address.map(|address| address.to_string()),
            jti: seen.token_id.as_deref().map(str::to_owned),
            expires_in: expires.map(|at| at.saturating_sub(unix_ms) / 1000),
            subscriptions: seen.subscriptions,
            topics: seen.topics.iter().map(|t| t.as_str().to_owned()).collect(),
            waiting_bytes: seen.waiting_bytes,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let Some(gateway) = self.gateway() else {
            return Counts::default();
        };
        let totals = gateway.totals();
        let shared = gateway.shared_metrics();
        let (published, duplicates) = shared.publishes();
        let (resumed, not_resumed) = shared.resumes();
        let recent = gateway.recent(&totals.latency);
        Counts {
            connections: totals.connections,
            topics: gateway.hub().topics() as u64,
            subscriptions: totals.subscriptions,
            published,
            duplicates,
            delivered: totals.delivered,
            resumed,
            not_resumed,
            latency: totals.latency.filled(),
            recent: (recent.all, recent.within),
            uptime_s: gateway.mono_ns() / 1_000_000_000,
        }
    }
}
