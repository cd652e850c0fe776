//! Peers that take their time, send nothing that matters, or come in crowds: each has a limit, and
//! nobody else notices.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::harness::raw::{FIN, PING, PONG, TEXT, masked};
use crate::harness::{Request, TestGateway, soon};

const CONTINUATION: u8 = 0;

/// Waits until `/metrics` has this line.
async fn counted(gateway: &TestGateway, line: &str) {
    let line = format!("micro_socket_{line}\n");
    soon(&line, async {
        while !gateway.get("/metrics").await.text().contains(&line) {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// How many were refused for this cause; `None` where `/metrics` is refused too.
async fn refused(gateway: &TestGateway, cause: &str) -> Option<f64> {
    let begin = format!("micro_socket_refused_total{{cause=\"{cause}\"}} ");
    let metrics = gateway.get("/metrics").await;
    let mut lines = metrics.text().lines();
    let count = lines.find_map(|line| line.strip_prefix(&begin))?;
    Some(count.parse().unwrap())
}

/// Waits until two at least were refused for this cause; how many.
async fn refused_twice(gateway: &TestGateway, cause: &str) -> f64 {
    soon("the count", async {
        loop {
            match refused(gateway, cause).await {
                Some(count) if count >= 2.0 => return count,
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}

/// Reads until the end; what came.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too.
    let _ = soon("the end", stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_message_that_never_ends_is_closed_with_1008() {
    let gateway = TestGateway::with(&[("message-timeout", "500ms")]).await;
    // Fragments without end; pings in between are no excuse.
    let mut fragments = gateway.raw("/ws").await;
    fragments.setup("ann", "t").await;
    fragments.frame(TEXT, br#"{"type":"#).await;
    fragments.frame(FIN | PING, b"").await;
    // A frame of which the rest never comes.
    let mut half = gateway.raw("/ws").await;
    half.setup("bob", "t").await;
    half.write(&masked(FIN | TEXT, br#"{"type":"ping"}"#)[..9])
        .await;
    fragments.expect_close(1008).await;
    half.expect_close(1008).await;
    counted(&gateway, "disconnects_total{cause=\"unfinished\"} 2").await;
    counted(&gateway, "closes_total{code=\"1008\"} 2").await;
}

#[tokio::test]
async fn one_byte_at_a_time_is_no_life() {
    let gateway = TestGateway::with(&[("message-timeout", "600ms")]).await;
    let (mut reader, mut writer) = {
        let mut dripping = gateway.raw("/ws").await;
        dripping.setup("ann", "t").await;
        dripping.stream.into_split()
    };
    let dripping = async {
        for byte in masked(FIN | TEXT, &[b' '; 5000]) {
            // It may be cut off here first.
            let _ = writer.write_all(&[byte]).await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    let mut bytes = Vec::new();
    soon("the end of one who drips", async {
        tokio::select! { () = dripping => {}, _ = reader.read_to_end(&mut bytes) => {} }
    })
    .await;
    assert_eq!(bytes[2..4], 1008_u16.to_be_bytes());
}

#[tokio::test]
async fn many_messages_in_pieces_are_taken_for_as_long_as_each_ends_in_time() {
    let gateway = TestGateway::with(&[("message-timeout", "3s")]).await;
    let mut raw = gateway.raw("/ws").await;
    raw.setup("ann", "t").await;
    // The end of each comes together with the beginning of the next.
    let frame = masked(FIN | TEXT, br#"{"type":"ping"}"#);
    let (begin, end) = frame.split_at(7);
    raw.write(begin).await;
    for _ in 0..8 {
        sleep(Duration::from_millis(500)).await;
        raw.write(&[end, begin].concat()).await;
        assert_eq!(raw.next_text().await, r#"{"type":"pong"}"#);
    }
    raw.write(end).await;
    assert_eq!(raw.next_text().await, r#"{"type":"pong"}"#);
}

#[tokio::test]
async fn a_flood_of_frames_that_carry_nothing_is_closed_with_1008() {
    let gateway = TestGateway::start().await;
    let floods = [
        masked(FIN | PING, b"").repeat(2500),
        masked(FIN | PONG, b"x").repeat(2500),
        [
            masked(TEXT, b""),
            masked(CONTINUATION, b"").repeat(1500),
            masked(CONTINUATION, b"crumb").repeat(1500),
        ]
        .concat(),
    ];
    for flood in floods {
        let mut raw = gateway.raw("/ws").await;
        raw.setup("ann", "t").await;
        raw.write(&flood).await;
        raw.expect_close(1008).await;
    }
    counted(&gateway, "disconnects_total{cause=\"flooded\"} 3").await;
    // Some are no flood, and a large message in small pieces is none either.
    let mut raw = gateway.raw("/ws").await;
    raw.setup("ann", "t").await;
    raw.write(&masked(FIN | PONG, b"").repeat(400)).await;
    let pieces = [
        masked(TEXT, br#"{"type":"ping","padding":""#),
        masked(CONTINUATION, &[b'x'; 20]).repeat(3000),
        masked(FIN | CONTINUATION, br#""}"#),
    ];
    raw.write(&pieces.concat()).await;
    assert_eq!(raw.next_text().await, r#"{"type":"pong"}"#);
}

#[tokio::test]
async fn connections_of_one_address() {
    let gateway = TestGateway::with(&[("max-connections-per-address", "2")]).await;
    let first = gateway.user("ann", &[]).await;
    let mut second = gateway.user("bob", &["t"]).await;
    let answer = Request::upgrade("/ws").send(gateway.addr).await;
    let message = answer.expect_error(503, "NOT_AVAILABLE");
    assert!(message.contains("address"), "{message}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    // All ways in count, and those who are in stay in.
    assert_eq!(gateway.get("/stats").await.status, 503);
    second.publish("t", "1", json!(1)).await;
    drop(first);
    soon("room for another", async {
        while Request::upgrade("/ws").send(gateway.addr).await.status != 101 {}
    })
    .await;
    // The socket above may still count for a moment.
    refused_twice(&gateway, "address").await;
}

#[tokio::test]
async fn sockets_that_are_not_set_up_leave_room_for_those_that_are() {
    let gateway = TestGateway::with(&[("max-pending", "4"), ("setup-timeout", "6s")]).await;
    let mut users = Vec::new();
    for i in 0..8 {
        users.push(gateway.user(&format!("user{i}"), &["t"]).await);
    }
    // Some in HTTP, some as WebSockets: all of them only hold a place.
    let (mut sockets, mut silent) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        sockets.push(gateway.raw("/ws").await);
    }
    for _ in 0..2 {
        silent.push(TcpStream::connect(gateway.addr).await.unwrap());
    }
    let mut turned_away = TcpStream::connect(gateway.addr).await.unwrap();
    assert_eq!(rest(&mut turned_away).await, "");
    // Nobody else notices, and their time is over soon.
    users[0].publish("t", "1", json!(1)).await;
    for user in &mut users[1..] {
        user.messages(1).await;
    }
    for stream in &mut silent {
        rest(stream).await;
    }
    for socket in &mut sockets {
        socket.expect_close(4002).await;
    }
    counted(&gateway, "refused_total{cause=\"pending\"} 1").await;
    gateway.user("late", &["t"]).await;
}

#[tokio::test]
async fn a_request_head_has_its_time() {
    let gateway = TestGateway::with(&[("setup-timeout", "2s")]).await;
    let mut silent = TcpStream::connect(gateway.addr).await.unwrap();
    let mut dripping = TcpStream::connect(gateway.addr).await.unwrap();
    let half = b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Drip: ";
    dripping.write_all(half).await.unwrap();
    let drip = async {
        loop {
            if dripping.write_all(b"x").await.is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the end of a head that never ends", drip).await;
    rest(&mut silent).await;
    let before = refused_twice(&gateway, "head").await;
    // A connection that was of use and is idle ends too, and is not counted as refused.
    let mut idle = TcpStream::connect(gateway.addr).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    idle.write_all(request).await.unwrap();
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200"));
    assert_eq!(refused(&gateway, "head").await, Some(before));
}

#[tokio::test]
async fn a_request_body_has_its_time() {
    let gateway = TestGateway::with(&[("message-timeout", "400ms")]).await;
    // To ask for another protocol is no excuse.
    for asks in ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n"] {
        let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
        let head = format!(
            "POST /api/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\n{asks}\
             Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("did not come whole"), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_has_its_time() {
    let gateway = TestGateway::with(&[("message-timeout", "2s")]).await;
    let mut publisher = gateway.user("ann", &[]).await;
    for i in 0..20 {
        let payload = json!("x".repeat(60_000));
        publisher.publish("t", &i.to_string(), payload).await;
    }
    // More than both kernels take.
    let asked = 40;
    let ask = |last: &str| {
        let path = "GET /api/topics/t/history HTTP/1.1";
        format!("{path}\r\nHost: x\r\nAuthorization: Bearer ann\r\n{last}\r\n")
    };
    let all = ask("").repeat(asked - 1) + &ask("Connection: close\r\n");
    let answers = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .matches("HTTP/1.1 200")
            .count()
    };
    let mut nobody = TcpStream::connect(gateway.addr).await.unwrap();
    nobody.write_all(all.as_bytes()).await.unwrap();
    soon("an answer", nobody.read_u8()).await.unwrap();
    counted(&gateway, "pending 1").await;
    assert!(answers(rest(&mut nobody).await.as_bytes()) < asked - 1);
    // Who takes them bit by bit gets all of them, though it takes longer in all.
    let mut slow = TcpStream::connect(gateway.addr).await.unwrap();
    slow.write_all(all.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let mut bit = vec![0; 64 * 1024];
    loop {
        let count = soon("a bit", slow.read(&mut bit)).await.unwrap();
        bytes.extend_from_slice(&bit[..count]);
        if count == 0 {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(answers(&bytes), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_a_little_now_and_then_is_gone_in_time() {
    // More waits than both kernels take; the reader takes a crumb at a time, for ever.
    let gateway = TestGateway::with(&[("history-size", "1"), ("send-queue-bytes", "64MiB")]).await;
    let mut slow = crate::harness::RawSocket::connect(gateway.addr, "/ws", Some(4096)).await;
    slow.setup("slow", "t").await;
    let mut publisher = gateway.user("ann", &[]).await;
    let payload = json!("x".repeat(60_000));
    for i in 0..200 {
        let publish = crate::harness::socket::publish("t", &i.to_string(), payload.clone());
        publisher.send(publish).await;
        publisher.expect("ack").await;
    }
    let reading = async {
        let mut crumb = [0; 512];
        while slow.stream.read(&mut crumb).await.is_ok_and(|n| n > 0) {
            sleep(Duration::from_millis(500)).await;
        }
    };
    let gone = async {
        while gateway.stats().await["connections"] != 1 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), async {
        tokio::select! { () = reading => {}, () = gone => {} }
    });
    in_time
        .await
        .expect("a reader at 1 KiB a second holds its queue");
    counted(&gateway, "disconnects_total{cause=\"stalled\"} 1").await;
}
