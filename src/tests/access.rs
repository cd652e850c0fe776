//! Access (promise I1): nothing comes to, or is taken from, somebody whose token does not allow it;
//! by every way in, and also later: when a token expires, is refreshed or is revoked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::harness::socket::publish;
use crate::harness::{Answer, Request, Socket, TestGateway};

const SECRET: &str = "an HS256 secret of the tests, long enough";

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

async fn gateway() -> TestGateway {
    TestGateway::with(&[("auth", "jwt"), ("jwt-secret", SECRET)]).await
}

/// A token of this user for an hour, changed by `claims`.
fn token(user: &str, claims: Value) -> String {
    let mut all = json!({"sub": user, "exp": now() + 3600});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), &all, &key).unwrap()
}

/// A token that allows these patterns.
fn allowed(user: &str, read: &[&str], write: &[&str]) -> String {
    token(user, json!({"topics": {"read": read, "write": write}}))
}

async fn history(gateway: &TestGateway, token: &str, topic: &str) -> Answer {
    let path = format!("/api/topics/{topic}/history");
    Request::get(&path).bearer(token).send(gateway.addr).await
}

async fn disconnect(gateway: &TestGateway, token: &str, body: Value) -> Answer {
    Request::new("POST", "/api/disconnect")
        .bearer(token)
        .body(body.to_string())
        .send(gateway.addr)
        .await
}

/// Sends `setup` with this token and expects to be turned away with this code and close.
async fn refused(gateway: &TestGateway, token: &str, code: &str, close: u16) {
    let mut socket = gateway.socket("/ws").await;
    socket.send(json!({"type": "setup", "token": token})).await;
    socket.expect_error(code).await;
    socket.expect_close(close).await;
}

async fn refresh(socket: &mut Socket, token: &str) {
    socket
        .send(json!({"type": "refresh", "token": token}))
        .await;
}

#[tokio::test]
async fn setup_and_subscribe_give_only_what_may_be_read() {
    let gateway = gateway().await;
    let ann = allowed("ann", &["prices.*", "user.{user}"], &[]);
    let mut socket = gateway.socket("/ws/sub/orders").await;
    let topics = ["prices.eur", "secret", "user.ann", "user.bob"];
    socket
        .send(json!({"type": "setup", "token": ann, "topics": topics}))
        .await;
    assert_eq!(socket.expect_error("ACL_DENIED").await["topic"], "orders");
    assert_eq!(socket.expect("subscribed").await["topic"], "prices.eur");
    assert_eq!(socket.expect_error("ACL_DENIED").await["topic"], "secret");
    assert_eq!(socket.expect("subscribed").await["topic"], "user.ann");
    assert_eq!(socket.expect_error("ACL_DENIED").await["topic"], "user.bob");
    let ready = socket.expect("ready").await;
    assert_eq!(ready["userId"], "ann");
    assert!(
        (3590..=3600).contains(&ready["expiresIn"].as_u64().unwrap()),
        "{ready}"
    );
    for frame in [
        json!({"type": "subscribe", "topic": "secret"}),
        json!({"type": "subscribe", "topic": "secret", "lastSeq": 0}),
    ] {
        socket.send(frame).await;
        assert_eq!(socket.expect_error("ACL_DENIED").await["topic"], "secret");
    }
    // What is published there does not come, and the socket is still good.
    let mut root = gateway.user(&allowed("root", &[], &["*"]), &[]).await;
    root.publish("secret", "1", json!(1)).await;
    root.publish("prices.eur", "2", json!(2)).await;
    assert_eq!(socket.expect("message").await["topic"], "prices.eur");
    socket.expect_quiet().await;
}

