//! What is published, when: the same for every node.

use micro_socket::backbone::{Publication, Record};

use super::chance::{Random, Skewed};
use super::model::Model;

/// A message on its way to the nodes.
pub struct Message {
    /// When it was published, in nanoseconds of model time.
    pub at_ns: u64,
    pub topic: u32,
    pub record: Record,
}

/// The model's publishes in the order of their time.
pub struct Traffic {
    pub messages: Vec<Message>,
}

impl Traffic {
    pub fn new(model: &Model) -> Self {
        let mut random = Random::new(1);
        let choice = Skewed::new(model.topics, model.publish_skew);
        let payload = format!(
            "\"{}\"",
            "x".repeat(model.payload.saturating_sub(2) as usize)
        );
        let mut published = vec![0; model.topics as usize];
        let mut messages = Vec::new();
        let mut at_ns = random.until_next(model.rate);
        while (at_ns as f64) < model.seconds * 1e9 {
            let topic = choice.choose(&mut random);
            let seq_no = &mut published[topic as usize];
            *seq_no += 1;
            let publication = Publication {
                user: "publisher",
                topic: &name(topic),
                message_id: "0123456789abcdef",
                payload: &payload,
                sig: None,
            };
            let record = Record::new(&publication, *seq_no, *seq_no - 1, 1_800_000_000_000);
            messages.push(Message {
                at_ns,
                topic,
                record,
            });
            at_ns += random.until_next(model.rate);
        }
        Self { messages }
    }
}

/// A topic's name.
pub fn name(topic: u32) -> String {
    format!("market.instrument.{topic}")
}
