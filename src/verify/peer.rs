//! A WebSocket that speaks the protocol by hand: nothing is mended, so that everything is seen.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Uri;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::client::{Event, Message, from_frame};
use crate::protocol::{
    ClientMessage, Publish, PublishAck, Ready, Setup, Token, decode_server, encode_client,
};

/// How long the next frame may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the gateway is, who speaks, and on which topics.
pub(super) struct Target {
    /// The URL of its `/ws`.
    pub(super) url: String,
    pub(super) token: Token,
    /// `verify.` and something that nobody else uses.
    prefix: String,
}

impl Target {
    pub(super) fn new(url: &str, token: Token) -> Result<Self, String> {
        let run = RandomState::new().hash_one(0_u8);
        Ok(Self {
            url: web_socket_url(url)?,
            token,
            prefix: format!("verify.{run:016x}"),
        })
    }

    /// A topic, or a name, of this run alone.
    pub(super) fn own(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// A socket that is open.
    pub(super) async fn open(&self) -> Result<Peer, String> {
        let dialing = connect_async_with_config(&self.url, None, true);
        match tokio::time::timeout(PATIENCE, dialing).await {
            Ok(Ok((ws, _))) => Ok(Peer(ws)),
            Ok(Err(error)) => Err(format!("cannot open {}: {error}", self.url)),
            Err(_) => Err(format!("{} does not answer", self.url)),
        }
    }

    /// A socket that is set up.
    pub(super) async fn user(&self, topics: &[&str]) -> Result<Peer, String> {
        let mut peer = self.open().await?;
        peer.set_up(self.token.expose(), topics).await?;
        Ok(peer)
    }
}

/// The URL of the gateway's `/ws`, whichever way it is named.
fn web_socket_url(url: &str) -> Result<String, String> {
    let whole = if url.contains("://") {
        url.to_owned()
    } else {
        format!("ws://{url}")
    };
    let bad = || format!("{url:?} is no URL of a gateway; try http://127.0.0.1:3000");
    let uri: Uri = whole.parse().map_err(|_| bad())?;
    let scheme = match uri.scheme_str() {
        Some("http" | "ws") => "ws",
        Some("https" | "wss") => "wss",
        _ => return Err(bad()),
    };
    let authority = uri.authority().ok_or_else(bad)?;
    let path = match uri.path() {
        "" | "/" => "/ws",
        path => path,
    };
    Ok(format!("{scheme}://{authority}{path}"))
}

/// One socket. Dropped, its connection is cut without a close.
pub(super) struct Peer(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Peer {
    pub(super) async fn send(&mut self, message: &ClientMessage<'_>) -> Result<(), String> {
        self.send_all(std::iter::once(encode_client(message))).await
    }

    /// Sends frames with as few writes as possible.
    pub(super) async fn send_all(
        &mut self,
        texts: impl IntoIterator<Item = String>,
    ) -> Result<(), String> {
        for text in texts {
            self.0.feed(Frame::text(text)).await.map_err(|e| gone(&e))?;
        }
        self.0.flush().await.map_err(|e| gone(&e))
    }

    /// The next frame. A close is an event too.
    pub(super) async fn next(&mut self) -> Result<Event, String> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match next.map_err(|_| format!("nothing came within {PATIENCE:?}"))? {
                Some(Ok(Frame::Text(text))) => {
                    let frame = decode_server(text.as_str()).map_err(|e| e.to_string())?;
                    return Ok(from_frame(frame));
                }
                Some(Ok(Frame::Close(frame))) => {
                    return Ok(Event::Closed {
                        code: frame.as_ref().map_or(1005, |f| f.code.into()),
                        reason: frame.map_or_else(String::new, |f| f.reason.as_str().to_owned()),
                        was_clean: true,
                        reconnect_in: None,
                    });
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(gone(&error)),
                None => return Err("the socket is gone".to_owned()),
            }
        }
    }

    pub(super) async fn set_up(
        &mut self,
        token: &str,
        topics: &[&str],
    ) -> Result<Ready<'static>, String> {
        self.send(&ClientMessage::Setup(Setup {
            token: token.into(),
            topics: topics.iter().map(|topic| (*topic).into()).collect(),
            qos: None,
        }))
        .await?;
        loop {
            match self.next().await? {
                Event::Ready(ready) => return Ok(ready),
                Event::Subscribed(_) => {}
                other => return Err(unexpected("ready", &other)),
            }
        }
    }

    /// So many acks; messages in between are skipped.
    pub(super) async fn acks(&mut self, count: usize) -> Result<Vec<PublishAck<'static>>, String> {
        let mut acks = Vec::new();
        while acks.len() < count {
            match self.next().await? {
                Event::Acked(ack) => acks.push(ack),
                Event::Message(_) => {}
                other => return Err(unexpected("an ack", &other)),
            }
        }
        Ok(acks)
    }

    /// Every message up to the one with this id, which is left out; acks in between are skipped.
    pub(super) async fn messages_until(&mut self, id: &str) -> Result<Vec<Message>, String> {
        let mut messages = Vec::new();
        loop {
            match self.next().await? {
                Event::Message(message) if message.message_id == id => return Ok(messages),
                Event::Message(message) => messages.push(message),
                Event::Acked(_) => {}
                other => return Err(unexpected("a message", &other)),
            }
        }
    }

    /// Publishes one after the other without waiting, then takes in the acks.
    pub(super) async fn publish(
        &mut self,
        topic: &str,
        ids: &[String],
    ) -> Result<Vec<PublishAck<'static>>, String> {
        self.send_all(
            ids.iter()
                .map(|id| publish_text(topic, id, RawValue::NULL, None)),
        )
        .await?;
        self.acks(ids.len()).await
    }
}

pub(super) fn publish_text(topic: &str, id: &str, payload: &RawValue, sig: Option<&str>) -> String {
    encode_client(&ClientMessage::Publish(Publish {
        topic: topic.into(),
        message_id: id.into(),
        payload,
        sig: sig.map(Into::into),
    }))
}

fn gone(error: &tokio_tungstenite::tungstenite::Error) -> String {
    format!("the socket broke: {error}")
}

pub(super) fn unexpected(expected: &str, event: &Event) -> String {
    match event {
        Event::Error(error) => format!("{}: {}", error.code.as_str(), error.message),
        Event::Closed { code, reason, .. } => format!("closed with {code} {reason}"),
        other => format!("expected {expected}, got {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_can_be_named_in_many_ways() {
        for (given, url) in [
            ("127.0.0.1:3000", "ws://127.0.0.1:3000/ws"),
            ("http://a.example", "ws://a.example/ws"),
            ("https://a.example/", "wss://a.example/ws"),
            ("ws://a.example:1/x/ws", "ws://a.example:1/x/ws"),
        ] {
            assert_eq!(web_socket_url(given).as_deref(), Ok(url));
        }
        for bad in ["", "ftp://a.example", "http://"] {
            assert!(web_socket_url(bad).is_err(), "{bad}");
        }
    }
}
