//! HTTP for programs: publishing, history, and every refusal in one shape.

use serde_json::json;

use crate::harness::socket::seq_no;
use crate::harness::{Request, TestGateway};

#[tokio::test]
async fn publish_one() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("bob", &["t"]).await;
    let body = r#"{"topic":"t","messageId":"m","payload": { "n" : 1e400 } }"#;
    let answer = Request::publish("ann", body).send(gateway.addr).await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(
        text.starts_with(r#"{"status":"ok","topic":"t","messageId":"m","seqNo":1,"epoch":""#),
        "{text}"
    );
    assert!(
        socket
            .next_text()
            .await
            .ends_with(r#","data":{ "n" : 1e400 }}"#)
    );
    let without_id = r#"{"topic":"t","payload":null}"#;
    let first = Request::publish("ann", without_id)
        .send(gateway.addr)
        .await
        .json();
    let second = Request::publish("ann", without_id)
        .send(gateway.addr)
        .await
        .json();
    assert_ne!(first["messageId"], second["messageId"]);
    assert_eq!(seq_no(&second), 3);
}

#[tokio::test]
async fn publish_many_with_errors_in_between() {
    let gateway = TestGateway::start().await;
    let body = json!([
        {"topic": "a", "messageId": "1", "payload": 1},
        {"topic": "", "messageId": "2", "payload": 2},
        {"topic": "a", "messageId": "1", "payload": 3},
        {"topic": "a", "messageId": "", "payload": 4},
        {"topic": "b", "messageId": "5", "payload": "x".repeat(70_000)},
        {"topic": "b", "messageId": "6", "payload": 6},
    ]);
    let answer = Request::publish("ann", body.to_string())
        .send(gateway.addr)
        .await;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    let items = answer.as_array().unwrap();
    let kind = |i: usize| match items[i].get("error") {
        Some(error) => error["code"].as_str().unwrap().to_owned(),
        None => items[i]["status"].as_str().unwrap().to_owned(),
    };
    let kinds: Vec<String> = (0..items.len()).map(kind).collect();
    assert_eq!(
        kinds,
        [
            "ok",
            "BAD_TOPIC",
            "duplicate",
            "BAD_REQUEST",
            "LIMIT_EXCEEDED",
            "ok"
        ]
    );
    assert_eq!((seq_no(&items[2]), seq_no(&items[5])), (1, 1));
    assert_eq!(gateway.stats().await["published"], 2);
    let empty = Request::publish("ann", "[]").send(gateway.addr).await;
    assert_eq!((empty.status, empty.text()), (200, "[]"));
}

#[tokio::test]
async fn a_page_of_history_is_bounded_by_bytes_too() {
    let gateway = TestGateway::with(&[("max-message-bytes", "2MiB")]).await;
    let sizes = [60_000; 40].into_iter().chain([1_500_000; 2]).chain([10]);
    for bytes in sizes.clone() {
        let body = json!({"topic": "t", "payload": "x".repeat(bytes)}).to_string();
        let answer = Request::publish("ann", body).send(gateway.addr).await;
        assert_eq!(answer.status, 200);
    }
    let (mut after, mut pages, mut seen) = (0, 0, Vec::new());
    loop {
        let path = format!("/api/topics/t/history?after={after}&limit=1000");
        let answer = Request::get(&path).bearer("ann").send(gateway.addr).await;
        let page = answer.json();
        let messages = page["messages"].as_array().unwrap();
        assert!(
            messages.len() <= 1 || answer.body.len() < (1 << 20) + 1000,
            "{} bytes in a page of {}",
            answer.body.len(),
            messages.len()
        );
        pages += 1;
        seen.extend(messages.iter().map(|m| m["data"].as_str().unwrap().len()));
        after = seq_no(messages.last().expect("a page has at least one message"));
        if after == seq_no(&page) {
            break;
        }
    }
    assert_eq!(seen, sizes.collect::<Vec<_>>());
    assert!(pages >= 5, "{pages}");
}

#[tokio::test]
async fn who_sends_no_token_is_told_how() {
    let gateway = TestGateway::start().await;
    let body = r#"{"topic":"t","payload":1}"#;
    for (path, method) in [("/api/publish", "POST"), ("/api/topics/t/history", "GET")] {
        let request = || Request::new(method, path).body(body);
        for (request, code) in [
            (request(), "AUTH_REQUIRED"),
            (
                request().header("Authorization", "Basic YTpi"),
                "AUTH_REQUIRED",
            ),
            (
                request().header("Authorization", "Bearer "),
                "AUTH_REQUIRED",
            ),
            (request().bearer(&"x".repeat(300)), "AUTH_FAILED"),
        ] {
            let answer = request.send(gateway.addr).await;
            answer.expect_error(401, code);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(gateway.stats().await["published"], 0);
}

#[tokio::test]
async fn what_is_not_well_formed() {
    let gateway = TestGateway::start().await;
    for body in [
        &b""[..],
        b"nonsense",
        b"7",
        b"\"text\"",
        b"{}",
        br#"{"topic":"t"}"#,
        br#"{"payload":1}"#,
        br#"{"topic":7,"payload":1}"#,
        br#"{"topic":"t","payload":1,"messageId":7}"#,
        br#"{"topic":"t","payload":1} tail"#,
        br#"[{"topic":"t","payload":1},7]"#,
        b"\"\xff\"",
    ] {
        let answer = Request::publish("ann", body).send(gateway.addr).await;
        answer.expect_error(400, "BAD_REQUEST");
    }
    let bad_topic = Request::publish("ann", r#"{"topic":"","payload":1}"#);
    bad_topic
        .send(gateway.addr)
        .await
        .expect_error(400, "BAD_TOPIC");
    for path in [
        "?after=-1",
        "?after=x",
        "?after=9007199254740992",
        "?limit=0",
        "?limit=1001",
        "?limit=x",
    ] {
        let path = format!("/api/topics/t/history{path}");
        let answer = Request::get(&path).bearer("ann").send(gateway.addr).await;
        answer.expect_error(400, "BAD_REQUEST");
    }
    for path in ["/api/topics/%00/history", "/api/topics/%FF/history"] {
        let answer = Request::get(path).bearer("ann").send(gateway.addr).await;
        answer.expect_error(400, "BAD_TOPIC");
    }
    assert_eq!(gateway.stats().await["published"], 0);
}

#[tokio::test]
async fn what_is_too_large() {
    let gateway = TestGateway::start().await;
    let large = json!({"topic": "t", "payload": "x".repeat(70_000)}).to_string();
    let answer = Request::publish("ann", large).send(gateway.addr).await;
    assert!(answer.expect_error(413, "LIMIT_EXCEEDED").contains("65536"));
    let many = json!(vec![json!({"topic": "t", "payload": 1}); 1001]).to_string();
    let answer = Request::publish("ann", many).send(gateway.addr).await;
    assert!(answer.expect_error(413, "LIMIT_EXCEEDED").contains("1000"));
    let huge = vec![b' '; 9 << 20];
    let answer = Request::publish("ann", huge).send(gateway.addr).await;
    answer.expect_error(413, "LIMIT_EXCEEDED");
    assert_eq!(gateway.stats().await["published"], 0);
    let most = json!(vec![json!({"topic": "t", "payload": 1}); 1000]).to_string();
    let answer = Request::publish("ann", most).send(gateway.addr).await;
    assert_eq!(answer.json().as_array().unwrap().len(), 1000);
}

#[tokio::test]
async fn what_is_not_there() {
    let gateway = TestGateway::start().await;
    for path in [
        "/nothing",
        "/ws/sub/",
        "/ws/sub/a/b",
        "/api",
        "/%2e%2e/Cargo.toml",
        "/.git/config",
    ] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"]["message"].is_string(), "{path}");
    }
    for (method, path) in [
        ("POST", "/stats"),
        ("GET", "/api/publish"),
        ("DELETE", "/docs"),
        ("POST", "/ws"),
        ("PUT", "/ws/sub/t"),
    ] {
        let answer = Request::new(method, path).send(gateway.addr).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.header("allow").is_some());
        assert!(
            answer.json()["error"]["message"].is_string(),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_request_head_has_a_limit() {
    let gateway = TestGateway::start().await;
    let answer = Request::get("/healthz").header("X-Long", &"x".repeat(20_000));
    assert_eq!(answer.send(gateway.addr).await.status, 431);
    let mut many = Request::get("/healthz");
    for i in 0..150 {
        many = many.header(&format!("X-{i}"), "1");
    }
    assert_eq!(many.send(gateway.addr).await.status, 431);
    assert_eq!(gateway.get("/healthz").await.status, 200);
}
