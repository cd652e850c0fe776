mod link;
mod positions;
mod publishes;
mod qos;
mod session;
mod topics;

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
