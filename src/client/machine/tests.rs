use super::*;
use crate::client::Backoff;
use crate::client::backoff::STABLE;
use crate::client::publishes::MAX_WAITING;
use crate::protocol::Token;

const HALF: u64 = 1 << 63;

/// A machine with a clock of its own; publishes answer to numbers.
struct Rig {
    now: Duration,
    machine: Machine<u32>,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn options() -> Options {
    Options::new("me")
}

impl Rig {
    fn new(options: Options) -> Self {
        let now = Duration::from_secs(1000);
        Self {
            now,
            machine: Machine::new(now, options),
        }
    }

    /// A rig that is ready, with these topics at seqNo 5 of epoch e1.
    fn ready_with(topics: &[&str]) -> Self {
        let mut options = options();
        options.topics = topics.iter().map(|t| (*t).to_owned()).collect();
        let mut rig = Self::new(options);
        rig.input(Input::Opened);
        for topic in topics {
            rig.subscribed(topic, 5, "e1");
        }
        rig.ready();
        rig
    }

    /// What comes of an input, one line each.
    fn input(&mut self, input: Input<'_, u32>) -> Vec<String> {
        self.machine.handle(self.now, input);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.machine.poll_output())
            .map(|o| line(&o))
            .collect()
    }

    fn text(&mut self, text: &str) -> Vec<String> {
        self.input(Input::Text(text))
    }

