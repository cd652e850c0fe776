//! A client that writes every byte itself, and so can break the rules of RFC 6455.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::soon;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Says that no fragment follows.
pub const FIN: u8 = 0x80;

/// A socket after the handshake.
pub struct RawSocket {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// A frame of the gateway.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl RawSocket {
    /// Connects; `receive_buffer` is what the kernel takes that was not read yet.
    pub async fn connect(addr: SocketAddr, path: &str, receive_buffer: Option<u32>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let mut stream = socket.connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut raw = Self {
            stream,
            buffer: Vec::new(),
        };
        let end = loop {
            if let Some(end) = raw.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            assert!(raw.fill().await, "the handshake was cut off");
        };
        let head: Vec<u8> = raw.buffer.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="));
        raw
    }

    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) {
        let written = soon("room to send", self.stream.write_all(bytes)).await;
        written.unwrap();
    }

    /// Sends a masked frame with this first byte.
    pub async fn frame(&mut self, first: u8, payload: &[u8]) {
        self.write(&masked(first, payload)).await;
    }

    /// Sends a text message.
    pub async fn text(&mut self, text: &str) {
        self.frame(FIN | TEXT, text.as_bytes()).await;
    }

    /// Reads more; false at the end.
    async fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        let read = soon("bytes of the gateway", self.stream.read(&mut chunk)).await;
        let read = read.unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..read]);
        read > 0
    }

    /// The next frame; `None` at the end.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, used)) = parse(&self.buffer) {
                self.buffer.drain(..used);
                return Some(frame);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next text frame; pings before it are skipped and not answered.
    pub async fn next_text(&mut self) -> String {
        loop {
            let frame = self.next().await.expect("a frame before the end");
            if frame.opcode != PING {
                assert_eq!(frame.opcode, TEXT, "{frame:?}");
                return String::from_utf8(frame.payload).unwrap();
            }
        }
    }

    /// Sends `setup` for one topic and takes in its answers.
    pub async fn setup(&mut self, token: &str, topic: &str) {
        self.text(&format!(
            r#"{{"type":"setup","token":"{token}","topics":["{topic}"]}}"#
        ))
        .await;
        assert!(self.next_text().await.contains("subscribed"));
        assert!(self.next_text().await.contains("ready"));
    }

    /// The gateway closes with this code; earlier frames are skipped.
    pub async fn expect_close(&mut self, code: u16) {
        loop {
            let Some(frame) = self.next().await else {
                panic!("expected a close with {code}, the connection just ended");
            };
            if frame.opcode == CLOSE {
                assert_eq!(frame.payload[..2], code.to_be_bytes(), "{frame:?}");
                return;
            }
        }
    }

    /// The gateway ends the connection.
    pub async fn expect_end(&mut self) {
        while let Some(frame) = self.next().await {
            assert_eq!(frame.opcode, PING, "expected the end, got {frame:?}");
        }
    }
}

/// A client's frame with this first byte, masked.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = header(first, payload.len(), 0x80);
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

/// The two to ten bytes before a frame's mask.
pub fn header(first: u8, length: usize, mask_bit: u8) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(mask_bit | length as u8),
        126..=0xffff => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes
}

fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(second & 0x80, 0, "a server does not mask");
    assert_eq!(first & 0xf0, FIN, "no fragments, no reserved bits");
    let (length, begin) = match second {
        126 => (
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (
            u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
            10,
        ),
        short => (usize::from(short), 2),
    };
    let payload = bytes.get(begin..begin + length)?.to_vec();
    let opcode = first & 0x0f;
    Some((Frame { opcode, payload }, begin + length))
}
