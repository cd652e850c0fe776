//! A token, read: what it claims, until when, and what it allows. Nothing is verified and nothing leaves
//! the page: only the gateway has the key.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::token::{Action, Claims, Grants, unix_ms};

/// A longer token is refused by the gateway too.
const MAX_BYTES: usize = 8192;
/// Fewer milliseconds left are worth a warning.
const SOON_MS: f64 = 60_000.0;

/// What a token is.
#[derive(Debug)]
pub enum Read {
    /// Nothing was written.
    Empty,
    /// Not a JWT: with `demo` auth it is the user's name.
    Name,
    /// Not a JWT, though it has the shape of one; in words.
    Broken(&'static str),
    /// A JWT.
    Jwt(Box<Jwt>),
}

/// A JWT that could be read.
#[derive(Debug)]
pub struct Jwt {
    /// The algorithm that its header names.
    pub algorithm: String,
    /// All its claims, also those that the gateway does not look at.
    pub claims: Map<String, Value>,
    known: Claims,
    grants: Grants,
    expires_ms: Option<f64>,
    begins_ms: Option<f64>,
}

/// Whether a token holds at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Validity {
    /// In words.
    pub words: String,
    /// Whether the gateway would take it, as far as time goes.
    pub holds: bool,
    /// Whether it ends within a minute, or does not hold.
    pub urgent: bool,
}

/// Reads a token.
#[must_use]
pub fn read(token: &str) -> Read {
    let token = token.trim();
    if token.is_empty() {
        return Read::Empty;
    }
    if token.matches('.').count() != 2 {
        return Read::Name;
    }
    if token.len() > MAX_BYTES {
        return Read::Broken("It is longer than 8192 bytes; the gateway refuses that.");
    }
    let mut parts = token.split('.');
    let (header, claims) = (parts.next().and_then(object), parts.next().and_then(object));
    let Some(header) = header else {
        return Read::Broken(
            "Its first part is not a JSON object in base64url: something is missing, or it is no JWT.",
        );
    };
    let Some(claims) = claims else {
        return Read::Broken(
            "Its second part is not a JSON object in base64url: something is missing.",
        );
    };
    let Ok(known) = serde_json::from_value::<Claims>(Value::Object(claims.clone())) else {
        return Read::Broken(
            "Its claims are not as the gateway expects them: sub is a text, exp a number, topics {\"read\":[...],\"write\":[...]}.",
        );
    };
    let topics = known.topics.as_ref();
    let user = known.sub.as_deref().unwrap_or_default();
    let grants = topics.map_or_else(
        || Grants::of(&[], &[], user),
        |topics| Grants::of(&topics.read, &topics.write, user),
    );
    let ms = |date: Option<&_>| date.and_then(unix_ms).map(|ms| ms as f64);
    let algorithm = header.get("alg").and_then(Value::as_str);
    Read::Jwt(Box::new(Jwt {
        algorithm: algorithm.unwrap_or("none").to_owned(),
        expires_ms: ms(known.exp.as_ref()),
        begins_ms: ms(known.nbf.as_ref()),
        claims,
        grants,
        known,
    }))
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl Jwt {
    /// The user it stands for.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.known.sub.as_deref()
    }

    /// Whether it holds at a moment, in milliseconds since 1970.
    #[must_use]
    pub fn validity(&self, now_ms: f64) -> Validity {
        let (words, holds, urgent) = match (self.expires_ms, self.begins_ms) {
            (None, _) => (
                "It has no exp, or one that is no time: the gateway refuses it.".to_owned(),
                false,
                true,
            ),
            (Some(end), _) if end <= now_ms => (
                format!("Expired {} ago: get a new one.", long_span(now_ms - end)),
                false,
                true,
            ),
            (_, Some(begin)) if begin > now_ms => (
                format!("Not valid yet: begins in {}.", long_span(begin - now_ms)),
                false,
                true,
            ),
            (Some(end), _) => (
                format!("Expires in {}.", long_span(end - now_ms)),
                true,
                end - now_ms < SOON_MS,
            ),
        };
        Validity {
            words,
            holds,
            urgent,
        }
    }

    /// Whether its claims allow to read and to write a topic.
    #[must_use]
    pub fn allows(&self, topic: &str) -> (bool, bool) {
        (
            self.grants.allow(Action::Read, topic),
            self.grants.allow(Action::Write, topic),
        )
    }

    /// What the gateway will refuse or a reader should know, in words.
    #[must_use]
    pub fn remarks(&self) -> Vec<&'static str> {
        let mut remarks = Vec::new();
        if self.algorithm.eq_ignore_ascii_case("none") {
            remarks.push("It is not signed: the gateway refuses it.");
        }
        if self.known.sub.as_deref().is_none_or(str::is_empty) {
            remarks.push("It has no sub, so it stands for nobody: the gateway refuses it.");
        }
        if self.known.topics.is_none() {
            remarks.push("It has no claim topics, so it allows no topic.");
        }
        if self.known.admin == Some(true) {
            remarks.push("It is an operator's: it may see and end what others have.");
        }
        remarks
    }
}

