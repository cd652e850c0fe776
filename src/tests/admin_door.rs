//! With `admin-addr` operators have a door of their own, and only there is what is theirs.

use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::raw::{CLOSE, FIN};
use crate::harness::{Request, TestGateway, soon};

/// Strangers that this gateway has room for.
const CROWD: usize = 3;

const OPERATORS: [&str; 4] = [
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/topics/prices/history",
];

#[tokio::test]
async fn each_route_is_at_one_door() {
    let gateway = TestGateway::with(&[("admin-addr", "127.0.0.1:0")]).await;
    let admin = gateway.admin_addr.unwrap();
    assert_ne!(admin, gateway.addr);
    for path in OPERATORS {
        let ask = || Request::get(path).bearer("ann");
        assert_eq!(ask().send(admin).await.status, 200, "{path}");
        let elsewhere = ask().send(gateway.addr).await;
        let words = elsewhere.expect_error(404, "BAD_REQUEST");
        assert!(words.contains("admin-addr"), "{words}");
    }
    for path in ["/stats", "/docs", "/asyncapi.json", "/demo/publish/t?a=1"] {
        assert_eq!(gateway.get(path).await.status, 200, "{path}");
        Request::get(path)
            .send(admin)
            .await
            .expect_error(404, "BAD_REQUEST");
    }
    let upgrade = Request::upgrade("/ws").send(admin).await;
    upgrade.expect_error(404, "BAD_REQUEST");
    // Each door describes what is behind it.
    for (addr, has, lacks) in [
        (gateway.addr, "/stats", "/api/publish"),
        (admin, "/api/publish", "/stats"),
    ] {
        let document = Request::get("/openapi.json").send(addr).await.json();
        assert!(document["paths"][has].is_object(), "{has}");
        assert!(document["paths"][lacks].is_null(), "{lacks}");
        assert_eq!(document["info"]["title"], "Micro Socket");
    }
}

#[tokio::test]
async fn what_comes_in_there_reaches_clients() {
    let gateway = TestGateway::with(&[("admin-addr", "127.0.0.1:0")]).await;
    let admin = gateway.admin_addr.unwrap();
    let mut ann = gateway.user("ann", &["t"]).await;
    let publish = Request::publish("bob", r#"{"topic":"t","payload":1}"#);
    assert_eq!(publish.send(admin).await.status, 200);
    assert_eq!(ann.expect("message").await["data"], 1);
    let disconnect = Request::new("POST", "/api/disconnect").bearer("bob");
    let body = json!({"user": "ann"}).to_string();
    let answer = disconnect.body(body).send(admin).await.json();
    assert_eq!(answer, json!({"disconnected": 1}));
    ann.expect_close(4003).await;
}

#[tokio::test]
async fn readiness_turns_red_there_during_a_drain() {
    let gateway = TestGateway::with(&[("admin-addr", "127.0.0.1:0")]).await;
    let admin = gateway.admin_addr.unwrap();
    // A peer that does not answer the close holds the drain up.
    let mut stubborn = gateway.raw("/ws").await;
    stubborn.setup("ann", "t").await;
    let draining = tokio::spawn(gateway.drain());
    stubborn.expect_close(1012).await;
    let answer = Request::get("/readyz").send(admin).await;
    answer.expect_error(503, "NOT_AVAILABLE");
    assert_eq!(Request::get("/healthz").send(admin).await.status, 200);
    stubborn.frame(FIN | CLOSE, &1012_u16.to_be_bytes()).await;
    soon("the drain", draining).await.unwrap();
}

#[tokio::test]
async fn a_crowd_at_the_public_door_does_not_close_it() {
    let room = CROWD.to_string();
    let gateway = TestGateway::with(&[
        ("admin-addr", "127.0.0.1:0"),
        ("max-pending", &room),
        ("max-connections-per-address", &room),
        ("setup-timeout", "1m"),
    ])
    .await;
    let admin = gateway.admin_addr.unwrap();
    let mut crowd = Vec::new();
    for _ in 0..=CROWD {
        crowd.push(TcpStream::connect(gateway.addr).await.unwrap());
    }
    // One of them is turned away: there is no room any more.
    let refused = "micro_socket_refused_total{cause=\"pending\"} 1\n";
    let metrics = || async { Request::get("/metrics").send(admin).await };
    soon("one to be turned away", async {
        while !metrics().await.text().contains(refused) {}
    })
    .await;
    // Operators get in, however many they are.
    let mut operators = Vec::new();
    for _ in 0..=CROWD {
        operators.push(TcpStream::connect(admin).await.unwrap());
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(Request::get(path).send(admin).await.status, 200, "{path}");
    }
    drop((crowd, operators));
}
