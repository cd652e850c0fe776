//! Where a session meets a socket.
//!
//! One shard a core: a thread with its own event loop that accepts connections and owns them for
//! life. What is ready is read and published first; then, at the end of the turn, each socket that
//! has something to get is written once. Nothing waits for a timer, and an idle connection owns no
//! buffer.
//!
//! * [`listen`], `entrance`: accept, speak HTTP, and hand upgraded sockets to the shard.
//! * [`tls`], `stream`: TLS where it is asked for, and one stream for both kinds, as HTTP needs it.
//! * `poller`, `socket`: which sockets are ready, and what is read and written then.
//! * `shard`: the connections of one core, and the turn.
//! * `driver`: what a session wants, done.
//! * `identity`: whose connection it is.
//! * `subscribe`, `sessions`: topics and sessions of a connection.
//! * `turn`, `flush`: what came is handed out, and each socket written once.
//! * `operate`: what operators ask of the connections.
//! * `faults`: bad networks, for trying things out.
//! * `window`: what a qos 1 subscriber has not acknowledged. Pure.
//! * `connection`: one socket, its session and what waits for it.
//! * `aside`: what few connections have.
//! * `slots`: connections by their numbers. Pure.
//! * `patience`, `guests`: how long a peer may take, and how many may come. `patience` is pure.
//! * `deadlines`: when to look at which connection. Pure.
//!
//! Uses: protocol, websocket, session, hub, gateway, backbone, token, auth, metrics, traces.

mod aside;
mod connection;
mod deadlines;
mod driver;
mod entrance;
mod faults;
mod flush;
mod guests;
mod identity;
pub mod listen;
mod operate;
mod patience;
mod poller;
mod sessions;
mod shard;
mod slots;
mod socket;
mod stream;
mod subscribe;
pub mod tls;
mod turn;
mod window;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod late;

use std::sync::Arc;
use std::time::Duration;

pub use guests::Guest;
use hyper::upgrade::OnUpgrade;
use tokio::sync::{mpsc, oneshot};

use crate::auth::Principal;
use crate::backbone::{SessionId, SessionRecord};
use crate::gateway::Permit;
use crate::hub::{HeldByNewer, Key};
use crate::protocol::Topic;
use crate::session;

use sessions::Fate;

pub use faults::{Fault, inflict};
pub use operate::{Found, Seen};

/// What a connection may do and how long it may be silent.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest message of a client, in bytes.
    pub max_message_bytes: usize,
    /// Subscriptions of one connection.
    pub max_topics: usize,
    /// Bytes that may wait for one connection.
    pub send_queue_bytes: usize,
    /// Silence after which a connection is pinged.
    pub ping_interval: Duration,
    /// Silence after a ping that ends the connection.
    pub pong_timeout: Duration,
    /// How long a message may take from its first byte to its last, in milliseconds; a request and its
    /// answer too.
    pub message_timeout_ms: u64,
    /// Connections that are not set up yet; 0 is no limit.
    pub max_pending: usize,
    /// Connections of one address; 0 is no limit.
    pub max_connections_per_address: usize,
    /// How long a session can be resumed after its socket is gone.
    pub session_ttl: Duration,
    /// The session's own limits.
    pub session: session::Limits,
}

/// What a shard is told.
pub(crate) enum Command {
    /// Take over the socket of an accepted upgrade, subscribed to the topic of its URL.
    Adopt(OnUpgrade, Option<Topic>, Permit, Arc<Guest>),
    /// Close this share of the connections with 1012, spread over this time.
    Drain(Duration),
    /// These limits hold from now on.
    Limit(Limits),
    /// An operator asks.
    Ask(operate::Question),
    /// Treat this connection, if it still holds the session, as a bad network would.
    Inflict(Key, SessionId, Fault, oneshot::Sender<bool>),
    /// Close the connections of somebody with 4003.
    Kick(Kick),
    /// Hand this connection's session over to a newer socket of the user.
    TakeOver(Key, TakeOver),
    /// Write all sessions whose sockets live, before what was written of them is too old.
    KeepSessions,
    /// Fail, as if it had lost sight of its deadlines.
    #[cfg(test)]
    Fail,
}

