//! A scenario being played. Pure: events and time come in, commands go out.

use std::collections::VecDeque;

use super::super::client::{Client, ClientId};
use super::super::continuity::Record;
use super::super::phase::explain_close;
use super::super::{Event, Happened};
use super::facts::Facts;
use super::frames::subscribe;
use super::{Act, ROLES, Role, Scenario, Step, TopicOf, Until, Verdict};
use crate::protocol::{ServerMessage, decode_client, decode_server};

/// What a run is given.
#[derive(Debug, Clone)]
pub struct Cast {
    /// Who plays each role.
    pub clients: [ClientId; ROLES],
    /// The token of each.
    pub tokens: [String; ROLES],
    /// A name that nobody else makes, for topics and ids.
    pub salt: String,
    /// What role 0 knew before: for faults, which happen to a client as it is.
    pub before: Option<Client>,
    /// How long `offline` lasts, in seconds.
    pub seconds: u32,
}

/// What the gateway is asked to do to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// End TCP without a close frame.
    Cut,
    /// Stop writing to it.
    Stall,
}

/// What the page is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Open a new connection of this client.
    Connect(ClientId),
    /// Send a text on it.
    Send(ClientId, String),
    /// Have the gateway inflict a fault on the socket of this session.
    Inflict(ClientId, Fault, String),
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Still to come.
    Waiting,
    /// Being done.
    Doing,
    /// Done.
    Done,
    /// It was not seen to its end.
    Failed,
}

/// A scenario being played.
#[derive(Debug, Clone)]
pub struct Run {
    scenario: &'static Scenario,
    pub(super) cast: Cast,
    pub(super) facts: [Facts; ROLES],
    /// When it began, in milliseconds.
    pub(super) began: f64,
    at: usize,
    deadline: f64,
    commands: VecDeque<Command>,
    verdict: Option<Verdict>,
}

impl Run {
    /// Begins a scenario at this moment, in milliseconds.
    #[must_use]
    pub fn new(scenario: &'static Scenario, cast: Cast, now: f64) -> Self {
        let mut run = Self {
            scenario,
            cast,
            facts: Default::default(),
            began: now,
            at: 0,
            deadline: now,
            commands: VecDeque::new(),
            verdict: None,
        };
        if let Some(client) = &run.cast.before {
            run.facts[0].continuity = client.continuity().clone();
            run.facts[0].session = client.session_id().to_owned();
        }
        match (scenario.hindrance)(&run) {
            Some(words) => run.verdict = Some(Verdict::new(false, words)),
            None => run.begin(now),
        }
        run
    }

