//! What an operator asks of a shard: who subscribes, what a user has open, and topics taken away.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::protocol::message::TopicOnly;
use crate::protocol::{ServerMessage, Topic};
use crate::session::session_name;

use super::connection::{Connection, Key};
use super::driver::send;
use super::shard::Shard;
use super::{Command, ShardHandle};

/// Topics of one connection that are named.
const TOPICS_NAMED: usize = 100;
/// How often, and how many times, a connection is looked at again that waits for an answer.
const AGAIN: (Duration, usize) = (Duration::from_millis(10), 200);

/// One connection, as an operator sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The session that it holds.
    pub session_id: String,
    /// Where it comes from, as far as that is known.
    pub address: Option<SocketAddr>,
    /// The id of its token.
    pub token_id: Option<Arc<str>>,
    /// When its token expires, in milliseconds since the Unix epoch.
    pub expires_unix_ms: Option<u64>,
    /// How many topics it subscribes.
    pub subscriptions: usize,
    /// The first of them.
    pub topics: Vec<Topic>,
    /// Bytes that wait for it.
    pub waiting_bytes: usize,
}

/// The connections of a user on one shard, or on many.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// How many there are.
    pub count: usize,
    /// Some of them.
    pub connections: Vec<Seen>,
}

/// A question of an operator.
pub(crate) enum Question {
    /// How many subscribe each of these topics?
    Subscribers(Arc<[Topic]>, oneshot::Sender<Vec<usize>>),
    /// Which connections has this user? At most so many are told.
    Connections(Arc<str>, usize, oneshot::Sender<Found>),
    /// Take this topic from the user. From how many connections was it taken?
    Unsubscribe(Arc<str>, Topic, oneshot::Sender<usize>),
}

impl ShardHandle {
    /// How many connections subscribe each of these topics.
    pub async fn subscribers(&self, topics: Arc<[Topic]>) -> Vec<usize> {
        self.ask(|answer| Question::Subscribers(topics, answer))
            .await
    }

    /// The connections of a user, at most `limit` of them in detail.
    pub async fn connections(&self, user: &str, limit: usize) -> Found {
        self.ask(|answer| Question::Connections(user.into(), limit, answer))
            .await
    }

    /// Takes a topic from all connections of a user; each is told with `unsubscribed`. Answers how many
    /// had it.
    pub async fn unsubscribe(&self, user: &str, topic: &Topic) -> usize {
        self.ask(|answer| Question::Unsubscribe(user.into(), topic.clone(), answer))
            .await
    }

    async fn ask<T: Default>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> T {
        let (sender, answer) = oneshot::channel();
        self.tell(Command::Ask(question(sender)));
        // A shard that is gone has nothing.
        answer.await.unwrap_or_default()
    }
}

impl Shard {
    /// Answers an operator, who may have gone.
    pub(super) async fn answer(self: Rc<Self>, question: Question) {
        match question {
            Question::Subscribers(topics, answer) => {
                let state = self.state.borrow();
                let count = |topic: &Topic| state.topics.subscribers(topic.as_str());
                let _ = answer.send(topics.iter().map(count).collect());
            }
            Question::Connections(user, limit, answer) => {
                let keys = self.keys_of(&user);
                let seen = keys.iter().take(limit).filter_map(|key| self.seen(*key));
                let _ = answer.send(Found {
                    connections: seen.collect(),
                    count: keys.len(),
                });
            }
            Question::Unsubscribe(user, topic, answer) => {
                let mut count = 0;
                for key in self.keys_of(&user) {
                    count += usize::from(self.take_topic(key, &topic).await);
                }
                let _ = answer.send(count);
            }
        }
    }

    fn keys_of(&self, user: &str) -> Vec<Key> {
        let is_theirs = |connection: &Connection| {
            let principal = connection.principal.as_deref();
            connection.is_open() && principal.is_some_and(|principal| *principal.user == *user)
        };
        self.keys_where(is_theirs)
    }

    fn seen(&self, key: Key) -> Option<Seen> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let members = state.topics.of(key.0).take(TOPICS_NAMED);
        let topics = members.map(|member| member.topic).collect();
        let subscriptions = state.topics.count(key.0);
        let connection = state.get(key)?;
        let principal = connection.principal.as_ref()?;
        Some(Seen {
            session_id: session_name(connection.session_id?),
            address: connection.socket.peer(),
            token_id: principal.token_id.clone(),
            expires_unix_ms: principal.expires_unix_ms,
            subscriptions,
            topics,
            waiting_bytes: connection.waiting_bytes(),
        })
    }

    /// Ends a subscription that its connection did not ask to end; false when it had none.
    async fn take_topic(self: &Rc<Self>, key: Key, topic: &Topic) -> bool {
        // While a question is open the topic may be just about to be subscribed.
        for _ in 0..AGAIN.1 {
            let waits = self.state.borrow_mut().get(key).map(|c| c.waiting);
            match waits {
                Some(true) => tokio::time::sleep(AGAIN.0).await,
                Some(false) => break,
                None => return false,
            }
        }
        let mut taken = false;
        self.with(key, |state, _| {
            if state.topics.subscribed(key.0, topic.as_str()).is_some() {
                self.unsubscribe(state, key, topic.as_str());
                let topic = topic.as_str().into();
                let frame = ServerMessage::Unsubscribed(TopicOnly { topic });
                send(state, key, &frame);
                self.keep_live_session(state, key);
                taken = true;
            }
        });
        taken
    }
}
