//! Tokens signed with a key of the issuer's set, which is fetched (promise I1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::routing::get;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::harness::TestGateway;
use crate::harness::tokens::{history, now, refused};

/// An issuer with one key, which counts how often it is asked.
struct Issuer {
    url: String,
    key: EncodingKey,
    asked: Arc<AtomicU32>,
    serving: JoinHandle<()>,
}

async fn issuer() -> Issuer {
    let pem = include_str!("fixtures/eddsa.key.pem");
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    let mut member =
        serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap()).unwrap();
    member["kid"] = json!("k1");
    let set = json!({ "keys": [member] }).to_string();
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let answer = move || {
        let (set, counter) = (set.clone(), counter.clone());
        async move {
            counter.fetch_add(1, Ordering::Relaxed);
            set
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let router = Router::new().route("/jwks", get(answer));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Issuer {
        url,
        key,
        asked,
        serving,
    }
}

fn signed(key: &EncodingKey, kid: &str) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(kid.to_owned());
    let claims = json!({"sub": "ann", "exp": now() + 60, "topics": {"read": ["a"]}});
    encode(&header, &claims, key).unwrap()
}

#[tokio::test]
async fn keys_come_from_the_issuers_set() {
    let Issuer {
        url, key, asked, ..
    } = issuer().await;
    let gateway = TestGateway::with(&[("auth", "jwt"), ("jwks-url", &url)]).await;
    let mut ann = gateway.user(&signed(&key, "k1"), &["a"]).await;
    ann.send(json!({"type": "refresh", "token": signed(&key, "k1")}))
        .await;
    ann.expect("ready").await;
    for number in 0..20 {
        refused(
            &gateway,
            &signed(&key, &format!("x{number}")),
            "AUTH_FAILED",
            4001,
        )
        .await;
    }
    assert_eq!(
        history(&gateway, &signed(&key, "k1"), "a").await.status,
        200
    );
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn keys_that_were_fetched_outlive_a_change_of_the_rules() {
    let Issuer {
        url,
        key,
        asked,
        serving,
    } = issuer().await;
    let gateway = TestGateway::with(&[("auth", "jwt"), ("jwks-url", &url)]).await;
    let token = signed(&key, "k1");
    assert_eq!(history(&gateway, &token, "a").await.status, 200);
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    let reload = |name, value| {
        let left = gateway.reload(&[("auth", "jwt"), ("jwks-url", &url), (name, value)]);
        assert!(left.unwrap().is_empty());
    };
    reload("jwt-leeway", "5s");
    assert_eq!(history(&gateway, &token, "a").await.status, 200);
    gateway.user(&token, &["a"]).await;
    // The new rules hold all the same.
    reload("jwt-issuer", "us");
    let answer = history(&gateway, &token, "a").await;
    answer.expect_error(401, "AUTH_FAILED");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // Another address is another set.
    let other = format!("{url}/other");
    gateway
        .reload(&[("auth", "jwt"), ("jwks-url", &other)])
        .unwrap();
    let answer = history(&gateway, &token, "a").await;
    answer.expect_error(503, "NOT_AVAILABLE");
}

#[tokio::test]
async fn an_issuer_that_is_away_can_be_waited_for() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", port.local_addr().unwrap());
    drop(port);
    let gateway = TestGateway::with(&[("auth", "jwt"), ("jwks-url", &url)]).await;
    let key = EncodingKey::from_ed_pem(include_str!("fixtures/eddsa.key.pem").as_bytes()).unwrap();
    let token = signed(&key, "k1");
    let mut socket = gateway.socket("/ws").await;
    socket.send(json!({"type": "setup", "token": token})).await;
    let error = socket.expect_error("NOT_AVAILABLE").await;
    assert_eq!(error["retryable"], true);
    // Still in setup: anything else needs a token first.
    socket
        .send(json!({"type": "subscribe", "topic": "a"}))
        .await;
    socket.expect_error("AUTH_REQUIRED").await;
    let answer = history(&gateway, &token, "a").await;
    assert_eq!(answer.status, 503);
}
