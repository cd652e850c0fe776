//! Traces reach a collector: what is in them, whose they are, and how many.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::harness::{Request, TestGateway, soon};

/// A collector that takes OTLP over HTTP and keeps every span.
#[derive(Clone)]
struct Collector {
    addr: SocketAddr,
    spans: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let spans = Arc::default();
        let collector = Self { addr, spans };
        let kept = collector.spans.clone();
        let take = async move |Json(body): Json<Value>| {
            let lists = |value: &Value, name: &str| value[name].as_array().unwrap().clone();
            for resource in lists(&body, "resourceSpans") {
                let name = attribute(&resource["resource"], "service.name");
                assert_eq!(name["stringValue"], "micro-socket");
                for scope in lists(&resource, "scopeSpans") {
                    kept.lock().unwrap().extend(lists(&scope, "spans"));
                }
            }
            Json(json!({}))
        };
        let routes = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        collector
    }

    /// A gateway that traces this share.
    async fn gateway(&self, sample: &str) -> TestGateway {
        let endpoint = format!("http://{}", self.addr);
        TestGateway::with(&[("otlp-endpoint", &endpoint), ("otlp-sample", sample)]).await
    }

    fn named(&self, name: &str) -> Vec<Value> {
        let spans = self.spans.lock().unwrap();
        spans
            .iter()
            .filter(|s| s["name"] == name)
            .cloned()
            .collect()
    }

    /// Waits for so many spans of a name.
    async fn expect(&self, name: &str, count: usize) -> Vec<Value> {
        soon(name, async {
            while self.named(name).len() < count {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        self.named(name)
    }
}

fn attribute(of: &Value, key: &str) -> Value {
    let attributes = of["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|a| a["key"] == key);
    found.unwrap_or_else(|| panic!("no {key} in {of}"))["value"].clone()
}

fn parent(span: &Value) -> &str {
    span["parentSpanId"].as_str().unwrap_or_default()
}

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_connection_and_its_publishes_are_told() {
    let collector = Collector::start().await;
    let gateway = collector.gateway("1").await;
    let mut ann = gateway.user("ann", &["t"]).await;
    ann.publish("t", "1", json!("SECRET")).await;
    ann.publish("t", "1", json!("SECRET")).await;
    ann.close(1000, "").await;
    let connection = collector.expect("connection", 1).await.remove(0);
    assert_eq!(connection["events"][0]["name"], "set up");
    assert_eq!(
        attribute(&connection, "micro_socket.end")["stringValue"],
        "peer"
    );
    let publishes = collector.expect("publish", 2).await;
    let appends = collector.expect("append", 2).await;
    for publish in &publishes {
        let topic = attribute(publish, "messaging.destination.name");
        assert_eq!(topic["stringValue"], "t");
        assert_eq!(parent(publish), "", "a trace of its own");
        let of_it = appends.iter().filter(|a| parent(a) == publish["spanId"]);
        assert_eq!(of_it.count(), 1);
    }
    let status = attribute(&publishes[1], "micro_socket.status");
    assert_eq!(status["stringValue"], "duplicate");
    let all = serde_json::to_string(&*collector.spans.lock().unwrap()).unwrap();
    assert!(!all.contains("SECRET"), "{all}");
}

#[tokio::test]
async fn a_program_that_publishes_sees_it_in_its_own_trace() {
    let collector = Collector::start().await;
    let gateway = collector.gateway("0").await;
    let body = |id: &str| json!({"topic": "t", "messageId": id, "payload": 1}).to_string();
    for (id, traceparent) in [("traced", CALLER), ("not", &CALLER.replace("-01", "-00"))] {
        let request = Request::publish("ann", body(id)).header("traceparent", traceparent);
        assert_eq!(request.send(gateway.addr).await.status, 200);
    }
    // Neither one that has no caller nor one of a browser.
    Request::publish("ann", body("alone"))
        .send(gateway.addr)
        .await;
    let demo = Request::get("/demo/publish/t?a=1").header("traceparent", CALLER);
    assert_eq!(demo.send(gateway.addr).await.status, 200);
    let refused = Request::publish("", body("refused")).header("traceparent", CALLER);
    assert_eq!(refused.send(gateway.addr).await.status, 401);
    let requests = collector.expect("POST /api/publish", 2).await;
    let statuses: Vec<Value> = requests
        .iter()
        .map(|span| attribute(span, "http.response.status_code")["intValue"].clone())
        .collect();
    assert_eq!(statuses, [json!("200"), json!("401")]);
    gateway.drain().await;
    for span in &requests {
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent(span), "00f067aa0ba902b7");
    }
    let publishes = collector.named("publish");
    assert_eq!(publishes.len(), 1);
    assert_eq!(publishes[0]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(parent(&publishes[0]), requests[0]["spanId"]);
    assert_eq!(collector.spans.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_publish_that_waits_for_the_disk_is_told_whole() {
    let collector = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("http://{}", collector.addr);
    let gateway = TestGateway::with(&[
        ("otlp-endpoint", &endpoint),
        ("otlp-sample", "100%"),
        ("backbone", "disk"),
        ("data-dir", dir.path().to_str().unwrap()),
    ])
    .await;
    let mut ann = gateway.user("ann", &[]).await;
    for id in ["1", "2"] {
        ann.publish("t", id, json!(1)).await;
    }
    // A stop sends what is left.
    gateway.drain().await;
    let publishes = collector.named("publish");
    let numbers = publishes
        .iter()
        .map(|span| attribute(span, "micro_socket.seq_no"));
    assert!(numbers.eq(["1", "2"].map(|n| json!({"intValue": n}))));
    assert_eq!(collector.named("append").len(), 2);
    assert_eq!(collector.named("connection").len(), 1);
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let gateway = TestGateway::with(&[("otlp-endpoint", &endpoint), ("otlp-sample", "1")]).await;
    let mut ann = gateway.user("ann", &["t"]).await;
    for id in 0..50 {
        ann.publish("t", &id.to_string(), json!(id)).await;
    }
    drop(ann);
    soon("the end", gateway.drain()).await;
}
