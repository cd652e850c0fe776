//! Whether what a client received of a topic hangs together: nothing missing, nothing twice, nothing
//! out of order, and what became of each return to a position.
//!
//! Fed with the frames of one client in the order of the wire; it trusts nothing but `epoch`, `seqNo`,
//! `prevSeq` and `messageId`. A `messageId` alone says nothing: another user may use the same.

use std::collections::{BTreeMap, VecDeque};

use crate::protocol::{
    ClientMessage, MessageFrame, SeqNo, ServerMessage, Subscribed, UnrecoveredReason,
};

/// Topics of a client that are kept; as many as a connection may subscribe by default.
const MAX_TOPICS: usize = 1024;
/// Messages of a topic that are remembered to tell a double from a late one.
const MAX_SEEN: usize = 64;

/// What was seen, in numbers. Two of them can be subtracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub received: u64,
    /// Places where the chain broke: the message before is one that never came.
    pub gaps: u64,
    /// Messages that had come before.
    pub doubles: u64,
    /// Messages that came behind a newer one, or another message under the same number.
    pub disorder: u64,
}

impl Counts {
    /// What came after `earlier`, counts of the same topic.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            received: self.received - earlier.received,
            gaps: self.gaps - earlier.gaps,
            doubles: self.doubles - earlier.doubles,
            disorder: self.disorder - earlier.disorder,
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            gaps: self.gaps + other.gaps,
            doubles: self.doubles + other.doubles,
            disorder: self.disorder + other.disorder,
        }
    }

    /// Whether nothing is missing, double or out of order.
    #[must_use]
    pub fn are_clean(self) -> bool {
        self.gaps + self.doubles + self.disorder == 0
    }

    /// What is wrong, or that nothing is, in words.
    #[must_use]
    pub fn words(self) -> String {
        if self.are_clean() {
            return "no gap, no double, in order".to_owned();
        }
        let wrong = [
            (self.gaps, "gap", "gaps"),
            (self.doubles, "double", "doubles"),
            (self.disorder, "out of order", "out of order"),
        ];
        let wrong = wrong.iter().filter(|(count, ..)| *count > 0);
        let wrong = wrong.map(|(count, one, many)| {
            let of = if *count == 1 { one } else { many };
            format!("{count} {of}")
        });
        wrong.collect::<Vec<_>>().join(", ")
    }
}

/// What became of a position that was given with `subscribe` or `resume`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    /// Whether everything behind the position followed.
    pub recovered: bool,
    /// How many messages the gateway said would follow.
    pub announced: u64,
    /// How many of them came.
    pub replayed: u64,
    /// Why it was not recovered.
    pub reason: Option<UnrecoveredReason>,
    /// The topic's head at that moment: messages up to it are replayed ones.
    head: SeqNo,
}

/// One topic of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Since the client came to the page.
    pub counts: Counts,
    /// The last return to a position.
    pub last_return: Option<Return>,
    /// The epoch of the numbers; empty while unknown.
    pub epoch: String,
    /// The last place that was reached: of a message, or of the head that was subscribed from.
    pub seq_no: SeqNo,
    /// Whether the next message is one behind `seq_no`; else it begins with whatever comes.
    live: bool,
    /// The position that was given and is not answered yet.
    asked: Option<SeqNo>,
    /// The newest messages, oldest first.
    seen: VecDeque<(SeqNo, Box<str>)>,
}

impl Return {
    /// What became of it, in words.
    #[must_use]
    pub fn words(self) -> String {
        if self.recovered {
            let announced = match self.announced {
                all if all == self.replayed => String::new(),
                all => format!(" of {all}"),
            };
            return format!("recovered, {}{announced} replayed", self.replayed);
        }
        let why = match self.reason {
            Some(UnrecoveredReason::Epoch) => "the numbering is a new one (epoch)",
            Some(UnrecoveredReason::Trimmed) => "the history does not reach back so far (trimmed)",
            Some(UnrecoveredReason::Ahead) => "the position is beyond the head (ahead)",
            Some(UnrecoveredReason::Unknown) => "the history cannot be asked now (unknown)",
            None => "no reason given",
        };
        format!("not recovered: {why}")
    }
}

impl Record {
    /// Whether the message with this number was kept and came with the last return to a position.
    #[must_use]
    pub fn is_replayed(&self, number: SeqNo) -> bool {
        self.last_return.is_some_and(|back| number <= back.head)
    }

    /// Whether less was replayed than was announced, as later messages show.
    #[must_use]
    pub fn fell_short(&self) -> bool {
        self.last_return.is_some_and(|back| {
            back.recovered && back.replayed < back.announced && self.seq_no >= back.head
        })
    }

