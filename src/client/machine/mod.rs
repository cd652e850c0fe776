//! The life of a socket across connections, as a pure state machine: what to send, what to tell
//! the program, when to connect again. It knows no socket and no clock; `now` is the time since
//! any fixed moment.
//!
//! Duty of the caller: after each [`Machine::handle`] drain [`Machine::poll_output`], then wait
//! for the next input or for [`Machine::deadline`], whichever comes first.

mod setup;

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::message::ClientAck;
use crate::protocol::{
    ClientMessage, ErrorCode, ErrorFrame, ServerMessage, Subscribe, decode_server, encode_client,
};

use super::backoff::Attempts;
use super::event::{self, Event};
use super::handle::PublishError;
use super::options::{Options, Qos};
use super::port::{Command, Ending, Input, Output};
use super::publishes::Publishes;
use super::receipts::{Due, Receipt};
use super::topics::Topics;

/// How long opening the WebSocket, and then `setup`, may take.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the peer may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// After this long without a frame a `ping` asks whether the gateway is still there.
const IDLE: Duration = Duration::from_secs(25);
/// How long the answer to that may take.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an ack may wait for more messages to acknowledge with it.
const ACK_DELAY: Duration = Duration::from_millis(200);
/// The pause before a topic is asked for again that could not be subscribed for the moment.
const TOPIC_RETRY: Duration = Duration::from_secs(1);
/// What the refusal of a publish that was sent again does not say.
const EARLIER: &str =
    " (an earlier copy may have been accepted; the same message id has no second effect)";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Opening,
    SettingUp,
    /// Ready, or simply open in manual mode.
    Ready {
        since: Duration,
    },
    Closing,
    Waiting,
    Ended,
}

pub(super) struct Machine<T> {
    options: Options,
    link: Link,
    /// When the current link state has lasted too long, or the wait is over.
    link_deadline: Option<Duration>,
    /// When topics that were refused for the moment are asked for again.
    topics_deadline: Option<Duration>,
    /// When acks that wait go out.
    acks_deadline: Option<Duration>,
    /// The session to go on with.
    session: Option<String>,
    /// Whether the answer to `resume` is awaited.
    resuming: bool,
    /// Whether this connection was opened with an older token.
    refresh_due: bool,
    /// Whether a `ping` of ours waits for any sign of life.
    pinged: bool,
    /// Pings of ours whose `pong` has not come.
    own_pings: u32,
    attempts: Attempts,
    /// Topics for the first `setup`, in the program's order.
    first_topics: Vec<String>,
    topics: Topics,
    publishes: Publishes<T>,
    outputs: VecDeque<Output<T>>,
}

impl<T> Machine<T> {
    /// A machine that wants to connect at `now`.
    pub(super) fn new(now: Duration, mut options: Options) -> Self {
        let first_topics = std::mem::take(&mut options.topics);
        let topics = Topics::new(first_topics.iter().cloned(), options.qos);
        let mut machine = Self {
            options,
            link: Link::Opening,
            link_deadline: None,
            topics_deadline: None,
            acks_deadline: None,
            session: None,
            resuming: false,
            refresh_due: false,
            pinged: false,
            own_pings: 0,
            attempts: Attempts::default(),
            first_topics,
            topics,
            publishes: Publishes::default(),
            outputs: VecDeque::new(),
        };
        machine.connect(now);
        machine
    }