    fn ready(&mut self) -> Vec<String> {
        self.text(r#"{"type":"ready","sessionId":"s"}"#)
    }

    fn subscribed(&mut self, topic: &str, seq: u64, epoch: &str) -> Vec<String> {
        self.text(&format!(
            r#"{{"type":"subscribed","topic":"{topic}","seqNo":{seq},"epoch":"{epoch}"}}"#
        ))
    }

    fn recovered(&mut self, topic: &str, seq: u64, recovered: bool, replayed: u64) -> Vec<String> {
        self.text(&format!(
            r#"{{"type":"subscribed","topic":"{topic}","seqNo":{seq},"epoch":"e1","recovered":{recovered},"replayed":{replayed}}}"#
        ))
    }

    fn message(&mut self, topic: &str, seq: u64) -> Vec<String> {
        self.text(&format!(
            r#"{{"type":"message","topic":"{topic}","seqNo":{seq},"messageId":"m{seq}","data":{seq}}}"#
        ))
    }

    fn closed(&mut self, code: u16) -> Vec<String> {
        let ending = Ending {
            code,
            reason: String::new(),
            was_clean: true,
            retry: true,
        };
        self.input(Input::Closed {
            ending,
            random: HALF,
        })
    }

    fn publish(&mut self, id: &str, answer: u32) -> Vec<String> {
        self.input(Input::Command(Command::Publish {
            message_id: id.to_owned(),
            text: format!("publish {id}"),
            answer,
        }))
    }

    fn tick_at_deadline(&mut self) -> Vec<String> {
        self.now = self.machine.deadline().expect("a deadline");
        self.input(Input::Tick)
    }

    /// Closes with 1012 and opens the next connection, which goes on with the session.
    fn resume(&mut self) -> Vec<String> {
        self.closed(1012);
        assert_eq!(self.tick_at_deadline(), ["connect"]);
        self.input(Input::Opened)
    }

    /// Closes with 1012 and opens the next connection, to a gateway that lost the session.
    fn reopen(&mut self) -> Vec<String> {
        let resume = &self.resume()[1];
        assert!(resume.contains(r#""sessionId":"s""#), "{resume}");
        self.text(SESSION_EXPIRED)
    }

    fn resumed(&mut self) -> Vec<String> {
        self.text(r#"{"type":"ready","sessionId":"s","resumed":true}"#)
    }

    /// The program takes so many messages that end with this number.
    fn taken(&mut self, event: Event, count: usize) -> Vec<String> {
        let Event::Message(message) = event else {
            panic!("{event:?}");
        };
        let mut receipt = message.receipt.expect("a receipt");
        receipt.count = count;
        let topic = message.topic;
        self.input(Input::Taken { topic, receipt })
    }

    /// As `message`, but the event itself.
    fn message_event(&mut self, topic: &str, seq: u64) -> Event {
        let text = format!(
            r#"{{"type":"message","topic":"{topic}","seqNo":{seq},"messageId":"m","data":0}}"#
        );
        self.machine.handle(self.now, Input::Text(&text));
        match self.machine.poll_output() {
            Some(Output::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }
}

const SESSION_EXPIRED: &str =
    r#"{"type":"error","code":"SESSION_EXPIRED","message":"","retryable":false}"#;

fn line(output: &Output<u32>) -> String {
    match output {
        Output::Connect => "connect".to_owned(),
        Output::Send(text) => format!("> {text}"),
        Output::Close { code, .. } => format!("close {code}"),
        Output::Abort(why) => format!("abort: {why}"),
        Output::Answer(to, Ok(ack)) => format!("answer {to}: {:?} {}", ack.status, ack.seq_no),
        Output::Answer(to, Err(error)) => format!("answer {to}: {error}"),
        Output::Done => "done".to_owned(),
        Output::Event(event) => match event {
            Event::Opened => "opened".to_owned(),
            Event::Ready(_) => "ready".to_owned(),
            Event::Subscribed(s) => match s.recovered {
                None => format!("subscribed {} {}", s.topic, s.seq_no),
                Some(recovered) => format!("subscribed {} {} {recovered}", s.topic, s.seq_no),
            },
            Event::Unsubscribed { topic } => format!("unsubscribed {topic}"),
            Event::Message(m) => format!("{}#{}", m.topic, m.seq_no),
            Event::Gap {
                topic,
                after,
                before,
            } => format!("gap {topic} {after}..{before}"),
            Event::Closed {
                code, reconnect_in, ..
            } => match reconnect_in {
                Some(wait) => format!("closed {code}, again in {} ms", wait.as_millis()),
                None => format!("closed {code} for good"),
            },
            Event::Error(error) => format!("error {}", error.code.as_str()),
            Event::Acked(ack) => format!("acked {}", ack.message_id),
            Event::Pong => "pong".to_owned(),
            Event::Undecodable(_) => "undecodable".to_owned(),
            Event::Binary(bytes) => format!("binary {}", bytes.len()),
            Event::Sent(text) => format!("sent {text}"),
            Event::Received(text) => format!("received {text}"),
        },
    }
}

#[test]
fn setup_comes_first_with_the_topics_in_order() {
    let mut options = options();
    options.topics = vec!["prices".to_owned(), "alerts".to_owned()];
    let mut rig = Rig::new(options);
    assert_eq!(rig.outputs(), ["connect"]);
    assert!(
        rig.publish("a", 1).is_empty(),
        "nothing goes out before ready"
    );
    assert_eq!(
        rig.input(Input::Opened),
        [
            "opened",
            r#"> {"type":"setup","token":"me","topics":["prices","alerts"]}"#
        ]
    );
    assert_eq!(rig.subscribed("prices", 3, "e1"), ["subscribed prices 3"]);
    assert_eq!(rig.subscribed("alerts", 0, "e1"), ["subscribed alerts 0"]);
    assert_eq!(rig.ready(), ["ready", "> publish a"]);
    assert_eq!(rig.message("prices", 4), ["prices#4"]);
}

#[test]
fn a_reconnect_goes_on_from_each_topics_own_position() {
    let mut rig = Rig::ready_with(&["alerts", "prices"]);
    rig.message("prices", 6);
    assert_eq!(rig.reopen(), [r#"> {"type":"setup","token":"me"}"#]);
    assert_eq!(
        rig.ready(),
        [
            "ready",
            r#"> {"type":"subscribe","topic":"alerts","lastSeq":5,"epoch":"e1"}"#,
            r#"> {"type":"subscribe","topic":"prices","lastSeq":6,"epoch":"e1"}"#,
        ]
    );
    assert_eq!(
        rig.recovered("alerts", 5, true, 0),
        ["subscribed alerts 5 true"]
    );
    assert_eq!(
        rig.recovered("prices", 8, true, 2),
        ["subscribed prices 8 true"]
    );
    assert_eq!(rig.message("prices", 6), [""; 0], "had it before the cut");
    assert_eq!(rig.message("prices", 7), ["prices#7"]);
    assert_eq!(rig.message("prices", 8), ["prices#8"]);
    assert_eq!(rig.message("prices", 8), [""; 0], "twice");
    assert_eq!(rig.message("prices", 9), ["prices#9"]);
    assert_eq!(rig.message("alerts", 6), ["alerts#6"]);
}

/// On `/ws/sub/prices` the gateway subscribes the topic at its head before we can ask.
fn reopened_at_head(head: u64) -> Rig {
    let mut rig = Rig::new(options());
    rig.input(Input::Opened);
    assert_eq!(rig.subscribed("prices", 5, "e1"), ["subscribed prices 5"]);
    rig.ready();
    rig.reopen();
    assert_eq!(
        rig.subscribed("prices", head, "e1"),
        [""; 0],
        "the answer that counts follows"
    );
    rig
}

const ASK: &str = r#"> {"type":"subscribe","topic":"prices","lastSeq":5,"epoch":"e1"}"#;

#[test]
fn live_messages_wait_for_the_replay_that_fills_the_gap_before_them() {
    let mut rig = reopened_at_head(7);
    assert_eq!(rig.message("prices", 8), [""; 0], "held before ready");
    assert_eq!(rig.ready(), ["ready", ASK]);
    assert_eq!(rig.message("prices", 9), [""; 0], "held");
    // The replay ends before the live messages that were sent already.
    assert_eq!(
        rig.recovered("prices", 7, true, 2),
        ["subscribed prices 7 true"]
    );
    assert_eq!(rig.message("prices", 6), ["prices#6"]);
    assert_eq!(
        rig.message("prices", 7),
        ["prices#7", "prices#8", "prices#9"]
    );
    assert_eq!(rig.message("prices", 10), ["prices#10"]);
}

#[test]
fn a_replay_that_repeats_live_messages_doubles_nothing() {
    let mut rig = reopened_at_head(7);
    rig.ready();
    rig.message("prices", 8);
    assert_eq!(
        rig.recovered("prices", 8, true, 3),
        ["subscribed prices 8 true"]
    );
    let seen: Vec<String> = (6..=9).flat_map(|seq| rig.message("prices", seq)).collect();
    assert_eq!(seen, ["prices#6", "prices#7", "prices#8", "prices#9"]);
}

#[test]
fn an_unrecovered_position_says_so_and_keeps_what_came_since() {
    let mut rig = reopened_at_head(70);
    rig.ready();
    rig.message("prices", 71);
    assert_eq!(
        rig.recovered("prices", 71, false, 0),
        ["subscribed prices 71 false", "prices#71"]
    );
    assert_eq!(rig.message("prices", 72), ["prices#72"]);
}

#[test]
fn more_live_messages_than_may_be_held_come_with_the_replay() {
    let mut rig = reopened_at_head(5);
    rig.ready();
    for seq in 6..=1100 {
        assert!(rig.message("prices", seq).is_empty());
    }
    rig.recovered("prices", 1100, true, 1095);
    let mut seen = Vec::new();
    for seq in 6..=1101 {
        seen.extend(rig.message("prices", seq));
    }
    let expected: Vec<String> = (6..=1101).map(|seq| format!("prices#{seq}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_new_epoch_starts_a_new_position() {
    let mut rig = Rig::ready_with(&["prices"]);
    rig.reopen();
    rig.ready();
    let lost = r#"{"type":"subscribed","topic":"prices","seqNo":2,"epoch":"e2","recovered":false,"reason":"epoch"}"#;
    assert_eq!(rig.text(lost), ["subscribed prices 2 false"]);
    assert_eq!(
        rig.message("prices", 3),
        ["prices#3"],
        "3 of e2 is new although 5 of e1 was seen"
    );
    rig.reopen();
    assert_eq!(
        rig.ready()[1],
        r#"> {"type":"subscribe","topic":"prices","lastSeq":3,"epoch":"e2"}"#
    );
}

#[test]
fn a_hole_is_told_and_a_compacted_numbering_is_none() {
    let mut rig = Rig::ready_with(&["prices"]);
    assert_eq!(rig.message("prices", 8), ["gap prices 5..8", "prices#8"]);
    let sparse =
        r#"{"type":"message","topic":"prices","seqNo":12,"prevSeq":8,"messageId":"m","data":1}"#;
    assert_eq!(rig.text(sparse), ["prices#12"]);
}

#[test]
fn close_codes_decide() {
    for (code, random_half_ms) in [
        (1000, None),
        (1001, Some(50)),
        (1002, None),
        (1005, Some(50)),
        (1006, Some(50)),
        (1012, Some(50)),
        (4001, None),
        (4009, None),
        (4042, None),
        (4108, Some(50)),
        (4142, Some(50)),
        (4200, Some(50)), // not stable yet, so not at once
    ] {
        let mut rig = Rig::ready_with(&[]);
        let expected = match random_half_ms {
            Some(ms) => vec![format!("closed {code}, again in {ms} ms")],
            None => vec![format!("closed {code} for good"), "done".to_owned()],
        };
        assert_eq!(rig.closed(code), expected, "{code}");
    }
    let mut rig = Rig::ready_with(&[]);
    rig.now += STABLE;
    assert_eq!(rig.closed(4200), ["closed 4200, again in 0 ms"]);
}

#[test]
fn failing_attempts_back_off_and_a_stable_connection_forgets_them() {
    let mut rig = Rig::ready_with(&[]);
    assert_eq!(rig.closed(1006), ["closed 1006, again in 50 ms"]);
    for wait in [100, 200, 400] {
        assert_eq!(rig.tick_at_deadline(), ["connect"]);
        assert_eq!(
            rig.closed(1006),
            [format!("closed 1006, again in {wait} ms")]
        );
    }
    rig.tick_at_deadline();
    rig.input(Input::Opened);
    rig.ready();
    rig.now += STABLE;
    assert_eq!(rig.closed(1006), ["closed 1006, again in 50 ms"]);
}

#[test]
fn an_ending_that_cannot_change_is_final() {
    let mut rig = Rig::new(options());
    rig.outputs();
    let ending = Ending {
        retry: false,
        ..Ending::cut("bad URL")
    };
    assert_eq!(
        rig.input(Input::Closed {
            ending,
            random: HALF
        }),
        ["closed 1006 for good", "done"]
    );
}

#[test]
fn unacked_publishes_go_out_again_in_order() {
    let mut rig = Rig::ready_with(&[]);
    for (id, answer) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(rig.publish(id, answer), [format!("> publish {id}")]);
    }
    let ack = r#"{"type":"ack","messageId":"a","status":"ok","seqNo":1}"#;
    assert_eq!(rig.text(ack), ["answer 1: Ok 1"]);
    rig.reopen();
    assert!(rig.publish("d", 4).is_empty());
    assert_eq!(
        rig.ready(),
        ["ready", "> publish b", "> publish c", "> publish d"]
    );
    let duplicate = r#"{"type":"ack","messageId":"b","status":"duplicate","seqNo":2}"#;
    assert_eq!(rig.text(duplicate), ["answer 2: Duplicate 2"]);
    assert_eq!(rig.text(duplicate), ["acked b"], "nobody waits any more");
    let refused =
        r#"{"type":"error","code":"ACL_DENIED","message":"no","messageId":"c","topic":"t"}"#;
    let told = rig.text(refused);
    assert_eq!(told, [format!("answer 3: ACL_DENIED: no{EARLIER}")]);
    assert_eq!(
        rig.closed(4003),
        [
            "closed 4003 for good",
            "answer 4: the socket closed before the ack came",
            "done"
        ]
    );
}

#[test]
fn without_reconnect_unacked_publishes_fail() {
    let mut rig = Rig::new(Options {
        reconnect: None,
        ..options()
    });
    rig.input(Input::Opened);
    rig.ready();
    rig.publish("a", 1);
    assert_eq!(
        rig.closed(1006),
        [
            "closed 1006 for good",
            "answer 1: the socket closed before the ack came",
            "done"
        ]
    );
}

#[test]
fn waiting_publishes_are_bounded() {
    let mut rig = Rig::ready_with(&[]);
    for index in 0..MAX_WAITING {
        rig.publish(&format!("{index}"), 0);
    }
    assert_eq!(
        rig.publish("x", 7),
        ["answer 7: too many publishes are waiting for their acks"]
    );
}

#[test]
fn subscriptions_are_kept_across_connections() {
    let mut rig = Rig::ready_with(&["a"]);
    let subscribe = |topic: &str| Input::Command(Command::Subscribe(topic.to_owned(), None));
    let unsubscribe = |topic: &str| Input::Command(Command::Unsubscribe(topic.to_owned()));
    assert_eq!(
        rig.input(subscribe("b")),
        [r#"> {"type":"subscribe","topic":"b"}"#]
    );
    assert!(rig.input(subscribe("b")).is_empty(), "asked already");
    rig.subscribed("b", 0, "e1");
    assert_eq!(
        rig.input(unsubscribe("a")),
        [r#"> {"type":"unsubscribe","topic":"a"}"#]
    );
    assert!(rig.message("a", 6).is_empty(), "not wanted any more");
    rig.closed(1012);
    assert!(rig.input(subscribe("c")).is_empty());
    rig.tick_at_deadline();
    rig.input(Input::Opened);
    rig.text(SESSION_EXPIRED);
    assert_eq!(
        rig.ready(),
        [
            "ready",
            r#"> {"type":"unsubscribe","topic":"a"}"#,
            r#"> {"type":"subscribe","topic":"b","lastSeq":0,"epoch":"e1"}"#,
            r#"> {"type":"subscribe","topic":"c"}"#,
        ]
    );
}

#[test]
fn subscribing_again_at_once_starts_afresh() {
    let mut rig = Rig::ready_with(&["a"]);
    rig.input(Input::Command(Command::Unsubscribe("a".to_owned())));
    assert_eq!(
        rig.input(Input::Command(Command::Subscribe("a".to_owned(), None))),
        [r#"> {"type":"subscribe","topic":"a"}"#]
    );
    assert!(rig.message("a", 6).is_empty(), "of the old subscription");
    assert_eq!(
        rig.text(r#"{"type":"unsubscribed","topic":"a"}"#),
        ["unsubscribed a"]
    );
    assert_eq!(rig.subscribed("a", 6, "e1"), ["subscribed a 6"]);
    assert_eq!(rig.message("a", 7), ["a#7"]);
}

#[test]
fn refused_topics_are_asked_for_again_only_where_that_helps() {
    let mut rig = Rig::ready_with(&["a", "b"]);
    rig.reopen();
    rig.ready();
    let error = |code: &str, topic: &str, retryable: bool| {
        format!(
            r#"{{"type":"error","code":"{code}","message":"","topic":"{topic}","retryable":{retryable}}}"#
        )
    };
    assert_eq!(
        rig.text(&error("ACL_DENIED", "a", false)),
        ["error ACL_DENIED"]
    );
    assert_eq!(
        rig.text(&error("NOT_AVAILABLE", "b", true)),
        ["error NOT_AVAILABLE"]
    );
    assert_eq!(
        rig.tick_at_deadline(),
        [r#"> {"type":"subscribe","topic":"b","lastSeq":5,"epoch":"e1"}"#]
    );
    rig.reopen();
    assert_eq!(rig.ready().len(), 2, "a is gone");
}

#[test]
fn a_silent_gateway_is_asked_and_then_left() {
    let mut rig = Rig::ready_with(&[]);
    assert_eq!(rig.tick_at_deadline(), [r#"> {"type":"ping"}"#]);
    assert!(
        rig.text(r#"{"type":"pong"}"#).is_empty(),
        "our own business"
    );
    assert_eq!(rig.text(r#"{"type":"pong"}"#), ["pong"], "the program's");
    assert_eq!(rig.tick_at_deadline(), [r#"> {"type":"ping"}"#]);
    assert_eq!(
        rig.tick_at_deadline(),
        ["abort: the gateway no longer answers"]
    );
    assert_eq!(
        rig.closed(1006),
        ["closed 1006, again in 50 ms"],
        "stable: the first window"
    );
}

#[test]
fn opening_setup_and_closing_have_their_time() {
    let mut rig = Rig::new(options());
    rig.outputs();
    assert_eq!(
        rig.tick_at_deadline(),
        ["abort: opening the socket took too long"]
    );
    rig.closed(1006);
    rig.tick_at_deadline();
    rig.input(Input::Opened);
    assert_eq!(rig.tick_at_deadline(), ["abort: setup took too long"]);
    let mut rig = Rig::ready_with(&[]);
    let close = || Command::Close {
        code: 1000,
        reason: String::new(),
    };
    assert_eq!(rig.input(Input::Command(close())), ["close 1000"]);
    assert_eq!(
        rig.tick_at_deadline(),
        ["abort: the close was not answered in time"]
    );
    assert_eq!(rig.closed(1006), ["closed 1006 for good", "done"]);
}

#[test]
fn a_close_ends_it_in_every_state() {
    let close = || {
        Input::Command(Command::Close {
            code: 1000,
            reason: String::new(),
        })
    };
    let mut opening = Rig::new(options());
    opening.outputs();
    assert_eq!(opening.input(close()), ["abort: closed before it was open"]);
    assert_eq!(opening.closed(1006), ["closed 1006 for good", "done"]);
    let mut waiting = Rig::ready_with(&[]);
    waiting.closed(1012);
    assert_eq!(waiting.input(close()), ["closed 1000 for good", "done"]);
    let mut abandoned = Rig::ready_with(&[]);
    assert_eq!(abandoned.input(Input::Abandoned), ["close 1000"]);
    assert_eq!(abandoned.closed(1000), ["closed 1000 for good", "done"]);
}

#[test]
fn manual_sends_and_filters_nothing_by_itself() {
    let mut rig = Rig::new(Options {
        reconnect: Some(Backoff::default()),
        ..Options::manual()
    });
    assert_eq!(rig.outputs(), ["connect"]);
    assert_eq!(rig.input(Input::Opened), ["opened"]);
    assert_eq!(rig.machine.deadline(), None, "no heartbeat");
    assert_eq!(
        rig.input(Input::Command(Command::Raw("hm".to_owned()))),
        ["sent hm", "> hm"]
    );
    assert_eq!(rig.text("nonsense"), ["received nonsense", "undecodable"]);
    for _ in 0..2 {
        assert_eq!(rig.message("t", 3)[1], "t#3");
    }
    assert_eq!(rig.text(r#"{"type":"pong"}"#)[1], "pong");
    assert_eq!(rig.input(Input::Binary(vec![1, 2])), ["binary 2"]);
    assert_eq!(rig.closed(1012), ["closed 1012 for good", "done"]);
}

#[test]
fn a_refreshed_token_is_used_from_then_on() {
    let mut rig = Rig::ready_with(&[]);
    assert_eq!(
        rig.input(Input::Command(Command::Refresh(Token::new("new")))),
        [r#"> {"type":"refresh","token":"new"}"#]
    );
    assert_eq!(rig.ready(), ["ready"]);
    assert_eq!(
        rig.closed(4101),
        [format!("closed 4101, again in {} ms", ms(50).as_millis())]
    );
    rig.tick_at_deadline();
    assert_eq!(
        rig.input(Input::Opened)[1],
        r#"> {"type":"resume","token":"new","sessionId":"s","lastSeqPerTopic":{}}"#
    );
}

#[test]
fn a_refusal_of_a_publish_that_was_sent_again_tells_no_more_than_it_knows() {
    let mut rig = Rig::ready_with(&[]);
    rig.publish("a", 1);
    rig.resume();
    rig.publish("b", 2);
    rig.resumed();
    let refused = |id: &str| {
        format!(
            r#"{{"type":"error","code":"TOO_MANY_REQUESTS","message":"slower","messageId":"{id}","retryable":true}}"#
        )
    };
    let told = rig.text(&refused("a"));
    let known = "answer 1: TOO_MANY_REQUESTS: slower (an earlier copy may have been accepted; the same message id has no second effect)";
    assert_eq!(told, [known]);
    let told = rig.text(&refused("b"));
    assert_eq!(told, ["answer 2: TOO_MANY_REQUESTS: slower"]);
}

#[test]
fn a_token_that_is_refreshed_before_ready_goes_out_with_it() {
    let mut rig = Rig::ready_with(&["a"]);
    rig.resume();
    let refresh = || Input::Command(Command::Refresh(Token::new("new")));
    assert_eq!(rig.input(refresh()), [""; 0], "not before ready");
    let sent = rig.resumed();
    assert_eq!(
        sent[..2],
        ["ready", r#"> {"type":"refresh","token":"new"}"#]
    );
    assert_eq!(rig.ready(), ["ready"], "once");
    // Where the session has expired, `setup` has it already.
    rig.resume();
    rig.input(refresh());
    let setup = rig.text(SESSION_EXPIRED);
    assert_eq!(setup, [r#"> {"type":"setup","token":"new"}"#]);
    assert!(rig.ready().iter().all(|line| !line.contains("refresh")));
}

#[test]
fn a_session_goes_on_from_the_own_positions() {
    let mut rig = Rig::ready_with(&["alerts", "prices"]);
    rig.message("prices", 6);
    assert_eq!(
        rig.resume(),
        [
            "opened",
            r#"> {"type":"resume","token":"me","sessionId":"s","lastSeqPerTopic":{"alerts":5,"prices":6},"epochs":{"alerts":"e1","prices":"e1"}}"#
        ]
    );
    assert_eq!(
        rig.recovered("prices", 8, true, 2),
        ["subscribed prices 8 true"]
    );
    assert_eq!(rig.message("prices", 7), ["prices#7"]);
    assert_eq!(rig.message("prices", 8), ["prices#8"]);
    assert_eq!(
        rig.recovered("alerts", 9, false, 0),
        ["subscribed alerts 9 false"]
    );
    assert_eq!(rig.resumed(), ["ready"], "nothing is left to ask for");
    assert_eq!(rig.message("prices", 9), ["prices#9"]);
    assert_eq!(rig.message("alerts", 10), ["alerts#10"]);
}

#[test]
fn what_changed_while_offline_is_made_up_for_after_ready() {
    let mut rig = Rig::ready_with(&["gone", "kept"]);
    rig.closed(1006);
    for topic in ["gone", "never"] {
        rig.input(Input::Command(Command::Unsubscribe(topic.to_owned())));
    }
    rig.input(Input::Command(Command::Subscribe("new".to_owned(), None)));
    rig.tick_at_deadline();
    let resume = rig.input(Input::Opened).remove(1);
    assert!(
        resume.contains(r#""lastSeqPerTopic":{"kept":5}"#),
        "{resume}"
    );
    // The session still has it.
    assert_eq!(rig.recovered("gone", 6, true, 1), [""; 0]);
    assert_eq!(rig.message("gone", 6), [""; 0]);
    // And has forgotten the other one.
    assert_eq!(
        rig.resumed(),
        [
            "ready",
            r#"> {"type":"unsubscribe","topic":"gone"}"#,
            r#"> {"type":"subscribe","topic":"kept","lastSeq":5,"epoch":"e1"}"#,
            r#"> {"type":"subscribe","topic":"new"}"#,
        ]
    );
    assert_eq!(
        rig.text(r#"{"type":"unsubscribed","topic":"gone"}"#),
        ["unsubscribed gone"]
    );
    assert!(!rig.resume()[1].contains("gone"));
}

#[test]
fn a_topic_left_and_wanted_again_before_ready_goes_on_from_its_own_position() {
    let mut rig = Rig::ready_with(&["a", "kept"]);
    rig.closed(1006);
    rig.input(Input::Command(Command::Unsubscribe("a".to_owned())));
    rig.tick_at_deadline();
    let resume = rig.input(Input::Opened).remove(1);
    assert!(
        resume.contains(r#""lastSeqPerTopic":{"kept":5}"#),
        "{resume}"
    );
    rig.input(Input::Command(Command::Subscribe("a".to_owned(), None)));
    rig.recovered("kept", 5, true, 0);
    // The session had sent more of it than has come: that is not where the program stands.
    assert_eq!(rig.recovered("a", 8, true, 1), [""; 0]);
    assert_eq!(rig.message("a", 8), [""; 0]);
    assert_eq!(
        rig.resumed(),
        [
            "ready",
            r#"> {"type":"subscribe","topic":"a","lastSeq":5,"epoch":"e1"}"#
        ]
    );
    assert_eq!(rig.recovered("a", 8, true, 3), ["subscribed a 8 true"]);
    for seq in [6, 7] {
        assert_eq!(rig.message("a", seq).first(), Some(&format!("a#{seq}")));
    }
    assert_eq!(rig.message("a", 9), ["a#9"]);
}

#[test]
fn an_answer_that_a_cut_swallowed_is_found_again() {
    let mut rig = Rig::ready_with(&[]);
    rig.input(Input::Command(Command::Subscribe("a".to_owned(), None)));
    assert!(rig.resume()[1].contains(r#""lastSeqPerTopic":{}"#));
    // The session has it from a position that the program never saw: it begins at the head.
    assert_eq!(rig.recovered("a", 7, true, 2), ["subscribed a 7 true"]);
    assert_eq!(rig.message("a", 6), [""; 0]);
    assert_eq!(rig.resumed(), ["ready"]);
    assert_eq!(rig.message("a", 8), ["a#8"]);
}

#[test]
fn a_gateway_that_cannot_find_sessions_now_is_left_and_asked_again() {
    let mut rig = Rig::ready_with(&[]);
    rig.resume();
    assert_eq!(
        rig.text(r#"{"type":"error","code":"NOT_AVAILABLE","message":"","retryable":true}"#),
        [
            "error NOT_AVAILABLE",
            "abort: the gateway cannot set up a socket now"
        ]
    );
    assert!(rig.resume()[1].starts_with(r#"> {"type":"resume""#));
}

#[test]
fn a_resume_that_might_be_too_large_is_none() {
    let topics: Vec<String> = (0..300).map(|n| format!("{n:0>200}")).collect();
    let mut rig = Rig::ready_with(&topics.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(rig.resume()[1], r#"> {"type":"setup","token":"me"}"#);
    assert_eq!(rig.ready().len(), 301);
}

fn guarded() -> Rig {
    let mut rig = Rig::new(Options {
        qos: Qos::One,
        topics: vec!["a".to_owned()],
        ..options()
    });
    assert_eq!(
        rig.input(Input::Opened)[2],
        r#"> {"type":"setup","token":"me","topics":["a"],"qos":1}"#
    );
    rig.subscribed("a", 5, "e1");
    rig.ready();
    rig
}

#[test]
fn what_the_program_took_is_acknowledged_together() {
    let mut rig = guarded();
    let first = rig.message_event("a", 6);
    let second = rig.message_event("a", 7);
    assert!(rig.taken(first, 1).is_empty());
    rig.now += ms(100);
    assert!(rig.taken(second, 1).is_empty());
    rig.now += ms(100);
    assert_eq!(
        rig.input(Input::Tick),
        [r#"> {"type":"ack","topic":"a","seqNo":7}"#]
    );
    let many = rig.message_event("a", 8);
    assert_eq!(
        rig.taken(many, 100),
        [r#"> {"type":"ack","topic":"a","seqNo":8}"#]
    );
    let last = rig.message_event("a", 9);
    rig.taken(last, 1);
    let close = Command::Close {
        code: 1000,
        reason: String::new(),
    };
    assert_eq!(
        rig.input(Input::Command(close)),
        [r#"> {"type":"ack","topic":"a","seqNo":9}"#, "close 1000"]
    );
}

#[test]
fn receipts_of_an_older_connection_are_not_acknowledged() {
    let mut rig = guarded();
    let old = rig.message_event("a", 6);
    rig.resume();
    let lost = r#"{"type":"subscribed","topic":"a","seqNo":2,"epoch":"e2","recovered":false,"reason":"epoch"}"#;
    rig.text(lost);
    let new = rig.message_event("a", 3);
    assert!(rig.taken(old, 1).is_empty());
    assert!(rig.taken(new, 1).is_empty(), "not before ready");
    assert_eq!(
        rig.resumed(),
        ["ready", r#"> {"type":"ack","topic":"a","seqNo":3}"#]
    );
}

fn qos_one(topic: &str) -> Input<'static, u32> {
    Input::Command(Command::Subscribe(topic.to_owned(), Some(Qos::One)))
}

const ONE: &str = r#"> {"type":"subscribe","topic":"a","qos":1}"#;
const LEAVE: &str = r#"> {"type":"unsubscribe","topic":"a"}"#;
const LEFT: &str = r#"{"type":"unsubscribed","topic":"a"}"#;

#[test]
fn of_several_questions_about_a_topic_the_last_answer_counts() {
    let mut rig = Rig::ready_with(&[]);
    let leave = || Input::Command(Command::Unsubscribe("a".to_owned()));
    assert_eq!(rig.input(qos_one("a")), [ONE]);
    assert_eq!(rig.input(leave()), [LEAVE]);
    assert_eq!(rig.input(qos_one("a")), [ONE]);
    assert_eq!(rig.subscribed("a", 5, "e1"), [""; 0], "that one was left");
    assert_eq!(rig.message("a", 6), [""; 0]);
    assert_eq!(rig.text(LEFT), ["unsubscribed a"]);
    assert_eq!(rig.subscribed("a", 6, "e1"), ["subscribed a 6"]);
    let message = rig.message_event("a", 7);
    let acked = rig.taken(message, 100);
    assert_eq!(acked, [r#"> {"type":"ack","topic":"a","seqNo":7}"#]);
    // A refusal of an older question is not the last word either.
    rig.input(leave());
    rig.input(qos_one("a"));
    rig.input(leave());
    rig.input(qos_one("a"));
    rig.text(LEFT);
    rig.text(
        r#"{"type":"error","code":"NOT_AVAILABLE","message":"","topic":"a","retryable":true}"#,
    );
    rig.text(LEFT);
    assert_eq!(rig.subscribed("a", 8, "e1"), ["subscribed a 8"]);
    assert_eq!(rig.message("a", 9), ["a#9"]);
}

#[test]
fn a_qos_that_changes_before_the_answer_is_asked_for_again() {
    let mut rig = Rig::ready_with(&["a"]);
    let from = |n: u64, qos: u8| {
        format!(r#"> {{"type":"subscribe","topic":"a","lastSeq":{n},"epoch":"e1","qos":{qos}}}"#)
    };
    let qos_zero = || Input::Command(Command::Subscribe("a".to_owned(), Some(Qos::Zero)));
    assert_eq!(rig.input(qos_one("a")), [from(5, 1)]);
    assert_eq!(rig.input(qos_zero()), [from(5, 0)]);
    assert_eq!(rig.recovered("a", 6, true, 1), [""; 0]);
    rig.message("a", 6);
    assert_eq!(
        rig.recovered("a", 6, true, 1),
        ["subscribed a 6 true", "a#6"]
    );
    // A cut may swallow the question or the answer: the session need not know.
    assert_eq!(rig.input(qos_one("a")), [from(6, 1)]);
    rig.resume();
    rig.recovered("a", 6, true, 0);
    assert_eq!(rig.resumed(), ["ready", &from(6, 1)]);
    assert_eq!(rig.recovered("a", 6, true, 0), ["subscribed a 6 true"]);
    rig.resume();
    rig.recovered("a", 6, true, 0);
    assert_eq!(rig.resumed(), ["ready"]);
}

#[test]
fn a_setup_that_might_be_too_large_names_no_topics() {
    let mut options = options();
    options.topics = (0..1000).map(|n| format!("{n:0>70}")).collect();
    options.topics.push(options.topics[0].clone());
    let mut rig = Rig::new(options);
    rig.outputs();
    let setup = r#"> {"type":"setup","token":"me"}"#;
    assert_eq!(rig.input(Input::Opened), ["opened", setup]);
    assert_eq!(rig.ready().len(), 1 + 1000, "each on its own");
}

#[test]
fn what_setup_cannot_say_is_asked_for_after_it() {
    let mut options = options();
    options.topics = ["a", "b", "b"].map(str::to_owned).to_vec();
    let mut rig = Rig::new(options);
    rig.outputs();
    rig.input(qos_one("a"));
    let setup = r#"> {"type":"setup","token":"me","topics":["b"]}"#;
    assert_eq!(rig.input(Input::Opened), ["opened", setup]);
    rig.subscribed("b", 1, "e1");
    assert_eq!(rig.ready(), ["ready", ONE]);
    assert_eq!(rig.message("b", 2), ["b#2"]);
}

#[test]
fn another_qos_is_asked_for_from_the_own_position() {
    let mut rig = Rig::ready_with(&["a"]);
    let want = |qos| Input::Command(Command::Subscribe("a".to_owned(), Some(qos)));
    assert_eq!(
        rig.input(want(Qos::One)),
        [r#"> {"type":"subscribe","topic":"a","lastSeq":5,"epoch":"e1","qos":1}"#]
    );
    assert!(
        rig.message("a", 6).is_empty(),
        "held: its order is not known"
    );
    assert_eq!(
        rig.recovered("a", 6, true, 1),
        ["subscribed a 6 true", "a#6"]
    );
    assert!(rig.message("a", 6).is_empty(), "the replay of it");
    assert!(rig.input(want(Qos::One)).is_empty());
    // Said again after a resume, since the session may know the older one.
    rig.closed(1006);
    rig.input(want(Qos::Zero));
    rig.tick_at_deadline();
    rig.input(Input::Opened);
    rig.recovered("a", 6, true, 0);
    assert_eq!(
        rig.resumed(),
        [
            "ready",
            r#"> {"type":"subscribe","topic":"a","lastSeq":6,"epoch":"e1","qos":0}"#
        ]
    );
}