#[tokio::test]
async fn the_answer_does_not_tell_whether_a_topic_exists() {
    let gateway = gateway().await;
    let mut root = gateway.user(&allowed("root", &["*"], &["*"]), &[]).await;
    root.publish("there", "1", json!(1)).await;
    let nobody = token("eve", json!({}));
    let mut socket = gateway.user(&nobody, &[]).await;
    let mut answers = Vec::new();
    for topic in ["there", "nowhere"] {
        let mut answer = String::new();
        socket
            .send(json!({"type": "subscribe", "topic": topic, "lastSeq": 0}))
            .await;
        answer += &socket.next_text().await;
        socket.send(publish(topic, "m", json!(0))).await;
        answer += &socket.next_text().await;
        answer += history(&gateway, &nobody, topic).await.text();
        answers.push(answer.replace(topic, "topic"));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(
        answers[0].matches("ACL_DENIED").count(),
        3,
        "{}",
        answers[0]
    );
}

#[tokio::test]
async fn publish_takes_only_what_may_be_written() {
    let gateway = gateway().await;
    let mut reader = gateway
        .user(&allowed("bob", &["*"], &[]), &["orders", "prices"])
        .await;
    let ann = allowed("ann", &["prices"], &["orders"]);
    let mut socket = gateway.user(&ann, &[]).await;
    socket.send(publish("prices", "m1", json!(1))).await;
    let denied = socket.expect_error("ACL_DENIED").await;
    assert_eq!(
        (&denied["topic"], &denied["messageId"]),
        (&json!("prices"), &json!("m1"))
    );
    // The refused id is free.
    assert_eq!(
        socket.publish("orders", "m1", json!(2)).await["status"],
        "ok"
    );
    let items = json!([
        {"topic": "prices", "messageId": "a", "payload": 1},
        {"topic": "orders", "messageId": "b", "payload": 2},
    ]);
    let answer = Request::publish(&ann, items.to_string())
        .send(gateway.addr)
        .await
        .json();
    assert_eq!(answer[0]["error"]["code"], "ACL_DENIED");
    assert_eq!(answer[1]["status"], "ok");
    let one = json!({"topic": "prices", "payload": 1}).to_string();
    let answer = Request::publish(&ann, one).send(gateway.addr).await;
    assert_eq!(answer.status, 403);
    for _ in 0..2 {
        assert_eq!(reader.expect("message").await["topic"], "orders");
    }
    reader.expect_quiet().await;
}

#[tokio::test]
async fn history_is_read_too() {
    let gateway = gateway().await;
    let ann = allowed("ann", &["prices"], &["orders"]);
    assert_eq!(history(&gateway, &ann, "prices").await.status, 200);
    assert_eq!(history(&gateway, &ann, "orders").await.status, 403);
    let expired = token("ann", json!({"exp": now() - 1}));
    let answer = history(&gateway, &expired, "prices").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["error"]["code"], "TOKEN_EXPIRED");
    assert_eq!(
        history(&gateway, "ann", "prices").await.json()["error"]["code"],
        "AUTH_FAILED"
    );
}

#[tokio::test]
async fn bad_tokens_are_turned_away() {
    let gateway = gateway().await;
    let key = EncodingKey::from_secret(b"another secret that is long enough....");
    let other = encode(
        &Header::default(),
        &json!({"sub": "ann", "exp": now() + 60}),
        &key,
    )
    .unwrap();
    let good = token("ann", json!({}));
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.";
    let huge = "x".repeat(9000);
    let early = token("ann", json!({"nbf": now() + 60}));
    let endless = token("ann", json!({"exp": null}));
    let nobody = token("", json!({}));
    for bad in [
        "ann",
        &other,
        none,
        &good[..good.len() - 2],
        &huge,
        &early,
        &endless,
        &nobody,
    ] {
        refused(&gateway, bad, "AUTH_FAILED", 4001).await;
    }
    refused(
        &gateway,
        &token("ann", json!({"exp": now() - 1})),
        "TOKEN_EXPIRED",
        4101,
    )
    .await;
}

#[tokio::test]
async fn a_token_expires_inside_the_session() {
    let gateway = gateway().await;
    let short = token("ann", json!({"exp": now() + 2, "topics": {"read": ["a"]}}));
    let mut socket = gateway.user(&short, &["a"]).await;
    socket.expect_error("TOKEN_EXPIRED").await;
    socket.expect_close(4101).await;
}

#[tokio::test]
async fn a_refresh_takes_away_what_the_new_token_does_not_allow() {
    let gateway = gateway().await;
    let first = token(
        "ann",
        json!({"exp": now() + 3, "topics": {"read": ["*"], "write": ["*"]}}),
    );
    let mut socket = gateway.user(&first, &["a", "b", "c"]).await;
    refresh(&mut socket, &allowed("ann", &["b"], &["a", "b"])).await;
    let mut denied = [(); 2].map(|()| Value::Null);
    for slot in &mut denied {
        *slot = socket.expect_error("ACL_DENIED").await["topic"].take();
    }
    denied.sort_by_key(Value::to_string);
    assert_eq!(denied, [json!("a"), json!("c")]);
    let ready = socket.expect("ready").await;
    assert!(ready["expiresIn"].as_u64().unwrap() > 3000, "{ready}");
    assert_eq!(gateway.stats().await["subscriptions"], 1);
    // Nothing of the topics that were taken away comes any more.
    socket.publish("a", "1", json!(1)).await;
    socket.send(publish("c", "2", json!(2))).await;
    socket.expect_error("ACL_DENIED").await;
    socket.send(publish("b", "3", json!(3))).await;
    let mut kinds = [socket.next().await, socket.next().await];
    kinds.sort_by_key(|frame| frame["type"].to_string());
    assert_eq!(
        (&kinds[0]["type"], &kinds[1]["topic"]),
        (&json!("ack"), &json!("b"))
    );
    // The first token's end has no effect any more.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    socket.expect_quiet().await;
}

