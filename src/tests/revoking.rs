//! Operators disconnect users and tokens, and nobody else does (promise I1).

use serde_json::{Value, json};

use crate::harness::tokens::{allowed, history, jwt_gateway, now, refused, token};
use crate::harness::{Answer, Request, TestGateway};

async fn disconnect(gateway: &TestGateway, token: &str, body: &Value) -> Answer {
    Request::new("POST", "/api/disconnect")
        .bearer(token)
        .body(body.to_string())
        .send(gateway.addr)
        .await
}

#[tokio::test]
async fn an_operator_disconnects_and_revokes() {
    let gateway = jwt_gateway().await;
    let admin = token("root", &json!({"admin": true}));
    let issued = now();
    let ann = |id: &str| token("ann", &json!({"jti": id, "iat": issued}));
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(gateway.user(&ann("a1"), &[]).await);
    }
    let mut bob = gateway
        .user(&token("bob", &json!({"jti": "b1", "iat": issued})), &[])
        .await;
    let mut bob2 = gateway
        .user(&token("bob", &json!({"jti": "b2", "iat": issued})), &[])
        .await;

    let answer = disconnect(&gateway, &admin, &json!({"user": "ann"})).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"disconnected": 8}))
    );
    for socket in &mut sockets {
        socket.expect_close(4003).await;
    }
    refused(&gateway, &ann("a1"), "AUTH_FAILED", 4001).await;
    refused(&gateway, &ann("a2"), "AUTH_FAILED", 4001).await;
    refused(&gateway, &token("ann", &json!({})), "AUTH_FAILED", 4001).await;
    assert_eq!(history(&gateway, &ann("a3"), "t").await.status, 401);
    let newer = token("ann", &json!({"iat": now() + 1}));
    gateway.user(&newer, &[]).await.expect_quiet().await;

    let answer = disconnect(&gateway, &admin, &json!({"jti": "b1"})).await;
    assert_eq!(answer.json(), json!({"disconnected": 1}));
    bob.expect_close(4003).await;
    bob2.expect_quiet().await;
    refused(
        &gateway,
        &token("bob", &json!({"jti": "b1"})),
        "AUTH_FAILED",
        4001,
    )
    .await;

    let answer = disconnect(&gateway, &admin, &json!({"user": "bob", "revoke": false})).await;
    assert_eq!(answer.json(), json!({"disconnected": 1}));
    bob2.expect_close(4003).await;
    gateway
        .user(&token("bob", &json!({"jti": "b2"})), &[])
        .await
        .expect_quiet()
        .await;
}

#[tokio::test]
async fn only_operators_disconnect() {
    let gateway = jwt_gateway().await;
    let ann = allowed("ann", &["*"], &["*"]);
    let mut socket = gateway.user(&ann, &[]).await;
    assert_eq!(
        disconnect(&gateway, &ann, &json!({"user": "ann"}))
            .await
            .status,
        403
    );
    assert_eq!(
        disconnect(&gateway, "root", &json!({"user": "ann"}))
            .await
            .status,
        401
    );
    let admin = token("root", &json!({"admin": true}));
    for bad in [
        json!({}),
        json!({"user": ""}),
        json!({"user": "x".repeat(256)}),
        json!({"user": 7}),
        json!({"users": "ann"}),
        json!([]),
    ] {
        let answer = disconnect(&gateway, &admin, &bad).await;
        assert_eq!(answer.json()["error"]["code"], "BAD_REQUEST", "{bad}");
    }
    socket.expect_quiet().await;
}

#[tokio::test]
async fn with_demo_auth_anybody_disconnects_while_the_demo_endpoints_are_on() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.user("ann", &[]).await;
    let answer = disconnect(&gateway, "bob", &json!({"user": "ann"})).await;
    assert_eq!(answer.json(), json!({"disconnected": 1}));
    ann.expect_close(4003).await;
    gateway.user("ann", &[]).await.expect_quiet().await;
    let closed = TestGateway::with(&[("demo-endpoints", "off")]).await;
    assert_eq!(
        disconnect(&closed, "bob", &json!({"user": "ann"}))
            .await
            .status,
        403
    );
}
