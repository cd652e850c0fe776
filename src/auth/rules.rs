//! Whether what a verified token says holds now.
//!
//! Invariant: pure. Time is a parameter.

use std::time::Duration;

use crate::protocol::{ErrorCode, Refusal};
use crate::token::{Claims, Grants, unix_ms};

use super::{MAX_USER_BYTES, Principal};

/// The longest token id, in bytes: it is kept when it is revoked.
const MAX_TOKEN_ID_BYTES: usize = 255;

/// What a token must say beside its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The only issuer that is believed; `None` for any whose key fits.
    pub issuer: Option<String>,
    /// The name this gateway has in `aud`; `None` when `aud` is not looked at.
    pub audience: Option<String>,
    /// How far the issuer's clock may be off. Default 0, at most 60 s.
    pub leeway: Duration,
}

impl Rules {
    /// The principal that verified claims stand for at this moment.
    ///
    /// # Errors
    /// [`ErrorCode::TokenExpired`], else [`ErrorCode::AuthFailed`] with the reason.
    pub fn check(&self, now_ms: u64, claims: Claims) -> Result<Principal, Refusal> {
        let refuse = |text: &'static str| Refusal::new(ErrorCode::AuthFailed, text);
        let leeway_ms = self.leeway.as_millis() as u64;
        let user = claims.sub.ok_or_else(|| refuse("the token has no sub"))?;
        if user.is_empty() || user.len() > MAX_USER_BYTES || user.chars().any(char::is_control) {
            return Err(refuse(
                "the token's sub must be 1 to 255 bytes without control characters",
            ));
        }
        let exp = claims.exp.ok_or_else(|| refuse("the token has no exp"))?;
        let exp_ms = unix_ms(&exp).ok_or_else(|| refuse("the token's exp is not a time"))?;
        if let Some(issuer) = &self.issuer
            && claims.iss.as_ref() != Some(issuer)
        {
            return Err(refuse(
                "the token's iss is not the issuer this gateway believes",
            ));
        }
        if let Some(audience) = &self.audience
            && !claims.aud.is_some_and(|aud| aud.names(audience))
        {
            return Err(refuse("the token's aud does not name this gateway"));
        }
        if let Some(nbf) = claims.nbf {
            let nbf_ms = unix_ms(&nbf).ok_or_else(|| refuse("the token's nbf is not a time"))?;
            if nbf_ms > now_ms.saturating_add(leeway_ms) {
                return Err(refuse("the token is not valid yet"));
            }
        }
        let issued_unix_ms = match claims.iat {
            Some(iat) => {
                Some(unix_ms(&iat).ok_or_else(|| refuse("the token's iat is not a time"))?)
            }
            None => None,
        };
        if claims
            .jti
            .as_ref()
            .is_some_and(|jti| jti.len() > MAX_TOKEN_ID_BYTES)
        {
            return Err(refuse("the token's jti is longer than 255 bytes"));
        }
        let topics = claims.topics.unwrap_or_default();
        let principal = Principal {
            grants: Grants::of(&topics.read, &topics.write, &user),
            user: user.into(),
            expires_unix_ms: Some(exp_ms.saturating_add(leeway_ms)),
            token_id: claims.jti.map(Into::into),
            issued_unix_ms,
            admin: claims.admin.unwrap_or(false),
        };
        principal.unexpired(now_ms)?;
        Ok(principal)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW_MS: u64 = 1_790_000_000_000;
    const NOW: u64 = NOW_MS / 1000;

    fn rules() -> Rules {
        Rules {
            issuer: None,
            audience: None,
            leeway: Duration::ZERO,
        }
    }

    fn check(rules: &Rules, change: &Value) -> Result<Principal, ErrorCode> {
        let mut claims = json!({"sub": "ann", "exp": NOW + 60});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims = serde_json::from_value(claims).map_err(|_| ErrorCode::AuthFailed)?;
        rules.check(NOW_MS, claims).map_err(|refusal| refusal.code)
    }

    #[test]
    fn the_required_claims_are_required() {
        assert!(check(&rules(), &json!({})).is_ok());
        for bad in [
            json!({"sub": null}),
            json!({"sub": ""}),
            json!({"sub": 7}),
            json!({"sub": "a\nb"}),
            json!({"sub": "x".repeat(256)}),
            json!({"exp": null}),
            json!({"exp": "soon"}),
            json!({"exp": -1}),
            json!({"nbf": NOW + 1}),
            json!({"nbf": "later"}),
            json!({"iat": -5}),
            json!({"jti": "x".repeat(256)}),
            json!({"topics": ["a"]}),
            json!({"topics": {"read": "a"}}),
            json!({"admin": "yes"}),
        ] {
            assert_eq!(check(&rules(), &bad), Err(ErrorCode::AuthFailed), "{bad}");
        }
    }

    #[test]
    fn time_is_kept_to_the_moment() {
        let expired = |exp: Value| check(&rules(), &json!({ "exp": exp })).err();
        assert_eq!(expired(json!(NOW)), Some(ErrorCode::TokenExpired));
        assert_eq!(expired(json!(0)), Some(ErrorCode::TokenExpired));
        assert_eq!(expired(json!(NOW as f64 + 0.5)), None);
        assert_eq!(expired(json!(u64::MAX)), None);
        assert_eq!(expired(json!(1e300)), None);
        let lenient = Rules {
            leeway: Duration::from_secs(60),
            ..rules()
        };
        assert!(check(&lenient, &json!({"exp": NOW - 59, "nbf": NOW + 60})).is_ok());
        assert_eq!(
            check(&lenient, &json!({"exp": NOW - 60})),
            Err(ErrorCode::TokenExpired)
        );
        assert_eq!(
            check(&lenient, &json!({"nbf": NOW + 61})),
            Err(ErrorCode::AuthFailed)
        );
    }

    #[test]
    fn issuer_and_audience_count_where_they_are_configured() {
        let any = json!({"iss": "https://elsewhere", "aud": ["x"]});
        assert!(check(&rules(), &any).is_ok());
        let strict = Rules {
            issuer: Some("https://id.test".into()),
            audience: Some("gateway".into()),
            leeway: Duration::ZERO,
        };
        for (iss, aud, good) in [
            (json!("https://id.test"), json!("gateway"), true),
            (json!("https://id.test"), json!(["x", "gateway"]), true),
            (json!("https://id.test/"), json!("gateway"), false),
            (json!("https://id.test"), json!("gateway2"), false),
            (json!("https://id.test"), json!([]), false),
            (json!("https://id.test"), Value::Null, false),
            (json!(["https://id.test"]), json!("gateway"), false),
            (Value::Null, json!("gateway"), false),
        ] {
            let claims = json!({"iss": iss, "aud": aud});
            assert_eq!(check(&strict, &claims).is_ok(), good, "{claims}");
        }
    }

    #[test]
    fn no_topics_claim_is_no_access() {
        use crate::token::Action;
        let ann = check(&rules(), &json!({})).unwrap();
        assert!(!ann.grants.allow(Action::Read, "a") && !ann.admin);
        let topics =
            json!({"topics": {"read": ["u.{user}"]}, "jti": "t1", "iat": NOW, "admin": true});
        let ann = check(&rules(), &topics).unwrap();
        assert!(
            ann.grants.allow(Action::Read, "u.ann") && !ann.grants.allow(Action::Write, "u.ann")
        );
        assert_eq!(
            (ann.token_id.as_deref(), ann.issued_unix_ms),
            (Some("t1"), Some(NOW_MS))
        );
        assert!(ann.admin);
    }
}
