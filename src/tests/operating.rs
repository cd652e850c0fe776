//! Operators see topics and connections, and take topics away; nobody else does (promise I1).

use serde_json::{Value, json};

use crate::harness::tokens::{allowed, jwt_gateway, token};
use crate::harness::{Answer, Request, TestGateway};

async fn ask(gateway: &TestGateway, token: &str, path: &str) -> Answer {
    Request::get(path).bearer(token).send(gateway.addr).await
}

async fn unsubscribe(gateway: &TestGateway, token: &str, body: &Value) -> Answer {
    Request::new("POST", "/api/unsubscribe")
        .bearer(token)
        .body(body.to_string())
        .send(gateway.addr)
        .await
}

fn names(answer: &Value) -> Vec<&str> {
    let topics = answer["topics"].as_array().unwrap();
    let names = topics.iter().map(|topic| topic["topic"].as_str().unwrap());
    names.collect()
}

#[tokio::test]
async fn topics_come_in_pages_with_their_counts() {
    let gateway = TestGateway::start().await;
    let mut sockets = Vec::new();
    for i in 0..6 {
        let topic = format!("t{i}");
        sockets.push(gateway.user("ann", &["all", &topic]).await);
    }
    let all = ask(&gateway, "root", "/api/topics").await.json();
    let expected = ["all", "t0", "t1", "t2", "t3", "t4", "t5"];
    assert_eq!(names(&all), expected);
    assert_eq!(all["topics"][0]["subscribers"], 6);
    assert_eq!(all["topics"][1]["subscribers"], 1);
    assert!(all["next"].is_null());

    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/topics?prefix=t&limit=4&after={after}");
        let page = ask(&gateway, "root", &path).await.json();
        seen.extend(names(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, expected[1..]);
    for bad in ["limit=0", "limit=1001", "limit=x"] {
        let path = format!("/api/topics?{bad}");
        let answer = ask(&gateway, "root", &path).await;
        answer.expect_error(400, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn the_connections_of_a_user_are_shown() {
    let gateway = jwt_gateway().await;
    let root = token("root", &json!({"admin": true}));
    let topics = json!({"topics": {"read": ["*"], "write": []}, "jti": "a1"});
    let mut ann = gateway.socket("/ws").await;
    let ready = ann.setup(&token("ann", &topics), &["a", "b"]).await;
    let _bob = gateway.user(&allowed("bob", &["*"], &[]), &["a"]).await;
    let path = "/api/users/ann/connections";
    let answer = ask(&gateway, &root, path).await.json();
    assert_eq!(answer["count"], 1);
    let one = &answer["connections"][0];
    assert_eq!(one["sessionId"], ready["sessionId"]);
    assert_eq!(one["topics"], json!(["a", "b"]));
    assert_eq!(
        (&one["subscriptions"], &one["jti"]),
        (&json!(2), &json!("a1"))
    );
    assert!(one["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!((3500..=3600).contains(&one["expiresIn"].as_u64().unwrap()));
    drop(ann);
    gateway
        .stats_become("one left", |stats| stats["connections"] == 1)
        .await;
    let answer = ask(&gateway, &root, path).await.json();
    assert_eq!(answer, json!({"count": 0, "connections": []}));
    let long = format!("/api/users/{}/connections", "x".repeat(256));
    for bad in [&*long, "/api/users/%ff/connections"] {
        let answer = ask(&gateway, &root, bad).await;
        answer.expect_error(400, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn answers_are_bounded() {
    let gateway = TestGateway::start().await;
    let topics: Vec<String> = (0..150).map(|i| format!("t{i}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut sockets = vec![gateway.user("ann", &topics).await];
    for _ in 0..120 {
        sockets.push(gateway.user("ann", &[]).await);
    }
    let answer = ask(&gateway, "root", "/api/users/ann/connections").await;
    let answer = answer.json();
    let connections = answer["connections"].as_array().unwrap();
    assert_eq!(
        (answer["count"].as_u64(), connections.len()),
        (Some(121), 100)
    );
    for one in connections {
        let named = one["topics"].as_array().unwrap().len();
        let subscriptions = one["subscriptions"].as_u64().unwrap() as usize;
        assert_eq!(named, subscriptions.min(100));
    }
}

#[tokio::test]
async fn a_topic_is_taken_from_a_user() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.socket("/ws").await;
    let ready = ann.setup("ann", &["a", "b"]).await;
    let mut bob = gateway.user("bob", &["a"]).await;
    let body = json!({"user": "ann", "topic": "a"});
    for count in [1, 0] {
        let answer = unsubscribe(&gateway, "root", &body).await.json();
        assert_eq!(answer, json!({"unsubscribed": count}));
    }
    assert_eq!(ann.expect("unsubscribed").await["topic"], "a");
    let mut carl = gateway.user("carl", &[]).await;
    carl.publish("a", "1", json!(1)).await;
    carl.publish("b", "2", json!(2)).await;
    assert_eq!(ann.expect("message").await["topic"], "b");
    assert_eq!(bob.expect("message").await["topic"], "a");
    // The session goes on without it.
    drop(ann);
    gateway
        .stats_become("ann gone", |stats| stats["connections"] == 2)
        .await;
    let mut ann = gateway.socket("/ws").await;
    ann.send(json!({"type": "resume", "token": "ann", "sessionId": ready["sessionId"], "lastSeqPerTopic": {}}))
        .await;
    assert_eq!(ann.expect("subscribed").await["topic"], "b");
    ann.expect("ready").await;
    // It may be asked for again.
    ann.send(json!({"type": "subscribe", "topic": "a"})).await;
    assert_eq!(ann.expect("subscribed").await["topic"], "a");
    for bad in [
        json!({}),
        json!({"user": "ann"}),
        json!({"user": "", "topic": "a"}),
        json!({"user": "ann", "topic": "a", "all": true}),
    ] {
        let answer = unsubscribe(&gateway, "root", &bad).await;
        answer.expect_error(400, "BAD_REQUEST");
    }
    let bad = json!({"user": "ann", "topic": ""});
    let answer = unsubscribe(&gateway, "root", &bad).await;
    answer.expect_error(400, "BAD_TOPIC");
}

#[tokio::test]
async fn only_operators_see_and_take() {
    let gateway = jwt_gateway().await;
    let ann = allowed("ann", &["*"], &["*"]);
    let closed = TestGateway::with(&[("demo-endpoints", "off")]).await;
    for (gateway, token, status, code) in [
        (&gateway, &*ann, 403, "ACL_DENIED"),
        (&gateway, "root", 401, "AUTH_FAILED"),
        (&closed, "root", 403, "ACL_DENIED"),
    ] {
        for path in ["/api/topics", "/api/users/ann/connections"] {
            ask(gateway, token, path).await.expect_error(status, code);
        }
        let body = json!({"user": "ann", "topic": "a"});
        let answer = unsubscribe(gateway, token, &body).await;
        answer.expect_error(status, code);
    }
}

/// The same members with values of the same kinds.
fn like(value: &Value, example: &Value) -> bool {
    match (value, example) {
        (Value::Object(value), Value::Object(example)) => {
            value.keys().eq(example.keys())
                && example
                    .iter()
                    .all(|(name, example)| like(&value[name], example))
        }
        (Value::Array(value), Value::Array(example)) => {
            value.len() == example.len() && value.iter().zip(example).all(|(v, e)| like(v, e))
        }
        _ => std::mem::discriminant(value) == std::mem::discriminant(example),
    }
}

#[tokio::test]
async fn the_examples_of_the_api_do_what_they_say() {
    let gateway = jwt_gateway().await;
    let user = allowed("ann", &["prices"], &["prices"]);
    let operator = token("root", &json!({"admin": true}));
    let _ann = gateway.user(&user, &["prices"]).await;
    let text = include_str!("../../docs/api.md");
    let lines: Vec<&str> = text.lines().collect();
    let examples: Vec<_> = (lines.windows(2))
        .filter(|pair| pair[0].starts_with("curl "))
        .collect();
    assert_eq!(examples.len(), 7);
    for pair in examples {
        let (command, expected) = (pair[0], pair[1].strip_prefix("# ").unwrap());
        let (_, path) = command.split_once("http://127.0.0.1:3000").unwrap();
        let path = path.split([' ', '"']).next().unwrap();
        let token = if command.contains("$OPERATOR_TOKEN") {
            &operator
        } else {
            assert!(command.contains("$USER_TOKEN"), "{command}");
            &user
        };
        let request = match command.split_once(" -d '") {
            Some((_, body)) => Request::new("POST", path).body(body.strip_suffix('\'').unwrap()),
            None => Request::get(path),
        };
        let answer = request.bearer(token).send(gateway.addr).await.json();
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert!(like(&answer, &expected), "{command}\n{answer}\n{expected}");
    }
}
