//! Where scenarios and faults are played: their commands done, and what happens told to them.

use leptos::prelude::*;

use super::super::browser;
use super::super::playground::client::ClientId;
use super::super::playground::scenario::{Cast, Command, Fault, Run, Scenario};
use super::super::playground::text::refusal;
use super::super::playground::{Happened, Playground};
use super::Page;

/// How often a run is told the time, in milliseconds.
const TICK_MS: u32 = 250;
/// How long a socket is stalled at most, in seconds: longer than the gateway waits for it.
const STALL_S: u32 = 30;
const FAULTS_PATH: &str = "/demo/faults";

impl Page {
    /// Plays a scenario with the clients it needs, which it brings in and connects to this gateway.
    /// Not while something is played.
    pub(crate) fn play(self, scenario: &'static Scenario) {
        if untrack(|| self.is_playing()) {
            return;
        }
        let url = format!("{}/ws", self.ws_origin.get_untracked());
        for id in ClientId::ALL.into_iter().take(scenario.roles) {
            self.playground.update(|p| p.bring(id));
            self.desk_of(id).url.set(url.clone());
        }
        self.start(scenario, ClientId::ALL, false);
    }

    /// Inflicts a fault on the active client, or brings it back. Not while something is played.
    pub(crate) fn inflict(self, fault: &'static Scenario) {
        if untrack(|| self.is_playing()) {
            return;
        }
        let active = self.active.get_untracked();
        self.start(fault, [active; ClientId::ALL.len()], true);
    }

    /// Stops what is played.
    pub(crate) fn stop(self) {
        self.run.update(|run| {
            if let Some(run) = run {
                run.fail("Stopped.".into());
            }
        });
    }

    /// Whether something is played now.
    #[must_use]
    pub(crate) fn is_playing(self) -> bool {
        self.run
            .with(|run| run.as_ref().is_some_and(|run| run.verdict().is_none()))
    }

    fn start(self, scenario: &'static Scenario, clients: [ClientId; 4], as_it_is: bool) {
        let token = |id| {
            let draft = self.desk_of(id).draft;
            draft.with_untracked(|draft| draft.get("token").to_owned())
        };
        let before = |p: &Playground| p.client(clients[0]).clone();
        let cast = Cast {
            clients,
            tokens: clients.map(token),
            salt: browser::random_id(),
            before: as_it_is.then(|| self.playground.with_untracked(before)),
            seconds: self.offline_s.get_untracked(),
        };
        self.run.set(Some(Run::new(scenario, cast, browser::now())));
        self.perform();
        self.tell_the_time();
    }

    /// Tells the run what happens.
    pub(super) fn watch(self, events: &[Happened]) {
        if untrack(|| self.is_playing()) {
            self.run.update(|run| {
                if let Some(run) = run {
                    events.iter().for_each(|event| run.happened(event));
                }
            });
        }
    }

    /// Does what the run asks for.
    pub(super) fn perform(self) {
        while let Some(command) = self.next_command() {
            match command {
                Command::Connect(id) => self.connect(id),
                Command::Send(id, text) => {
                    if let Err(words) = browser::send(id, text) {
                        let words = format!("{} cannot send: {words}.", id.letter());
                        self.tell(|run| run.fail(words));
                    }
                }
                Command::Inflict(id, fault, session) => self.ask_for(id, fault, &session),
            }
        }
    }

    fn next_command(self) -> Option<Command> {
        if self.run.with_untracked(Option::is_none) {
            return None;
        }
        // Asking changes nothing that is seen.
        let mut run = self.run.write_untracked();
        run.as_mut().and_then(Run::poll)
    }

    fn tell(self, what: impl FnOnce(&mut Run)) {
        self.run.update(|run| {
            if let Some(run) = run {
                what(run);
            }
        });
    }

    fn ask_for(self, id: ClientId, fault: Fault, session: &str) {
        let fault = match fault {
            Fault::Cut => r#""cut""#.to_owned(),
            Fault::Stall => format!(r#""stall","seconds":{STALL_S}"#),
        };
        let session = serde_json::to_string(session).unwrap_or_default();
        let body = format!(r#"{{"sessionId":{session},"fault":{fault}}}"#);
        let of = |run: &Option<Run>| run.as_ref().map(|run| run.name().to_owned());
        let asked_by = self.run.with_untracked(of).unwrap_or_default();
        browser::post_json(FAULTS_PATH, &body, move |answer| {
            let answer = answer.map(|_| ()).map_err(|words| refusal(&words));
            self.tell(|run| run.inflicted(&asked_by, id, answer, browser::now()));
            self.perform();
        });
    }

    fn tell_the_time(self) {
        browser::later(TICK_MS, move || {
            if untrack(|| self.is_playing()) {
                let now = browser::now();
                let is_due = |run: &Run| run.is_due(now);
                if self
                    .run
                    .with_untracked(|run| run.as_ref().is_some_and(is_due))
                {
                    self.tell(|run| run.tick(now));
                    self.perform();
                }
                self.tell_the_time();
            }
        });
    }
}
