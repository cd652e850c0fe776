//! Whose connection it is: tokens checked, renewed and revoked (promise I1).

use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use crate::auth::{Checking, Principal};
use crate::backbone::Durability;
use crate::protocol::{CloseCode, Refusal, Topic};
use crate::session::{Identity, Input};
use crate::token::Action;

use super::Kick;
use super::connection::Key;
use super::shard::{Shard, State};

impl Shard {
    /// Asks who the token stands for; `None` when the answer comes later.
    pub(super) fn authenticate(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        token: &str,
    ) -> Option<Result<Identity, Refusal>> {
        let answer = match self.gateway.authenticate(token) {
            Checking::Done(answer) => {
                return Some(answer.map(|principal| self.identify(state, key, principal)));
            }
            Checking::Waiting(answer) => answer,
        };
        state.get(key)?.waiting = true;
        let shard = self.clone();
        spawn_local(async move {
            let answer = answer.await;
            shard.with(key, |state, now_ms| {
                if let Some(connection) = state.get(key) {
                    connection.waiting = false;
                }
                let answer = answer.map(|principal| shard.identify(state, key, principal));
                shard.handle(state, key, now_ms, Input::Authenticated(answer));
            });
        });
        None
    }

    /// Makes the connection the principal's, and tells the session what it needs to know.
    fn identify(&self, state: &mut State, key: Key, principal: Principal) -> Identity {
        let session_id = self.hold_session(state, key);
        let now = self.gateway.now();
        let identity = Identity {
            user_id: principal.user.clone(),
            session_id,
            expires_at_ms: principal
                .expires_unix_ms
                .map(|at| now.mono_ms().saturating_add(at.saturating_sub(now.unix_ms))),
            durability: match self.gateway.durability() {
                interval @ Durability::SyncedEvery(_) => Some(interval.to_string()),
                Durability::Process | Durability::Synced | Durability::Replicated(_) => None,
            },
            denied: self.denied(state, key, &principal),
        };
        if let Some(connection) = state.get(key) {
            let before = connection.principal.as_ref();
            // A refresh with another user's token is refused by the session; it changes nothing.
            let refused = connection.session.is_set_up()
                && before.is_some_and(|before| before.user != principal.user);
            if !refused {
                connection.principal = Some(Arc::new(principal));
            }
        }
        identity
    }

    /// Topics that are subscribed now and that the principal may not read.
    fn denied(&self, state: &State, key: Key, principal: &Principal) -> Vec<Topic> {
        let topics = state.topics.of(key.0).map(|member| member.topic);
        topics
            .filter(|topic| !principal.grants.allow(Action::Read, topic.as_str()))
            .collect()
    }

    /// Closes the connections that it names with 4003, and answers how many they were.
    pub(super) fn kick(self: &Rc<Self>, kick: Kick) {
        let keys = self.keys_where(|connection| {
            let named = |principal: &Principal| kick.whom.is(principal);
            connection.is_open() && connection.principal.as_deref().is_some_and(named)
        });
        for key in &keys {
            self.with(*key, |state, now_ms| {
                if let Some(connection) = state.get(*key) {
                    connection.close(now_ms, CloseCode::Kicked);
                }
            });
        }
        // Whoever asked may have gone.
        let _ = kick.answer.send(keys.len());
    }
}
