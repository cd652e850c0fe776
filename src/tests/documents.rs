//! `/openapi.json` and `/asyncapi.json` say what the gateway really does: its own answers and frames
//! are checked against them, and broken ones do not pass.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::harness::socket::publish;
use crate::harness::{Request, Socket, TestGateway};

/// A schema of a document, with what it refers to.
fn validator(schema: &Value, document: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    jsonschema::validator_for(&schema).unwrap()
}

#[track_caller]
fn assert_valid(validator: &Validator, value: &Value) {
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|e| e.to_string())
        .collect();
    assert!(problems.is_empty(), "{value}: {problems:?}");
}

/// Leaving out what is required, or another kind of value, is noticed.
#[track_caller]
fn assert_strict(validator: &Validator, value: &Value, required: &[&str], any: &[&str]) {
    for name in required {
        let mut broken = value.clone();
        broken.as_object_mut().unwrap().remove(*name).unwrap();
        assert!(
            !validator.is_valid(&broken),
            "{value} without {name} passes"
        );
    }
    for name in value.as_object().unwrap().keys() {
        let mut broken = value.clone();
        broken[name] = json!([[]]);
        let passes = validator.is_valid(&broken);
        assert_eq!(passes, any.contains(&name.as_str()), "{name} of {value}");
    }
}

/// Every frame that the gateway sends, from one visit.
async fn tour(gateway: &TestGateway) -> Vec<String> {
    let mut socket = gateway.socket("/ws").await;
    socket.send(json!({"type": "ping"})).await;
    socket.send(json!({"type": "nope"})).await;
    socket.expect("pong").await;
    socket.expect("error").await;
    let ready = socket.setup("ann", &["t"]).await;
    for id in ["1", "1", "2"] {
        socket.publish("t", id, json!({"any": [null, 1.5]})).await;
    }
    let mut signed = publish("t", "3", json!("x"));
    signed["sig"] = json!("s");
    socket.send(signed).await;
    for frame in [
        json!({"type": "subscribe", "topic": ""}),
        publish("", "4", json!(1)),
        json!({"type": "subscribe", "topic": "t", "lastSeq": 1}),
        json!({"type": "subscribe", "topic": "t", "lastSeq": 9}),
        json!({"type": "subscribe", "topic": "t", "lastSeq": 1, "epoch": "e"}),
        json!({"type": "subscribe", "topic": "t", "qos": 1}),
        json!({"type": "ack", "topic": "t", "seqNo": 1000}),
        json!({"type": "refresh", "token": "ann"}),
        json!({"type": "unsubscribe", "topic": "t"}),
    ] {
        socket.send(frame).await;
    }
    while socket.next().await["type"] != "unsubscribed" {}
    let mut again = gateway.socket("/ws").await;
    again.seen = socket.seen;
    resume(&mut again, &ready).await;
    again.seen
}

