//! The conductor: every publish, subscribe and question for history, whichever way it came in,
//! passes through here, so that access (I1), limits and counting cannot be gone around.
//!
//! Uses: protocol, backbone, hub, token, auth, histogram, metrics, slo, traces.

mod access;
mod admission;
mod traced;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use crate::auth::{Authenticator, Principal, Revoked};
use crate::backbone::{
    Answer, Durability, Handle, History, Now, PageSize, Publication, Published, Replay, Sessions,
    Unavailable, unix_ms,
};
use crate::histogram::Distribution;
use crate::hub::{Hub, LiveSessions, LocalTopic, ShardId};
use crate::metrics::{ShardMetrics, SharedMetrics, Totals};
use crate::protocol::{ErrorCode, Position, Refusal, SeqNo, Topic};
use crate::slo::{Counted, Slo, Window};
use crate::token::Action;
use crate::traces::Traces;

pub use admission::Permit;

/// What an answer of the backbone is before it is there.
pub type Asked<T> = Result<Answer<Result<T, Unavailable>>, Refusal>;

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Self {
        Self::new(ErrorCode::NotAvailable, error.to_string())
    }
}

/// The gateway's heart, shared by every shard and every HTTP handler.
pub struct Gateway {
    started: Instant,
    node: Arc<str>,
    authenticator: RwLock<Arc<Authenticator>>,
    revoked: Mutex<Revoked>,
    backbone: Handle,
    sessions: Arc<dyn Sessions>,
    live: LiveSessions,
    hub: Arc<Hub>,
    shared: SharedMetrics,
    shards: Vec<Arc<ShardMetrics>>,
    connections: AtomicU64,
    admitted: AtomicU64,
    max_connections: AtomicU64,
    draining: AtomicBool,
    slo: Slo,
    slo_window: Mutex<Window>,
    traces: Traces,
}

impl Gateway {
    /// Puts the rooms together. `max_connections` of 0 is no limit; `node` is what the gateway is called.
    #[must_use]
    pub fn new(
        authenticator: Authenticator,
        backbone: Handle,
        sessions: Arc<dyn Sessions>,
        hub: Arc<Hub>,
        max_connections: usize,
        slo: Slo,
        node: &str,
    ) -> Self {
        let shards = std::iter::repeat_with(Arc::default).take(hub.shards());
        Self {
            started: Instant::now(),
            node: node.into(),
            authenticator: RwLock::new(Arc::new(authenticator)),
            revoked: Mutex::default(),
            backbone,
            sessions,
            live: LiveSessions::default(),
            shared: SharedMetrics::default(),
            shards: shards.collect(),
            hub,
            connections: AtomicU64::new(0),
            admitted: AtomicU64::new(0),
            max_connections: AtomicU64::new(max_connections as u64),
            draining: AtomicBool::new(false),
            slo,
            slo_window: Mutex::default(),
            traces: Traces::default(),
        }
    }

    /// What it is called among the gateways.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Tells of what is traced. Nobody is told otherwise.
    #[must_use]
    pub fn with_traces(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }

