//! HTTP for people: the pages, the demo endpoint, health and numbers.

use serde_json::{Value, json};

use crate::harness::{Request, TestGateway};

#[tokio::test]
async fn the_root_leads_to_the_page() {
    let gateway = TestGateway::start().await;
    let answer = gateway.get("/").await;
    assert!((300..400).contains(&answer.status));
    assert_eq!(answer.header("location"), Some("/docs"));
}

/// The text that a reader without scripts sees.
fn readable(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let skipped = ["script", "style"]
            .iter()
            .find(|name| tag.starts_with(**name));
        let end = match skipped {
            Some(name) => tag.find(&format!("</{name}>")),
            None => Some(0),
        };
        let tag = &tag[end.unwrap_or(tag.len())..];
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    text + rest
}

#[tokio::test]
async fn the_page_is_readable_as_it_comes() {
    let gateway = TestGateway::start().await;
    let answer = gateway.get("/docs").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let html = answer.text();
    let text = readable(html);
    use micro_socket::protocol::reference::{ENDPOINTS, FRAMES, SETTINGS};
    use micro_socket::protocol::{CloseCode, ErrorCode};
    for frame in FRAMES {
        assert!(text.contains(frame.name), "{}", frame.name);
        assert!(
            frame.fields.iter().all(|field| text.contains(field.name)),
            "{}",
            frame.name
        );
    }
    assert!(
        ErrorCode::ALL
            .iter()
            .all(|code| text.contains(code.as_str()))
    );
    assert!(
        CloseCode::ALL
            .iter()
            .all(|code| text.contains(&code.code().to_string()))
    );
    assert!(SETTINGS.iter().all(|setting| text.contains(setting.name)));
    assert!(
        ENDPOINTS
            .iter()
            .all(|endpoint| text.contains(endpoint.path.split(['{', '?']).next().unwrap()))
    );

    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("'unsafe-inline'") && !policy.contains("'unsafe-eval'"));
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    assert!(nonce.len() >= 16);
    for script in html.split("<script").skip(1) {
        let tag = script.split('>').next().unwrap();
        assert!(tag.contains(&format!("nonce=\"{nonce}\"")), "<script{tag}>");
    }
    let again = gateway.get("/docs").await;
    assert!(
        !again
            .header("content-security-policy")
            .unwrap()
            .contains(nonce)
    );
    for answer in [&answer, &again] {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    assert!(!html.contains("https://") || !html.contains("src=\"https://"));
}

#[tokio::test]
async fn the_api_page_loads_nothing_from_elsewhere() {
    let gateway = TestGateway::start().await;
    let answer = gateway.get("/openapi").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-security-policy")
            .unwrap()
            .contains("default-src 'self'")
    );
    assert!(!answer.text().contains("//cdn") && !answer.text().contains("https://"));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let gateway = TestGateway::start().await;
    for path in [
        "/docs",
        "/openapi",
        "/openapi.json",
        "/asyncapi.json",
        "/stats",
        "/healthz",
        "/readyz",
    ] {
        let get = gateway.get(path).await;
        let head = Request::new("HEAD", path).send(gateway.addr).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn only_get_publishes_by_url() {
    let gateway = TestGateway::start().await;
    let head = Request::new("HEAD", "/demo/publish/a?b=c");
    let answer = head.send(gateway.addr).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    assert_eq!(gateway.stats().await["published"], 0);
}

#[tokio::test]
async fn only_get_begins_a_websocket() {
    let gateway = TestGateway::start().await;
    for path in ["/ws", "/ws/sub/t"] {
        let head = Request::new("HEAD", path)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let answer = head.send(gateway.addr).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    }
}

#[tokio::test]
async fn a_demo_publish_keeps_strings_and_order() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("ann", &["a/b ü"]).await;
    let path =
        "/demo/publish/a%2Fb%20%C3%BC?zeta=1&alpha=%22x%22&b=true&zeta=2&empty=&caf%C3%A9=a+b";
    let answer = gateway.get(path).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    let message = socket.expect("message").await;
    assert_eq!(
        (&body["ok"], &body["topic"], &body["seqNo"]),
        (&json!(true), &json!("a/b ü"), &json!(1))
    );
    assert_eq!(body["messageId"], message["messageId"]);
    let text = socket.seen.last().unwrap();
    assert!(
        text.ends_with(
            r#""data":{"alpha":"\"x\"","b":"true","zeta":"2","empty":"","café":"a b"}}"#
        ),
        "{text}"
    );
    gateway.get("/demo/publish/a%2Fb%20%C3%BC").await;
    assert_eq!(socket.expect("message").await["data"], json!({}));
    gateway
        .get("/demo/publish/%00?a=1")
        .await
        .expect_error(400, "BAD_TOPIC");
    let long = format!("/demo/publish/t?a={}", "x".repeat(9000));
    assert_eq!(gateway.get(&long).await.status, 200);
}