async fn resume(socket: &mut Socket, ready: &Value) {
    let session = &ready["sessionId"];
    socket
        .send(
            json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {}}),
        )
        .await;
    loop {
        let frame = socket.next().await;
        match frame["type"].as_str() {
            Some("ready") => return assert_eq!(frame["resumed"], true),
            Some("error") => panic!("{frame}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn every_frame_of_the_gateway_is_as_asyncapi_says() {
    let gateway = TestGateway::start().await;
    let document = gateway.get("/asyncapi.json").await.json();
    assert_eq!(document["asyncapi"], "3.0.0");
    let mut kinds = BTreeSet::new();
    for text in tour(&gateway).await {
        let frame: Value = serde_json::from_str(&text).unwrap();
        let kind = frame["type"].as_str().unwrap();
        kinds.insert(kind.to_owned());
        let schema = &document["components"]["messages"][kind]["payload"];
        let check = validator(schema, &document);
        assert_valid(&check, &frame);
        let required: Vec<&str> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_strict(&check, &frame, &required, &["data"]);
        let known = schema["properties"].as_object().unwrap();
        for name in frame.as_object().unwrap().keys() {
            assert!(
                known.contains_key(name),
                "{kind}.{name} is not in the document"
            );
        }
        micro_socket::protocol::decode_server(&text).unwrap();
    }
    let sent = &document["operations"]["sendOnMulti"]["messages"];
    let documented: BTreeSet<String> = sent
        .as_array()
        .unwrap()
        .iter()
        .map(|message| {
            message["$ref"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(kinds, documented);
}

#[tokio::test]
async fn what_asyncapi_allows_to_be_sent_is_understood() {
    let gateway = TestGateway::start().await;
    let document = gateway.get("/asyncapi.json").await.json();
    let messages = &document["components"]["messages"];
    for (key, frame) in [
        (
            "setup",
            json!({"type": "setup", "token": "ann", "topics": ["t"], "qos": 0}),
        ),
        (
            "subscribe",
            json!({"type": "subscribe", "topic": "t", "lastSeq": 0, "epoch": "e", "qos": 1}),
        ),
        ("unsubscribe", json!({"type": "unsubscribe", "topic": "t"})),
        (
            "publish",
            json!({"type": "publish", "topic": "t", "messageId": "1", "payload": null, "sig": "s"}),
        ),
        (
            "clientAck",
            json!({"type": "ack", "topic": "t", "seqNo": 1}),
        ),
        (
            "resume",
            json!({"type": "resume", "token": "ann", "sessionId": "s", "lastSeqPerTopic": {"t": 1}, "epochs": {"t": "e"}}),
        ),
        ("refresh", json!({"type": "refresh", "token": "ann"})),
        ("ping", json!({"type": "ping"})),
    ] {
        let check = validator(&messages[key]["payload"], &document);
        assert_valid(&check, &frame);
        assert_valid(&check, &messages[key]["examples"][0]["payload"]);
        assert_strict(&check, &frame, &["type"], &["payload"]);
        let mut socket = gateway.user("ann", &[]).await;
        socket.send(frame).await;
        socket.send(json!({"type": "ping"})).await;
        loop {
            let answer = socket.next().await;
            assert_ne!(answer["code"], "BAD_REQUEST", "{key}: {answer}");
            if answer["type"] == "pong" {
                break;
            }
        }
    }
}

#[tokio::test]
async fn every_answer_over_http_is_as_openapi_says() {
    let gateway = TestGateway::with(&[("max-message-bytes", "1000")]).await;
    let document = gateway.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let publish = |body: &str| Request::publish("ann", body);
    let history = |path: &str| Request::get(path).bearer("ann");
    let large = json!({"topic": "t", "payload": "x".repeat(2000)}).to_string();
    let huge = " ".repeat(9 << 20);
    let one = r#"{"topic":"t","messageId":"1","payload":{"n":1}}"#;
    let disconnect = |body: &str| Request::new("POST", "/api/disconnect").body(body);
    let unsubscribe = |body: &str| Request::new("POST", "/api/unsubscribe").body(body);
    let _ann = gateway.user("ann", &["t"]).await;
    let mut ben = gateway.socket("/ws").await;
    let ready = ben.setup("ben", &[]).await;
    let session = ready["sessionId"].as_str().unwrap().to_owned();
    let cut = |session: &str| {
        let body = json!({"sessionId": session, "fault": "cut"});
        Request::new("POST", "/demo/faults").body(body.to_string())
    };
    // Prometheus text and a stream, which have tests of their own.
    let mut seen = BTreeSet::from(["/metrics".to_owned(), "/stats/stream".to_owned()]);
    for (path, method, request, status) in [
        ("/stats", "get", Request::get("/stats"), 200),
        ("/stats", "get", Request::get("/stats?scope=all"), 400),
        ("/healthz", "get", Request::get("/healthz"), 200),
        ("/readyz", "get", Request::get("/readyz"), 200),
        (
            "/demo/publish/{topic}",
            "get",
            Request::get("/demo/publish/t?a=1"),
            200,
        ),
        (
            "/demo/publish/{topic}",
            "get",
            Request::get("/demo/publish/%00"),
            400,
        ),
        (
            "/demo/publish/{topic}",
            "get",
            Request::get("/demo/publish/t").header("Origin", "null"),
            403,
        ),
        (
            "/demo/publish/{topic}",
            "get",
            Request::get(&format!("/demo/publish/t?a={}", "x".repeat(1000))),
            413,
        ),
        ("/demo/faults", "post", cut(&session), 200),
        ("/demo/faults", "post", cut(""), 404),
        (
            "/demo/faults",
            "post",
            cut("").header("Origin", "null"),
            403,
        ),
        (
            "/demo/faults",
            "post",
            Request::new("POST", "/demo/faults"),
            400,
        ),
        ("/api/publish", "post", publish(one), 200),
        (
            "/api/publish",
            "post",
            publish(&format!("[{one},{{\"topic\":\"\",\"payload\":1}}]")),
            200,
        ),
        ("/api/publish", "post", publish("{"), 400),
        (
            "/api/publish",
            "post",
            Request::new("POST", "/api/publish"),
            401,
        ),
        ("/api/publish", "post", publish(&large), 413),
        (
            "/api/topics/{topic}/history",
            "get",
            history("/api/topics/t/history"),
            200,
        ),
        (
            "/api/topics/{topic}/history",
            "get",
            history("/api/topics/t/history?limit=0"),
            400,
        ),
        (
            "/api/topics/{topic}/history",
            "get",
            Request::get("/api/topics/t/history"),
            401,
        ),
        (
            "/api/disconnect",
            "post",
            disconnect(r#"{"user":"nobody"}"#).bearer("ann"),
            200,
        ),
        (
            "/api/disconnect",
            "post",
            disconnect(r#"{"user":5}"#).bearer("ann"),
            400,
        ),
        ("/api/disconnect", "post", disconnect("{}"), 401),
        (
            "/api/disconnect",
            "post",
            disconnect(&huge).bearer("ann"),
            413,
        ),
        (
            "/api/unsubscribe",
            "post",
            unsubscribe(&huge).bearer("ann"),
            413,
        ),
        (
            "/demo/faults",
            "post",
            Request::new("POST", "/demo/faults").body(huge.clone()),
            413,
        ),
        ("/api/topics", "get", history("/api/topics"), 200),
        ("/api/topics", "get", history("/api/topics?limit=0"), 400),
        ("/api/topics", "get", Request::get("/api/topics"), 401),
        (
            "/api/users/{user}/connections",
            "get",
            history("/api/users/ann/connections"),
            200,
        ),
        (
            "/api/users/{user}/connections",
            "get",
            Request::get("/api/users/ann/connections"),
            401,
        ),
        (
            "/api/unsubscribe",
            "post",
            unsubscribe(r#"{"user":"ann","topic":"t"}"#).bearer("ann"),
            200,
        ),
        (
            "/api/unsubscribe",
            "post",
            unsubscribe("{}").bearer("ann"),
            400,
        ),
        ("/api/unsubscribe", "post", unsubscribe("{}"), 401),
    ] {
        let answer = request.send(gateway.addr).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        let described = &document["paths"][path][method]["responses"][status.to_string()];
        let schema = &described["content"]["application/json"]["schema"];
        assert!(
            schema.is_object(),
            "{method} {path} {status} is not in the document"
        );
        let check = validator(schema, &document);
        let body = answer.json();
        assert_valid(&check, &body);
        assert!(
            !check.is_valid(&json!("broken")),
            "{method} {path} {status}"
        );
        if let Some(members) = body.as_object() {
            let required: Vec<&str> = members.keys().map(String::as_str).collect();
            assert_strict(&check, &body, &required, &[]);
        }
        seen.insert(path.to_owned());
    }
    // What the door answers, whatever is behind it.
    let slow = TestGateway::with(&[("message-timeout", "100ms")]).await;
    let unfinished = Request::publish("ann", "").header("Content-Length", "9");
    let busy = TestGateway::with(&[("max-connections-per-address", "1")]).await;
    let _only = busy.user("ann", &[]).await;
    for (addr, request, status) in [
        (slow.addr, unfinished, 408),
        (busy.addr, publish("{}"), 503),
        (busy.addr, Request::get("/stats"), 503),
    ] {
        let answer = request.send(addr).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        for (path, routes) in document["paths"].as_object().unwrap() {
            for (method, route) in routes.as_object().unwrap() {
                let described = &route["responses"][status.to_string()]["content"];
                let schema = &described["application/json"]["schema"];
                assert!(schema.is_object(), "{method} {path} {status}");
                assert_valid(&validator(schema, &document), &answer.json());
            }
        }
    }
    // With what is there for all gateways only.
    let described = &document["paths"]["/stats"]["get"]["responses"]["200"];
    let check = validator(
        &described["content"]["application/json"]["schema"],
        &document,
    );
    let everywhere = gateway.get("/stats?scope=cluster").await.json();
    assert_valid(&check, &everywhere);
    let mut without = everywhere;
    let node = without["nodes"][0].as_object_mut().unwrap();
    node.remove("stats").unwrap();
    node.insert("ok".to_owned(), json!(false));
    assert_valid(&check, &without);
    without["nodes"][0]["ok"] = json!("yes");
    assert!(!check.is_valid(&without));
    // The one answer that is no JSON.
    let described = &document["paths"]["/metrics"]["get"]["responses"]["200"]["content"];
    assert!(described["text/plain"]["schema"].is_object(), "{described}");
    seen.insert("/metrics".to_owned());
    let documented: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(seen, documented);
}
