//! Letting go of a session that another gateway takes over.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::backbone::nats::{Bus, NatsSessions, TAKE_OVER, TakeOver};
use crate::backbone::sessions::StoredSession;
use crate::backbone::{SessionId, SessionRecord};
use crate::gateway::Gateway;
use crate::session::session_id;
use crate::transport::ShardHandle;

use super::{read, written};

/// This gateway, as the others see it.
///
/// It keeps nothing alive: what it answers from ends with the gateway.
pub(super) struct Member {
    gateway: Weak<Gateway>,
    shards: Vec<ShardHandle>,
    sessions: Weak<NatsSessions>,
}

impl Member {
    /// Joins: from now on the others are answered.
    ///
    /// # Errors
    /// When NATS does not take the subscriptions.
    pub(super) async fn join(
        bus: &Bus,
        gateway: &Arc<Gateway>,
        shards: Vec<ShardHandle>,
        sessions: &Arc<NatsSessions>,
    ) -> Result<(), String> {
        let member = Arc::new(Self {
            gateway: Arc::downgrade(gateway),
            shards,
            sessions: Arc::downgrade(sessions),
        });
        let (own, runtime) = (member.clone(), tokio::runtime::Handle::current());
        sessions.when_taken(move |id, user| {
            let member = own.clone();
            runtime.spawn(async move { member.close(id, &user).await });
        });
        let served = bus.serve(TAKE_OVER, move |body| {
            let member = member.clone();
            async move { member.take_over(&body).await }
        });
        served.await.map_err(|error| error.to_string())
    }

    /// Another gateway has the session now: says where it stood.
    async fn take_over(&self, body: &[u8]) -> Bytes {
        let Some(TakeOver { id, user }) = read(body) else {
            return Bytes::new();
        };
        let Some(id) = session_id(&id) else {
            return Bytes::new();
        };
        let sessions = self.sessions.upgrade();
        let unwritten = sessions.and_then(|sessions| sessions.let_go(id));
        let unwritten = unwritten.filter(|session| session.user == user);
        let stood = self.close(id, &user).await;
        let stood = stood.map(|record| StoredSession::from(&record));
        let stood = stood.or(unwritten);
        stood.map_or_else(Bytes::new, |session| written(&session))
    }

    /// Closes the socket that holds the session, if there is one here.
    async fn close(&self, id: SessionId, user: &str) -> Option<SessionRecord> {
        let live = self.gateway.upgrade()?.live().find(id)?;
        let shard = self.shards.get(usize::from(live.shard))?;
        shard.take_over(live.key, id, user).await
    }
}
