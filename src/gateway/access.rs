//! Who may do what: tokens checked, revoked, and what they allow.

use std::sync::Arc;

use super::Gateway;
use crate::auth::{Authenticator, Checking, Principal};
use crate::protocol::{ErrorCode, Refusal};
use crate::token::Action;

impl Gateway {
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
    pub(super) fn allow(
        &self,
        principal: &Principal,
        action: Action,
        topic: &str,
    ) -> Result<(), Refusal> {
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
}
