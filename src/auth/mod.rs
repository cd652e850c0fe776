//! Who a token stands for, and what they may do (promise I1).
//!
//! * [`rules`](Rules): whether what a verified token says holds now. Pure.
//! * `keys`: what tokens are verified with, and why a weak key is refused. Pure.
//! * [`jwks`](Jwks): keys from the issuer's key set, kept and renewed.
//! * [`revoked`](Revoked): users and tokens turned away before their time. Pure.
//!
//! Uses: protocol, token.

mod jwks;
mod keys;
mod revoked;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jsonwebtoken::{EncodingKey, Header};
use tokio::runtime::Handle;

use crate::protocol::{ErrorCode, Refusal, Token};
use crate::token::{Claims, Grants};

pub use jwks::Jwks;
pub use revoked::Revoked;
pub use rules::Rules;

use keys::Key;

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
    /// The token's own id.
    pub token_id: Option<Arc<str>>,
    /// When the token was issued, in milliseconds since the Unix epoch.
    pub issued_unix_ms: Option<u64>,
    /// Whether the token is an operator's: it may see and end what others have.
    pub admin: bool,
}

impl Principal {
    /// Somebody without a token that says more, for ever: a user of demo auth.
    #[must_use]
    pub fn demo(user: &str) -> Self {
        Self {
            user: user.into(),
            grants: Grants::AllButPrivate(user.into()),
            expires_unix_ms: None,
            token_id: None,
            issued_unix_ms: None,
            admin: false,
        }
    }

    /// Whether the token holds at this moment, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`ErrorCode::TokenExpired`].
    pub fn unexpired(&self, unix_ms: u64) -> Result<(), Refusal> {
        if self.expires_unix_ms.is_some_and(|at| at <= unix_ms) {
            let text = "the token has expired; get a new one";
            return Err(Refusal::new(ErrorCode::TokenExpired, text));
        }
        Ok(())
    }

    /// Whether the token was issued up to this moment, in milliseconds since the Unix epoch. `iat` is
    /// mostly in whole seconds: of the same second it cannot be told, and counts. So does a token that
    /// does not say when it was issued.
    #[must_use]
    pub fn was_issued_by(&self, unix_ms: u64) -> bool {
        let issued = self.issued_unix_ms;
        issued.is_none_or(|issued| issued / 1000 <= unix_ms / 1000)
    }
}

/// Where the keys come from. It is checked when it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySource(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Secret(Token),
    Pem { file: String, text: String },
    Set(http::Uri),
}

impl KeySource {
    /// An HS256 secret.
    ///
    /// # Errors
    /// When it is short or a PEM; the text does not hold it.
    pub fn secret(secret: &str) -> Result<Self, String> {
        keys::check_secret(secret)?;
        Ok(Self(Source::Secret(Token::new(secret))))
    }

    /// The text of a PEM file with a public key.
    ///
    /// # Errors
    /// When it is something else or too weak.
    pub fn public_key(file: &str, text: String) -> Result<Self, String> {
        Key::of_pem(&text).map_err(|problem| format!("{file} {problem}"))?;
        Ok(Self(Source::Pem {
            file: file.to_owned(),
            text,
        }))
    }

    /// The address of a key set.
    ///
    /// # Errors
    /// When it is not https, or http to this machine.
    pub fn key_set(url: &str) -> Result<Self, String> {
        jwks::check_url(url).map(|uri| Self(Source::Set(uri)))
    }

    /// The secret, if it is one.
    #[must_use]
    pub fn as_secret(&self) -> Option<&Token> {
        match &self.0 {
            Source::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// Whether it is a key set, which may hold keys of several issuers.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        matches!(self.0, Source::Set(_))
    }

    /// The setting that names it, and its value as it may be shown.
    #[must_use]
    pub fn shown(&self) -> (&'static str, String) {
        match &self.0 {
            Source::Secret(_) => ("jwt-secret", "(redacted)".to_owned()),
            Source::Pem { file, .. } => ("jwt-public-key", file.clone()),
            Source::Set(uri) => ("jwks-url", uri.to_string()),
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = self.shown();
        write!(f, "{name} = {value:?}")
    }
}

/// Which tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// What verifies their signatures.
    pub keys: KeySource,
    /// What they must say.
    pub rules: Rules,
}

/// The answer to a token: there at once, or when the issuer's keys have been fetched.
pub enum Checking {
    /// Here it is.
    Done(Result<Principal, Refusal>),
    /// It comes.
    Waiting(Pin<Box<dyn Future<Output = Result<Principal, Refusal>> + Send>>),
}

impl Checking {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`ErrorCode::AuthFailed`], [`ErrorCode::TokenExpired`], or [`ErrorCode::NotAvailable`] when
    /// the issuer's keys cannot be fetched.
    pub async fn answer(self) -> Result<Principal, Refusal> {
        match self {
            Self::Done(answer) => answer,
            Self::Waiting(answer) => answer.await,
        }
    }
}

