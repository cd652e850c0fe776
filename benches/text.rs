//! The reference protocol's texts, written and read without a JSON parser.

use crate::wire::{digits, find};

/// Numbers of messages begin here, so that all have the same width.
pub const FIRST: u64 = 1_000_000_000;
/// Their width.
pub const WIDTH: usize = 10;
/// Bytes of a payload.
pub const PAYLOAD: usize = 128;
/// What stands before the number in a payload.
const BEFORE: &[u8] = b"{\"n\":";

/// A topic's name.
pub fn topic(number: usize) -> String {
    format!("t{number:07}")
}

/// The payload of a message, with its number.
pub fn payload(number: u64) -> Vec<u8> {
    let mut text = format!("{{\"n\":{number},\"pad\":\"").into_bytes();
    while text.len() < PAYLOAD - 2 {
        // Not one byte again and again: a byte out of place must show.
        text.push(b'a' + (text.len() % 23) as u8);
    }
    text.extend_from_slice(b"\"}");
    text
}

/// The frame that sets a connection up with topics.
pub fn setup(user: usize, topics: &[String]) -> String {
    let topics: Vec<String> = topics.iter().map(|topic| format!("\"{topic}\"")).collect();
    format!(
        "{{\"type\":\"setup\",\"token\":\"u{user}\",\"topics\":[{}]}}",
        topics.join(",")
    )
}

/// The frame that subscribes a topic.
pub fn subscribe(topic: &str) -> String {
    format!("{{\"type\":\"subscribe\",\"topic\":\"{topic}\"}}")
}

/// The frame that publishes a message.
pub fn publish(topic: &str, number: u64) -> Vec<u8> {
    let mut text = format!(
        "{{\"type\":\"publish\",\"topic\":\"{topic}\",\"messageId\":\"m{number}\",\"payload\":"
    )
    .into_bytes();
    text.extend_from_slice(&payload(number));
    text.push(b'}');
    text
}

/// What a text of the server is.
#[derive(PartialEq, Eq, Debug)]
pub enum Kind {
    /// A message.
    Message,
    /// The answer to a publish.
    Ack,
    /// The end of a setup.
    Ready,
    /// The answer to a subscribe.
    Subscribed,
    /// Anything else: nothing else is expected.
    Other,
}

/// Tells texts apart. Every server here begins them with the type.
#[inline]
pub fn kind(text: &[u8]) -> Kind {
    let Some(rest) = text.strip_prefix(b"{\"type\":\"") else {
        return Kind::Other;
    };
    match rest {
        [b'm', b'e', ..] => Kind::Message,
        [b'a', b'c', ..] => Kind::Ack,
        [b'r', b'e', ..] => Kind::Ready,
        [b's', b'u', ..] => Kind::Subscribed,
        _ => Kind::Other,
    }
}

/// Reads messages; remembers where the fields of the last one stood and looks there first.
pub struct Reader {
    seq_at: usize,
    data_after: usize,
    id_at: usize,
    pattern: Vec<u8>,
}

/// What a message says.
pub struct Message {
    /// Its position in the topic.
    pub seq: u64,
    /// The number in its payload; `None` if the payload is not, byte for byte, what was published.
    pub number: Option<u64>,
}

impl Reader {
    /// A reader that has read nothing yet.
    pub fn new() -> Self {
        Self {
            seq_at: 0,
            data_after: 0,
            id_at: 0,
            pattern: payload(FIRST),
        }
    }

    /// Reads a message.
    #[inline]
    pub fn message(&mut self, text: &[u8]) -> Option<Message> {
        const SEQ: &[u8] = b"\"seqNo\":";
        const DATA: &[u8] = b"\"data\":";
        if text.get(self.seq_at..self.seq_at + SEQ.len()) != Some(SEQ) {
            self.seq_at = find(text, SEQ)?;
        }
        let (seq, end) = digits(text, self.seq_at + SEQ.len());
        let data_at = end + self.data_after;
        if text.get(data_at..data_at + DATA.len()) != Some(DATA) {
            self.data_after = find(&text[end..], DATA)?;
        }
        let data = text.get(end + self.data_after + DATA.len()..text.len() - 1)?;
        Some(Message {
            seq,
            number: self.number(data),
        })
    }

    /// The number in a payload, if the payload is one of ours to the last byte.
    #[inline]
    pub fn number(&self, data: &[u8]) -> Option<u64> {
        let after = BEFORE.len() + WIDTH;
        let intact = data.len() == PAYLOAD
            && data[..BEFORE.len()] == *BEFORE
            && data[after..] == self.pattern[after..];
        let (number, end) = digits(data, BEFORE.len());
        (intact && end == after).then_some(number)
    }

    /// The number in the `messageId` of an ack with status `ok`.
    #[inline]
    pub fn ack(&mut self, text: &[u8]) -> Option<u64> {
        const ID: &[u8] = b"\"messageId\":\"m";
        const OK: &[u8] = b"\",\"status\":\"ok\"";
        if text.get(self.id_at..self.id_at + ID.len()) != Some(ID) {
            self.id_at = find(text, ID)?;
        }
        let (number, end) = digits(text, self.id_at + ID.len());
        text[end..].starts_with(OK).then_some(number)
    }
}