/// A span in its two largest units: `2 d 3 h`, `4 min 5 s`.
fn long_span(ms: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from f64 saturates"
    )]
    let seconds = (ms / 1000.0) as u64;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(unit, _)| seconds >= *unit);
    let first = first.unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        words.push(format!("{} {name}", rest / unit));
        rest %= unit;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    fn jwt(claims: &Value) -> Jwt {
        match read(&token(&json!({"alg": "HS256"}), claims)) {
            Read::Jwt(jwt) => *jwt,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn claims_are_shown_and_topics_asked() {
        let jwt = jwt(&json!({
            "sub": "ann", "exp": 100, "colour": "red",
            "topics": {"read": ["user.{user}.*"], "write": ["prices"]},
        }));
        assert_eq!((jwt.algorithm.as_str(), jwt.user()), ("HS256", Some("ann")));
        assert_eq!(jwt.claims["colour"], "red");
        assert_eq!(jwt.allows("user.ann.x"), (true, false));
        assert_eq!(jwt.allows("prices"), (false, true));
        assert_eq!(jwt.allows("other"), (false, false));
        assert!(jwt.remarks().is_empty());
    }

    #[test]
    fn time_runs_out() {
        let jwt = jwt(&json!({"sub": "ann", "exp": 1000, "nbf": 100}));
        let at = |seconds: f64| jwt.validity(seconds * 1000.0);
        assert_eq!(at(50.0).words, "Not valid yet: begins in 50 s.");
        assert_eq!(at(200.0).words, "Expires in 13 min 20 s.");
        assert!(at(200.0).holds && !at(200.0).urgent && at(950.0).urgent);
        assert_eq!(at(4600.0).words, "Expired 1 h 0 min ago: get a new one.");
        assert!(!at(1000.0).holds);
    }

    #[test]
    fn what_the_gateway_refuses_is_remarked() {
        let Read::Jwt(jwt) = read(&token(&json!({"alg": "none"}), &json!({"admin": true}))) else {
            panic!("not read");
        };
        assert_eq!(jwt.remarks().len(), 4);
        assert!(!jwt.validity(0.0).holds);
    }

    #[test]
    fn what_is_no_jwt_is_said() {
        assert!(matches!(read("  "), Read::Empty));
        assert!(matches!(read("demo-user"), Read::Name));
        for broken in [
            "a.b.c".to_owned(),
            token(&json!({}), &json!([])),
            token(&json!({}), &json!({"sub": 7})),
            format!("{}.b.c", "a".repeat(MAX_BYTES)),
        ] {
            assert!(matches!(read(&broken), Read::Broken(_)), "{broken}");
        }
    }
}