/// What a session was when its connection let go of it; nothing when that does not hold it.
pub(crate) type Taken = Result<Option<SessionRecord>, HeldByNewer>;

/// A newer socket wants a session.
pub(crate) struct TakeOver {
    id: SessionId,
    /// Whose session it has to be.
    user: Arc<str>,
    /// Of the connection that asks; see [`Permit::order`].
    order: u64,
    /// Of the session, when the connection has let go of it.
    fate: Fate,
    reply: oneshot::Sender<Taken>,
}

/// Whose connections to close: the user's, and those whose token has that id: the one they were opened with, or that
/// of their last refresh.
#[derive(Debug, Clone, Default)]
pub struct Whom {
    /// The user.
    pub user: Option<Arc<str>>,
    /// The token's id.
    pub token_id: Option<Arc<str>>,
    /// Of the user's only those whose token was issued up to this moment, in milliseconds since the Unix
    /// epoch.
    pub issued_by_ms: Option<u64>,
}

impl Whom {
    fn is(&self, principal: &Principal) -> bool {
        let is_old = |at_ms| principal.was_issued_by(at_ms);
        let user = self.user.as_ref();
        let by_user = user.is_some_and(|user| *user == principal.user);
        let token = principal.token_id.as_ref();
        by_user && self.issued_by_ms.is_none_or(is_old)
            || self.token_id.as_ref().is_some_and(|id| Some(id) == token)
    }
}

/// Those connections, closed.
pub(crate) struct Kick {
    whom: Whom,
    answer: oneshot::Sender<usize>,
}

/// The shard that reads a request; found in the request's extensions.
#[derive(Clone)]
pub struct ShardHandle(pub(crate) mpsc::UnboundedSender<Command>);

impl ShardHandle {
    /// Hands over a socket that is being upgraded.
    pub fn adopt(
        &self,
        upgrade: OnUpgrade,
        topic: Option<Topic>,
        permit: Permit,
        guest: Arc<Guest>,
    ) {
        self.tell(Command::Adopt(upgrade, topic, permit, guest));
    }

    /// A shard that is gone drops the command with all that is in it: sockets close, answers fail.
    fn tell(&self, command: Command) {
        let _ = self.0.send(command);
    }

    /// Takes a user's session from the connection that holds it, which is closed with 4009. `None` when it
    /// does not hold it any more.
    pub async fn take_over(&self, key: Key, id: SessionId, user: &str) -> Option<SessionRecord> {
        let (reply, answer) = oneshot::channel();
        let take_over = TakeOver {
            id,
            user: user.into(),
            // Gateways do not count together: the one that asks last is taken for the newer one.
            order: u64::MAX,
            fate: Fate::Moved,
            reply,
        };
        self.tell(Command::TakeOver(key, take_over));
        answer.await.ok()?.ok().flatten()
    }

    /// Closes these connections with 4003. Answers how many they were.
    pub async fn kick(&self, whom: Whom) -> usize {
        let (answer, count) = oneshot::channel();
        self.tell(Command::Kick(Kick { whom, answer }));
        count.await.unwrap_or(0)
    }

    /// Writes all sessions whose sockets live, where what is written gets too old.
    pub fn keep_sessions(&self) {
        self.tell(Command::KeepSessions);
    }

    /// Holds its connections to these limits from now on, but for what a session was begun with.
    pub fn limit(&self, limits: Limits) {
        self.tell(Command::Limit(limits));
    }

    /// Makes the shard fail.
    #[cfg(test)]
    pub(crate) fn fail(&self) {
        self.tell(Command::Fail);
    }

    /// Closes the shard's connections, spread over this time.
    pub fn drain(&self, spread: Duration) {
        self.tell(Command::Drain(spread));
    }
}
