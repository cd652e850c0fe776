//! What operators ask of all gateways at once.

use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Duration, Instant, timeout};

use crate::backbone::Unavailable;
use crate::backbone::nats::{Bus, Revocation, Whose as Revoked};
use crate::protocol::{ErrorCode, Refusal};
use crate::transport::ShardHandle;

use super::local::Local;
use super::words::{
    Connections, Counts, Disconnect, Disconnected, Page, Part, ROOM, TopicList, TopicsFound,
    Unsubscribe, Unsubscribed, Whose,
};
use super::{Cluster, PATIENCE, read, written};

const DISCONNECT: &str = "disconnect";
const UNSUBSCRIBE: &str = "unsubscribe";
const TOPICS: &str = "topics";
const CONNECTIONS: &str = "connections";
const COUNTS: &str = "counts";

/// How long a gateway that starts waits for another one of its name.
const NAMESAKE: Duration = Duration::from_secs(1);
/// The most topics of one answer.
const MOST_TOPICS: usize = 1000;
/// The age up to which numbers of all gateways serve whoever asks: anybody may, so that asking often does
/// not make every gateway answer often.
const FRESH: Duration = Duration::from_secs(1);

/// The numbers of all gateways.
#[derive(Debug, Clone)]
pub struct Everywhere {
    /// Added up, of those that answered.
    pub sum: Counts,
    /// Each of them; those that did not answer too.
    pub nodes: Vec<NodeCounts>,
}

/// One gateway's numbers.
#[derive(Debug, Clone)]
pub struct NodeCounts {
    /// What it is called.
    pub node: String,
    /// `None` when it did not answer in time.
    pub counts: Option<Counts>,
}

pub(super) type Gathered = Result<Arc<Everywhere>, Refusal>;

/// What the others said: `None` where there are none; an answer is missing where none came in time, or
/// none that can be.
type Said<A> = Option<Vec<(String, Option<A>)>>;