#[tokio::test]
async fn a_demo_publish_too_large_or_switched_off() {
    let small = TestGateway::with(&[("max-message-bytes", "128")]).await;
    let path = format!("/demo/publish/t?a={}", "x".repeat(128));
    small.get(&path).await.expect_error(413, "LIMIT_EXCEEDED");
    let off = TestGateway::with(&[("demo-endpoints", "off")]).await;
    let answer = off.get("/demo/publish/t?a=1").await;
    assert!(
        answer
            .expect_error(404, "BAD_REQUEST")
            .contains("demo-endpoints")
    );
    assert_eq!(off.stats().await["published"], 0);
}

#[tokio::test]
async fn another_sites_page_cannot_publish() {
    let gateway = TestGateway::start().await;
    let own = format!("http://{}", gateway.addr);
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
    ] {
        let request = Request::get("/demo/publish/t?a=1").header(name, value);
        request
            .send(gateway.addr)
            .await
            .expect_error(403, "ACL_DENIED");
    }
    assert_eq!(gateway.stats().await["published"], 0);
    for (name, value) in [
        ("Sec-Fetch-Site", "none"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Origin", own.as_str()),
    ] {
        let request = Request::get("/demo/publish/t?a=1").header(name, value);
        assert_eq!(
            request.send(gateway.addr).await.status,
            200,
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn the_numbers_are_right() {
    let gateway = TestGateway::start().await;
    let at_rest = gateway.stats().await;
    for name in [
        "connections",
        "topics",
        "subscriptions",
        "published",
        "delivered",
        "duplicates",
    ] {
        assert_eq!(at_rest[name], 0, "{name}");
    }
    for name in ["p50Ms", "p95Ms", "p99Ms", "count"] {
        assert_eq!(at_rest["latency"][name].as_f64(), Some(0.0), "{name}");
    }
    let buckets = |stats: &Value| stats["latency"]["buckets"].as_array().unwrap().clone();
    assert_eq!(buckets(&at_rest)[0], json!({"leMs": 0.1, "count": 0}));
    assert_eq!(buckets(&at_rest)[15], json!({"leMs": 10_000.0, "count": 0}));
    assert_eq!(at_rest["slo"]["met"], true);
    assert_eq!(at_rest["version"], env!("CARGO_PKG_VERSION"));
    let mut ann = gateway.user("ann", &["a", "b"]).await;
    let mut bob = gateway.user("bob", &["b", "c"]).await;
    let idle = gateway.socket("/ws").await;
    ann.publish("b", "1", json!(1)).await;
    ann.publish("b", "1", json!(1)).await;
    bob.publish("nobody listens", "2", json!(1)).await;
    let stats = gateway
        .stats_become("two deliveries, and three sockets", |s| {
            s["delivered"] == 2 && s["latency"]["count"] == 2 && s["connections"] == 3
        })
        .await;
    for (name, value) in [
        ("topics", 3),
        ("subscriptions", 4),
        ("published", 2),
        ("duplicates", 1),
    ] {
        assert_eq!(stats[name], value, "{name}");
    }
    let latency = &stats["latency"];
    let counts = buckets(&stats);
    let counts = counts
        .iter()
        .map(|bucket| bucket["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 2);
    let ms = |name: &str| latency[name].as_f64().unwrap();
    assert!(0.0 < ms("p50Ms") && ms("p50Ms") <= ms("p95Ms") && ms("p95Ms") <= ms("p99Ms"));
    drop((ann, bob, idle));
    let stats = gateway
        .stats_become("nobody", |s| {
            s["connections"] == 0 && s["subscriptions"] == 0
        })
        .await;
    assert_eq!(
        (&stats["topics"], &stats["published"]),
        (&json!(0), &json!(2))
    );
}

#[tokio::test]
async fn health() {
    let gateway = TestGateway::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = gateway.get(path).await;
        assert_eq!((answer.status, answer.text()), (200, r#"{"ok":true}"#));
    }
}
