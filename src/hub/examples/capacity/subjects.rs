//! Which nodes hear a topic: those that have a subscriber of any topic of its subject.

use super::model::Model;
use super::traffic::name;

/// How topics are laid onto what NATS routes by.
pub trait Subjects: Sync {
    /// The subject that carries a topic's live messages.
    fn of(&self, topic: u32) -> u32;
    /// How many there are.
    fn count(&self) -> u32;
}

/// Each topic has its own: a node hears exactly what it has a subscriber for.
pub struct Exact {
    pub topics: u32,
}

impl Subjects for Exact {
    fn of(&self, topic: u32) -> u32 {
        topic
    }

    fn count(&self) -> u32 {
        self.topics
    }
}

/// Topics share subjects by hash: NATS keeps fewer interests, and nodes hear what nobody asked for.
pub struct Shared {
    pub count: u32,
}

impl Subjects for Shared {
    fn of(&self, topic: u32) -> u32 {
        bucket(topic, self.count)
    }

    fn count(&self) -> u32 {
        self.count
    }
}

/// The layout that the model asks for.
pub fn subjects(model: &Model) -> Box<dyn Subjects> {
    match model.subjects {
        0 => Box::new(Exact {
            topics: model.topics,
        }),
        count => Box::new(Shared { count }),
    }
}

/// One of `count`, by the topic's hash: how topics are spread over partitions.
pub fn bucket(topic: u32, count: u32) -> u32 {
    crc32fast::hash(name(topic).as_bytes()) % count
}
