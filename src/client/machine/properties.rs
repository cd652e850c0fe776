//! The machine against a model of the gateway: whatever is published, cut and trimmed, and
//! however the gateway words its replay, the program sees every message once and in order, or is
//! told that some are lost.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::protocol::{Resume, decode_client};

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish,
    /// So many of the frames on their way arrive.
    Arrive(usize),
    Cut,
    /// The gateway dies before it wrote down that the topic was left, and the next connection is ready
    /// before the program wants anything.
    Crash,
    /// The history up to now is forgotten.
    Trim,
    /// The gateway forgets the session.
    Expire,
    /// The session is there, but has lost the topic.
    Lose,
    /// The program takes what it was handed.
    Take,
    /// The program wants this qos.
    Want(Qos),
    /// The program leaves the topic.
    Leave,
}

#[derive(Debug, Clone, Copy)]
struct Style {
    /// The URL names the topic: every setup subscribes it at the head.
    by_url: bool,
    /// A replay repeats what was sent live on this connection.
    repeats: bool,
    /// With client acks.
    guarded: bool,
    /// Messages have every tenth number, a topic that nobody was told of stands behind its newest one,
    /// and the gateway says how many it replays.
    sparse: bool,
}

/// What the gateway keeps of the client beyond its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    Session,
    SessionWithTopic,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Publish),
        6 => (1..4_usize).prop_map(Step::Arrive),
        1 => Just(Step::Cut),
        1 => Just(Step::Crash),
        1 => Just(Step::Trim),
        1 => Just(Step::Expire),
        1 => Just(Step::Lose),
        1 => Just(Step::Take),
        1 => prop_oneof![Just(Qos::Zero), Just(Qos::One)].prop_map(Step::Want),
        1 => Just(Step::Leave),
    ];
    prop::collection::vec(step, 1..200)
}

struct World {
    style: Style,
    machine: Machine<()>,
    now: Duration,
    /// The newest message, and the newest that was forgotten.
    head: u64,
    floor: u64,
    /// Where the topic was last said to stand.
    told: u64,
    /// Where live messages began on this connection.
    live_from: Option<u64>,
    on_the_way: VecDeque<String>,
    kept: Kept,
    /// What qos the gateway has the topic with.
    qos: u8,
    /// What was sent on this connection, and the newest ack.
    sent: u64,
    acked: u64,
    /// Handed to the program, but not taken.
    untaken: Vec<Receipt>,
    /// What the program saw.
    seen: Option<u64>,
    may_jump: bool,
    wanted: bool,
    /// Whether it acknowledges the newest.
    with_receipt: bool,
}

impl World {
    fn new(style: Style) -> Self {
        let mut options = Options::new("me");
        if !style.by_url {
            options.topics.push("t".to_owned());
        }
        if style.guarded {
            options.qos = Qos::One;
        }
        let mut world = Self {
            style,
            machine: Machine::new(Duration::ZERO, options),
            now: Duration::ZERO,
            head: 0,
            floor: 0,
            told: 0,
            live_from: None,
            on_the_way: VecDeque::new(),
            kept: Kept::Nothing,
            qos: 0,
            sent: 0,
            acked: 0,
            untaken: Vec::new(),
            seen: None,
            may_jump: false,
            wanted: true,
            with_receipt: false,
        };
        world.settle();
        world
    }

