//! Operators disconnect users and tokens, and nobody else does (promise I1).

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::tokens::{allowed, history, jwt_gateway, now, refused, token};
use crate::harness::{Answer, Request, TestGateway, soon};

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
async fn after_a_refresh_the_new_token_is_the_sockets() {
    let gateway = jwt_gateway().await;
    let admin = token("root", &json!({"admin": true}));
    let mut ann = gateway
        .user(&token("ann", &json!({"jti": "a1"})), &[])
        .await;
    let newer = token("ann", &json!({"jti": "a2"}));
    ann.send(json!({"type": "refresh", "token": newer})).await;
    ann.expect("ready").await;
    let answer = disconnect(&gateway, &admin, &json!({"jti": "a1"})).await;
    assert_eq!(answer.json(), json!({"disconnected": 0}));
    ann.expect_quiet().await;
    let answer = disconnect(&gateway, &admin, &json!({"jti": "a2"})).await;
    assert_eq!(answer.json(), json!({"disconnected": 1}));
    ann.expect_close(4003).await;
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

/// A POST of which the gateway waits for the body: it has looked at the token.
struct Begun {
    stream: TcpStream,
    body: String,
}

impl Begun {
    async fn new(gateway: &TestGateway, path: &str, token: &str, body: &Value) -> Self {
        let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 25];
        soon("100 Continue", stream.read_exact(&mut go_on))
            .await
            .unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self { stream, body }
    }

    /// Sends the body and reads the answer.
    async fn end(mut self) -> String {
        let mut answer = String::new();
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        soon("the answer", self.stream.read_to_string(&mut answer))
            .await
            .unwrap();
        answer
    }
}

#[tokio::test]
async fn a_request_whose_body_comes_after_the_revocation_is_refused() {
    let gateway = jwt_gateway().await;
    let admin = |user: &str| token(user, &json!({"admin": true}));
    let all = allowed("ann", &["*"], &["*"]);
    let mut bob = gateway.user(&allowed("bob", &["t"], &[]), &["t"]).await;
    let message = json!({"topic": "t", "payload": 1});
    let mut begun = Vec::new();
    for (path, token, body) in [
        ("/api/publish", &all, &message),
        ("/api/publish", &all, &json!([message, message])),
        (
            "/api/unsubscribe",
            &admin("eve"),
            &json!({"user": "bob", "topic": "t"}),
        ),
        ("/api/disconnect", &admin("eve"), &json!({"user": "bob"})),
    ] {
        begun.push(Begun::new(&gateway, path, token, body).await);
    }
    for user in ["ann", "eve"] {
        let answer = disconnect(&gateway, &admin("root"), &json!({"user": user})).await;
        assert_eq!(answer.status, 200);
    }
    for begun in begun {
        let answer = begun.end().await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("the token was revoked"), "{answer}");
    }
    bob.expect_quiet().await;
    assert_eq!(gateway.stats().await["published"], 0);
}

#[tokio::test]
async fn a_request_whose_body_comes_after_the_tokens_end_is_refused() {
    let gateway = jwt_gateway().await;
    let ends = now() + 5;
    let topics = json!({"write": ["*"]});
    let short = token("ann", &json!({"exp": ends, "topics": topics}));
    let message = json!({"topic": "t", "payload": 1});
    let begun = Begun::new(&gateway, "/api/publish", &short, &message).await;
    soon("the token's end", async {
        while now() < ends {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let answer = begun.end().await;
    assert!(answer.contains("TOKEN_EXPIRED"), "{answer}");
    assert_eq!(gateway.stats().await["published"], 0);
}