/// How tokens are checked.
#[derive(Debug)]
pub enum Authenticator {
    /// Any non-empty token is that user, who may do everything but use the topics that are another
    /// user's. For trying things out.
    Demo,
    /// Tokens signed with one key.
    Key(Box<OneKey>, Rules),
    /// Tokens signed with a key of the issuer's set.
    Set(Jwks, Rules),
}

/// A key that was found good.
#[derive(Debug)]
pub struct OneKey(Key);

impl Authenticator {
    /// Believes tokens as `trust` says; a key set is fetched on `runtime`.
    ///
    /// # Errors
    /// When the key cannot be used; a [`KeySource`] has been checked, so this does not happen.
    pub fn jwt(trust: &Trust, runtime: Handle) -> Result<Self, String> {
        let rules = trust.rules.clone();
        let one = |key| Self::Key(Box::new(OneKey(key)), rules.clone());
        Ok(match &trust.keys.0 {
            Source::Secret(secret) => one(Key::of_secret(secret)),
            Source::Pem { text, .. } => one(Key::of_pem(text)?),
            Source::Set(uri) => Self::Set(Jwks::new(uri.clone(), runtime), rules),
        })
    }

    /// Believes tokens as `trust` says from now on. A key set that stays keeps the keys that were fetched: its
    /// issuer may be away.
    ///
    /// # Errors
    /// As [`Authenticator::jwt`].
    pub fn renewed(&self, trust: &Trust, runtime: Handle) -> Result<Self, String> {
        match (self, &trust.keys.0) {
            (Self::Set(set, _), Source::Set(uri)) if set.url() == uri => {
                Ok(Self::Set(set.clone(), trust.rules.clone()))
            }
            _ => Self::jwt(trust, runtime),
        }
    }

    /// Checks a token at this moment.
    pub fn authenticate(&self, unix_ms: u64, token: &str) -> Checking {
        if token.is_empty() {
            return refuse("the token is empty; setup needs a token");
        }
        if token.len() > MAX_TOKEN_BYTES {
            return refuse("the token is longer than 8192 bytes");
        }
        match self {
            Self::Demo if token.len() > MAX_USER_BYTES => {
                refuse("with demo auth the token is the user and at most 255 bytes long")
            }
            Self::Demo => Checking::Done(Ok(Principal::demo(token))),
            Self::Key(key, rules) => Checking::Done(
                keys::header(token)
                    .and_then(|_| key.0.verify(token))
                    .and_then(|claims| rules.check(unix_ms, claims)),
            ),
            Self::Set(set, rules) => {
                let kid = match keys::header(token) {
                    Ok(header) => header.kid,
                    Err(refusal) => return Checking::Done(Err(refusal)),
                };
                let check = move |key: Key, token: &str, rules: &Rules| {
                    rules.check(unix_ms, key.verify(token)?)
                };
                if let Some(key) = set.key_now(kid.as_deref()) {
                    return Checking::Done(key.and_then(|key| check(key, token, rules)));
                }
                let (set, rules, token) = (set.clone(), rules.clone(), token.to_owned());
                Checking::Waiting(Box::pin(async move {
                    check(set.key(kid.as_deref()).await?, &token, &rules)
                }))
            }
        }
    }
}

fn refuse(text: &'static str) -> Checking {
    Checking::Done(Err(Refusal::new(ErrorCode::AuthFailed, text)))
}

/// Signs claims with an HS256 secret, for development.
///
/// # Errors
/// When the claims cannot be written.
pub fn mint(secret: &Token, claims: &Claims) -> Result<String, String> {
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&Header::default(), claims, &key).map_err(|error| error.to_string())
}
