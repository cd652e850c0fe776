//! A gateway to play against, in place of a real one.

use std::collections::BTreeMap;

use super::super::Event;
use super::super::client::ClientId;
use crate::protocol::{ClientMessage, decode_client};

/// A gateway of a few lines: numbers, dedups, keeps, replays, denies, takes over.
#[derive(Default)]
pub(super) struct Toy {
    /// Per topic: the ids of its messages.
    pub(super) topics: BTreeMap<String, Vec<String>>,
    pub(super) ids: BTreeMap<(String, String), u64>,
    /// Per client: user, session, topics, whether it is stalled.
    pub(super) sockets: BTreeMap<&'static str, (String, String, Vec<String>, bool)>,
    /// Leaves out every message with this number, as a broken gateway would.
    pub(super) loses: Option<u64>,
    /// Answers no publish.
    pub(super) mute: bool,
    /// The topic of the URL, which setup subscribes by itself.
    pub(super) preset: Option<&'static str>,
    /// May not be subscribed.
    pub(super) denies: Option<&'static str>,
}

impl Toy {
    pub(super) fn answer(&mut self, client: ClientId, text: &str) -> Vec<(ClientId, Event)> {
        let me = client.letter();
        let mut out = vec![(client, Event::Sent(text.to_owned()))];
        let mut say = |to: ClientId, text: String| out.push((to, Event::Received(text)));
        let error = |code: &str, topic: &str| {
            format!(
                r#"{{"type":"error","code":"{code}","message":"no","topic":"{topic}","retryable":false}}"#
            )
        };
        match decode_client(text) {
            Ok(ClientMessage::Setup(f)) => {
                let named = f.topics.iter().map(ToString::to_string);
                let preset = self.preset.map(ToOwned::to_owned);
                let topics: Vec<String> = preset.into_iter().chain(named).collect();
                for topic in &topics {
                    say(client, self.subscribed(topic, None));
                }
                let session = format!("session-{me}");
                self.sockets
                    .insert(me, (f.token.to_string(), session, topics, false));
                say(
                    client,
                    format!(
                        r#"{{"type":"ready","sessionId":"session-{me}","resumed":false,"userId":"{}"}}"#,
                        f.token
                    ),
                );
            }
            Ok(ClientMessage::Resume(f)) => {
                let holder = ClientId::ALL.into_iter().find(|c| {
                    self.sockets
                        .get(c.letter())
                        .is_some_and(|s| s.1 == f.session_id)
                });
                let mut topics: Vec<String> = f
                    .last_seq_per_topic
                    .keys()
                    .map(ToString::to_string)
                    .collect();
                if let Some(other) = holder.filter(|other| *other != client) {
                    topics = self.sockets.remove(other.letter()).unwrap().2;
                    out.push((
                        other,
                        Event::Closed {
                            code: 4009,
                            reason: String::new(),
                        },
                    ));
                }
                let mut say = |text: String| out.push((client, Event::Received(text)));
                for topic in &topics {
                    let from = f
                        .last_seq_per_topic
                        .get(topic.as_str())
                        .copied()
                        .unwrap_or(0);
                    say(self.subscribed(topic, Some(from)));
                    self.replay(topic, from).into_iter().for_each(&mut say);
                }
                self.sockets.insert(
                    me,
                    (f.token.to_string(), f.session_id.to_string(), topics, false),
                );
                say(format!(
                    r#"{{"type":"ready","sessionId":"{}","resumed":true,"userId":"{}"}}"#,
                    f.session_id, f.token
                ));
            }
            Ok(ClientMessage::Subscribe(f)) => {
                let user = self.sockets[me].0.clone();
                let denied = f
                    .topic
                    .strip_prefix("private.")
                    .is_some_and(|owner| owner.split('.').next() != Some(user.as_str()));
                if denied || self.denies == Some(&*f.topic) {
                    say(client, error("ACL_DENIED", &f.topic));
                } else {
                    say(client, self.subscribed(&f.topic, f.last_seq));
                    for text in f
                        .last_seq
                        .map_or_else(Vec::new, |from| self.replay(&f.topic, from))
                    {
                        say(client, text);
                    }
                    self.sockets
                        .get_mut(me)
                        .unwrap()
                        .2
                        .push(f.topic.to_string());
                }
            }
            Ok(ClientMessage::Publish(f)) if !self.mute => {
                let user = self.sockets[me].0.clone();
                if f.topic
                    .strip_prefix("private.")
                    .is_some_and(|owner| owner.split('.').next() != Some(user.as_str()))
                {
                    say(client, error("ACL_DENIED", &f.topic));
                    return out;
                }
                let key = (user, f.message_id.to_string());
                let first = self.ids.get(&key).copied();
                let log = self.topics.entry(f.topic.to_string()).or_default();
                let (status, at) = match first {
                    Some(at) => ("duplicate", at),
                    None => {
                        log.push(f.message_id.to_string());
                        ("ok", log.len() as u64)
                    }
                };
                self.ids.insert(key, at);
                say(
                    client,
                    format!(
                        r#"{{"type":"ack","messageId":"{}","status":"{status}","topic":"{}","seqNo":{at},"epoch":"e"}}"#,
                        f.message_id, f.topic
                    ),
                );
                for other in ClientId::ALL {
                    let Some(socket) = self.sockets.get(other.letter()).filter(|_| first.is_none())
                    else {
                        continue;
                    };
                    if !socket.2.iter().any(|t| *t == f.topic) || Some(at) == self.loses {
                        continue;
                    }
                    if socket.3 {
                        // A stalled socket is full after twenty messages.
                        if at == 20 {
                            self.sockets.remove(other.letter());
                            say_close(&mut out, other, 4108);
                        }
                    } else {
                        out.push((other, Event::Received(message(&f.topic, at, &f.message_id))));
                    }
                }
            }
            Ok(_) => {
                if self.sockets[me].3 {
                    say_close(&mut out, client, 4108);
                }
            }
            Err(_) => say(client, error("BAD_REQUEST", "")),
        }
        out
    }

    fn subscribed(&self, topic: &str, from: Option<u64>) -> String {
        let head = self.topics.get(topic).map_or(0, Vec::len) as u64;
        let back = from.map_or_else(String::new, |from| {
            format!(r#","recovered":true,"replayed":{}"#, head - from)
        });
        format!(r#"{{"type":"subscribed","topic":"{topic}","seqNo":{head},"epoch":"e"{back}}}"#)
    }

    fn replay(&self, topic: &str, from: u64) -> Vec<String> {
        let kept = self.topics.get(topic).into_iter().flatten();
        let numbered = kept
            .zip(1..)
            .filter(|(_, at)| *at > from && Some(*at) != self.loses);
        numbered.map(|(id, at)| message(topic, at, id)).collect()
    }
}

fn message(topic: &str, at: u64, id: &str) -> String {
    format!(r#"{{"type":"message","topic":"{topic}","seqNo":{at},"messageId":"{id}","data":1}}"#)
}

fn say_close(out: &mut Vec<(ClientId, Event)>, client: ClientId, code: u16) {
    let reason = String::new();
    out.push((client, Event::Closed { code, reason }));
}