    /// What is traced.
    #[must_use]
    pub const fn traces(&self) -> &Traces {
        &self.traces
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            mono_ns: self.mono_ns(),
            unix_ms: unix_ms(),
        }
    }

    /// Nanoseconds since the gateway started.
    #[must_use]
    pub fn mono_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// The hub.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// A shard has its first subscriber of a topic.
    pub fn join(&self, topic: &Topic, shard: ShardId, local: LocalTopic) {
        let first = || self.backbone.interest(topic, true);
        self.hub.join(topic, shard, local, first);
    }

    /// A shard has no subscriber of a topic any more.
    pub fn leave(&self, topic: &Topic, shard: ShardId, local: LocalTopic) {
        let last = || self.backbone.interest(topic, false);
        self.hub.leave(topic, shard, local, last);
    }

    /// What an acknowledged message is safe from.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.backbone.durability()
    }

    /// Sessions whose sockets are gone.
    #[must_use]
    pub fn sessions(&self) -> &dyn Sessions {
        &*self.sessions
    }

    /// Sessions whose sockets live.
    #[must_use]
    pub fn live(&self) -> &LiveSessions {
        &self.live
    }

    /// What is counted outside the shards.
    #[must_use]
    pub const fn shared_metrics(&self) -> &SharedMetrics {
        &self.shared
    }

    /// Where a shard counts.
    #[must_use]
    pub fn shard_metrics(&self, shard: u16) -> Arc<ShardMetrics> {
        self.shards[usize::from(shard)].clone()
    }

    /// Publishes a message. Topic and id are checked already.
    ///
    /// # Errors
    /// [`ErrorCode::AclDenied`]; [`Unavailable`] comes with the answer.
    pub fn publish(
        &self,
        now: Now,
        principal: &Principal,
        publication: Publication<'_>,
    ) -> Asked<Published> {
        self.allow(principal, Action::Write, publication.topic)
            .inspect_err(|refusal| self.shared.publish_refused(refusal.code))?;
        let user = &*principal.user;
        let publication = Publication {
            user,
            ..publication
        };
        let span = self.traces.publish();
        let traced = span
            .map(|span| traced::Traced::begin(span, publication.topic, publication.payload.len()));
        let mut answer = self.backbone.publish(now, publication);
        if let Some(traced) = traced {
            answer = traced.until(answer);
        }
        if let Answer::Ready(answer) = &answer {
            self.count(answer);
        }
        Ok(answer)
    }

    /// Waits for the answer to a publish that was asked at `since`.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn published_when(
        &self,
        since: Now,
        answer: Answer<Result<Published, Unavailable>>,
    ) -> Result<Published, Unavailable> {
        match answer {
            Answer::Ready(answer) => answer,
            later @ Answer::Later(_) => {
                let answer = later.await;
                self.count_later(since, &answer);
                answer
            }
        }
    }

    /// Counts a publish that was asked at `since` and whose answer came later.
    pub fn count_later(&self, since: Now, answer: &Result<Published, Unavailable>) {
        self.shared.publish_took(self.mono_ns() - since.mono_ns);
        self.count(answer);
    }

    fn count(&self, answer: &Result<Published, Unavailable>) {
        match answer {
            Ok(published) => self.shared.published(published.status),
            Err(_) => self.shared.publish_refused(ErrorCode::NotAvailable),
        }
    }

    /// Attaches a reader to a topic: `join` is called when it is allowed, before the head is
    /// looked at, so that no record can slip between the two.
    ///
    /// # Errors
    /// [`ErrorCode::AclDenied`]; [`Unavailable`] comes with the answer.
    pub fn subscribe(
        &self,
        now: Now,
        principal: &Principal,
        topic: &Topic,
        after: Option<&Position>,
        join: impl FnOnce() -> Result<(), Refusal>,
    ) -> Asked<Replay> {
        self.allow(principal, Action::Read, topic.as_str())?;
        join()?;
        Ok(self.backbone.replay(now, topic, after))
    }

    /// Kept messages of a topic after a number.
    ///
    /// # Errors
    /// [`ErrorCode::AclDenied`]; [`Unavailable`] comes with the answer.
    pub fn history(
        &self,
        now: Now,
        principal: &Principal,
        topic: &Topic,
        after: SeqNo,
        page: PageSize,
    ) -> Asked<History> {
        self.allow(principal, Action::Read, topic.as_str())?;
        Ok(self.backbone.history(now, topic, after, page))
    }

    /// Whether the gateway can serve.
    ///
    /// # Errors
    /// The reason why not.
    pub fn ready(&self) -> Result<(), Refusal> {
        if self.is_draining() {
            let text = "draining: the gateway is going away";
            return Err(Refusal::new(ErrorCode::NotAvailable, text));
        }
        Ok(self.backbone.health()?)
    }

    /// Whether the backbone can be reached.
    #[must_use]
    pub fn has_backbone(&self) -> bool {
        self.backbone.health().is_ok()
    }

    /// All shards added up.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            connections: self.connections(),
            ..Totals::default()
        };
        for shard in &self.shards {
            totals.add(shard);
        }
        totals
    }

    /// What deliveries are judged by.
    #[must_use]
    pub const fn slo(&self) -> Slo {
        self.slo
    }

    /// Deliveries of the last minutes, and how many of them were within the target.
    #[must_use]
    pub fn recent(&self, latency: &Distribution) -> Counted {
        let counted = self.counted(latency);
        let window = self.slo_window.lock();
        window.recent(self.now().mono_ms(), counted)
    }

    fn counted(&self, latency: &Distribution) -> Counted {
        Counted {
            all: latency.count(),
            within: latency.within(self.slo.target.as_nanos() as u64),
        }
    }

    /// Lets go of what has outlived its time. Called about once a second.
    pub fn tend(&self) {
        let now = self.now();
        self.backbone.tend(now);
        let counted = self.counted(&self.totals().latency);
        self.slo_window.lock().mark(now.mono_ms(), counted);
    }
}
