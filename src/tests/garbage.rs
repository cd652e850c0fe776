//! Garbage from many sockets at once: those who behave get everything, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::raw::{BINARY, FIN, PING, TEXT, header, masked};
use crate::harness::{Dice, TestGateway, soon};

const MESSAGES: u64 = 300;

const HANDSHAKE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What one who means no good sends at once, with a token that is good.
pub fn garbage(dice: &mut Dice, token: &str) -> Vec<u8> {
    let setup = format!(r#"{{"type":"setup","token":"{token}","topics":["t"]}}"#);
    let setup = masked(FIN | TEXT, setup.as_bytes());
    let then = match dice.roll(10) {
        // Not even a handshake.
        0 => return dice.bytes(2000),
        1 => return [&HANDSHAKE[..60], &dice.bytes(20_000)].concat(),
        2 => {
            return b"POST /api/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"
                .to_vec();
        }
        // A handshake, then no frame.
        3 => dice.bytes(3000),
        4 => [setup, dice.bytes(3000)].concat(),
        // Frames, but no messages.
        5 => [setup, masked(FIN | TEXT, &dice.bytes(500)).repeat(20)].concat(),
        6 => [
            setup,
            masked(FIN | TEXT, br#"{"type":"nonsense"}"#).repeat(150),
        ]
        .concat(),
        7 => [setup, masked(FIN | PING, b"flood").repeat(1500)].concat(),
        8 => [setup, header(FIN | TEXT, 1 << 30, 0x80), vec![0; 4]].concat(),
        _ => [setup, masked(FIN | BINARY, &dice.bytes(100))].concat(),
    };
    [HANDSHAKE, &then].concat()
}

async fn throw(
    addr: std::net::SocketAddr,
    mut dice: Dice,
    over: Arc<AtomicBool>,
    thrown: Arc<AtomicU64>,
) {
    while !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(addr).await else {
            continue;
        };
        // The gateway may have hung up in the middle of it: that is an answer too.
        let _ = soon(
            "room to throw",
            stream.write_all(&garbage(&mut dice, "eve")),
        )
        .await;
        if dice.roll(2) == 0 {
            let mut answer = [0; 4096];
            let _ = tokio::time::timeout(
                std::time::Duration::from_millis(20),
                stream.read(&mut answer),
            )
            .await;
        }
        thrown.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_behave_lose_nothing() {
    let gateway = TestGateway::start().await;
    let mut readers = Vec::new();
    for i in 0..4 {
        readers.push(
            gateway
                .user(&format!("reader{i}"), &["good/a", "good/b"])
                .await,
        );
    }
    let (over, thrown) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let throwers: Vec<_> = (1..=24)
        .map(|seed| {
            let dice = Dice::new(seed);
            tokio::spawn(throw(gateway.addr, dice, over.clone(), thrown.clone()))
        })
        .collect();
    let mut publishers = Vec::new();
    for topic in ["good/a", "good/b"] {
        let mut socket = gateway.user(topic, &[]).await;
        publishers.push(tokio::spawn(async move {
            for i in 1..=MESSAGES {
                let ack = socket.publish(topic, &i.to_string(), json!(i)).await;
                assert_eq!((&ack["status"], &ack["seqNo"]), (&json!("ok"), &json!(i)));
            }
        }));
    }
    // All at once: who waits for another before it reads is closed as slow.
    let readers: Vec<_> = readers
        .into_iter()
        .map(|mut reader| tokio::spawn(async move { reader.messages(2 * MESSAGES as usize).await }))
        .collect();
    for reader in readers {
        let messages = reader.await.unwrap();
        for topic in ["good/a", "good/b"] {
            let of_topic = messages.iter().filter(|(t, ..)| t == topic);
            assert!(of_topic.map(|(_, seq_no, _)| *seq_no).eq(1..=MESSAGES));
        }
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    soon("enough garbage", async {
        while thrown.load(Ordering::Relaxed) < 200 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    over.store(true, Ordering::Relaxed);
    for thrower in throwers {
        soon("the end of a thrower", thrower).await.unwrap();
    }
    gateway
        .stats_become("nobody", |s| {
            s["connections"] == 0 && s["subscriptions"] == 0
        })
        .await;
}
