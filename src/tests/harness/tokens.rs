//! Signed tokens, and a gateway that believes them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{Answer, Request, TestGateway};

pub const SECRET: &str = "an HS256 secret of the tests, long enough";

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

pub async fn jwt_gateway() -> TestGateway {
    TestGateway::with(&[("auth", "jwt"), ("jwt-secret", SECRET)]).await
}

/// A token of this user for an hour, changed by `claims`.
pub fn token(user: &str, claims: &Value) -> String {
    signed(SECRET, user, claims)
}

/// The same with another secret.
pub fn signed(secret: &str, user: &str, claims: &Value) -> String {
    let mut all = json!({"sub": user, "exp": now() + 3600});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::default(), &all, &key).unwrap()
}

/// A token that allows these patterns.
pub fn allowed(user: &str, read: &[&str], write: &[&str]) -> String {
    token(user, &json!({"topics": {"read": read, "write": write}}))
}

pub async fn history(gateway: &TestGateway, token: &str, topic: &str) -> Answer {
    let path = format!("/api/topics/{topic}/history");
    Request::get(&path).bearer(token).send(gateway.addr).await
}

/// Sends `setup` with this token and expects to be turned away with this code and close.
pub async fn refused(gateway: &TestGateway, token: &str, code: &str, close: u16) {
    let mut socket = gateway.socket("/ws").await;
    socket.send(json!({"type": "setup", "token": token})).await;
    socket.expect_error(code).await;
    socket.expect_close(close).await;
}
