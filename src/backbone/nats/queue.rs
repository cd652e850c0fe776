//! What is decided in any order and must go on in the order it came, topic by topic.
//!
//! Invariant: pure.

use std::collections::{HashMap, VecDeque};

use crate::protocol::Topic;

/// A place in the queue of a topic.
pub(super) type Ticket = u64;

/// One queue for each topic that has something in it.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    queues: HashMap<Topic, VecDeque<(Ticket, Decided<T>)>>,
    next: Ticket,
}

#[derive(Debug)]
enum Decided<T> {
    NotYet,
    GoesOn(T),
    Not,
}

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self {
            queues: HashMap::new(),
            next: 0,
        }
    }
}

impl<T> InOrder<T> {
    /// The last place in the topic's queue.
    pub(super) fn enter(&mut self, topic: &Topic) -> Ticket {
        self.next += 1;
        let queue = self.queues.entry(topic.clone()).or_default();
        queue.push_back((self.next, Decided::NotYet));
        self.next
    }

    /// It was decided whether the one with this place goes on. Calls `go_on` with all whose turn has
    /// come.
    pub(super) fn decide(
        &mut self,
        topic: &Topic,
        ticket: Ticket,
        goes_on: Option<T>,
        mut go_on: impl FnMut(T),
    ) {
        let Some(queue) = self.queues.get_mut(topic) else {
            return;
        };
        if let Ok(at) = queue.binary_search_by_key(&ticket, |(ticket, _)| *ticket) {
            queue[at].1 = goes_on.map_or(Decided::Not, Decided::GoesOn);
        }
        while let Some((_, decided)) =
            queue.pop_front_if(|(_, decided)| !matches!(decided, Decided::NotYet))
        {
            if let Decided::GoesOn(item) = decided {
                go_on(item);
            }
        }
        if queue.is_empty() {
            self.queues.remove(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_goes_on_in_the_order_it_came() {
        let topic = |name| Topic::new(name).unwrap();
        let mut queue = InOrder::default();
        let tickets: Vec<Ticket> = ["a", "a", "b", "a"]
            .map(|name| queue.enter(&topic(name)))
            .to_vec();
        let mut went = Vec::new();
        queue.decide(&topic("a"), tickets[3], Some(3), |n| went.push(n));
        queue.decide(&topic("b"), tickets[2], Some(2), |n| went.push(n));
        queue.decide(&topic("a"), tickets[1], None, |n| went.push(n));
        assert_eq!(went, [2]);
        queue.decide(&topic("a"), tickets[0], Some(0), |n| went.push(n));
        assert_eq!(went, [2, 0, 3]);
        assert!(queue.queues.is_empty());
        queue.decide(&topic("a"), tickets[0], Some(0), |n| went.push(n));
        assert_eq!(went.len(), 3);
    }
}
