//! An independent WebSocket client (tungstenite) that expects things.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use socket2::{Domain, Socket as Socket2, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::soon;

/// A client's end. Text frames are kept as they came in `seen`.
pub struct Socket {
    ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Every text frame that came, for tests that look at all of them.
    pub seen: Vec<String>,
}

impl Socket {
    pub async fn connect(addr: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(MaybeTlsStream::Plain(stream), addr, path).await
    }

    /// A client whose kernel takes only about this many bytes that were not read yet.
    pub async fn connect_narrow(addr: SocketAddr, path: &str, bytes: usize) -> Self {
        let stream = Self::narrow(addr, bytes).await;
        Self::over(MaybeTlsStream::Plain(stream), addr, path).await
    }

    /// A stream whose kernel takes only about this many bytes that were not read yet.
    pub async fn narrow(addr: SocketAddr, bytes: usize) -> TcpStream {
        let socket = Socket2::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(bytes).unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = TcpSocket::from_std_stream(socket.into());
        let stream = socket.connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The WebSocket handshake over a stream.
    pub async fn over(stream: MaybeTlsStream<TcpStream>, addr: SocketAddr, path: &str) -> Self {
        let request = format!("ws://{addr}{path}").into_client_request().unwrap();
        let config = WebSocketConfig::default().max_message_size(None);
        let handshake = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let (ws, _) = soon("the handshake", handshake).await.unwrap();
        let seen = Vec::new();
        Self { ws, seen }
    }

    pub async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        soon("room to send", self.ws.send(message)).await.unwrap();
    }

    /// Sends many text frames with as few writes as possible.
    pub async fn send_together(&mut self, frames: Vec<Value>) {
        for frame in frames {
            let message = Message::text(frame.to_string());
            soon("room to send", self.ws.feed(message)).await.unwrap();
        }
        soon("room to send", self.ws.flush()).await.unwrap();
    }

    /// The next WebSocket message; `None` when the peer is gone.
    pub async fn next_message(&mut self) -> Option<Message> {
        soon("a message", self.ws.next()).await?.ok()
    }

    /// The next text frame as it came.
    pub async fn next_text(&mut self) -> String {
        loop {
            match self.next_message().await {
                Some(Message::Text(text)) => {
                    self.seen.push(text.as_str().to_owned());
                    return text.as_str().to_owned();
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected a text frame, got {other:?}"),
            }
        }
    }

    pub async fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_text().await).unwrap()
    }

    /// The next frame, which must be of this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["type"], kind, "expected {kind}, got {frame}");
        frame
    }

    /// The next frame, which must be an error with this code.
    pub async fn expect_error(&mut self, code: &str) -> Value {
        let frame = self.expect("error").await;
        assert_eq!(frame["code"], code, "expected {code}, got {frame}");
        frame
    }

    /// Nothing else has come: the answer to a ping is the next frame.
    pub async fn expect_quiet(&mut self) {
        self.send(json!({"type": "ping"})).await;
        assert_eq!(self.next_text().await, r#"{"type":"pong"}"#);
    }

    /// The gateway closes with this code and ends the connection. Frames before that are skipped.
    pub async fn expect_close(&mut self, code: u16) -> String {
        let mut reason = None;
        while let Some(message) = self.next_message().await {
            if let Message::Close(frame) = message {
                let frame = frame.expect("a close with a code");
                assert_eq!(u16::from(frame.code), code, "{}", frame.reason);
                reason = Some(frame.reason.as_str().to_owned());
            }
        }
        reason.unwrap_or_else(|| panic!("expected a close with {code}, the connection just ended"))
    }

    /// Sends `setup` and takes in its answers.
    pub async fn setup(&mut self, token: &str, topics: &[&str]) -> Value {
        self.send(json!({"type": "setup", "token": token, "topics": topics}))
            .await;
        for topic in topics {
            assert_eq!(self.expect("subscribed").await["topic"], *topic);
        }
        self.expect("ready").await
    }

    pub async fn subscribe(&mut self, topic: &str) -> Value {
        self.send(json!({"type": "subscribe", "topic": topic}))
            .await;
        self.expect("subscribed").await
    }

    /// Subscribes from a position.
    pub async fn subscribe_after(&mut self, topic: &str, last_seq: u64) -> Value {
        self.send(json!({"type": "subscribe", "topic": topic, "lastSeq": last_seq}))
            .await;
        self.expect("subscribed").await
    }

    /// Publishes and returns the `ack`; messages that come before it are skipped.
    pub async fn publish(&mut self, topic: &str, id: &str, payload: Value) -> Value {
        self.send(publish(topic, id, payload)).await;
        loop {
            let frame = self.next().await;
            match frame["type"].as_str() {
                Some("ack") => return frame,
                Some("message") => {}
                _ => panic!("expected an ack, got {frame}"),
            }
        }
    }

    /// The next `count` messages as (topic, seqNo, messageId).
    pub async fn messages(&mut self, count: usize) -> Vec<(String, u64, String)> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            let frame = self.expect("message").await;
            let text = |name: &str| frame[name].as_str().unwrap().to_owned();
            messages.push((text("topic"), seq_no(&frame), text("messageId")));
        }
        messages
    }

    /// The close handshake begun by the client; what the gateway answers.
    pub async fn close(mut self, code: u16, reason: &str) -> Option<u16> {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        soon("room to send", self.ws.close(Some(frame)))
            .await
            .unwrap();
        let mut answer = None;
        while let Some(message) = self.next_message().await {
            if let Message::Close(frame) = message {
                answer = frame.map(|frame| frame.code.into());
            }
        }
        answer
    }
}

/// A `publish` frame.
pub fn publish(topic: &str, id: &str, payload: Value) -> Value {
    json!({"type": "publish", "topic": topic, "messageId": id, "payload": payload})
}

/// A frame's `seqNo`.
pub fn seq_no(frame: &Value) -> u64 {
    frame["seqNo"].as_u64().expect("a seqNo")
}