    fn input(&mut self, input: Input<'_, ()>) {
        self.machine.handle(self.now, input);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Connect => self.machine.handle(self.now, Input::Opened),
                Output::Send(text) => self.gateway(&text),
                Output::Event(event) => self.program(event),
                Output::Close { .. } | Output::Abort(_) | Output::Answer(..) | Output::Done => {
                    panic!("{output:?}")
                }
            }
        }
    }

    /// From one message's number to the next.
    fn step_by(&self) -> u64 {
        if self.style.sparse { 10 } else { 1 }
    }

    /// The number of the first message after a position.
    fn next_after(&self, seq: u64) -> u64 {
        (seq / self.step_by() + 1) * self.step_by()
    }

    /// Where the topic stands, from now on on every socket.
    fn stand(&mut self) -> u64 {
        if self.style.sparse && self.live_from.is_none() {
            self.told = self.told.max(self.head + 5);
        }
        self.told = self.told.max(self.head);
        self.told
    }

    fn subscribed(&mut self, more: &str) {
        let seq = self.stand();
        self.on_the_way.push_back(format!(
            r#"{{"type":"subscribed","topic":"t","seqNo":{seq},"epoch":"e"{more}}}"#
        ));
    }

    fn send_message(&mut self, seq: u64, before: u64) {
        self.sent = self.sent.max(seq);
        self.on_the_way.push_back(format!(
            r#"{{"type":"message","topic":"t","seqNo":{seq},"prevSeq":{before},"messageId":"m","data":0}}"#
        ));
    }

    fn gateway(&mut self, text: &str) {
        match decode_client(text).unwrap() {
            ClientMessage::Setup(setup) => {
                if self.style.by_url || !setup.topics.is_empty() {
                    self.qos = setup.qos.unwrap_or(0);
                    self.subscribed("");
                    self.live_from = Some(self.told);
                }
                self.kept = match self.live_from {
                    Some(_) => Kept::SessionWithTopic,
                    None => Kept::Session,
                };
                self.on_the_way
                    .push_back(r#"{"type":"ready","sessionId":"s"}"#.to_owned());
            }
            ClientMessage::Resume(resume) => self.resume(&resume),
            ClientMessage::Subscribe(subscribe) => {
                let has_it = self.live_from.is_some();
                self.qos = subscribe.qos.unwrap_or(if has_it { self.qos } else { 0 });
                self.kept = Kept::SessionWithTopic;
                match subscribe.last_seq {
                    Some(last) => self.subscribe_from(last),
                    None => self.subscribe_at_head(),
                }
            }
            ClientMessage::Ack(ack) => {
                assert!(ack.seq_no > self.acked);
                assert!(ack.seq_no <= self.sent, "BAD_ACK {}", ack.seq_no);
                self.acked = ack.seq_no;
            }
            ClientMessage::Unsubscribe(_) => {
                self.live_from = None;
                if self.kept == Kept::SessionWithTopic {
                    self.kept = Kept::Session;
                }
                let unsubscribed = r#"{"type":"unsubscribed","topic":"t"}"#;
                self.on_the_way.push_back(unsubscribed.to_owned());
            }
            ClientMessage::Ping => {}
            other => panic!("{other:?}"),
        }
    }

    fn resume(&mut self, resume: &Resume<'_>) {
        if self.kept == Kept::Nothing {
            let expired = r#"{"type":"error","code":"SESSION_EXPIRED","message":""}"#;
            return self.on_the_way.push_back(expired.to_owned());
        }
        if self.kept == Kept::SessionWithTopic {
            match resume.last_seq_per_topic.get("t") {
                Some(last) => self.subscribe_from(*last),
                // The answer to its first subscription never arrived.
                None => {
                    let stands = self.stand();
                    self.subscribe_from(stands);
                }
            }
        } else if self.style.by_url {
            self.qos = 0;
            self.subscribe_at_head();
        }
        self.on_the_way
            .push_back(r#"{"type":"ready","sessionId":"s","resumed":true}"#.to_owned());
    }

    fn subscribe_from(&mut self, last: u64) {
        let until = match self.live_from {
            Some(live_from) if !self.style.repeats => live_from,
            _ => self.head,
        };
        if last < self.floor {
            self.subscribed(r#","recovered":false,"reason":"trimmed""#);
        } else {
            let step = self.step_by() as usize;
            let replay: Vec<u64> = (self.next_after(last)..=until).step_by(step).collect();
            let replayed = if self.style.sparse {
                format!(r#","replayed":{}"#, replay.len())
            } else {
                String::new()
            };
            self.subscribed(&format!(r#","recovered":true{replayed}"#));
            let mut before = last;
            for seq in replay {
                self.send_message(seq, before);
                before = seq;
            }
        }
        self.live_from.get_or_insert(self.told);
    }

    fn subscribe_at_head(&mut self) {
        self.subscribed("");
        self.live_from.get_or_insert(self.told);
    }

    fn program(&mut self, event: Event) {
        match event {
            Event::Subscribed(frame) => {
                // The first subscription starts anywhere.
                if frame.recovered == Some(false) {
                    self.may_jump = true;
                }
                self.seen.get_or_insert(frame.seq_no);
            }
            Event::Message(message) => {
                assert!(self.wanted, "#{} of a topic that was left", message.seq_no);
                let seen = self.seen.expect("subscribed first");
                assert!(message.seq_no > seen, "#{} after #{seen}", message.seq_no);
                assert!(
                    message.seq_no == self.next_after(seen) || self.may_jump,
                    "#{} after #{seen}, and nobody said so",
                    message.seq_no
                );
                self.may_jump = false;
                self.with_receipt = message.receipt.is_some();
                self.untaken.extend(message.receipt);
                self.seen = Some(message.seq_no);
            }
            Event::Gap { .. } => assert!(self.may_jump, "{event:?}"),
            _ => {}
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish => {
                let before = self.told.max(self.head);
                self.head = self.next_after(before);
                if self.live_from.is_some() {
                    self.told = self.head;
                    self.send_message(self.head, before);
                }
            }
            Step::Arrive(count) => {
                for _ in 0..count {
                    let Some(text) = self.on_the_way.pop_front() else {
                        break;
                    };
                    self.input(Input::Text(&text));
                }
            }
            Step::Crash if !self.wanted && self.kept == Kept::Session => {
                self.kept = Kept::SessionWithTopic;
                self.step(Step::Cut);
                self.step(Step::Arrive(usize::MAX));
            }
            Step::Cut => {
                self.on_the_way.clear();
                self.live_from = None;
                (self.sent, self.acked) = (0, 0);
                let ending = Ending::cut("");
                self.input(Input::Closed { ending, random: 7 });
                self.now = self.machine.deadline().expect("a next attempt");
                self.input(Input::Tick);
            }
            Step::Trim => self.floor = self.head,
            Step::Expire => self.kept = Kept::Nothing,
            Step::Lose if self.kept == Kept::SessionWithTopic => self.kept = Kept::Session,
            Step::Crash | Step::Lose => {}
            Step::Leave if self.style.by_url => {} // the next connection has it again
            Step::Leave => {
                (self.wanted, self.may_jump) = (false, true);
                self.input(Input::Command(Command::Unsubscribe("t".to_owned())));
            }
            Step::Want(qos) => {
                self.wanted = true;
                let command = Command::Subscribe("t".to_owned(), Some(qos));
                self.input(Input::Command(command));
            }
            Step::Take => {
                for receipt in std::mem::take(&mut self.untaken) {
                    let topic = "t".to_owned();
                    self.input(Input::Taken { topic, receipt });
                }
                self.now += ACK_DELAY;
                self.input(Input::Tick);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_once_and_in_order_or_told(
        steps in steps(),
        by_url in any::<bool>(),
        repeats in any::<bool>(),
        guarded in any::<bool>(),
        sparse in any::<bool>(),
    ) {
        // Who counts what is replayed counts what was sent live before.
        let repeats = repeats || sparse;
        let mut world = World::new(Style { by_url, repeats, guarded, sparse });
        for step in steps {
            world.step(step);
        }
        if !world.wanted {
            world.step(Step::Want(Qos::One));
        }
        while !world.on_the_way.is_empty() {
            world.step(Step::Arrive(1));
        }
        world.step(Step::Publish);
        world.step(Step::Arrive(1));
        prop_assert_eq!(world.seen, Some(world.head));
        prop_assert_eq!(u8::from(world.with_receipt), world.qos, "what the gateway waits for is acknowledged");
    }
}
