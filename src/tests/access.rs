//! Access (promise I1): nothing comes to, or is taken from, somebody whose token does not allow it;
//! by every way in, and also later: when a token expires or is refreshed.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::harness::socket::{Socket, publish};
use crate::harness::tokens::{allowed, history, jwt_gateway, now, refused, token};
use crate::harness::{Request, TestGateway};

async fn refresh(socket: &mut Socket, token: &str) {
    socket
        .send(json!({"type": "refresh", "token": token}))
        .await;
}

#[tokio::test]
async fn setup_and_subscribe_give_only_what_may_be_read() {
    let gateway = jwt_gateway().await;
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
async fn with_demo_auth_private_topics_are_their_user_s_alone() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.user("ann", &["private.ann", "private.ann.x"]).await;
    let mut ben = gateway.socket("/ws/sub/private.ann").await;
    ben.send(json!({"type": "setup", "token": "ben", "topics": ["private", "private.ben"]}))
        .await;
    let error = ben.expect_error("ACL_DENIED").await;
    assert_eq!(error["topic"], "private.ann");
    assert_eq!(ben.expect("subscribed").await["topic"], "private");
    assert_eq!(ben.expect("subscribed").await["topic"], "private.ben");
    ben.expect("ready").await;
    ben.send(publish("private.ann", "1", json!(1))).await;
    assert_eq!(ben.expect_error("ACL_DENIED").await["messageId"], "1");
    for path in [
        "/api/topics/private.ann/history",
        "/demo/publish/private.ann?a=1",
    ] {
        let answer = Request::get(path).bearer("ben").send(gateway.addr).await;
        answer.expect_error(403, "ACL_DENIED");
    }
    let topic = r#"{"topic":"private.ann","payload":1}"#;
    let answer = Request::publish("ben", topic).send(gateway.addr).await;
    answer.expect_error(403, "ACL_DENIED");
    ann.publish("private.ann", "1", json!(2)).await;
    ben.expect_quiet().await;
}

#[tokio::test]
async fn the_answer_does_not_tell_whether_a_topic_exists() {
    let gateway = jwt_gateway().await;
    let mut root = gateway.user(&allowed("root", &["*"], &["*"]), &[]).await;
    root.publish("there", "1", json!(1)).await;
    let nobody = token("eve", &json!({}));
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
    let gateway = jwt_gateway().await;
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
    let gateway = jwt_gateway().await;
    let ann = allowed("ann", &["prices"], &["orders"]);
    assert_eq!(history(&gateway, &ann, "prices").await.status, 200);
    assert_eq!(history(&gateway, &ann, "orders").await.status, 403);
    let expired = token("ann", &json!({"exp": now() - 1}));
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
    let gateway = jwt_gateway().await;
    let key = EncodingKey::from_secret(b"another secret that is long enough....");
    let other = encode(
        &Header::default(),
        &json!({"sub": "ann", "exp": now() + 60}),
        &key,
    )
    .unwrap();
    let good = token("ann", &json!({}));
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.";
    let huge = "x".repeat(9000);
    let early = token("ann", &json!({"nbf": now() + 60}));
    let endless = token("ann", &json!({"exp": null}));
    let nobody = token("", &json!({}));
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
        &token("ann", &json!({"exp": now() - 1})),
        "TOKEN_EXPIRED",
        4101,
    )
    .await;
}

#[tokio::test]
async fn a_token_expires_inside_the_session() {
    let gateway = jwt_gateway().await;
    let short = token("ann", &json!({"exp": now() + 4, "topics": {"read": ["a"]}}));
    let mut socket = gateway.user(&short, &["a"]).await;
    socket.expect_error("TOKEN_EXPIRED").await;
    socket.expect_close(4101).await;
}

#[tokio::test]
async fn a_refresh_takes_away_what_the_new_token_does_not_allow() {
    let gateway = jwt_gateway().await;
    let first = token(
        "ann",
        &json!({"exp": now() + 5, "topics": {"read": ["*"], "write": ["*"]}}),
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
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    socket.expect_quiet().await;
}

#[tokio::test]
async fn a_refresh_as_somebody_else_or_with_a_bad_token_ends_the_connection() {
    let gateway = jwt_gateway().await;
    for (bad, code, close) in [
        (allowed("bob", &["*"], &["*"]), "AUTH_FAILED", 4001),
        ("bob".to_owned(), "AUTH_FAILED", 4001),
        (
            token("ann", &json!({"exp": now() - 1})),
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
async fn a_resume_asks_again_what_may_be_read() {
    let gateway = jwt_gateway().await;
    let mut socket = gateway.socket("/ws").await;
    let session = socket
        .setup(&allowed("ann", &["*"], &[]), &["a", "b"])
        .await;
    drop(socket);
    let resume = |token: &str| {
        let session = &session["sessionId"];
        json!({"type": "resume", "token": token, "sessionId": session,
            "lastSeqPerTopic": {"a": 0, "b": 0}})
    };
    // Another user learns nothing about it.
    let mut eve = gateway.socket("/ws").await;
    eve.send(resume(&allowed("eve", &["*"], &[]))).await;
    eve.expect_error("SESSION_EXPIRED").await;
    let mut socket = gateway.socket("/ws").await;
    socket.send(resume(&allowed("ann", &["b"], &[]))).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let frame = socket.next().await;
        seen.push(format!("{} {}", frame["type"], frame["topic"]));
    }
    seen.sort();
    assert_eq!(seen, [r#""error" "a""#, r#""subscribed" "b""#]);
    assert_eq!(socket.expect("ready").await["resumed"], true);
    assert_eq!(gateway.stats().await["subscriptions"], 1);
}
