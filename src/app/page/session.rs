//! The log as a file, a file in the place of the log, and such a file sent again.

use leptos::prelude::*;

use super::super::browser;
use super::super::playground::client::ClientId;
use super::super::playground::replaying::{Replay, Speed};
use super::super::playground::session_file::{Export, Session, moment, read, write};
use super::super::playground::{Happened, Playground};
use super::Page;

/// The imported session and its replay. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Imported {
    /// The name of its file; none while the log is live.
    pub(crate) name: RwSignal<Option<String>>,
    /// What its rows say.
    playground: RwSignal<Playground>,
    /// Whom its clients stood for, and what was lost before it was written, in words.
    pub(crate) about: RwSignal<String>,
    /// What became of the last export, import or try to replay; an error when nothing did.
    pub(crate) outcome: RwSignal<Result<String, String>>,
    /// The replay that goes on, or the last one.
    pub(crate) replay: RwSignal<Option<Replay>>,
    /// How fast the next replay is.
    pub(crate) speed: RwSignal<Speed>,
    /// Whether the next replay makes new messageIds.
    pub(crate) renew: RwSignal<bool>,
}

impl Imported {
    pub(super) fn new() -> Self {
        Self {
            name: RwSignal::new(None),
            playground: RwSignal::new(Playground::default()),
            about: RwSignal::new(String::new()),
            outcome: RwSignal::new(Ok(String::new())),
            replay: RwSignal::new(None),
            speed: RwSignal::new(Speed::default()),
            renew: RwSignal::new(true),
        }
    }

    /// Whether a replay goes on.
    #[must_use]
    pub(crate) fn is_replaying(self) -> bool {
        self.replay.with(|r| r.as_ref().is_some_and(Replay::is_on))
    }
}

impl Page {
    /// Whether an imported session stands in the place of the log.
    #[must_use]
    pub(crate) fn is_imported(self) -> bool {
        self.imported.name.with(Option::is_some)
    }

    /// What the log shows: the clients of the page, or an imported session.
    #[must_use]
    pub(crate) fn shown(self) -> RwSignal<Playground> {
        if self.is_imported() {
            self.imported.playground
        } else {
            self.playground
        }
    }

    /// Saves the page's own log as a file.
    pub(crate) fn export(self) {
        let token = |id: ClientId| self.desk_of(id).token();
        let now = browser::now();
        let text = self.playground.with_untracked(|p| {
            write(Export {
                rows: &p.log().all(),
                dropped: p.log().dropped(),
                users: ClientId::ALL.map(|id| p.client(id).user()),
                tokens: ClientId::ALL.map(token).into(),
                now,
            })
        });
        let name = format!("session-{}.ndjson", moment(now).replace(':', "-"));
        let rows = text.lines().count() - 1;
        browser::save_file(&name, &text);
        self.imported
            .outcome
            .set(Ok(format!("Saved {rows} rows as {name}.")));
    }

    /// Shows a file's session in the place of the log. A file that is not in order changes nothing.
    pub(crate) fn import(self, name: String, text: Result<String, String>) {
        let session = text.and_then(|text| read(&text).map_err(|problem| problem.to_string()));
        let session = match session {
            Ok(session) => session,
            Err(words) => {
                let words = format!("Not imported. {words}");
                self.imported.outcome.set(Err(words));
                return;
            }
        };
        // What became of another session's replay says nothing of this one.
        self.stop_replay();
        self.imported.replay.set(None);
        self.imported.about.set(about(&session));
        let playground = Playground::of_session(session.lines);
        self.imported.playground.set(playground);
        self.imported.outcome.set(Ok(String::new()));
        self.show(Some(name));
    }

    /// Shows the page's own log again.
    pub(crate) fn leave_session(self) {
        self.show(None);
        browser::catch_focus("log-rows");
        self.imported.playground.set(Playground::default());
    }

    fn show(self, name: Option<String>) {
        self.reading.begin();
        self.imported.name.set(name);
    }

    /// Sends the imported session's frames again, if its clients are set up.
    pub(crate) fn replay_session(self) {
        let Imported {
            speed,
            renew,
            outcome,
            ..
        } = self.imported;
        let salt = renew.get_untracked().then(browser::random_id);
        let replay = self.imported.playground.with_untracked(|p| {
            let rows = p.log().all();
            Replay::new(
                &rows,
                speed.get_untracked(),
                salt.as_deref(),
                browser::now(),
            )
        });
        if replay.is_empty() {
            outcome.set(Err("Nothing to replay: the session has no frame that was sent but for those with a token.".into()));
            return;
        }
        let lacking = |id: &ClientId| !self.playground.with_untracked(|p| p.client(*id).is_ready());
        if let Some(id) = replay.clients().find(lacking) {
            outcome.set(Err(format!(
                "Not replayed: client {} is not set up. Connect it and send setup first.",
                id.letter()
            )));
            return;
        }
        outcome.set(Ok(String::new()));
        self.imported.replay.set(Some(replay));
        self.go_on();
    }

    /// Stops the replay.
    pub(crate) fn stop_replay(self) {
        self.tell_replay(|replay| replay.stop("Stopped."));
        browser::catch_focus("replay");
    }

    /// Tells the replay what happens.
    pub(super) fn follow_replay(self, events: &[Happened]) {
        if untrack(|| self.imported.is_replaying()) {
            self.tell_replay(|replay| events.iter().for_each(|event| replay.happened(event)));
        }
    }

    /// Sends what is due, and comes back when more is.
    fn go_on(self) {
        let Some(wait) = self.imported.replay.try_update(|replay| {
            let replay = replay.as_mut()?;
            while let Some((id, text)) = replay.poll(browser::now()) {
                if let Err(words) = browser::send(id, text) {
                    replay.stop(&format!("Client {} cannot send: {words}.", id.letter()));
                }
            }
            replay.tick(browser::now())
        }) else {
            return;
        };
        if let Some(wait) = wait {
            browser::later(wait, move || self.go_on());
        }
    }

    fn tell_replay(self, what: impl FnOnce(&mut Replay)) {
        self.imported.replay.update(|replay| {
            if let Some(replay) = replay {
                what(replay);
            }
        });
    }
}

/// What is worth knowing of a session beside its rows.
fn about(session: &Session) -> String {
    let mut words: Vec<_> = ClientId::ALL
        .into_iter()
        .zip(&session.users)
        .filter(|(_, user)| !user.is_empty())
        .map(|(id, user)| format!("{} is {user}", id.letter()))
        .collect();
    if session.dropped > 0 {
        words.push(format!("{} older rows were lost before", session.dropped));
    }
    words.join(", ")
}
