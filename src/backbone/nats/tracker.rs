//! What a node has of a topic, and whether something is missing.
//!
//! The stream repeats each message with its number and that of the topic's message before it. A
//! number before that is above what we have is a gap: it is filled from the stream before anything
//! behind it goes on. Where it cannot be filled, the topic's subscribers must be told.
//!
//! Invariant: pure. The caller asks the stream and hands on what is released.

use std::collections::VecDeque;

use crate::protocol::SeqNo;

/// A message of the topic, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item<T> {
    /// Its number.
    pub(super) seq_no: SeqNo,
    /// The number before it in the topic, as the server knew it; 0 when it knew none.
    pub(super) previous: SeqNo,
    /// What it takes in memory while it waits, in bytes.
    pub(super) bytes: usize,
    /// The message.
    pub(super) message: T,
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act<T> {
    /// Hand this on; the second is the number before it that the subscribers know.
    Deliver(Item<T>, SeqNo),
    /// Ask for the topic's newest number, then call [`Tracker::head_is`].
    AskHead,
    /// Ask for everything after the first number up to the second, then call [`Tracker::filled`].
    Fill(SeqNo, SeqNo),
    /// Something is missing for good: everything up to this number is left behind.
    Lost(SeqNo),
    /// The topic stands here; everything behind it will be delivered.
    Opened(SeqNo),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Where the topic stands is being asked for the first time.
    Opening,
    /// Everything up to `last` was released.
    Following,
    /// What is missing up to this number is being read.
    Filling(SeqNo),
}

/// One topic.
#[derive(Debug)]
pub(super) struct Tracker<T> {
    phase: Phase,
    /// Everything up to this number was released; subscribers were told of no later one.
    last: SeqNo,
    /// Nothing up to this number is missing; never below `last`.
    clear: SeqNo,
    /// The head is being asked for again.
    checking: bool,
    /// There is a message with this number, whether it has come or not.
    expected: SeqNo,
    /// What came and cannot be released yet.
    held: VecDeque<Item<T>>,
    held_bytes: usize,
    /// What did not fit into `held`: the newest number of it.
    spilled: SeqNo,
    limit: usize,
}

impl<T> Tracker<T> {
    /// A topic of which nothing is known; holds at most `limit` bytes.
    #[must_use]
    pub(super) fn new(limit: usize) -> (Self, Act<T>) {
        let tracker = Self {
            phase: Phase::Opening,
            last: 0,
            clear: 0,
            checking: false,
            expected: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            spilled: 0,
            limit,
        };
        (tracker, Act::AskHead)
    }

    /// Everything up to this number was released; `None` while that is being found out, and while
    /// something is missing.
    #[must_use]
    pub(super) fn settled(&self) -> Option<SeqNo> {
        let settled = self.phase == Phase::Following && !self.checking;
        (settled && self.last >= self.expected).then_some(self.last)
    }

    /// There is a message with this number: who asks from now on must not be told of an earlier end.
    pub(super) fn expect(&mut self, seq_no: SeqNo) {
        self.expected = self.expected.max(seq_no);
    }

    /// A message came.
    pub(super) fn arrived(&mut self, item: Item<T>, acts: &mut Vec<Act<T>>) {
        match self.phase {
            Phase::Following => self.follow(item, acts),
            Phase::Opening | Phase::Filling(_) => self.hold(item),
        }
    }

    /// Nothing up to this number is missing, unless we know better.
    pub(super) fn clear_up_to(&mut self, seq_no: SeqNo) {
        if self.settled().is_some() {
            self.clear = self.clear.max(seq_no);
        }
    }

    /// Messages may have gone past us: the head has to be asked for again.
    pub(super) fn check(&mut self, acts: &mut Vec<Act<T>>) {
        // Who opens is asking already, and asks again when that fails.
        if self.phase != Phase::Opening && !self.checking {
            self.checking = true;
            acts.push(Act::AskHead);
        }
    }

    /// The topic's newest number, asked for after we began to listen.
    pub(super) fn head_is(&mut self, head: SeqNo, acts: &mut Vec<Act<T>>) {
        match self.phase {
            Phase::Opening => {
                self.last = head;
                self.clear = head;
                self.phase = Phase::Following;
                acts.push(Act::Opened(head));
                self.release(acts);
            }
            Phase::Following => {
                self.checking = false;
                self.fill_up_to(head, acts);
            }
            Phase::Filling(_) => {
                self.checking = false;
                self.spilled = self.spilled.max(head);
            }
        }
    }

