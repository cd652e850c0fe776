//! `/stats/stream`: the gateway in numbers, every second, until it drains.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::harness::{Request, TestGateway, soon};

async fn stream(gateway: &TestGateway) -> Lines<BufReader<TcpStream>> {
    let mut socket = TcpStream::connect(gateway.addr).await.unwrap();
    let request = format!(
        "GET /stats/stream HTTP/1.1\r\nHost: {}\r\n\r\n",
        gateway.addr
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(socket).lines();
    let status = soon("an answer", lines.next_line()).await.unwrap();
    assert_eq!(status.as_deref(), Some("HTTP/1.1 200 OK"));
    lines
}

/// The data of the next event; `None` at the end of the stream.
async fn event(lines: &mut Lines<BufReader<TcpStream>>) -> Option<Value> {
    soon("an event", async {
        loop {
            let line = lines.next_line().await.unwrap()?;
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
            if line == "0" {
                return None;
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_changes_is_told_until_the_gateway_drains() {
    // It may last longer than any other answer.
    let gateway = TestGateway::with(&[("message-timeout", "1s")]).await;
    let mut lines = stream(&gateway).await;
    let first = event(&mut lines).await.unwrap();
    assert_eq!(first["connections"], 0);
    for _ in 0..3 {
        event(&mut lines).await.unwrap();
    }
    let _ann = gateway.user("ann", &["t"]).await;
    while event(&mut lines).await.unwrap()["subscriptions"] != 1 {}
    let ended = tokio::spawn(async move { while event(&mut lines).await.is_some() {} });
    gateway.drain().await;
    soon("the end", ended).await.unwrap();
}

#[tokio::test]
async fn there_is_an_end_to_streams() {
    let gateway = TestGateway::start().await;
    let mut open = Vec::new();
    for _ in 0..micro_socket::http::MAX_STREAMS {
        open.push(stream(&gateway).await);
    }
    let refused = Request::get("/stats/stream").send(gateway.addr).await;
    refused.expect_error(429, "TOO_MANY_REQUESTS");
    open.pop();
    soon("room again", async {
        loop {
            let mut socket = TcpStream::connect(gateway.addr).await.unwrap();
            let request = format!(
                "GET /stats/stream HTTP/1.1\r\nHost: {}\r\n\r\n",
                gateway.addr
            );
            socket.write_all(request.as_bytes()).await.unwrap();
            let status = BufReader::new(socket).lines().next_line().await.unwrap();
            if status.as_deref() == Some("HTTP/1.1 200 OK") {
                return;
            }
        }
    })
    .await;
}
