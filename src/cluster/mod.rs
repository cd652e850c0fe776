//! What gateways do for each other, and what operators ask of all of them at once.
//!
//! Any gateway takes an operator's request. It checks who asks, does its own part, and asks the others
//! over NATS. Each has a few seconds; which of them answered is part of the answer, so that it is never
//! less than it seems. Alone, a gateway answers for itself.
//!
//! * [`words`](Part): questions and answers as they travel, and their limits. Pure.
//! * `local`: what this gateway has and does.
//! * `operators`: that of all gateways together.
//! * `sessions`: letting go of a session that another gateway takes over.
//!
//! Uses: protocol, backbone, gateway, session, slo, transport.

mod local;
mod operators;
mod sessions;
mod words;

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::backbone::Unavailable;
use crate::backbone::nats::{Bus, NatsSessions, Revocation, Revocations, Whose};
use crate::gateway::Gateway;
use crate::transport::{ShardHandle, Whom};

use local::Local;
use operators::Gathered;
use sessions::Member;

pub use operators::{Everywhere, NodeCounts};
pub use words::{
    ConnectionInfo, Connections, Counts, Disconnected, Part, TopicCount, TopicList, Unsubscribed,
};

/// How long the others are waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long is tried to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);
/// How long a gateway that starts asks what it has to know, and how often: servers that have just found each
/// other do not answer at once.
const START: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(200));

/// The other gateways, and what all of them share.
pub struct Others {
    /// The way to them.
    pub bus: Bus,
    /// Sessions that any of them can go on with.
    pub sessions: Arc<NatsSessions>,
    /// Whom all of them turn away.
    pub revocations: Revocations,
}

/// All gateways, as seen from this one.
pub struct Cluster {
    local: Arc<Local>,
    others: Option<Others>,
    gathered: Mutex<Option<(Instant, Gathered)>>,
}

impl Cluster {
    /// Alone.
    #[must_use]
    pub fn alone(node: &str, gateway: &Arc<Gateway>, shards: Vec<ShardHandle>) -> Self {
        Self {
            local: Arc::new(Local::new(node, gateway, shards)),
            others: None,
            gathered: Mutex::default(),
        }
    }

    /// Joins: from now on the others are answered. Revocations after `seen` are learned.
    ///
    /// # Errors
    /// When NATS does not take part.
    pub async fn join(
        node: &str,
        gateway: &Arc<Gateway>,
        shards: Vec<ShardHandle>,
        others: Others,
        seen: u64,
    ) -> Result<Self, String> {
        let bus = &others.bus;
        Member::join(bus, gateway, shards.clone(), &others.sessions).await?;
        let alone = Self::alone(node, gateway, shards);
        operators::serve(bus, &alone.local).await?;
        let (local, runtime) = (alone.local.clone(), tokio::runtime::Handle::current());
        let gateway = Arc::downgrade(gateway);
        others.revocations.follow(seen, move |revocation| {
            let local = local.clone();
            if let Some(whom) = turn_away(&gateway, &revocation) {
                // Whoever is still here with such a token came before we knew.
                runtime.spawn(async move { local.kick(&whom).await });
            }
        });
        bus.enter().await;
        Ok(Self {
            others: Some(others),
            ..alone
        })
    }

    /// Says goodbye: from now on nobody misses an answer of this gateway.
    pub async fn leave(&self) {
        if let Some(others) = &self.others {
            let _ = timeout(GOODBYE, others.bus.leave()).await;
        }
    }
}

impl Others {
    /// What has to be sure before anybody is let in: that nobody else has this gateway's name, and whom all of
    /// them turn away. Returns where to go on learning that.
    ///
    /// # Errors
    /// When another one has the name, or when NATS does not say.
    pub async fn prepare(&self, gateway: &Arc<Gateway>) -> Result<u64, String> {
        let deadline = Instant::now() + START.0;
        let (taken, (known, seen)) = loop {
            match self.look().await {
                Ok(found) => break found,
                Err(error) if Instant::now() >= deadline => return Err(error.to_string()),
                Err(_) => sleep(START.1).await,
            }
        };
        if taken {
            let node = gateway.node();
            return Err(format!(
                "another gateway is called {node}: give each a name of its own with --node"
            ));
        }
        let gateway = Arc::downgrade(gateway);
        for revocation in &known {
            turn_away(&gateway, revocation);
        }
        Ok(seen)
    }

    /// Whether another one has the name, and whom all turn away.
    async fn look(&self) -> Result<(bool, (Vec<Revocation>, u64)), Unavailable> {
        let taken = operators::has_namesake(&self.bus).await?;
        Ok((taken, self.revocations.all().await?))
    }
}

/// Refuses the tokens from now on; returns whose connections have to go.
fn turn_away(gateway: &Weak<Gateway>, revocation: &Revocation) -> Option<Whom> {
    let gateway = gateway.upgrade()?;
    let at_ms = revocation.at_ms;
    let (user, jti) = match &revocation.whose {
        Whose::User(user) => (Some(&**user), None),
        Whose::Jti(jti) => (None, Some(&**jti)),
    };
    gateway.revoke(at_ms, user, jti);
    (!gateway.is_demo()).then(|| Whom {
        user: user.map(Into::into),
        token_id: jti.map(Into::into),
        issued_by_ms: Some(at_ms),
    })
}

/// As it travels.
fn written(what: &impl Serialize) -> Bytes {
    // Strings and numbers: writing them to memory cannot fail.
    serde_json::to_vec(what).unwrap_or_default().into()
}

/// What came; `None` when it cannot be read.
fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}