    /// Everything up to the number that [`Act::Fill`] named, oldest first, is here; or it is not
    /// all there any more.
    pub(super) fn filled(&mut self, items: Option<Vec<Item<T>>>, acts: &mut Vec<Act<T>>) {
        let Phase::Filling(to) = self.phase else {
            return;
        };
        self.phase = Phase::Following;
        match items {
            Some(items) => {
                for item in items {
                    self.deliver(item, acts);
                }
                // `last` stays where it is when there was nothing: it is what subscribers know.
                self.clear = self.clear.max(to);
            }
            None => {
                self.last = self.last.max(to);
                self.clear = self.last;
                acts.push(Act::Lost(self.last));
            }
        }
        self.release(acts);
    }

    fn follow(&mut self, item: Item<T>, acts: &mut Vec<Act<T>>) {
        if item.previous <= self.clear {
            self.deliver(item, acts);
        } else {
            let to = item.previous;
            self.hold(item);
            self.fill_up_to(to, acts);
        }
    }

    fn deliver(&mut self, item: Item<T>, acts: &mut Vec<Act<T>>) {
        if item.seq_no > self.last {
            let previous = std::mem::replace(&mut self.last, item.seq_no);
            self.clear = self.clear.max(item.seq_no);
            acts.push(Act::Deliver(item, previous));
        }
    }

    fn fill_up_to(&mut self, to: SeqNo, acts: &mut Vec<Act<T>>) {
        if to > self.clear {
            self.phase = Phase::Filling(to);
            acts.push(Act::Fill(self.clear, to));
        }
    }

    fn hold(&mut self, item: Item<T>) {
        self.held_bytes += item.bytes;
        if self.held_bytes <= self.limit && self.spilled == 0 {
            self.held.push_back(item);
        } else {
            // It is in the stream and read again from there.
            self.held_bytes -= item.bytes;
            self.spilled = self.spilled.max(item.seq_no);
        }
    }

