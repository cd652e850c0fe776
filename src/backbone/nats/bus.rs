//! What gateways ask each other, on NATS itself: nothing of it is kept, and an answer that does not
//! come in time is none.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::link::Link;
use super::names;

/// A way from gateway to gateway.
#[derive(Clone)]
pub struct Bus {
    link: Arc<Link>,
    node: Arc<str>,
}

impl Bus {
    pub(super) fn new(link: Arc<Link>, node: &str) -> Self {
        Self {
            link,
            node: node.into(),
        }
    }

    /// The name of this gateway, which no other has or ever had.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
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

    /// Asks every gateway, this one included, and returns what came in time.
    pub async fn ask_all(&self, kind: &str, body: Bytes, patience: Duration) -> Vec<Bytes> {
        let deadline = Instant::now() + patience;
        let client = &self.link.client;
        let inbox = client.new_inbox();
        let Ok(Ok(mut answers)) = timeout_at(deadline, client.subscribe(inbox.clone())).await
        else {
            return Vec::new();
        };
        let asking = client.publish_with_reply(names::node(None, kind), inbox, body);
        let mut found = Vec::new();
        if let Ok(Ok(())) = timeout_at(deadline, asking).await {
            while let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await {
                if answer.status.is_none() {
                    found.push(answer.payload);
                }
            }
        }
        found
    }

    /// Answers this kind of question, from now on until the gateway ends. An empty answer says that
    /// there is none.
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
        let stop = self.link.stop.clone();
        let serving = async move {
            while let Some(question) = questions.next().await {
                let (client, answer) = (client.clone(), answer(question.payload));
                tokio::spawn(async move {
                    let answer = answer.await;
                    if let Some(reply) = question.reply {
                        let _ = client.publish(reply, answer).await;
                    }
                });
            }
        };
        tokio::spawn(stop.run_until_cancelled_owned(serving));
        Ok(())
    }
}
