//! `--demo-feed`: something to watch, and only where it was asked for.

use serde_json::json;

use crate::harness::TestGateway;

#[tokio::test]
async fn prices_come_by_themselves_and_in_order() {
    let gateway = TestGateway::with(&[("demo-feed", "on")]).await;
    let mut socket = gateway.socket("/ws").await;
    socket
        .send(json!({"type": "setup", "token": "ann", "topics": ["prices"]}))
        .await;
    let head = socket.expect("subscribed").await["seqNo"].as_u64().unwrap();
    socket.expect("ready").await;
    for seq_no in head + 1..=head + 3 {
        let message = socket.expect("message").await;
        assert_eq!(message["seqNo"], seq_no);
        let data = &message["data"];
        assert!(data["bid"].as_f64() <= data["ask"].as_f64(), "{data}");
    }
}

#[tokio::test]
async fn nothing_comes_unasked() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.user("ann", &["prices"]).await;
    socket.expect_quiet().await;
    assert_eq!(gateway.stats().await["published"], 0);
}
