//! What a token says.

use serde::{Deserialize, Serialize};
use serde_json::Number;

/// The claims that are looked at. Others are ignored.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// When it expires, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<Number>,
    /// From when on it is valid, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<Number>,
    /// When it was issued, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<Number>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// For whom it was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// Its id, by which it can be revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Patterns of topics; none is no access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Topics>,
    /// Whether it is an operator's: it may see and end what others have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<bool>,
}

/// The claim `topics`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Topics {
    /// Patterns of topics to subscribe, replay and read.
    pub read: Vec<String>,
    /// Patterns of topics to publish to.
    pub write: Vec<String>,
}

/// One recipient or several.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Audience {
    /// Whether it is or contains this name.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Many(many) => many.iter().any(|one| one == name),
        }
    }
}

/// A NumericDate (RFC 7519 section 2) in milliseconds since the Unix epoch; a far future is as good as
/// the farthest.
#[must_use]
pub fn unix_ms(date: &Number) -> Option<u64> {
    if let Some(whole) = date.as_u64() {
        return Some(whole.saturating_mul(1000));
    }
    let seconds = date.as_f64().filter(|s| s.is_finite() && *s >= 0.0)?;
    Some((seconds * 1000.0) as u64)
}