    /// Goes on with what was held.
    fn release(&mut self, acts: &mut Vec<Act<T>>) {
        while self.phase == Phase::Following {
            let Some(item) = self.held.pop_front() else {
                let spilled = std::mem::take(&mut self.spilled);
                return self.fill_up_to(spilled, acts);
            };
            if item.previous > self.clear && item.seq_no > self.last {
                let to = item.previous;
                self.held.push_front(item);
                return self.fill_up_to(to, acts);
            }
            self.held_bytes -= item.bytes;
            self.deliver(item, acts);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(seq_no: SeqNo, previous: SeqNo) -> Item<()> {
        Item {
            seq_no,
            previous,
            bytes: 10,
            message: (),
        }
    }

    fn opened(head: SeqNo) -> Tracker<()> {
        let (mut tracker, _) = Tracker::new(100);
        let mut acts = Vec::new();
        tracker.head_is(head, &mut acts);
        assert_eq!(acts, [Act::Opened(head)]);
        tracker
    }

    #[test]
    fn messages_wait_for_the_head_and_those_before_it_are_let_go() {
        let (mut tracker, act) = Tracker::new(100);
        assert_eq!(act, Act::AskHead);
        let mut acts = Vec::new();
        for (seq_no, previous) in [(4, 2), (7, 4), (9, 7)] {
            tracker.arrived(item(seq_no, previous), &mut acts);
        }
        assert!(acts.is_empty() && tracker.settled().is_none());
        tracker.head_is(7, &mut acts);
        assert_eq!(acts, [Act::Opened(7), Act::Deliver(item(9, 7), 7)]);
        assert_eq!(tracker.settled(), Some(9));
    }

    #[test]
    fn a_gap_is_filled_before_what_is_behind_it() {
        let mut tracker = opened(3);
        let mut acts = Vec::new();
        tracker.arrived(item(9, 7), &mut acts);
        tracker.arrived(item(12, 9), &mut acts);
        assert_eq!(acts, [Act::Fill(3, 7)]);
        assert!(tracker.settled().is_none());
        acts.clear();
        tracker.filled(Some(vec![item(5, 0), item(7, 0)]), &mut acts);
        let delivered: Vec<_> = acts
            .iter()
            .map(|act| match act {
                Act::Deliver(item, previous) => (item.seq_no, *previous),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(delivered, [(5, 3), (7, 5), (9, 7), (12, 9)]);
    }

    #[test]
    fn what_cannot_be_filled_is_lost_and_the_rest_goes_on() {
        let mut tracker = opened(3);
        let mut acts = Vec::new();
        tracker.arrived(item(9, 7), &mut acts);
        acts.clear();
        tracker.filled(None, &mut acts);
        assert_eq!(acts, [Act::Lost(7), Act::Deliver(item(9, 7), 7)]);
    }

    #[test]
    fn a_check_finds_what_nothing_came_behind() {
        let mut tracker = opened(3);
        let mut acts = Vec::new();
        tracker.check(&mut acts);
        tracker.check(&mut acts);
        assert_eq!(acts, [Act::AskHead]);
        acts.clear();
        tracker.head_is(5, &mut acts);
        assert_eq!(acts, [Act::Fill(3, 5)]);
    }

    #[test]
    fn a_topic_whose_messages_have_aged_out_goes_on_without_a_gap() {
        let mut tracker = opened(8);
        let mut acts = Vec::new();
        tracker.arrived(item(20, 0), &mut acts);
        assert_eq!(acts, [Act::Deliver(item(20, 0), 8)]);
    }

    #[test]
    fn a_check_that_finds_nothing_leaves_what_subscribers_know() {
        let mut tracker = opened(3);
        let mut acts = Vec::new();
        tracker.check(&mut acts);
        tracker.head_is(40, &mut acts);
        acts.clear();
        tracker.filled(Some(Vec::new()), &mut acts);
        assert_eq!((tracker.settled(), acts.len()), (Some(3), 0));
        tracker.arrived(item(41, 0), &mut acts);
        assert_eq!(acts, [Act::Deliver(item(41, 0), 3)]);
    }

    #[test]
    fn what_is_known_to_be_clear_is_not_asked_for() {
        let mut tracker = opened(3);
        let mut acts = Vec::new();
        tracker.clear_up_to(30);
        tracker.check(&mut acts);
        tracker.head_is(40, &mut acts);
        assert_eq!(acts, [Act::AskHead, Act::Fill(30, 40)]);
        // Not while something is missing.
        tracker.clear_up_to(60);
        assert_eq!(tracker.clear, 30);
    }

    #[test]
    fn what_is_held_is_bounded_and_read_again() {
        let mut tracker = opened(0);
        let mut acts = Vec::new();
        for seq_no in 2..=40 {
            tracker.arrived(item(seq_no, seq_no - 1), &mut acts);
        }
        assert_eq!(acts, [Act::Fill(0, 1)]);
        assert!(tracker.held.len() <= 10);
        acts.clear();
        tracker.filled(Some(vec![item(1, 0)]), &mut acts);
        assert_eq!(acts.last(), Some(&Act::Fill(11, 40)));
    }

    proptest! {
        /// Whatever is dropped on the way, and whenever it is noticed: in the end everything was
        /// delivered once, in order, each with the one before it.
        #[test]
        fn nothing_is_lost_doubled_or_disordered(
            dropped in prop::collection::vec(any::<bool>(), 1..60),
            head in 0_usize..10,
            checks in prop::collection::vec(0_usize..60, 0..5),
            slow in 0_usize..7,
        ) {
            let count = dropped.len();
            let head = head.min(count);
            let seq = |n: usize| n as SeqNo * 3;
            let (mut tracker, _) = Tracker::new(50);
            let mut asked: VecDeque<(usize, Act<()>)> = VecDeque::from([(0, Act::AskHead)]);
            let mut delivered = Vec::new();
            let mut acts = Vec::new();
            let mut stored = head;
            for step in 0..count * 4 + 50 {
                if stored < count && step >= slow {
                    stored += 1;
                    if !dropped[stored - 1] {
                        tracker.arrived(item(seq(stored), seq(stored - 1)), &mut acts);
                    }
                }
                if checks.contains(&step) || step == count * 2 + 20 {
                    tracker.check(&mut acts);
                }
                if asked.front().is_some_and(|(at, _)| *at + slow <= step) {
                    match asked.pop_front().unwrap().1 {
                        Act::AskHead => {
                            tracker.head_is(seq(stored), &mut acts);
                            if delivered.is_empty() { delivered.push((tracker.last, 0)); }
                        }
                        Act::Fill(after, to) => {
                            let items = (1..=count).filter(|n| seq(*n) > after && seq(*n) <= to);
                            tracker.filled(Some(items.map(|n| item(seq(n), 0)).collect()), &mut acts);
                        }
                        _ => {}
                    }
                }
                for act in acts.drain(..) {
                    match act {
                        Act::Deliver(item, previous) => delivered.push((item.seq_no, previous)),
                        Act::Lost(_) => prop_assert!(false, "nothing was lost"),
                        Act::Opened(_) => {}
                        ask => asked.push_back((step, ask)),
                    }
                }
            }
            let numbers: Vec<_> = delivered.iter().map(|(seq_no, _)| *seq_no).collect();
            prop_assert_eq!(*numbers.last().unwrap(), seq(count));
            for pair in delivered.windows(2) {
                prop_assert_eq!(pair[1].0, pair[0].0 + 3);
                prop_assert_eq!(pair[1].1, pair[0].0);
            }
        }
    }
}
