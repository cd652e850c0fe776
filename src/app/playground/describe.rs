//! What a row of the log is about.

use crate::protocol::{AckStatus, ClientMessage, ErrorCode, ServerMessage};

use super::log::Tone;

/// What a row is about.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) kind: &'a str,
    pub(super) topic: Option<&'a str>,
    pub(super) tone: Tone,
    pub(super) code: Option<ErrorCode>,
}

impl<'a> About<'a> {
    pub(super) fn new(kind: &'a str, topic: Option<&'a str>) -> Self {
        Self {
            kind,
            topic,
            tone: Tone::Plain,
            code: None,
        }
    }

    pub(super) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    fn notable_if(self, notable: bool) -> Self {
        if notable {
            self.tone(Tone::Notable)
        } else {
            self
        }
    }
}

pub(super) fn describe_sent<'a>(frame: &'a ClientMessage<'_>) -> About<'a> {
    use ClientMessage as C;
    match frame {
        C::Setup(_) => About::new("setup", None),
        C::Resume(_) => About::new("resume", None),
        C::Subscribe(f) => About::new("subscribe", Some(&f.topic)),
        C::Unsubscribe(f) => About::new("unsubscribe", Some(&f.topic)),
        C::Publish(f) => About::new("publish", Some(&f.topic)),
        C::Ack(f) => About::new("ack", Some(&f.topic)),
        C::Refresh(_) => About::new("refresh", None),
        C::Ping => About::new("ping", None),
    }
}

pub(super) fn describe_received<'a>(frame: &'a ServerMessage<'_>) -> About<'a> {
    use ServerMessage as S;
    match frame {
        S::Ready(_) => About::new("ready", None),
        S::Subscribed(f) => {
            About::new("subscribed", Some(&f.topic)).notable_if(f.recovered == Some(false))
        }
        S::Unsubscribed(f) => About::new("unsubscribed", Some(&f.topic)),
        S::Message(f) => About::new("message", Some(&f.topic)),
        S::Ack(f) => About::new("ack", Some(f.topic.as_ref()).filter(|t| !t.is_empty()))
            .notable_if(f.status == AckStatus::Duplicate),
        S::Pong => About::new("pong", None),
        S::Error(f) => About {
            kind: "error",
            topic: f.topic.as_deref(),
            tone: Tone::Trouble,
            code: Some(f.code),
        },
    }
}
