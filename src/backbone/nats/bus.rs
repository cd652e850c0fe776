//! What gateways ask each other, on NATS itself: nothing of it is kept, and an answer that does not
//! come in time is none.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::{names, roster};
use crate::backbone::Unavailable;

/// Says which gateway asks or answers: its id, and its name.
const FROM: &str = "Micro-Socket-Node";
/// The largest question and answer that is looked at, in bytes.
const MAX_BYTES: usize = 256 << 10;
/// Questions that are being answered at once; more of them wait.
const ANSWERED_AT_ONCE: usize = 256;
/// Answers to one question that are taken.
const MOST_ANSWERS: usize = 4096;

/// A way from gateway to gateway.
#[derive(Clone)]
pub struct Bus {
    link: Arc<Link>,
    node: Arc<str>,
    name: Arc<str>,
    left: CancellationToken,
}

/// What one gateway said.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What it is called.
    pub node: String,
    /// Its answer; `None` when none came in time.
    pub answer: Option<Bytes>,
}

impl Bus {
    pub(super) fn new(link: Arc<Link>, node: &str, name: &str) -> Self {
        Self {
            left: link.stop.child_token(),
            link,
            node: node.into(),
            name: name.into(),
        }
    }

    /// The id of this gateway, which no other has or ever had.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// How many bytes an answer may have.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        // Half of what the server takes leaves room for headers.
        MAX_BYTES.min(self.link.client.server_info().max_payload / 2)
    }

    /// Is one of the gateways from now on, whom the others miss when they do not answer.
    pub async fn enter(&self) {
        roster::enter(&self.link, &self.name, &self.left).await;
    }

    /// Is none of them any more.
    ///
    /// # Errors
    /// [`Unavailable`]; then the others miss it for a while.
    pub async fn leave(&self) -> Result<(), Unavailable> {
        self.left.cancel();
        roster::leave(&self.link, &self.name).await
    }

    /// Asks one gateway. `None` when it is not there, has nothing to say or does not answer in time.
    pub async fn ask(
        &self,
        node: &str,
        kind: &str,
        body: Bytes,
        patience: Duration,
    ) -> Option<Bytes> {
        let request = self.link.request(names::node(Some(node), kind), None, body);
        let answer = timeout(patience, request).await.ok()?.ok()?;
        (answer.status != Some(StatusCode::NO_RESPONDERS) && !answer.payload.is_empty())
            .then_some(answer.payload)
    }

    /// Asks every other gateway. Returns when all have answered or the patience is over; those that have
    /// not are there too, without an answer.
    ///
    /// # Errors
    /// [`Unavailable`] when nobody can be asked, or when it is not known who there is to ask.
    pub async fn ask_others(
        &self,
        kind: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Vec<Heard>, Unavailable> {
        let deadline = Instant::now() + patience;
        // First who there is: whoever comes later knows already what was done before.
        let mut missing = self.present(deadline).await?;
        missing.remove(&*self.name);
        self.ask_until(kind, body, deadline, missing).await
    }

    /// Whether another gateway has the name of this one; asks this kind of question.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn has_namesake(
        &self,
        kind: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<bool, Unavailable> {
        let deadline = Instant::now() + patience;
        let mut known = self.present(deadline).await?;
        // It may be the entry of an earlier life of this one, that could not say goodbye.
        known.retain(|name| **name == *self.name);
        let heard = self.ask_until(kind, body, deadline, known).await?;
        let mut heard = heard.iter();
        Ok(heard.any(|heard| *heard.node == *self.name && heard.answer.is_some()))
    }

    async fn present(&self, deadline: Instant) -> Result<BTreeSet<String>, Unavailable> {
        let asking = timeout_at(deadline, roster::all(&self.link));
        asking.await.unwrap_or_else(|_| Err(late()))
    }

    /// Asks all others, and waits until those have answered that would be missed.
    async fn ask_until(
        &self,
        kind: &str,
        body: Bytes,
        deadline: Instant,
        mut missing: BTreeSet<String>,
    ) -> Result<Vec<Heard>, Unavailable> {
        let client = &self.link.client;
        let inbox = client.new_inbox();
        let asking = async {
            let answers = client.subscribe(inbox.clone()).await;
            let answers = answers.map_err(|error| Unavailable(error.to_string()))?;
            let subject = names::node(None, kind);
            let asked = client.publish_with_reply_and_headers(subject, inbox, self.from(), body);
            let asked = asked.await;
            asked.map_err(|error| Unavailable(error.to_string()))?;
            Ok(answers)
        };
        let asked = timeout_at(deadline, asking).await;
        let mut answers = asked.unwrap_or_else(|_| Err(late()))?;
        let mut heard = Vec::new();
        let mut ids = BTreeSet::new();
        while !missing.is_empty() && heard.len() < MOST_ANSWERS {
            let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await else {
                break;
            };
            let Some((id, node)) = sender(&answer) else {
                continue;
            };
            if ids.insert(id) {
                missing.remove(&node);
                let answer = Some(answer.payload).filter(|bytes| bytes.len() <= MAX_BYTES);
                heard.push(Heard { node, answer });
            }
        }
        heard.extend(missing.into_iter().map(|node| Heard { node, answer: None }));
        heard.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(heard)
    }

    fn from(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(FROM, format!("{} {}", self.node, self.name).as_str());
        headers
    }

    /// Answers this kind of question, from now on until the gateway ends. An empty answer says that
    /// there is none.
    ///
    /// # Errors
    /// When NATS does not take the subscription.
    pub async fn serve<F>(
        &self,
        kind: &str,
        answer: impl Fn(Bytes) -> F + Send + Sync + 'static,
    ) -> Result<(), async_nats::SubscribeError>
    where
        F: Future<Output = Bytes> + Send + 'static,
    {
        let client = self.link.client.clone();
        let own = client
            .subscribe(names::node(Some(&self.node), kind))
            .await?;
        let all = client.subscribe(names::node(None, kind)).await?;
        let mut questions = futures_util::stream::select(own, all);
        let bus = self.clone();
        let room = Arc::new(Semaphore::new(ANSWERED_AT_ONCE));
        let serving = async move {
            while let Some(question) = questions.next().await {
                let is_ours = sender(&question).is_some_and(|(id, _)| id == *bus.node);
                if is_ours || question.payload.len() > MAX_BYTES {
                    continue;
                }
                let Ok(permit) = room.clone().acquire_owned().await else {
                    return;
                };
                let (client, from) = (client.clone(), bus.from());
                let answer = answer(question.payload);
                tokio::spawn(async move {
                    let answer = answer.await;
                    if let Some(reply) = question.reply {
                        let _ = client.publish_with_headers(reply, from, answer).await;
                    }
                    drop(permit);
                });
            }
        };
        self.link.run(serving);
        Ok(())
    }
}

fn late() -> Unavailable {
    Unavailable("NATS did not answer in time".to_owned())
}

/// The id and the name of the gateway that sent it.
fn sender(message: &Message) -> Option<(String, String)> {
    let value = message.headers.as_ref()?.get(FROM)?.as_str();
    let (id, name) = value.split_once(' ')?;
    Some((id.to_owned(), name.to_owned()))
}