    /// The next thing to do, if there is one.
    pub(super) fn poll_output(&mut self) -> Option<Output<T>> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let deadlines = [self.link_deadline, self.topics_deadline, self.acks_deadline];
        deadlines.into_iter().flatten().min()
    }

    /// Takes in what happened.
    pub(super) fn handle(&mut self, now: Duration, input: Input<'_, T>) {
        match input {
            Input::Opened => self.opened(now),
            Input::Text(text) => self.text(now, text),
            Input::Binary(bytes) => self.tell(Event::Binary(bytes)),
            Input::Closed { ending, random } => self.closed(now, ending, random),
            Input::Taken { topic, receipt } => self.taken(now, &topic, &receipt),
            Input::Command(command) => self.command(now, command),
            Input::Tick => self.tick(now),
            Input::Abandoned => self.close(now, 1000, String::new()),
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn send_text(&mut self, text: String) {
        if self.options.trace {
            self.tell(Event::Sent(text.clone()));
        }
        self.outputs.push_back(Output::Send(text));
    }

    fn send(&mut self, message: &ClientMessage<'_>) {
        self.send_text(encode_client(message));
    }

    fn is_ready(&self) -> bool {
        matches!(self.link, Link::Ready { .. })
    }

    fn connect(&mut self, now: Duration) {
        self.link = Link::Opening;
        self.link_deadline = Some(now + SETUP_TIMEOUT);
        self.outputs.push_back(Output::Connect);
    }

    fn text(&mut self, now: Duration, text: &str) {
        if self.options.trace {
            self.tell(Event::Received(text.to_owned()));
        }
        self.alive(now);
        match decode_server(text) {
            Err(error) => self.tell(Event::Undecodable(error)),
            Ok(ServerMessage::Ack(ack)) => {
                let Event::Acked(ack) = event::from_frame(ServerMessage::Ack(ack)) else {
                    return;
                };
                match self.publishes.take(&ack.message_id) {
                    Some((answer, _)) => self.outputs.push_back(Output::Answer(answer, Ok(ack))),
                    None => self.tell(Event::Acked(ack)),
                }
            }
            Ok(frame) => self.frame(now, event::from_frame(frame)),
        }
    }

    fn frame(&mut self, now: Duration, event: Event) {
        match event {
            Event::Error(error) => self.refused(now, error),
            event if self.options.manual => self.tell(event),
            Event::Ready(ready) => self.ready(now, ready),
            Event::Subscribed(frame) => {
                let events = self.topics.subscribed(frame);
                self.outputs.extend(events.into_iter().map(Output::Event));
            }
            Event::Message(message) => {
                let events = self.topics.message(message);
                self.outputs.extend(events.into_iter().map(Output::Event));
            }
            Event::Unsubscribed { topic } => {
                self.topics.unsubscribed(&topic);
                self.tell(Event::Unsubscribed { topic });
            }
            // Our own pings are nobody else's business.
            Event::Pong if self.own_pings > 0 => self.own_pings -= 1,
            event => self.tell(event),
        }
    }

    /// Any frame shows that the gateway lives.
    fn alive(&mut self, now: Duration) {
        if self.is_ready() && !self.options.manual {
            self.pinged = false;
            self.link_deadline = Some(now + IDLE);
        }
    }

    fn taken(&mut self, now: Duration, topic: &str, receipt: &Receipt) {
        match self.topics.taken(topic, receipt) {
            Due::Now => self.acknowledge(),
            Due::Soon => {
                self.acks_deadline.get_or_insert(now + ACK_DELAY);
            }
            Due::Never => {}
        }
    }

    /// Sends the acks that wait.
    fn acknowledge(&mut self) {
        self.acks_deadline = None;
        if !self.is_ready() {
            return; // with `ready`
        }
        for (topic, seq_no) in self.topics.acks() {
            self.send(&ClientMessage::Ack(ClientAck {
                topic: topic.into(),
                seq_no,
            }));
        }
    }

    fn refused(&mut self, now: Duration, mut error: ErrorFrame<'static>) {
        if self.resuming && error.code == ErrorCode::SessionExpired {
            // The same socket does without the session; `ready` will say that it is a new one.
            self.resuming = false;
            self.session = None;
            return self.set_up();
        }
        if let Some(id) = &error.message_id
            && let Some((to, sent_again)) = self.publishes.take(id)
        {
            if sent_again {
                error.message.to_mut().push_str(EARLIER);
            }
            let answer = Err(PublishError::Refused(error));
            self.outputs.push_back(Output::Answer(to, answer));
            return;
        }
        if error.message_id.is_none()
            && error.code != ErrorCode::BadAck
            && let Some(topic) = error.topic.as_deref()
            && let Some(state) = self.topics.get_mut(topic)
        {
            let (asked, settled) = (state.awaits_answer(), state.settled());
            if asked && settled && error.retryable {
                state.unask();
                self.topics_deadline = Some(now + TOPIC_RETRY);
            } else if (asked && settled) || (!asked && error.code == ErrorCode::AclDenied) {
                self.topics.remove(topic);
            }
        }
        let retry = self.link == Link::SettingUp
            && error.retryable
            && error.topic.is_none()
            && error.message_id.is_none();
        self.tell(Event::Error(error));
        if retry {
            // The gateway waits for another `setup`, but not long: better to come back later.
            let abort = Output::Abort("the gateway cannot set up a socket now");
            self.outputs.push_back(abort);
        }
    }

    fn command(&mut self, now: Duration, command: Command<T>) {
        match command {
            Command::Publish {
                message_id,
                text,
                answer,
            } => self.publish(message_id, text, answer),
            Command::Subscribe(topic, qos) => self.subscribe(topic, qos),
            Command::Unsubscribe(topic) => self.unsubscribe(topic),
            Command::Refresh(token) => {
                self.options.token = token;
                self.refresh_due = true;
                self.refresh();
            }
            Command::Raw(text) => {
                if matches!(self.link, Link::SettingUp | Link::Ready { .. }) {
                    self.send_text(text);
                }
            }
            Command::Close { code, reason } => self.close(now, code, reason),
        }
    }

    fn publish(&mut self, message_id: String, text: String, answer: T) {
        let late = matches!(self.link, Link::Closing | Link::Ended)
            || (self.options.manual && !self.is_ready());
        if late {
            let closed = Err(PublishError::Closed);
            self.outputs.push_back(Output::Answer(answer, closed));
            return;
        }
        let now = self.is_ready().then(|| text.clone());
        let sent = now.is_some();
        match self.publishes.add(message_id, text, answer, sent) {
            Err(answer) => {
                let full = Err(PublishError::Full);
                self.outputs.push_back(Output::Answer(answer, full));
            }
            Ok(()) => now.into_iter().for_each(|text| self.send_text(text)),
        }
    }

    fn subscribe(&mut self, topic: String, qos: Option<Qos>) {
        if self.options.manual {
            if self.is_ready() {
                self.send(&ClientMessage::Subscribe(Subscribe {
                    topic: topic.into(),
                    last_seq: None,
                    epoch: None,
                    qos: qos.map(Qos::number),
                }));
            }
            return;
        }
        let qos = qos.unwrap_or(self.options.qos);
        if self.topics.want(&topic, qos, self.is_ready()) && self.is_ready() {
            self.ask_for(&topic);
        }
    }

    fn unsubscribe(&mut self, topic: String) {
        self.first_topics.retain(|t| *t != topic);
        let never_asked = self.link == Link::Opening && self.session.is_none();
        if never_asked && self.topics.remove(&topic) {
            return self.tell(Event::Unsubscribed { topic });
        }
        let told = self.is_ready();
        if !self.options.manual {
            self.topics.leave(&topic, told);
        }
        if told {
            self.ask_to_leave(topic); // else with `ready`
        }
    }

    fn close(&mut self, now: Duration, code: u16, reason: String) {
        match self.link {
            Link::Closing | Link::Ended => {}
            Link::Waiting => {
                let ending = Ending {
                    code,
                    reason,
                    was_clean: true,
                    retry: false,
                };
                self.closed(now, ending, 0);
            }
            Link::Opening => {
                self.link = Link::Closing;
                self.link_deadline = None;
                self.outputs
                    .push_back(Output::Abort("closed before it was open"));
            }
            Link::SettingUp | Link::Ready { .. } => {
                self.acknowledge();
                self.link = Link::Closing;
                self.link_deadline = Some(now + CLOSE_TIMEOUT);
                self.topics_deadline = None;
                self.outputs.push_back(Output::Close { code, reason });
            }
        }
    }

    fn tick(&mut self, now: Duration) {
        if self.topics_deadline.is_some_and(|at| at <= now) {
            self.topics_deadline = None;
            if self.is_ready() {
                self.ask_for_topics();
            }
        }
        if self.acks_deadline.is_some_and(|at| at <= now) {
            self.acknowledge();
        }
        if self.link_deadline.is_none_or(|at| at > now) {
            return;
        }
        self.link_deadline = None;
        let abort = match self.link {
            Link::Waiting => return self.connect(now),
            Link::Ready { .. } if !self.pinged => {
                self.pinged = true;
                self.own_pings += 1;
                self.link_deadline = Some(now + PONG_TIMEOUT);
                return self.send(&ClientMessage::Ping);
            }
            Link::Ready { .. } => "the gateway no longer answers",
            Link::Opening => "opening the socket took too long",
            Link::SettingUp => "setup took too long",
            Link::Closing => "the close was not answered in time",
            Link::Ended => return,
        };
        self.outputs.push_back(Output::Abort(abort));
    }

    fn closed(&mut self, now: Duration, ending: Ending, random: u64) {
        if self.link == Link::Ended {
            return;
        }
        let asked_to = self.link == Link::Closing;
        let ready_for = match self.link {
            Link::Ready { since } => now.saturating_sub(since),
            _ => Duration::ZERO,
        };
        self.topics_deadline = None;
        self.acks_deadline = None;
        self.resuming = false;
        self.topics.cut();
        let reconnect_in = match self.options.reconnect {
            Some(backoff) if !asked_to && !self.options.manual && ending.retry => {
                self.attempts.next(&backoff, ending.code, ready_for, random)
            }
            _ => None,
        };
        self.link = if reconnect_in.is_some() {
            Link::Waiting
        } else {
            Link::Ended
        };
        self.link_deadline = reconnect_in.map(|wait| now + wait);
        self.tell(Event::Closed {
            code: ending.code,
            reason: ending.reason,
            was_clean: ending.was_clean,
            reconnect_in,
        });
        if reconnect_in.is_none() {
            for answer in self.publishes.take_all() {
                let closed = Err(PublishError::Closed);
                self.outputs.push_back(Output::Answer(answer, closed));
            }
            self.outputs.push_back(Output::Done);
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod properties;