    fn subscribed(&mut self, frame: &Subscribed<'_>) {
        let asked = self.asked.take();
        let same = self.epoch == frame.epoch.as_str();
        if let Some(recovered) = frame.recovered {
            self.last_return = Some(Return {
                recovered,
                announced: frame.replayed.unwrap_or(0),
                replayed: 0,
                reason: frame.reason,
                head: frame.seq_no,
            });
        }
        let live = std::mem::replace(&mut self.live, true);
        if frame.recovered.is_none() && !same {
            // It was one in another numbering.
            self.last_return = None;
        }
        match (frame.recovered, asked) {
            // What was asked for is no double.
            (Some(true), Some(position)) => self.start(position),
            // From where the session stood, or as before: what was reached still counts.
            (Some(true), None) if same => {}
            // Where the session stood is not known here.
            (Some(true), None) => self.live = false,
            (None, _) if same && live => {}
            _ => self.start(frame.seq_no),
        }
        self.epoch = frame.epoch.to_string();
    }

    /// The next message is the one behind this place.
    fn start(&mut self, position: SeqNo) {
        self.seq_no = position;
        self.seen.clear();
    }

    fn message(&mut self, frame: &MessageFrame<'_>) {
        let number = frame.seq_no;
        let before = frame.prev_seq.unwrap_or_else(|| number.saturating_sub(1));
        if !self.live {
            // Where it begins is not known.
            self.start(before);
            self.live = true;
        }
        self.counts.received += 1;
        if number <= self.seq_no {
            self.came_late(number, &frame.message_id);
            return;
        }
        if before > self.seq_no {
            self.counts.gaps += 1;
        }
        if let Some(back) = &mut self.last_return
            && number <= back.head
        {
            back.replayed += 1;
        }
        self.seq_no = number;
        if self.seen.len() == MAX_SEEN {
            self.seen.pop_front();
        }
        self.seen
            .push_back((number, frame.message_id.as_ref().into()));
    }

    fn came_late(&mut self, number: SeqNo, id: &str) {
        let known = self.seen.iter().find(|(seen, _)| *seen == number);
        let forgotten = self.seen.front().is_none_or(|(oldest, _)| number < *oldest);
        let double = known.map_or(forgotten, |(_, seen)| **seen == *id);
        if double {
            self.counts.doubles += 1;
        } else {
            self.counts.disorder += 1;
        }
    }
}

/// The topics of one client.
#[derive(Debug, Clone, Default)]
pub struct Continuity {
    topics: BTreeMap<String, Record>,
}

impl Continuity {
    /// Each topic that was subscribed since the client came to the page.
    #[must_use]
    pub fn topics(&self) -> &BTreeMap<String, Record> {
        &self.topics
    }

    /// All topics together.
    #[must_use]
    pub fn total(&self) -> Counts {
        let counts = self.topics.values().map(|record| record.counts);
        counts.fold(Counts::default(), Counts::and)
    }

    /// A connection begins: nothing is subscribed on it yet.
    pub fn opening(&mut self) {
        for record in self.topics.values_mut() {
            record.live = false;
            record.asked = None;
        }
    }

    /// The client sent a frame.
    pub fn sent(&mut self, frame: &ClientMessage<'_>) {
        match frame {
            ClientMessage::Subscribe(f) => {
                if let Some(record) = self.record(&f.topic) {
                    record.asked = f.last_seq;
                }
            }
            ClientMessage::Resume(f) => {
                for (topic, position) in &f.last_seq_per_topic {
                    if let Some(record) = self.record(topic) {
                        record.asked = Some(*position);
                    }
                }
            }
            _ => {}
        }
    }

    /// The client received a frame.
    pub fn received(&mut self, frame: &ServerMessage<'_>) {
        match frame {
            ServerMessage::Subscribed(f) => {
                if let Some(record) = self.record(&f.topic) {
                    record.subscribed(f);
                }
            }
            ServerMessage::Unsubscribed(f) => {
                if let Some(record) = self.topics.get_mut(f.topic.as_ref()) {
                    record.live = false;
                }
            }
            ServerMessage::Message(f) => {
                if let Some(record) = self.record(&f.topic) {
                    record.message(f);
                }
            }
            _ => {}
        }
    }

    /// The topic's record; a new one as far as there is room.
    fn record(&mut self, topic: &str) -> Option<&mut Record> {
        if !self.topics.contains_key(topic) {
            if self.topics.len() == MAX_TOPICS {
                return None;
            }
            self.topics.insert(topic.to_owned(), Record::default());
        }
        self.topics.get_mut(topic)
    }
}

#[cfg(test)]
mod tests;
