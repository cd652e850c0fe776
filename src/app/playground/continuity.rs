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
mod tests {
    use super::*;
    use crate::protocol::{decode_client, decode_server};

    /// Feeds frames, as `> ` sent or `< ` received, short for topic `t`: `> sub`, `> sub 3`, `> resume 3`,
    /// `< sub 5 e1`, `< back 5 e1 2`, `< lost 5 e1`, `< 6`, `< 6 after 4`, `< 6 other`, `< gone`, `cut`.
    fn fed(story: &[&str]) -> Record {
        let mut continuity = Continuity::default();
        for line in story {
            let words: Vec<_> = line.split(' ').collect();
            let sent = |text: String, c: &mut Continuity| c.sent(&decode_client(&text).unwrap());
            let received =
                |text: String, c: &mut Continuity| c.received(&decode_server(&text).unwrap());
            let subscribed = |n: &str, e: &str, more: &str| {
                format!(r#"{{"type":"subscribed","topic":"t","seqNo":{n},"epoch":"{e}"{more}}}"#)
            };
            let message = |n: &str, id: &str, more: &str| {
                format!(
                    r#"{{"type":"message","topic":"t","seqNo":{n},"messageId":"{id}","data":1{more}}}"#
                )
            };
            let c = &mut continuity;
            match words[..] {
                ["cut"] => c.opening(),
                [">", "sub"] => sent(r#"{"type":"subscribe","topic":"t"}"#.into(), c),
                [">", "sub", n] => sent(
                    format!(r#"{{"type":"subscribe","topic":"t","lastSeq":{n}}}"#),
                    c,
                ),
                [">", "resume", n] => sent(
                    format!(
                        r#"{{"type":"resume","token":"a","sessionId":"s","lastSeqPerTopic":{{"t":{n}}}}}"#
                    ),
                    c,
                ),
                ["<", "sub", n, e] => received(subscribed(n, e, ""), c),
                ["<", "back", n, e, many] => {
                    let more = format!(r#","recovered":true,"replayed":{many}"#);
                    received(subscribed(n, e, &more), c);
                }
                ["<", "lost", n, e] => received(
                    subscribed(n, e, r#","recovered":false,"reason":"trimmed""#),
                    c,
                ),
                ["<", "gone"] => received(r#"{"type":"unsubscribed","topic":"t"}"#.into(), c),
                ["<", n] => received(message(n, n, ""), c),
                ["<", n, "after", before] => {
                    received(message(n, n, &format!(r#","prevSeq":{before}"#)), c);
                }
                ["<", n, "other"] => received(message(n, "other", ""), c),
                _ => panic!("{line}"),
            }
        }
        assert_eq!(continuity.total(), continuity.topics()["t"].counts);
        continuity.topics()["t"].clone()
    }

    fn counts(story: &[&str]) -> (u64, u64, u64, u64) {
        let c = fed(story).counts;
        (c.received, c.gaps, c.doubles, c.disorder)
    }

    #[test]
    fn an_unbroken_chain_is_clean() {
        let story = ["< sub 5 e", "< 6", "< 7", "< 12 after 7", "< 13"];
        assert_eq!(counts(&story), (4, 0, 0, 0));
        assert!(fed(&story).counts.are_clean());
        assert_eq!(fed(&story).seq_no, 13);
    }

    #[test]
    fn what_is_missing_double_or_late_is_told_apart() {
        assert_eq!(counts(&["< sub 5 e", "< 7"]), (1, 1, 0, 0), "gap at once");
        assert_eq!(counts(&["< sub 5 e", "< 6", "< 9 after 8"]), (2, 1, 0, 0));
        assert_eq!(counts(&["< sub 5 e", "< 6", "< 7", "< 6"]), (3, 0, 1, 0));
        // 6 was missing when 7 came: a gap, and then out of order.
        let late = ["< sub 5 e", "< 5", "< 6 after 5", "< 8", "< 7"];
        assert_eq!(counts(&late), (4, 1, 1, 1));
        let other = ["< sub 5 e", "< 6", "< 6 other"];
        assert_eq!(counts(&other), (2, 0, 0, 1), "two messages, one number");
    }

    #[test]
    fn a_double_is_known_long_afterwards() {
        let numbers: Vec<_> = (1..200).map(|n| format!("< {n}")).collect();
        let mut story = vec!["< sub 0 e"];
        story.extend(numbers.iter().map(String::as_str));
        story.push("< 3");
        assert_eq!(counts(&story), (200, 0, 1, 0));
    }

    #[test]
    fn a_recovered_position_goes_on_without_a_gap() {
        let story = [
            "< sub 5 e",
            "< 6",
            "cut",
            "> resume 6",
            "< back 8 e 2",
            "< 7",
            "< 8",
            "< 9",
        ];
        let record = fed(&story);
        assert!(record.counts.are_clean());
        let back = record.last_return.unwrap();
        assert!(back.recovered);
        assert_eq!((back.announced, back.replayed), (2, 2), "9 is live");
    }

    #[test]
    fn a_replay_that_leaves_one_out_is_a_gap() {
        let story = ["< sub 5 e", "cut", "> sub 5", "< back 8 e 3", "< 6", "< 8"];
        let record = fed(&story);
        assert_eq!(record.counts.gaps, 1);
        let back = record.last_return.unwrap();
        assert_eq!(back.words(), "recovered, 2 of 3 replayed");
    }

    #[test]
    fn who_asks_for_old_messages_gets_no_doubles() {
        let story = ["< sub 0 e", "< 1", "< 2", "> sub 0", "< back 2 e 2"];
        let again = [&story[..], &["< 1", "< 2", "< 3"]].concat();
        assert_eq!(counts(&again), (5, 0, 0, 0));
        // Nobody asked for these.
        let unasked = ["< sub 0 e", "< 1", "< 2", "cut", "< back 2 e 2"];
        let unasked = [&unasked[..], &["< 1", "< 2"]].concat();
        assert_eq!(counts(&unasked), (4, 0, 2, 0));
    }

    #[test]
    fn what_was_declared_lost_is_no_gap() {
        let story = ["< sub 5 e", "cut", "> sub 5", "< lost 90 e", "< 91"];
        let record = fed(&story);
        assert!(record.counts.are_clean());
        let back = record.last_return.unwrap();
        assert!(!back.recovered);
        assert_eq!(
            back.words(),
            "not recovered: the history does not reach back so far (trimmed)"
        );
    }

    #[test]
    fn another_epoch_is_another_numbering() {
        let story = ["< sub 5 e1", "< 6", "cut", "> sub 6", "< lost 2 e2", "< 3"];
        assert_eq!(counts(&story), (2, 0, 0, 0));
        assert_eq!(fed(&story).epoch, "e2");
    }

    #[test]
    fn subscribing_twice_changes_nothing() {
        let story = ["< sub 5 e", "> sub", "< sub 7 e", "< 6", "< 7", "< 8"];
        assert_eq!(counts(&story), (3, 0, 0, 0));
        // After leaving it, it begins at the head again.
        let left = ["< sub 5 e", "< gone", "< sub 9 e", "< 10"];
        assert_eq!(counts(&left), (1, 0, 0, 0));
    }

    #[test]
    fn a_session_of_somebody_else_begins_where_it_is() {
        let story = ["> sub", "< back 9 e 2", "< 8", "< 9", "< 10"];
        let record = fed(&story);
        assert_eq!(record.counts.received, 3);
        assert!(record.counts.are_clean());
        assert_eq!(record.last_return.unwrap().replayed, 2);
    }

    #[test]
    fn a_message_of_nowhere_begins_where_it_is() {
        let mut continuity = Continuity::default();
        let text = r#"{"type":"message","topic":"t","seqNo":9,"messageId":"m","data":1}"#;
        continuity.received(&decode_server(text).unwrap());
        assert!(continuity.total().are_clean());
    }

    #[test]
    fn counts_of_a_while() {
        let early = fed(&["< sub 0 e", "< 2"]).counts;
        let late = fed(&["< sub 0 e", "< 2", "< 3", "< 3"]).counts;
        let between = late.since(early);
        assert_eq!((between.received, between.gaps, between.doubles), (2, 0, 1));
        assert_eq!(between.words(), "1 double");
        assert_eq!(late.words(), "1 gap, 1 double");
        assert_eq!(Counts::default().words(), "no gap, no double, in order");
    }

    #[test]
    fn topics_are_bounded() {
        let mut continuity = Continuity::default();
        for n in 0..=MAX_TOPICS {
            let text = format!(r#"{{"type":"subscribed","topic":"{n}","seqNo":0}}"#);
            continuity.received(&decode_server(&text).unwrap());
        }
        assert_eq!(continuity.topics().len(), MAX_TOPICS);
    }
}
