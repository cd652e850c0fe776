//! What operators ask of one gateway holds for all of them, and the answer says who was reached.

use micro_socket::config::{RawSettings, Settings};
use micro_socket::server::Server;
use serde_json::{Value, json};

use crate::harness::tokens::{SECRET, now, refused, token};
use crate::harness::{Answer, NatsServer, Request, TestGateway, Wire, soon};

async fn gateway(url: &str, node: &str, more: &[(&'static str, &str)]) -> TestGateway {
    let mut settings = vec![("backbone", "nats"), ("nats-url", url), ("node", node)];
    settings.extend_from_slice(more);
    TestGateway::with(&settings).await
}

/// Two that know who is who.
async fn two(more: &[(&'static str, &str)]) -> (NatsServer, TestGateway, TestGateway) {
    let nats = NatsServer::start().await;
    let (url, a, b) = (nats.url(), "a", "b");
    let (a, b) = (gateway(&url, a, more).await, gateway(&url, b, more).await);
    (nats, a, b)
}

const JWT: [(&str, &str); 2] = [("auth", "jwt"), ("jwt-secret", SECRET)];

fn root() -> String {
    token("root", &json!({"admin": true}))
}

async fn post(gateway: &TestGateway, path: &str, body: Value) -> Answer {
    let request = Request::new("POST", path).bearer(&root());
    request.body(body.to_string()).send(gateway.addr).await
}

async fn ask(gateway: &TestGateway, path: &str) -> Value {
    let answer = Request::get(path).bearer("root").send(gateway.addr).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn both() -> Value {
    json!([{"node": "a", "ok": true}, {"node": "b", "ok": true}])
}

#[tokio::test]
async fn a_disconnect_reaches_every_gateway_and_those_that_start_later() {
    let (nats, a, b) = two(&JWT).await;
    let issued = now();
    let ann = |id: &str| token("ann", &json!({"jti": id, "iat": issued}));
    let bob = |id: &str| token("bob", &json!({"jti": id, "iat": issued}));
    let mut there = b.user(&ann("a1"), &[]).await;
    let mut here = a.user(&ann("a2"), &[]).await;
    let mut one = b.user(&bob("b1"), &[]).await;
    let mut other = b.user(&bob("b2"), &[]).await;

    let answer = post(&a, "/api/disconnect", json!({"user": "ann"})).await;
    assert_eq!(answer.json(), json!({"disconnected": 2, "nodes": both()}));
    there.expect_close(4003).await;
    here.expect_close(4003).await;
    let answer = post(&a, "/api/disconnect", json!({"jti": "b1"})).await;
    assert_eq!(answer.json()["disconnected"], 1);
    one.expect_close(4003).await;
    other.expect_quiet().await;

    let late = gateway(&nats.url(), "c", &JWT).await;
    for gateway in [&a, &b, &late] {
        for token in [ann("a1"), ann("a3"), bob("b1")] {
            refused(gateway, &token, "AUTH_FAILED", 4001).await;
        }
        gateway.user(&bob("b3"), &[]).await.expect_quiet().await;
        let newer = token("ann", &json!({"iat": now() + 1}));
        gateway.user(&newer, &[]).await.expect_quiet().await;
    }
    // Closed, and not revoked.
    let answer = post(
        &late,
        "/api/disconnect",
        json!({"user": "bob", "revoke": false}),
    )
    .await;
    let nodes = answer.json()["nodes"].as_array().unwrap().len();
    assert_eq!(
        (answer.json()["disconnected"].as_u64(), nodes),
        (Some(1), 3)
    );
    other.expect_close(4003).await;
    b.user(&bob("b2"), &[]).await.expect_quiet().await;
}

#[tokio::test]
async fn a_gateway_that_was_cut_off_is_named_and_does_it_later() {
    let nats = NatsServer::start().await;
    let a = gateway(&nats.url(), "a", &JWT).await;
    let wire = Wire::to(([127, 0, 0, 1], nats.port()).into()).await;
    let b = gateway(&format!("nats://{}", wire.addr), "b", &JWT).await;
    let ann = token("ann", &json!({"iat": now()}));
    let mut there = b.user(&ann, &[]).await;
    wire.cut();
    soon("b to notice", async {
        while b.get("/readyz").await.status != 503 {}
    })
    .await;
    let answer = post(&a, "/api/disconnect", json!({"user": "ann"})).await;
    let nodes = json!([{"node": "a", "ok": true}, {"node": "b", "ok": false}]);
    assert_eq!(answer.json(), json!({"disconnected": 0, "nodes": nodes}));
    there.expect_quiet().await;
    // It does what it can, and says what it cannot.
    let answer = post(&b, "/api/disconnect", json!({"user": "eve"})).await;
    let told = answer.expect_error(503, "NOT_AVAILABLE");
    assert!(told.starts_with("done on b (0 sockets)"), "{told}");
    let answer = Request::get("/stats?scope=cluster").send(b.addr).await;
    answer.expect_error(503, "NOT_AVAILABLE");

    wire.mend();
    there.expect_close(4003).await;
    refused(&b, &ann, "AUTH_FAILED", 4001).await;
}

#[tokio::test]
async fn topics_and_connections_are_those_of_all_gateways() {
    let (_nats, a, b) = two(&[]).await;
    let _ann = a.user("ann", &["t1", "t3", "all"]).await;
    let mut other = b.user("ann", &["t2", "t4", "all"]).await;
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = ask(&a, &format!("/api/topics?limit=2&after={after}")).await;
        assert_eq!(page["nodes"], both());
        for one in page["topics"].as_array().unwrap() {
            seen.push((one["topic"].clone(), one["subscribers"].as_u64().unwrap()));
        }
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    let expected = [("all", 2), ("t1", 1), ("t2", 1), ("t3", 1), ("t4", 1)];
    assert_eq!(seen, expected.map(|(topic, count)| (json!(topic), count)));

    let found = ask(&b, "/api/users/ann/connections").await;
    assert_eq!((&found["count"], &found["nodes"]), (&json!(2), &both()));
    let mut nodes: Vec<_> = (found["connections"].as_array().unwrap().iter())
        .map(|one| {
            (
                one["node"].as_str().unwrap(),
                one["topics"][0].as_str().unwrap(),
            )
        })
        .collect();
    nodes.sort_unstable();
    assert_eq!(
        nodes.iter().map(|(node, _)| *node).collect::<Vec<_>>(),
        ["a", "b"]
    );

    let body = json!({"user": "ann", "topic": "all"});
    let request = Request::new("POST", "/api/unsubscribe").bearer("root");
    let answer = request.body(body.to_string()).send(a.addr).await;
    assert_eq!(answer.json(), json!({"unsubscribed": 2, "nodes": both()}));
    assert_eq!(other.expect("unsubscribed").await["topic"], "all");
}

#[tokio::test]
async fn numbers_add_up_over_all_gateways() {
    let (_nats, a, b) = two(&[]).await;
    let mut ann = a.user("ann", &["t", "u"]).await;
    let mut bob = b.user("bob", &["t"]).await;
    for id in ["1", "2", "2"] {
        bob.publish("t", id, json!(1)).await;
    }
    ann.messages(2).await;
    let sum = soon("the sums", async {
        loop {
            let sum = ask(&a, "/stats?scope=cluster").await;
            if sum["delivered"] == 4 && sum["latency"]["count"] == 4 {
                return sum;
            }
        }
    })
    .await;
    assert_eq!(
        (&sum["node"], &sum["connections"]),
        (&json!("a"), &json!(2))
    );
    assert_eq!(
        (&sum["published"], &sum["duplicates"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        (&sum["topics"], &sum["subscriptions"]),
        (&json!(3), &json!(3))
    );
    let nodes = sum["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    for (node, name) in nodes.iter().zip(["a", "b"]) {
        assert_eq!((&node["node"], &node["ok"]), (&json!(name), &json!(true)));
    }
    for field in [
        "connections",
        "topics",
        "subscriptions",
        "published",
        "delivered",
    ] {
        let parts: u64 = nodes
            .iter()
            .map(|node| node["stats"][field].as_u64().unwrap())
            .sum();
        assert_eq!(sum[field], parts, "{field}");
    }
    // Alone, and for one, it is what it was.
    let own = ask(&b, "/stats").await;
    assert_eq!(
        (&own["node"], &own["connections"]),
        (&json!("b"), &json!(1))
    );
    assert!(own["nodes"].is_null());
    assert_eq!(ask(&b, "/stats?scope=node").await["connections"], 1);
    let answer = Request::get("/stats?scope=all").send(b.addr).await;
    answer.expect_error(400, "BAD_REQUEST");

    // Who goes politely is missed by nobody.
    b.drain().await;
    soon("b to be gone", async {
        while ask(&a, "/stats?scope=cluster").await["nodes"]
            .as_array()
            .unwrap()
            .len()
            > 1
        {}
    })
    .await;
}

#[tokio::test]
async fn every_gateway_has_a_name_of_its_own() {
    let nats = NatsServer::start().await;
    let url = nats.url();
    let a = gateway(&url, "a", &[]).await;
    let mut raw = RawSettings::default();
    let settings = [("addr", "127.0.0.1:0"), ("backbone", "nats"), ("node", "a")];
    for (name, value) in settings.into_iter().chain([("nats-url", &*url)]) {
        raw.add(name, value.to_owned(), String::new());
    }
    let settings = Settings::resolve(&raw, None).unwrap();
    let refused = soon("the refusal", Server::start(&settings)).await;
    let told = refused.map(drop).unwrap_err().to_string();
    assert!(told.contains("another gateway is called a"), "{told}");
    // One that went does not keep its name.
    a.drain().await;
    gateway(&url, "a", &[]).await;
}

#[tokio::test]
async fn a_gateway_alone_answers_for_itself() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.socket("/ws").await;
    let ready = ann.setup("ann", &["t"]).await;
    let sum = ask(&gateway, "/stats?scope=cluster").await;
    let port = gateway.addr.port();
    assert!(
        ready["node"]
            .as_str()
            .unwrap()
            .ends_with(&format!("-{port}"))
    );
    assert_eq!(sum["node"], ready["node"]);
    assert_eq!(sum["nodes"][0]["node"], ready["node"]);
    assert_eq!(
        (&sum["connections"], &sum["nodes"][0]["ok"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(sum["nodes"].as_array().unwrap().len(), 1);
}