impl Cluster {
    /// What this gateway is called.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.local.node
    }

    /// The shards of this gateway.
    #[must_use]
    pub fn shards(&self) -> &[ShardHandle] {
        &self.local.shards
    }

    /// The numbers of this gateway alone.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.local.counts()
    }

    /// The numbers of all gateways, at most a second old.
    ///
    /// # Errors
    /// [`ErrorCode::NotAvailable`] when the others cannot be asked.
    pub async fn everywhere(&self) -> Result<Arc<Everywhere>, Refusal> {
        let mut gathered = self.gathered.lock().await;
        if let Some((at, answer)) = &*gathered
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = self.gather().await;
        *gathered = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn gather(&self) -> Gathered {
        let said = self.ask::<Counts>(COUNTS, &(), |_| true).await;
        let said = said.map_err(|error| not_asked("", &error))?;
        let mut sum = self.counts();
        let mut nodes = vec![NodeCounts {
            node: self.node().to_owned(),
            counts: Some(sum.clone()),
        }];
        for (node, counts) in said.into_iter().flatten() {
            counts.iter().for_each(|counts| sum.add(counts));
            nodes.push(NodeCounts { node, counts });
        }
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(Arc::new(Everywhere { sum, nodes }))
    }

    /// Closes the sockets of a user, and those whose token has that id, everywhere. With
    /// `revoke` their tokens are refused from now on, also by gateways that start later.
    ///
    /// # Errors
    /// [`ErrorCode::NotAvailable`] when it was done here, and may not have been elsewhere.
    pub async fn disconnect(
        &self,
        user: Option<&str>,
        jti: Option<&str>,
        revoke: bool,
    ) -> Result<Disconnected, Refusal> {
        let gateway = self.local.gateway();
        let gateway = gateway.filter(|gateway| revoke && !gateway.is_demo());
        let question = Disconnect {
            user: user.map(str::to_owned),
            jti: jti.map(str::to_owned),
            revoked_ms: gateway.map(|gateway| gateway.now().unix_ms),
        };
        let here = self.local.disconnect(&question).await;
        let (kept, said) = tokio::join!(
            self.keep(&question),
            self.ask::<usize>(DISCONNECT, &question, |_| true)
        );
        let done = format!("done on {} ({here} sockets), ", self.node());
        let said = said.map_err(|error| not_asked(&done, &error))?;
        kept.map_err(|error| not_kept(&done, &error))?;
        Ok(Disconnected {
            disconnected: total(here, &said),
            nodes: self.parts(&said),
        })
    }

    /// Writes a revocation down for those that start later.
    async fn keep(&self, question: &Disconnect) -> Result<(), Unavailable> {
        let (Some(others), Some(at_ms)) = (&self.others, question.revoked_ms) else {
            return Ok(());
        };
        let user = question.user.clone().map(Revoked::User);
        let jti = question.jti.clone().map(Revoked::Jti);
        for whose in [user, jti].into_iter().flatten() {
            let revocation = Revocation { whose, at_ms };
            let late = |_| Unavailable("NATS did not answer in time".to_owned());
            let adding = timeout(PATIENCE, others.revocations.add(&revocation));
            adding.await.map_err(late)??;
        }
        Ok(())
    }

    /// Takes a topic from a user everywhere.
    ///
    /// # Errors
    /// [`ErrorCode::NotAvailable`] when it was done here, and may not have been elsewhere.
    pub async fn unsubscribe(&self, user: &str, topic: &str) -> Result<Unsubscribed, Refusal> {
        let question = Unsubscribe {
            user: user.to_owned(),
            topic: topic.to_owned(),
        };
        let (here, said) = tokio::join!(
            self.local.unsubscribe(&question),
            self.ask::<usize>(UNSUBSCRIBE, &question, |_| true)
        );
        let done = format!("done on {} ({here} connections), ", self.node());
        let said = said.map_err(|error| not_asked(&done, &error))?;
        Ok(Unsubscribed {
            unsubscribed: total(here, &said),
            nodes: self.parts(&said),
        })
    }

    /// The first topics behind `after` that begin with `prefix` and have a subscriber anywhere.
    ///
    /// # Errors
    /// [`ErrorCode::NotAvailable`] when the others cannot be asked.
    pub async fn topics(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<TopicList, Refusal> {
        let page = Page {
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            limit: limit.min(MOST_TOPICS),
        };
        let sound = |found: &TopicsFound| found.is_sound(page.limit);
        let (here, said) = tokio::join!(
            self.local.topics(&page),
            self.ask::<TopicsFound>(TOPICS, &page, sound)
        );
        let said = said.map_err(|error| not_asked("", &error))?;
        let nodes = self.parts(&said);
        let there = said.into_iter().flatten().filter_map(|(_, found)| found);
        let parts = std::iter::once(here).chain(there).collect();
        let (topics, next) = TopicsFound::merged(parts, page.limit);
        Ok(TopicList {
            topics,
            next,
            nodes,
        })
    }

    /// The connections of a user, to whichever gateway.
    ///
    /// # Errors
    /// [`ErrorCode::NotAvailable`] when the others cannot be asked.
    pub async fn connections(&self, user: &str) -> Result<Connections, Refusal> {
        let question = Whose {
            user: user.to_owned(),
        };
        let (mut all, said) = tokio::join!(
            self.local.connections(user),
            self.ask::<Connections>(CONNECTIONS, &question, |_| true)
        );
        let said = said.map_err(|error| not_asked("", &error))?;
        all.nodes = self.parts(&said);
        let there = said.into_iter().flatten().filter_map(|(_, found)| found);
        there.for_each(|found| all.add(found));
        Ok(all)
    }

    /// Asks the others. An answer that is not sound is none.
    async fn ask<A: DeserializeOwned>(
        &self,
        kind: &str,
        question: &impl Serialize,
        sound: impl Fn(&A) -> bool,
    ) -> Result<Said<A>, Unavailable> {
        let Some(others) = &self.others else {
            return Ok(None);
        };
        let heard = others.bus.ask_others(kind, written(question), PATIENCE);
        let said = heard.await?.into_iter().map(|heard| {
            let answer = heard.answer.and_then(|bytes| read::<A>(&bytes));
            (heard.node, answer.filter(&sound))
        });
        Ok(Some(said.collect()))
    }

    /// Which gateways answered; this one always does.
    fn parts<A>(&self, said: &Said<A>) -> Option<Vec<Part>> {
        let said = said.as_ref()?.iter();
        let others = said.map(|(node, answer)| (node.clone(), answer.is_some()));
        let own = std::iter::once((self.node().to_owned(), true));
        let mut parts: Vec<Part> = own
            .chain(others)
            .map(|(node, ok)| Part { node, ok })
            .collect();
        parts.sort_by(|a, b| a.node.cmp(&b.node));
        Some(parts)
    }
}

fn total(here: usize, said: &Said<usize>) -> usize {
    let there = said.iter().flatten().filter_map(|(_, count)| *count);
    there.fold(here, usize::saturating_add)
}

fn not_asked(done: &str, error: &Unavailable) -> Refusal {
    let why = &error.0;
    let text = format!("{done}the other gateways could not be asked: {why}; try again");
    Refusal::new(ErrorCode::NotAvailable, text)
}

fn not_kept(done: &str, error: &Unavailable) -> Refusal {
    let why = &error.0;
    let text = format!(
        "{done}and the other gateways were asked, but the revocation was not kept for those that start later: {why}"
    );
    Refusal::new(ErrorCode::NotAvailable, text)
}

/// Whether another gateway that lives has the name of this one.
pub(super) async fn has_namesake(bus: &Bus) -> Result<bool, Unavailable> {
    bus.has_namesake(COUNTS, written(&()), NAMESAKE).await
}

/// Answers the other gateways.
pub(super) async fn serve(bus: &Bus, local: &Arc<Local>) -> Result<(), String> {
    answer(bus, local, DISCONNECT, |local, question| async move {
        local.disconnect(&question).await
    })
    .await?;
    answer(bus, local, UNSUBSCRIBE, |local, question| async move {
        local.unsubscribe(&question).await
    })
    .await?;
    let room = bus.max_bytes().min(ROOM);
    answer(bus, local, TOPICS, move |local, page: Page| async move {
        let limit = page.limit.min(MOST_TOPICS);
        local.topics(&Page { limit, ..page }).await.fitted(room)
    })
    .await?;
    answer(
        bus,
        local,
        CONNECTIONS,
        move |local, whose: Whose| async move { local.connections(&whose.user).await.fitted(room) },
    )
    .await?;
    answer(
        bus,
        local,
        COUNTS,
        |local, ()| async move { local.counts() },
    )
    .await
}

async fn answer<Q, A, F>(
    bus: &Bus,
    local: &Arc<Local>,
    kind: &str,
    answer: impl Fn(Arc<Local>, Q) -> F + Copy + Send + Sync + 'static,
) -> Result<(), String>
where
    Q: DeserializeOwned + Send,
    A: Serialize,
    F: Future<Output = A> + Send + 'static,
{
    let local = local.clone();
    let served = bus.serve(kind, move |body| {
        let asked = read::<Q>(&body).map(|question| answer(local.clone(), question));
        async move {
            match asked {
                Some(answer) => written(&answer.await),
                // What cannot be read has no answer.
                None => bytes::Bytes::new(),
            }
        }
    });
    served.await.map_err(|error| error.to_string())
}
