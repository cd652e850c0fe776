//! RFC 6455 as a peer sees it that keeps or breaks it byte by byte.

use crate::harness::raw::{BINARY, FIN, PING, PONG, TEXT, header, masked};
use crate::harness::{Request, TestGateway};

const PING_FRAME: &str = r#"{"type":"ping"}"#;
const PONG_FRAME: &str = r#"{"type":"pong"}"#;

async fn closed_with(gateway: &TestGateway, bytes: &[u8], code: u16) {
    let mut socket = gateway.raw("/ws").await;
    socket.write(bytes).await;
    socket.expect_close(code).await;
    socket.expect_end().await;
}

#[tokio::test]
async fn what_breaks_the_rules_is_closed_with_its_code() {
    let gateway = TestGateway::with(&[("max-message-bytes", "1000")]).await;
    let mut bystander = gateway.user("ann", &["t"]).await;
    let mut unmasked = header(FIN | TEXT, 2, 0);
    unmasked.extend_from_slice(b"{}");
    for (bytes, code) in [
        (unmasked, 1002),
        (masked(FIN | TEXT | 0x40, b"{}"), 1002),
        (masked(FIN | TEXT | 0x10, b"{}"), 1002),
        (masked(FIN | 3, b"{}"), 1002),
        (masked(FIN | 11, b""), 1002),
        (masked(FIN, b"a continuation of nothing"), 1002),
        (masked(PING, b"fragmented"), 1002),
        (masked(FIN | PING, &[0; 126]), 1002),
        (
            [masked(TEXT, b"{"), masked(FIN | TEXT, b"}")].concat(),
            1002,
        ),
        (masked(FIN | 8, &[3]), 1002),
        (masked(FIN | 8, &999_u16.to_be_bytes()), 1002),
        (masked(FIN | 8, &1005_u16.to_be_bytes()), 1002),
        (masked(FIN | BINARY, b"{}"), 1003),
        (masked(FIN | TEXT, b"\xff\xfe"), 1007),
        ([masked(TEXT, b"\xc3"), masked(FIN, b"(")].concat(), 1007),
        (masked(FIN | TEXT, &[b' '; 1001]), 1009),
        (
            header(FIN | TEXT, 1 << 40, 0x80)
                .into_iter()
                .chain([0; 4])
                .collect(),
            1009,
        ),
        (
            [masked(TEXT, &[b' '; 600]), masked(FIN, &[b' '; 600])].concat(),
            1009,
        ),
        (
            header(FIN | BINARY, 900, 0x80)
                .into_iter()
                .chain([0; 4])
                .collect(),
            1003,
        ),
    ] {
        closed_with(&gateway, &bytes, code).await;
    }
    bystander.publish("t", "1", serde_json::json!(1)).await;
    gateway
        .stats_become("one connection", |s| s["connections"] == 1)
        .await;
}

#[tokio::test]
async fn a_message_of_the_largest_size_is_taken() {
    let gateway = TestGateway::with(&[("max-message-bytes", "1000")]).await;
    let mut socket = gateway.raw("/ws").await;
    let padded = format!("{PING_FRAME}{}", " ".repeat(1000 - PING_FRAME.len()));
    socket.text(&padded).await;
    assert_eq!(socket.next_text().await, PONG_FRAME);
}

#[tokio::test]
async fn fragments_and_what_stands_between_them() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.raw("/ws").await;
    socket.setup("ann", "t").await;
    let text = r#"{"type":"publish","topic":"t","messageId":"ü","payload":"😀"}"#.as_bytes();
    // Cut in the middle of characters, with pings between, one byte a write.
    let cuts = [0, 45, 46, 47, 58, 60, text.len()];
    let mut bytes = Vec::new();
    for (i, cut) in cuts.windows(2).enumerate() {
        let opcode = if i == 0 { TEXT } else { 0 };
        let fin = if cut[1] == text.len() { FIN } else { 0 };
        bytes.extend(masked(fin | opcode, &text[cut[0]..cut[1]]));
        if fin == 0 {
            bytes.extend(masked(FIN | PING, format!("p{i}").as_bytes()));
        }
    }
    for byte in bytes {
        socket.write(&[byte]).await;
    }
    for i in 0..cuts.len() - 2 {
        let pong = socket.next().await.unwrap();
        assert_eq!(
            (pong.opcode, pong.payload),
            (PONG, format!("p{i}").into_bytes())
        );
    }
    let both = [socket.next_text().await, socket.next_text().await].concat();
    assert!(both.contains(r#""data":"😀""#) && both.contains(r#""messageId":"ü","status""#));
}

#[tokio::test]
async fn many_frames_in_one_write_are_all_answered() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.raw("/ws").await;
    let bytes = masked(FIN | TEXT, PING_FRAME.as_bytes()).repeat(5000);
    let mut leaver = gateway.raw("/ws").await;
    leaver.write(&bytes[..bytes.len() / 2]).await;
    drop(leaver); // a peer that leaves in the middle disturbs nobody
    socket.write(&bytes).await;
    for _ in 0..5000 {
        assert_eq!(socket.next_text().await, PONG_FRAME);
    }
}

#[tokio::test]
async fn handshakes_that_are_none() {
    let gateway = TestGateway::start().await;
    let full = || Request::upgrade("/ws");
    for (request, status) in [
        (Request::get("/ws"), 426),
        (Request::get("/ws/sub/t"), 426),
        (full().without("Upgrade"), 426),
        (full().without("Connection"), 426),
        (full().without("Sec-WebSocket-Version"), 426),
        (
            full()
                .without("Sec-WebSocket-Version")
                .header("Sec-WebSocket-Version", "8"),
            426,
        ),
        (full().without("Sec-WebSocket-Key"), 400),
        (
            full()
                .without("Sec-WebSocket-Key")
                .header("Sec-WebSocket-Key", "c2hvcnQ="),
            400,
        ),
    ] {
        let answer = request.send(gateway.addr).await;
        answer.expect_error(status, "BAD_REQUEST");
        if status == 426 {
            // RFC 9110 section 15.5.22, RFC 6455 section 4.4.
            assert_eq!(answer.header("upgrade"), Some("websocket"));
            assert_eq!(answer.header("sec-websocket-version"), Some("13"));
        }
    }
    assert_eq!(full().send(gateway.addr).await.status, 101);
    let listed = full()
        .without("Connection")
        .header("Connection", "keep-alive, Upgrade");
    assert_eq!(listed.send(gateway.addr).await.status, 101);
    gateway
        .stats_become("no connection", |s| s["connections"] == 0)
        .await;
}
