//! The key set against a real server on this machine, and its rules against a simulated clock.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../tests/fixtures/", $name)).as_bytes()
    };
}

/// The public half of a key as a member of a set.
fn member(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut member = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    member["kid"] = json!(kid);
    member
}

fn ec(kid: &str) -> Value {
    let key = EncodingKey::from_ec_pem(fixture!("es256.key.pem")).unwrap();
    member(&key, Algorithm::ES256, kid)
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// An issuer whose answer can be changed, and which counts how often it is asked.
#[derive(Clone, Default)]
struct Issuer {
    body: Arc<Mutex<String>>,
    down: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
}

impl Issuer {
    async fn start(&self) -> http::Uri {
        let issuer = self.clone();
        let answer = move || {
            let issuer = issuer.clone();
            async move { issuer.answer().await }
        };
        let router = Router::new().route("/jwks.json", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        check_url(&format!("http://{addr}/jwks.json")).unwrap()
    }

    async fn answer(&self) -> Response {
        self.asked.fetch_add(1, Ordering::Relaxed);
        // Long enough for others to come and wait too.
        tokio::time::sleep(Duration::from_millis(30)).await;
        if self.down.load(Ordering::Relaxed) {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        self.body.lock().clone().into_response()
    }

    fn serve(&self, keys: &[Value]) {
        *self.body.lock() = json!({ "keys": keys }).to_string();
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn code(jwks: &Jwks, kid: &str) -> Result<(), ErrorCode> {
    let key = jwks.key(Some(kid)).await;
    key.map(|_| ()).map_err(|refusal| refusal.code)
}

#[tokio::test]
async fn many_who_wait_cause_one_fetch_and_unknown_names_cause_none() {
    let issuer = Issuer::default();
    issuer.serve(&[ec("a")]);
    let jwks = Jwks::new(issuer.start().await, Handle::current());
    let waiting = (0..50).map(|_| {
        let jwks = jwks.clone();
        tokio::spawn(async move { code(&jwks, "a").await })
    });
    for task in waiting.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    assert_eq!(issuer.asked(), 1);
    for number in 0..200 {
        let unknown = code(&jwks, &format!("x{number}")).await;
        assert_eq!(unknown, Err(ErrorCode::AuthFailed));
    }
    assert!(matches!(jwks.key_now(Some("a")), Some(Ok(_))));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_the_old_one_is_gone() {
    let issuer = Issuer::default();
    issuer.serve(&[ec("old")]);
    let jwks = Jwks::with_interval(issuer.start().await, Handle::current(), 0);
    assert_eq!(code(&jwks, "old").await, Ok(()));
    issuer.serve(&[ec("new")]);
    assert_eq!(code(&jwks, "new").await, Ok(()));
    assert_eq!(issuer.asked(), 2);
    assert!(code(&jwks, "old").await.is_err());
}

#[tokio::test]
async fn the_last_good_set_is_kept_while_the_issuer_is_away() {
    let issuer = Issuer::default();
    issuer.serve(&[ec("a")]);
    let jwks = Jwks::with_interval(issuer.start().await, Handle::current(), 0);
    assert_eq!(code(&jwks, "a").await, Ok(()));
    issuer.down.store(true, Ordering::Relaxed);
    assert_eq!(code(&jwks, "b").await, Err(ErrorCode::NotAvailable));
    assert_eq!(code(&jwks, "a").await, Ok(()));
}

#[tokio::test]
async fn an_issuer_that_was_never_there_is_not_a_bad_token() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let url = check_url(&format!("http://{addr}/")).unwrap();
    let jwks = Jwks::new(url, Handle::current());
    assert_eq!(code(&jwks, "a").await, Err(ErrorCode::NotAvailable));
}

#[tokio::test]
async fn answers_that_are_no_key_set_are_refused() {
    let issuer = Issuer::default();
    let url = issuer.start().await;
    let huge = format!(
        "{{\"keys\":[{}],\"x\":\"{}\"}}",
        ec("a"),
        "x".repeat(300_000)
    );
    for body in [
        "",
        "<html>",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]}"#,
        &huge,
    ] {
        *issuer.body.lock() = body.to_owned();
        let jwks = Jwks::new(url.clone(), Handle::current());
        assert_eq!(
            code(&jwks, "a").await,
            Err(ErrorCode::NotAvailable),
            "{body:.40}"
        );
    }
}

#[test]
fn the_rules_of_asking() {
    let mut state = State::new(MIN_INTERVAL_MS);
    assert!(matches!(state.find(0, Some("a")), Found::Fetch(_)));
    assert!(matches!(state.find(0, Some("b")), Found::Wait));
    state.fetched(10, None);
    assert!(matches!(state.find(20, Some("a")), Found::Away));
    assert!(matches!(
        state.find(FIRST_INTERVAL_MS, Some("a")),
        Found::Fetch(_)
    ));
    state.fetched(FIRST_INTERVAL_MS, Some(set(&[ec("a")])));
    let had = FIRST_INTERVAL_MS;
    assert!(matches!(state.find(had + 1, Some("a")), Found::Key(_)));
    assert!(matches!(state.find(had + 1, None), Found::Key(_)));
    assert!(matches!(
        state.find(had + MIN_INTERVAL_MS - 1, Some("b")),
        Found::No
    ));
    assert!(matches!(
        state.find(had + MIN_INTERVAL_MS, Some("b")),
        Found::Fetch(_)
    ));
    // While that one is under way, known keys go through and the others wait.
    assert!(matches!(
        state.find(had + MIN_INTERVAL_MS, Some("a")),
        Found::Key(_)
    ));
    assert!(matches!(
        state.find(had + MIN_INTERVAL_MS, Some("c")),
        Found::Wait
    ));
    state.fetched(had + MIN_INTERVAL_MS, None);
    assert!(matches!(
        state.find(had + MIN_INTERVAL_MS + 1, Some("b")),
        Found::Away
    ));
    // Too old: asked again, and used all the same when that fails.
    let old = had + MAX_AGE_MS;
    state.away = false;
    assert!(matches!(state.find(old, Some("a")), Found::Fetch(None)));
    assert!(matches!(state.find(old, Some("a")), Found::Wait));
    state.fetched(old, None);
    assert!(matches!(state.find(old + 1, Some("a")), Found::Key(_)));
    // Nobody waits for an issuer that is known to be away.
    let again = old + MIN_INTERVAL_MS;
    assert!(matches!(
        state.find(again, Some("a")),
        Found::Fetch(Some(_))
    ));
    assert!(matches!(state.find(again, Some("a")), Found::Key(_)));
    assert!(matches!(state.find(again, Some("c")), Found::Wait));
}

#[test]
fn only_keys_that_fit_are_taken() {
    let key = EncodingKey::from_rsa_pem(fixture!("rs256.key.pem")).unwrap();
    let rsa = member(&key, Algorithm::RS256, "r");
    let with = |name: &str, value: Value| {
        let mut member = ec("a");
        member[name] = value;
        member
    };
    for good in [
        ec("a"),
        rsa.clone(),
        with("use", json!("sig")),
        with("alg", json!("ES256")),
    ] {
        assert_eq!(set(&[good]).find(None).map(|_| ()), Some(()));
    }
    let mut weak = rsa.clone();
    weak["n"] = json!("AQAB");
    for bad in [
        weak,
        with("use", json!("enc")),
        with("alg", json!("HS256")),
        with("crv", json!("P-521")),
        json!(7),
    ] {
        let found = set(&[bad, rsa.clone()]);
        assert!(found.find(Some("a")).is_none() && found.find(Some("r")).is_some());
    }
    assert!(set(&[rsa, ec("a")]).find(None).is_none());
}
