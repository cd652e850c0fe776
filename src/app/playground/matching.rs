//! Which answer belongs to which request.
//!
//! Answers carry what names them: `ack` its messageId, `subscribed` its topic. Where nothing does,
//! the oldest request that can be meant is taken, since the gateway answers in order.

use std::collections::VecDeque;

use crate::protocol::{ClientMessage, ErrorCode, ServerMessage};

/// Requests remembered; the oldest is forgotten beyond that.
const MAX_WAITING: usize = 1_000;

/// What a request waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wants {
    /// `ready`: setup, resume and refresh, with the topics that `subscribed` names before it.
    Ready,
    /// `subscribed` of a topic.
    Subscribed(String),
    /// `unsubscribed` of a topic.
    Unsubscribed(String),
    /// `ack` of a messageId.
    Ack(String),
    /// `pong`.
    Pong,
    /// Nothing but an error: a client's ack of a topic.
    Silence(String),
    /// Nothing but `BAD_REQUEST`: a text that is no frame.
    Refusal,
}

#[derive(Debug, Clone)]
struct Waiting {
    row: u64,
    at: f64,
    wants: Wants,
}

/// A request that was found for an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    /// The request's row.
    pub(super) row: u64,
    /// When it was sent, in milliseconds.
    pub(super) at: f64,
    /// Whether it is answered in full.
    pub(super) done: bool,
}

/// The requests without an answer yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests {
    waiting: VecDeque<Waiting>,
}

