//! Message ids across partitions.
//!
//! A stream remembers the ids of its own messages only. With several streams an id is first reserved,
//! for its topic, in a stream of ids that is chosen by the id: the server takes only the first
//! reservation. A publisher that finds its own topic there goes on, because the topic's stream tells a
//! copy from the first; one that finds another topic is told where the first message is, as soon as
//! that is known. Until then, and when the first publisher died between the two steps, it is told to
//! try again.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use serde_json::json;
use tokio::time::sleep;

use super::link::{Link, read_answer};
use super::names;
use super::reader::ask_leader;
use crate::backbone::Unavailable;
use crate::protocol::{SeqNo, Topic};

/// The subject has a newer message than the publisher expected.
const NOT_THE_FIRST: u32 = 10071;
/// How often, and how many times, is looked for the number of a message that is on its way.
const LOOK_AGAIN: (Duration, u32) = (Duration::from_millis(50), 20);

/// What a reservation says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    /// The id is of this topic.
    Here,
    /// The id is of a message of another topic.
    Elsewhere(Topic, SeqNo),
}

/// The streams of ids.
pub(super) struct Ids {
    link: Arc<Link>,
    partitions: u16,
}

type Request = (String, HeaderMap, Bytes);

impl Ids {
    pub(super) fn new(link: Arc<Link>, partitions: u16) -> Self {
        Self { link, partitions }
    }

    pub(super) fn partitions(&self) -> u16 {
        self.partitions
    }

    fn subject(&self, key: &str) -> (u16, String) {
        let partition = names::partition(key, self.partitions);
        (partition, names::id(partition, key))
    }

    /// Takes the id for the topic, if nobody has it.
    pub(super) fn reservation(&self, key: &str, topic: &Topic) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
        let body = Bytes::copy_from_slice(topic.as_str().as_bytes());
        (self.subject(key).1, headers, body)
    }

    /// Whether the reservation was the first.
    pub(super) fn reserved(answer: Result<Message, Unavailable>) -> Result<bool, Unavailable> {
        let answer = answer?;
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(Unavailable("no stream takes the message id".to_owned()));
        }
        match read_answer::<serde_json::Value>(&answer.payload)? {
            Ok(_) => Ok(true),
            Err(error) if error.err_code == NOT_THE_FIRST => Ok(false),
            Err(error) => Err(Unavailable(error.to_string())),
        }
    }

    /// Writes down where the message with the id is.
    pub(super) fn confirmation(&self, key: &str, topic: &Topic, seq_no: SeqNo) -> Request {
        // A topic has no control characters.
        let body = format!("{}\n{seq_no}", topic.as_str());
        (self.subject(key).1, HeaderMap::new(), body.into())
    }

    /// Who has the id.
    pub(super) async fn first(&self, key: &str, topic: &Topic) -> Result<Reserved, Unavailable> {
        let (partition, subject) = self.subject(key);
        let what = json!({ "last_by_subj": subject });
        let stream = names::ids_stream(partition);
        let (pause, times) = LOOK_AGAIN;
        for _ in 0..times {
            let Some(stored) = ask_leader(&self.link, &stream, &what).await? else {
                break;
            };
            match read(&stored.payload) {
                Some((first, _)) if first == *topic => return Ok(Reserved::Here),
                Some((first, Some(seq_no))) => return Ok(Reserved::Elsewhere(first, seq_no)),
                Some((_, None)) => sleep(pause).await,
                None => break,
            }
        }
        let text = "another topic's message with this messageId has not been decided yet";
        Err(Unavailable(text.to_owned()))
    }
}

fn read(body: &[u8]) -> Option<(Topic, Option<SeqNo>)> {
    let text = std::str::from_utf8(body).ok()?;
    let (topic, seq_no) = match text.split_once('\n') {
        Some((topic, seq_no)) => (topic, Some(seq_no.parse().ok()?)),
        None => (text, None),
    };
    Some((Topic::new(topic).ok()?, seq_no))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read() {
        let topic = Topic::new("a b").unwrap();
        assert_eq!(read(b"a b"), Some((topic.clone(), None)));
        assert_eq!(read(b"a b\n17"), Some((topic, Some(17))));
        for nonsense in [&b""[..], b"a\nx", b"\xff"] {
            assert_eq!(read(nonsense), None);
        }
    }
}
