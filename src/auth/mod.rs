//! Who a token stands for, and what they may do (promise I1).
//!
//! Uses: protocol.

mod acl;

use std::sync::Arc;

use crate::protocol::{ErrorCode, Refusal};

pub use acl::{Action, Grants};

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8192;
/// The longest user name, in bytes.
const MAX_USER_BYTES: usize = 255;

/// Somebody whose token was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user: half of the dedup key and the owner of sessions.
    pub user: Arc<str>,
    /// What they may do with which topics.
    pub grants: Grants,
    /// When the token expires, in milliseconds since the Unix epoch.
    pub expires_unix_ms: Option<u64>,
}

/// How tokens are checked.
#[derive(Debug)]
pub enum Authenticator {
    /// Any non-empty token is that user, who may do everything. For trying things out.
    Demo,
}

impl Authenticator {
    /// Checks a token.
    ///
    /// # Errors
    /// [`ErrorCode::AuthFailed`] when it is refused.
    pub fn authenticate(&self, token: &str) -> Result<Principal, Refusal> {
        let refuse = |text: String| Err(Refusal::new(ErrorCode::AuthFailed, text));
        if token.is_empty() {
            return refuse("the token is empty; setup needs a token".to_owned());
        }
        if token.len() > MAX_TOKEN_BYTES {
            return refuse(format!("the token is longer than {MAX_TOKEN_BYTES} bytes"));
        }
        match self {
            Self::Demo if token.len() > MAX_USER_BYTES => refuse(format!(
                "with demo auth the token is the user and at most {MAX_USER_BYTES} bytes long"
            )),
            Self::Demo => Ok(Principal {
                user: token.into(),
                grants: Grants::All,
                expires_unix_ms: None,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_takes_any_token_but_none() {
        let demo = Authenticator::Demo;
        assert_eq!(&*demo.authenticate("ann").unwrap().user, "ann");
        for bad in ["", &"x".repeat(256), &"x".repeat(9000)] {
            assert_eq!(
                demo.authenticate(bad).unwrap_err().code,
                ErrorCode::AuthFailed
            );
        }
    }
}
