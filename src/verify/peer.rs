//! A WebSocket that speaks the protocol by hand: nothing is mended, so that everything is seen.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::client::by_hand::{Heard, RawSocket, random, within};
use crate::client::{Event, Message, from_frame};
use crate::protocol::{
    ClientMessage, ErrorCode, Publish, PublishAck, Ready, Setup, Token, decode_server,
    encode_client,
};

use super::report::Broken;

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
        // The high half is as random as the whole.
        let run = (random() >> 64) as u64;
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
        match within(PATIENCE, RawSocket::open(&self.url)).await {
            Some(Ok(socket)) => Ok(Peer(socket)),
            Some(Err(why)) => Err(format!("cannot open {}: {why}", self.url)),
            None => Err(format!("{} does not answer", self.url)),
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
    let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
    let scheme = match scheme {
        "http" | "ws" => Some("ws"),
        "https" | "wss" => Some("wss"),
        _ => None,
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let odd = |c: char| c.is_whitespace() || c.is_control();
    match scheme {
        Some(scheme) if !authority.is_empty() && !rest.contains(odd) => {
            let path = if path.len() > 1 { path } else { "/ws" };
            Ok(format!("{scheme}://{authority}{path}"))
        }
        _ => Err(format!(
            "{url:?} is no URL of a gateway; try http://127.0.0.1:3000"
        )),
    }
}

/// One socket. Dropped, its connection is cut without a close, or closed by a browser.
pub(super) struct Peer(RawSocket);

impl Peer {
    pub(super) async fn send(&mut self, message: &ClientMessage<'_>) {
        self.send_all([encode_client(message)]).await;
    }

    /// Sends frames with as few writes as possible.
    pub(super) async fn send_all(&mut self, texts: impl IntoIterator<Item = String>) {
        self.0.send_all(texts).await;
    }

    /// The next frame. A close is an event too.
    pub(super) async fn next(&mut self) -> Result<Event, String> {
        let heard = within(PATIENCE, self.0.next()).await;
        match heard.ok_or("nothing came within 5 s")? {
            Ok(Heard::Text(text)) => decode_server(&text)
                .map(from_frame)
                .map_err(|error| error.to_string()),
            Ok(Heard::Closed { code, reason }) => Ok(Event::Closed {
                code,
                reason,
                was_clean: true,
                reconnect_in: None,
            }),
            Err(why) => Err(format!("the socket broke: {why}")),
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
        .await;
        loop {
            match self.next().await? {
                Event::Ready(ready) => return Ok(ready),
                Event::Subscribed(_) => {}
                other => return Err(unexpected("ready", &other)),
            }
        }
    }

    /// So many acks, in the order of their positions: they need not come in it. Messages in between are skipped.
    pub(super) async fn acks(&mut self, count: usize) -> Result<Vec<PublishAck<'static>>, Broken> {
        let mut acks = Vec::new();
        while acks.len() < count {
            match self.next().await? {
                Event::Acked(ack) => acks.push(ack),
                Event::Message(_) => {}
                Event::Error(error) if error.code == ErrorCode::TooManyRequests => {
                    let why = format!("more than the gateway takes in: {}", error.message);
                    return Err(Broken::Limit(why));
                }
                other => return Err(unexpected("an ack", &other).into()),
            }
        }
        acks.sort_by_key(|ack| ack.seq_no);
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
    ) -> Result<Vec<PublishAck<'static>>, Broken> {
        self.send_all(
            ids.iter()
                .map(|id| publish_text(topic, id, RawValue::NULL, None)),
        )
        .await;
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

pub(super) fn unexpected(expected: &str, event: &Event) -> String {
    let got = match event {
        Event::Error(error) => return format!("{}: {}", error.code.as_str(), error.message),
        Event::Closed { code, reason, .. } => return format!("closed with {code} {reason}"),
        Event::Message(message) => {
            return format!("expected {expected}, got message #{}", message.seq_no);
        }
        Event::Ready(_) => "ready",
        Event::Subscribed(subscribed) => match subscribed.recovered {
            Some(false) => "subscribed that recovered nothing",
            _ => "subscribed",
        },
        Event::Unsubscribed { .. } => "unsubscribed",
        Event::Acked(_) => "an ack",
        _ => "another frame",
    };
    format!("expected {expected}, got {got}")
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