#[tokio::test]
async fn a_refresh_as_somebody_else_or_with_a_bad_token_ends_the_connection() {
    let gateway = gateway().await;
    for (bad, code, close) in [
        (allowed("bob", &["*"], &["*"]), "AUTH_FAILED", 4001),
        ("bob".to_owned(), "AUTH_FAILED", 4001),
        (
            token("ann", json!({"exp": now() - 1})),
            "TOKEN_EXPIRED",
            4101,
        ),
    ] {
        let mut socket = gateway.user(&allowed("ann", &[], &[]), &[]).await;
        refresh(&mut socket, &bad).await;
        socket.expect_error(code).await;
        socket.expect_close(close).await;
    }
}

#[tokio::test]
async fn an_operator_disconnects_and_revokes() {
    let gateway = gateway().await;
    let admin = token("root", json!({"admin": true}));
    let issued = now();
    let ann = |id: &str| token("ann", json!({"jti": id, "iat": issued}));
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(gateway.user(&ann("a1"), &[]).await);
    }
    let mut bob = gateway
        .user(&token("bob", json!({"jti": "b1", "iat": issued})), &[])
        .await;
    let mut bob2 = gateway
        .user(&token("bob", json!({"jti": "b2", "iat": issued})), &[])
        .await;

    let answer = disconnect(&gateway, &admin, json!({"user": "ann"})).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"disconnected": 8}))
    );
    for socket in &mut sockets {
        socket.expect_close(4003).await;
    }
    refused(&gateway, &ann("a1"), "AUTH_FAILED", 4001).await;
    refused(&gateway, &ann("a2"), "AUTH_FAILED", 4001).await;
    refused(&gateway, &token("ann", json!({})), "AUTH_FAILED", 4001).await;
    assert_eq!(history(&gateway, &ann("a3"), "t").await.status, 401);
    let newer = token("ann", json!({"iat": now() + 1}));
    gateway.user(&newer, &[]).await.expect_quiet().await;

    let answer = disconnect(&gateway, &admin, json!({"jti": "b1"})).await;
    assert_eq!(answer.json(), json!({"disconnected": 1}));
    bob.expect_close(4003).await;
    bob2.expect_quiet().await;
    refused(
        &gateway,
        &token("bob", json!({"jti": "b1"})),
        "AUTH_FAILED",
        4001,
    )
    .await;

    let answer = disconnect(&gateway, &admin, json!({"user": "bob", "revoke": false})).await;
    assert_eq!(answer.json(), json!({"disconnected": 1}));
    bob2.expect_close(4003).await;
    gateway
        .user(&token("bob", json!({"jti": "b2"})), &[])
        .await
        .expect_quiet()
        .await;
}

#[tokio::test]
async fn only_operators_disconnect() {
    let gateway = gateway().await;
    let ann = allowed("ann", &["*"], &["*"]);
    let mut socket = gateway.user(&ann, &[]).await;
    assert_eq!(
        disconnect(&gateway, &ann, json!({"user": "ann"}))
            .await
            .status,
        403
    );
    assert_eq!(
        disconnect(&gateway, "root", json!({"user": "ann"}))
            .await
            .status,
        401
    );
    let admin = token("root", json!({"admin": true}));
    for bad in [
        json!({}),
        json!({"user": ""}),
        json!({"user": "x".repeat(256)}),
        json!({"user": 7}),
        json!({"users": "ann"}),
        json!([]),
    ] {
        let answer = disconnect(&gateway, &admin, bad.clone()).await;
        assert_eq!(answer.json()["error"]["code"], "BAD_REQUEST", "{bad}");
    }
    socket.expect_quiet().await;
}

#[tokio::test]
async fn with_demo_auth_anybody_disconnects_while_the_demo_endpoints_are_on() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.user("ann", &[]).await;
    let answer = disconnect(&gateway, "bob", json!({"user": "ann"})).await;
    assert_eq!(answer.json(), json!({"disconnected": 1}));
    ann.expect_close(4003).await;
    gateway.user("ann", &[]).await.expect_quiet().await;
    let closed = TestGateway::with(&[("demo-endpoints", "off")]).await;
    assert_eq!(
        disconnect(&closed, "bob", json!({"user": "ann"}))
            .await
            .status,
        403
    );
}

/// An issuer with one key, which counts how often it is asked.
async fn issuer() -> (String, EncodingKey, Arc<AtomicU32>) {
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
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, key, asked)
}

fn signed(key: &EncodingKey, kid: &str) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(kid.to_owned());
    let claims = json!({"sub": "ann", "exp": now() + 60, "topics": {"read": ["a"]}});
    encode(&header, &claims, key).unwrap()
}

#[tokio::test]
async fn keys_come_from_the_issuers_set() {
    let (url, key, asked) = issuer().await;
    let gateway = TestGateway::with(&[("auth", "jwt"), ("jwks-url", &url)]).await;
    let mut ann = gateway.user(&signed(&key, "k1"), &["a"]).await;
    refresh(&mut ann, &signed(&key, "k1")).await;
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
