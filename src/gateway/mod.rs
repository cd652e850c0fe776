//! The conductor: every publish, subscribe and question for history, whichever way it came in,
//! passes through here, so that access (I1), limits and counting cannot be gone around.
//!
//! Uses: protocol, backbone, hub, token, auth, histogram, metrics, slo, traces.

mod traced;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};

use crate::auth::{Authenticator, Checking, Principal, Revoked};
use crate::backbone::{
    Answer, Durability, Handle, History, Now, PageSize, Publication, Published, Replay, Sessions,
    Unavailable,
};
use crate::histogram::Distribution;
use crate::hub::{Hub, LiveSessions, LocalTopic, ShardId};
use crate::metrics::{Refused, ShardMetrics, SharedMetrics, Totals};
use crate::protocol::{ErrorCode, Position, Refusal, SeqNo, Topic};
use crate::slo::{Counted, Slo, Window};
use crate::token::Action;
use crate::traces::Traces;

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
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            mono_ns: self.mono_ns(),
            unix_ms: unix.unwrap_or_default().as_millis() as u64,
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

    /// Who is this?
    pub fn authenticate(self: &Arc<Self>, token: &str) -> Checking {
        match self.authenticator().authenticate(self.now().unix_ms, token) {
            Checking::Done(answer) => Checking::Done(answer.and_then(|who| {
                self.unrevoked(&who)?;
                Ok(who)
            })),
            Checking::Waiting(answer) => {
                let gateway = self.clone();
                Checking::Waiting(Box::pin(async move {
                    let who = answer.await?;
                    gateway.still(&who)?;
                    Ok(who)
                }))
            }
        }
    }

    /// How tokens are checked now.
    #[must_use]
    pub fn authenticator(&self) -> Arc<Authenticator> {
        self.authenticator.read().clone()
    }

    /// From now on tokens are checked in this way. Who was let in stays.
    pub fn trust(&self, authenticator: Authenticator) {
        *self.authenticator.write() = Arc::new(authenticator);
    }

    /// Whether somebody who was let in may still act: a request's body may come long after its token.
    ///
    /// # Errors
    /// [`ErrorCode::TokenExpired`], or [`ErrorCode::AuthFailed`] when the token was revoked.
    pub fn still(&self, principal: &Principal) -> Result<(), Refusal> {
        principal.unexpired(self.now().unix_ms)?;
        self.unrevoked(principal)
    }

    fn unrevoked(&self, principal: &Principal) -> Result<(), Refusal> {
        if self.revoked.lock().refuses(principal) {
            let text = "the token was revoked; get a new one";
            return Err(Refusal::new(ErrorCode::AuthFailed, text));
        }
        Ok(())
    }

    /// Refuses the user's tokens issued until this moment, and the token of this id, from now on. With
    /// demo auth there is nothing to refuse: the token is only a name, and nothing says when it was given.
    pub fn revoke(&self, unix_ms: u64, user: Option<&str>, token_id: Option<&str>) {
        if self.is_demo() {
            return;
        }
        let mut revoked = self.revoked.lock();
        if let Some(user) = user {
            revoked.user(unix_ms, user);
        }
        if let Some(id) = token_id {
            revoked.token(unix_ms, id);
        }
    }

    /// Whether any token is that user.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        matches!(*self.authenticator(), Authenticator::Demo)
    }

    /// Whether the principal may do this now.
    fn allow(&self, principal: &Principal, action: Action, topic: &str) -> Result<(), Refusal> {
        let verb = match action {
            Action::Read => "read",
            Action::Write => "publish to",
        };
        if principal.grants.allow(action, topic) {
            Ok(())
        } else {
            let text = format!("your token does not allow you to {verb} this topic");
            Err(Refusal::new(ErrorCode::AclDenied, text))
        }
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

    /// Room for one more connection, given back when the permit is dropped.
    ///
    /// # Errors
    /// [`ErrorCode::NotAvailable`] when the gateway is full or going away.
    pub fn admit(self: &Arc<Self>) -> Result<Permit, Refusal> {
        if self.is_draining() {
            self.shared.refused(Refused::Draining);
            let text = "the gateway is going away; connect to another one";
            return Err(Refusal::new(ErrorCode::NotAvailable, text));
        }
        let permit = Permit {
            gateway: self.clone(),
            order: self.admitted.fetch_add(1, Ordering::Relaxed),
        };
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let most = self.max_connections();
        if most > 0 && before >= most {
            self.shared.refused(Refused::Full);
            let text = format!("all {most} connections are taken; try again");
            return Err(Refusal::new(ErrorCode::NotAvailable, text));
        }
        Ok(permit)
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

    /// From now on no new connection is admitted and [`Gateway::ready`] says no.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway is going away.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// WebSockets open now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many WebSockets may be open; 0 is no limit.
    #[must_use]
    pub fn max_connections(&self) -> u64 {
        self.max_connections.load(Ordering::Relaxed)
    }

    /// Changes how many WebSockets may be open. Those that are stay.
    pub fn set_max_connections(&self, most: usize) {
        self.max_connections.store(most as u64, Ordering::Relaxed);
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

/// A connection's place under `max-connections`.
pub struct Permit {
    gateway: Arc<Gateway>,
    order: u64,
}

impl Permit {
    /// Connections that were admitted later have a higher one. It is given before the client hears of
    /// being admitted, so a socket that a client opens because it gave up another has a higher one.
    #[must_use]
    pub const fn order(&self) -> u64 {
        self.order
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gateway.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
