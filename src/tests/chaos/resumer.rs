//! One who speaks the protocol itself, and goes away at the worst moments.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::truth::{Seen, Witness};
use super::world::World;
use crate::harness::Dice;

/// Speaks the protocol itself. Cuts itself off at any moment, half of the time in the middle of a resume.
pub struct Resumer {
    pub world: Arc<World>,
    pub addr: SocketAddr,
    pub token: String,
    pub topics: Vec<&'static str>,
    pub witness: Witness,
    pub dice: Dice,
    session: Option<String>,
    epochs: HashMap<String, String>,
    /// Topics that this connection has.
    here: Vec<String>,
}

type Ws = WebSocketStream<TcpStream>;

impl Resumer {
    pub fn new(
        world: Arc<World>,
        token: String,
        topics: &[&'static str],
        witness: Witness,
        dice: Dice,
    ) -> Self {
        Self {
            addr: world.addr,
            world,
            token,
            topics: topics.into(),
            witness,
            dice,
            session: None,
            epochs: HashMap::new(),
            here: Vec::new(),
        }
    }

    /// Comes and goes until it has seen all.
    pub async fn run(mut self) -> Witness {
        while !self.world.has_all(&self.witness) {
            if self.visit().await.is_none() {
                // The gateway may be away just now.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        self.witness
    }

    /// From the connect to a cut, whoever makes it.
    async fn visit(&mut self) -> Option<()> {
        let stream = TcpStream::connect(self.addr).await.ok()?;
        let url = format!("ws://{}/ws", self.addr);
        let (mut ws, _) = tokio_tungstenite::client_async(url, stream).await.ok()?;
        let first = match &self.session {
            None => json!({"type": "setup", "token": self.token}),
            Some(session) => {
                let last = self.topics.iter();
                let last: Value = last
                    .filter_map(|t| Some(((*t).to_owned(), Value::from(self.witness.position(t)?))))
                    .collect();
                json!({"type": "resume", "token": self.token, "sessionId": session,
                    "lastSeqPerTopic": last, "epochs": self.epochs})
            }
        };
        send(&mut ws, &first).await?;
        self.here.clear();
        let mut ends = self.world.ends.subscribe();
        // Frames until it hangs up; at the end it stays.
        let few = [2 * self.topics.len() as u64 + 6, 400];
        let few = few[self.dice.roll(2) as usize];
        let mut left = self.dice.roll(few);
        let mut is_ready = false;
        while !self.world.has_all(&self.witness) {
            let frame = tokio::select! {
                frame = next(&mut ws) => frame?,
                _ = ends.changed() => continue,
            };
            is_ready |= self.take(&mut ws, &frame).await?;
            left = left.saturating_sub(1);
            if left == 0 && !self.world.is_over() {
                let in_between = self.session.is_some() && !is_ready;
                self.world.note(match in_between {
                    true => "cut in a resume",
                    false => "hung up",
                });
                return Some(());
            }
        }
        Some(())
    }

    /// Takes a frame in; whether it was `ready`. `None` when the socket is gone.
    async fn take(&mut self, ws: &mut Ws, frame: &Value) -> Option<bool> {
        let text = |name: &str| frame[name].as_str().unwrap_or_default();
        match text("type") {
            "message" => {
                // As it came: `Value` would write the payload anew.
                let data = frame["data"].as_str().unwrap_or_default();
                let seen = Seen {
                    topic: text("topic"),
                    seq_no: frame["seqNo"].as_u64()?,
                    prev_seq: frame["prevSeq"].as_u64(),
                    id: text("messageId"),
                    data,
                };
                self.world.saw(&mut self.witness, &seen, false);
            }
            "subscribed" => {
                let (topic, epoch) = (text("topic"), text("epoch"));
                let recovered = frame["recovered"].as_bool();
                let truth = &mut self.world.truth();
                truth.epoch(topic, epoch);
                let head = frame["seqNo"].as_u64()?;
                self.witness.subscribed(truth, topic, head, recovered);
                self.epochs.insert(topic.to_owned(), epoch.to_owned());
                self.here.push(topic.to_owned());
            }
            "ready" => {
                if frame["resumed"] == true {
                    self.world.note("resumed");
                }
                // All of them in a new session, and in an old one those of which it was never told.
                self.subscribe(ws).await?;
                self.session = Some(text("sessionId").to_owned());
                return Some(true);
            }
            "error" if text("code") == "SESSION_EXPIRED" => {
                self.world.note("session expired");
                self.session = None;
                send(ws, &json!({"type": "setup", "token": self.token})).await?;
            }
            "error" if frame["retryable"] == true => self.world.note("refused for now"),
            _ => self
                .world
                .truth()
                .fault("I6", format!("a resumer got {frame}")),
        }
        Some(false)
    }

    /// Subscribes each topic, from the own position where there is one.
    async fn subscribe(&self, ws: &mut Ws) -> Option<()> {
        let missing = self
            .topics
            .iter()
            .filter(|t| !self.here.iter().any(|h| h == *t));
        for topic in missing {
            let mut frame = json!({"type": "subscribe", "topic": topic});
            if let (Some(last), Some(epoch)) =
                (self.witness.position(topic), self.epochs.get(*topic))
            {
                frame["lastSeq"] = last.into();
                frame["epoch"] = epoch.as_str().into();
            }
            send(ws, &frame).await?;
        }
        Some(())
    }
}

async fn send(ws: &mut Ws, frame: &Value) -> Option<()> {
    ws.send(Message::text(frame.to_string())).await.ok()
}

/// The next frame, its payload as a string that holds the bytes that came.
async fn next(ws: &mut Ws) -> Option<Value> {
    loop {
        if let Message::Text(text) = ws.next().await?.ok()? {
            return Some(keeping_data(&text));
        }
    }
}

fn keeping_data(text: &str) -> Value {
    let fields: HashMap<String, &RawValue> = serde_json::from_str(text).unwrap();
    let value = |(name, raw): (String, &RawValue)| {
        let value = match name.as_str() {
            "data" => Value::from(raw.get()),
            _ => serde_json::from_str(raw.get()).unwrap(),
        };
        (name, value)
    };
    fields.into_iter().map(value).collect()
}