impl Requests {
    /// Remembers a request. `None` is a text that is no frame.
    pub(super) fn sent(&mut self, row: u64, at: f64, frame: Option<&ClientMessage<'_>>) {
        use ClientMessage as C;
        let wants = match frame {
            None => Wants::Refusal,
            Some(C::Setup(_) | C::Resume(_) | C::Refresh(_)) => Wants::Ready,
            Some(C::Subscribe(f)) => Wants::Subscribed(f.topic.to_string()),
            Some(C::Unsubscribe(f)) => Wants::Unsubscribed(f.topic.to_string()),
            Some(C::Publish(f)) => Wants::Ack(f.message_id.to_string()),
            Some(C::Ack(f)) => Wants::Silence(f.topic.to_string()),
            Some(C::Ping) => Wants::Pong,
        };
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { row, at, wants });
    }

    /// Finds the request that a frame answers.
    pub(super) fn answered_by(&mut self, frame: &ServerMessage<'_>) -> Option<Found> {
        use ServerMessage as S;
        match frame {
            S::Message(_) => None,
            S::Ready(_) => self.take(|w| *w == Wants::Ready),
            S::Subscribed(f) => self.subscribed(&f.topic),
            S::Unsubscribed(f) => {
                self.take(|w| matches!(w, Wants::Unsubscribed(t) if *t == f.topic))
            }
            S::Ack(f) => self.take(|w| matches!(w, Wants::Ack(id) if *id == f.message_id)),
            S::Pong => self.take(|w| *w == Wants::Pong),
            S::Error(f) => self.refused(f.code, f.topic.as_deref(), f.message_id.as_deref()),
        }
    }

    /// Forgets everything: another socket owes no answers.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Whether `setup`, `resume` or `refresh` waits for its `ready`.
    #[must_use]
    pub(super) fn awaits_ready(&self) -> bool {
        self.waiting.iter().any(|w| w.wants == Wants::Ready)
    }

    fn take(&mut self, fits: impl Fn(&Wants) -> bool) -> Option<Found> {
        self.remove(self.waiting.iter().position(|w| fits(&w.wants))?)
    }

    fn remove(&mut self, place: usize) -> Option<Found> {
        let found = self.waiting.remove(place)?;
        Some(Found {
            row: found.row,
            at: found.at,
            done: true,
        })
    }

    /// `subscribed` may be a part of the answer to a setup that is not ready yet.
    fn subscribed(&mut self, topic: &str) -> Option<Found> {
        let place = self.waiting.iter().position(|w| match &w.wants {
            Wants::Ready => true,
            Wants::Subscribed(t) => t == topic,
            _ => false,
        })?;
        let found = self.waiting.get(place)?;
        let found = Found {
            row: found.row,
            at: found.at,
            done: found.wants != Wants::Ready,
        };
        if found.done {
            self.waiting.remove(place);
        }
        Some(found)
    }

    fn refused(
        &mut self,
        code: ErrorCode,
        topic: Option<&str>,
        message_id: Option<&str>,
    ) -> Option<Found> {
        if let Some(id) = message_id {
            return self.take(|w| matches!(w, Wants::Ack(i) if i == id));
        }
        if let Some(topic) = topic {
            // An ack that is in order is never answered: the one that is refused is the last.
            if code == ErrorCode::BadAck {
                let silent = |w: &Waiting| matches!(&w.wants, Wants::Silence(t) if t == topic);
                return self.remove(self.waiting.iter().rposition(silent)?);
            }
            let named = self
                .take(|w| matches!(w, Wants::Subscribed(t) | Wants::Unsubscribed(t) if t == topic));
            // A topic of setup may be refused on its own; ready still follows.
            return named.or_else(|| {
                let setup = self.waiting.iter().find(|w| w.wants == Wants::Ready)?;
                Some(Found {
                    row: setup.row,
                    at: setup.at,
                    done: false,
                })
            });
        }
        match code {
            ErrorCode::BadRequest => self.take(|w| *w == Wants::Refusal),
            ErrorCode::AuthFailed | ErrorCode::AlreadySetup | ErrorCode::SessionExpired => {
                self.take(|w| *w == Wants::Ready)
            }
            ErrorCode::AuthRequired => self.take(|w| !matches!(w, Wants::Ready | Wants::Refusal)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{decode_client, decode_server};

    /// Sends frames, then feeds answers; says for each which request it found and whether done.
    fn play(sent: &[&str], answers: &[&str]) -> Vec<Option<(u64, bool)>> {
        let mut requests = Requests::default();
        for (row, text) in (1..).zip(sent) {
            requests.sent(row, 0.0, decode_client(text).ok().as_ref());
        }
        let find = |text: &&str| {
            let found = requests.answered_by(&decode_server(text).unwrap())?;
            Some((found.row, found.done))
        };
        answers.iter().map(find).collect()
    }

    const SETUP: &str = r#"{"type":"setup","token":"a","topics":["t"]}"#;
    const SUBSCRIBE: &str = r#"{"type":"subscribe","topic":"t"}"#;
    const SUBSCRIBED: &str = r#"{"type":"subscribed","topic":"t","seqNo":0,"epoch":"e"}"#;
    const READY: &str = r#"{"type":"ready","sessionId":"s"}"#;

    fn publish(id: &str) -> String {
        format!(r#"{{"type":"publish","topic":"t","messageId":"{id}","payload":1}}"#)
    }

    fn ack(id: &str) -> String {
        format!(r#"{{"type":"ack","messageId":"{id}","status":"ok"}}"#)
    }

    #[test]
    fn acks_find_their_publish_in_any_order() {
        let found = play(
            &[&publish("a"), &publish("b")],
            &[&ack("b"), &ack("a"), &ack("a")],
        );
        assert_eq!(found, [Some((2, true)), Some((1, true)), None]);
    }

    #[test]
    fn the_same_id_twice_is_answered_in_order() {
        let found = play(&[&publish("a"), &publish("a")], &[&ack("a"), &ack("a")]);
        assert_eq!(found, [Some((1, true)), Some((2, true))]);
    }

    #[test]
    fn setup_is_answered_by_its_topics_and_then_ready() {
        let found = play(&[SETUP, SUBSCRIBE], &[SUBSCRIBED, READY, SUBSCRIBED]);
        assert_eq!(found, [Some((1, false)), Some((1, true)), Some((2, true))]);
    }

    #[test]
    fn errors_find_what_they_are_about() {
        let by_id =
            r#"{"type":"error","code":"ACL_DENIED","message":"","topic":"t","messageId":"a"}"#;
        let by_topic = r#"{"type":"error","code":"ACL_DENIED","message":"","topic":"t"}"#;
        let bad = r#"{"type":"error","code":"BAD_REQUEST","message":""}"#;
        let found = play(
            &[SUBSCRIBE, &publish("a"), "nonsense"],
            &[by_id, by_topic, bad],
        );
        assert_eq!(found, [Some((2, true)), Some((1, true)), Some((3, true))]);
    }

    #[test]
    fn an_ack_in_order_is_answered_by_nothing() {
        let receipt = |seq| format!(r#"{{"type":"ack","topic":"t","seqNo":{seq}}}"#);
        let bad = r#"{"type":"error","code":"BAD_ACK","message":"","topic":"t"}"#;
        let denied = r#"{"type":"error","code":"ACL_DENIED","message":"","topic":"t"}"#;
        let found = play(&[&receipt(1), &receipt(9), SUBSCRIBE], &[bad, denied]);
        assert_eq!(found, [Some((2, true)), Some((3, true))]);
    }

    #[test]
    fn before_setup_the_request_is_refused() {
        let error = r#"{"type":"error","code":"AUTH_REQUIRED","message":""}"#;
        assert_eq!(play(&[SUBSCRIBE], &[error]), [Some((1, true))]);
    }

    #[test]
    fn live_messages_answer_nothing() {
        let message = r#"{"type":"message","topic":"t","seqNo":1,"messageId":"a","data":1}"#;
        assert_eq!(play(&[&publish("a")], &[message]), [None]);
    }
}