    /// What is played.
    #[must_use]
    pub fn scenario(&self) -> &'static Scenario {
        self.scenario
    }

    /// The steps with how far each is.
    #[must_use]
    pub fn steps(&self) -> Vec<(&'static str, Progress)> {
        let steps = self.scenario.steps.iter().enumerate();
        let progress = |at| match (&self.verdict, self.at) {
            (_, now) if at < now => Progress::Done,
            (None, now) if at == now => Progress::Doing,
            (Some(_), now) if at == now => Progress::Failed,
            _ => Progress::Waiting,
        };
        steps.map(|(at, step)| (step.words, progress(at))).collect()
    }

    /// What was observed, once it is over.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// What the page is to do next; asked until there is nothing more.
    pub fn poll(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Something happened to a client.
    pub fn happened(&mut self, happened: &Happened) {
        let role = (0..self.scenario.roles).find(|r| self.cast.clients[*r] == happened.client);
        let Some(role) = role.filter(|_| self.verdict.is_none()) else {
            return;
        };
        match &happened.event {
            Event::Opening { .. } => {
                if !std::mem::take(&mut self.facts[role].asked) {
                    let words = "was connected by hand before this was over";
                    self.fail(format!("{} {words}.", self.letter(role)));
                }
            }
            Event::Opened => {
                let frame = self.facts[role].pending.first().cloned();
                self.send(role, frame);
            }
            Event::Sent(text) => {
                if let Ok(frame) = decode_client(text) {
                    self.facts[role].continuity.sent(&frame);
                }
            }
            Event::Received(text) => {
                if let Ok(frame) = decode_server(text) {
                    self.received(role, &frame);
                }
            }
            Event::Closed { code, reason } => {
                self.facts[role].closed = true;
                self.facts[role].closes.push(*code);
                if !self.awaits(|until| *until == Until::Closed(role)) {
                    let words = explain_close(*code, reason, self.facts[role].ready.is_some());
                    self.fail(format!("{} was closed: {words}", self.letter(role)));
                }
            }
            Event::Failed(words) => self.fail(format!("{}: {words}.", self.letter(role))),
        }
        self.go_on(happened.at);
    }

    /// A name that no other run has.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.cast.salt
    }

    /// The gateway answered the run of this name, which asked it to inflict a fault.
    pub fn inflicted(&mut self, run: &str, client: ClientId, answer: Result<(), String>, now: f64) {
        if run != self.name() {
            return;
        }
        match answer {
            Ok(()) => {
                for role in 0..self.scenario.roles {
                    self.facts[role].inflicted |= self.cast.clients[role] == client;
                }
                self.go_on(now);
            }
            Err(words) => self.fail(format!(
                "The gateway does not do that to a socket: {words}."
            )),
        }
    }

    /// Something could not be done.
    pub fn fail(&mut self, words: String) {
        if self.verdict.is_none() {
            self.verdict = Some(Verdict::new(false, words));
            self.commands.clear();
        }
    }

    /// Whether the time of the step is over.
    #[must_use]
    pub fn is_due(&self, now: f64) -> bool {
        self.verdict.is_none() && now >= self.deadline
    }

    /// Time has passed.
    pub fn tick(&mut self, now: f64) {
        let Some(step) = self.step().filter(|_| self.is_due(now)) else {
            return;
        };
        if step.until.contains(&Until::Over) {
            self.at += 1;
            self.begin(now);
            return;
        }
        let missing = step.until.iter().filter(|until| !self.is_seen(**until));
        let missing: Vec<_> = missing.map(|until| self.missing(*until)).collect();
        let waited = format!("Waited {} s in vain: ", step.within);
        self.fail(format!("{waited}{}.", missing.join(", ")));
    }

    /// The run's topic.
    pub(super) fn topic(&self) -> String {
        match self.scenario.topic {
            TopicOf::Fresh => format!("try.{}.{}", self.scenario.id, self.cast.salt),
            TopicOf::Private => format!("private.{}.{}", self.facts[0].user, self.cast.salt),
            TopicOf::Focus => {
                let focus = self.cast.before.as_ref().and_then(Client::focus);
                focus.unwrap_or("prices").to_owned()
            }
        }
    }

    /// The id of the run's nth message.
    pub(super) fn id(&self, n: u32) -> String {
        format!("{}-{n}", self.cast.salt)
    }

    /// How a role is called on the page.
    pub(super) fn letter(&self, role: Role) -> &'static str {
        self.cast.clients[role].letter()
    }

    /// What a role knows of the run's topic.
    pub(super) fn record(&self, role: Role) -> Record {
        let topics = self.facts[role].continuity.topics();
        topics.get(&self.topic()).cloned().unwrap_or_default()
    }

    fn step(&self) -> Option<&'static Step> {
        self.scenario.steps.get(self.at)
    }

    fn awaits(&self, fits: impl Fn(&Until) -> bool) -> bool {
        self.step().is_some_and(|step| step.until.iter().any(fits))
    }

    fn received(&mut self, role: Role, frame: &ServerMessage<'_>) {
        self.facts[role].received(frame);
        match frame {
            ServerMessage::Ready(_) => {
                let pending = std::mem::take(&mut self.facts[role].pending);
                for frame in pending.into_iter().skip(1) {
                    self.send(role, Some(frame));
                }
            }
            ServerMessage::Error(_) => self.unless_awaited(role),
            _ => {}
        }
    }

    /// Does what the step says.
    fn begin(&mut self, now: f64) {
        let Some(step) = self.step() else {
            self.verdict = Some((self.scenario.verdict)(self));
            return;
        };
        let seconds = if step.until.contains(&Until::Over) {
            self.cast.seconds
        } else {
            step.within
        };
        self.deadline = now + f64::from(seconds) * 1000.0;
        for act in step.acts {
            self.act(*act);
        }
        self.go_on(now);
    }

    /// Goes to the next step where all of this one was seen.
    fn go_on(&mut self, now: f64) {
        let seen = |step: &Step| step.until.iter().all(|until| self.is_seen(*until));
        if self.verdict.is_none() && self.step().is_some_and(seen) {
            self.at += 1;
            self.begin(now);
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Enter {
                role,
                user,
                subscribed,
            } => {
                let topics = if subscribed {
                    vec![self.topic()]
                } else {
                    Vec::new()
                };
                let setup = self.setup(user, topics);
                self.connect(role, vec![setup]);
            }
            Act::Subscribe { role, from_start } => {
                let frame = subscribe(&self.topic(), from_start.then_some(0), "");
                self.send(role, Some(frame));
            }
            Act::Publish {
                role,
                first,
                count,
                bytes,
            } => {
                for n in first..first + count {
                    let frame = self.publish(n, bytes);
                    self.send(role, Some(frame));
                }
            }
            Act::Raw(role, text) => self.send(role, Some(text.to_owned())),
            Act::Cut(role) => self.inflict(role, Fault::Cut),
            Act::Stall(role) => self.inflict(role, Fault::Stall),
            Act::Resume { role, of } => {
                let frame = self.resume(of);
                self.connect(role, vec![frame]);
            }
            Act::Return(role) => {
                let mut frames = vec![self.setup(role, Vec::new())];
                for (topic, (seq_no, epoch)) in self.places(role) {
                    frames.push(subscribe(&topic, Some(seq_no), &epoch));
                }
                self.connect(role, frames);
            }
        }
    }

    fn connect(&mut self, role: Role, pending: Vec<String>) {
        self.facts[role].begin(pending);
        self.commands
            .push_back(Command::Connect(self.cast.clients[role]));
    }

    fn send(&mut self, role: Role, frame: Option<String>) {
        let client = self.cast.clients[role];
        self.commands
            .extend(frame.map(|frame| Command::Send(client, frame)));
    }

    fn inflict(&mut self, role: Role, fault: Fault) {
        let session = self.facts[role].session.clone();
        self.commands
            .push_back(Command::Inflict(self.cast.clients[role], fault, session));
    }

    /// An error that the step does not wait for ends the run.
    fn unless_awaited(&mut self, role: Role) {
        let Some(refused) = self.facts[role].errors.last() else {
            return;
        };
        let awaited = self.awaits(|until| match until {
            Until::Refused(who, _) => *who == role,
            // A topic that is refused is back as far as it goes.
            Until::Back(who) => *who == role && !refused.topic.is_empty(),
            _ => false,
        });
        if !awaited {
            let words = format!("{} was refused: {}", self.letter(role), refused.words());
            self.fail(words);
        }
    }
}
