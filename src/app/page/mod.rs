//! The playground's state as signals, and what the buttons do.
//!
//! [`Page`] is what all clients share; a [`Desk`] is where the frames of one client are composed; on
//! the stage scenarios and faults are played.

mod commands;
mod desk;
mod keeping;
mod reading;
mod session;
mod stage;
mod verifying;

use leptos::prelude::*;

use super::browser;
use super::components::Tool;
use super::playground::client::{Client, ClientId};
use super::playground::draft::label;
use super::playground::gateway::{Moments, Stats};
use super::playground::kept::Library;
use super::playground::phase::Phase;
use super::playground::scenario::Run;
use super::playground::{Event, Happened, Offer, Playground};
use crate::protocol::CloseCode;
pub(crate) use commands::Command;
pub(crate) use desk::Desk;
use reading::Reading;
use session::Imported;
use verifying::Verifying;

/// Where the page stands before it knows its own host; also what a reader without script sees.
const PLACEHOLDER_HOST: &str = "localhost:3000";

/// The signals of the page. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    /// Whether the browser has taken over.
    pub(crate) alive: RwSignal<bool>,
    /// The clients and their log.
    pub(crate) playground: RwSignal<Playground>,
    /// The client that the panels are about.
    pub(crate) active: RwSignal<ClientId>,
    /// `ws://host` or `wss://host` of this gateway.
    pub(crate) ws_origin: RwSignal<String>,
    /// `http://host` or `https://host` of this gateway.
    pub(crate) http_origin: RwSignal<String>,
    /// How the log is read.
    pub(crate) reading: Reading,
    /// The tool that was taken from the shelf.
    pub(crate) tool: RwSignal<Option<Tool>>,
    /// The run of checks.
    pub(crate) verifying: Verifying,
    /// A session that was imported, and its replay.
    pub(crate) imported: Imported,
    /// The scenario or fault that is played, or was played last.
    pub(crate) run: RwSignal<Option<Run>>,
    /// How long the fault offline lasts, in seconds.
    pub(crate) offline_s: RwSignal<u32>,
    /// Messages under names.
    pub(crate) library: RwSignal<Library>,
    /// Whether the browser keeps the library as it is; where not, it is this page's alone.
    library_kept: StoredValue<bool>,
    /// What the gateway said of itself.
    pub(crate) moments: RwSignal<Moments>,
    desks: StoredValue<[Desk; ClientId::ALL.len()]>,
}

impl Page {
    /// The state of a page that was just loaded, the same on the server and in the browser.
    #[must_use]
    pub(crate) fn new() -> Self {
        let desk = |id| Desk::new(id, &format!("ws://{PLACEHOLDER_HOST}/ws"));
        Self {
            alive: RwSignal::new(false),
            playground: RwSignal::new(Playground::default()),
            active: RwSignal::new(ClientId::FIRST),
            ws_origin: RwSignal::new(format!("ws://{PLACEHOLDER_HOST}")),
            http_origin: RwSignal::new(format!("http://{PLACEHOLDER_HOST}")),
            reading: Reading::new(),
            tool: RwSignal::new(None),
            verifying: Verifying::new(),
            imported: Imported::new(),
            run: RwSignal::new(None),
            offline_s: RwSignal::new(5),
            library: RwSignal::new(Library::default()),
            library_kept: StoredValue::new(true),
            moments: RwSignal::new(Moments::default()),
            desks: StoredValue::new(ClientId::ALL.map(desk)),
        }
    }

    /// Takes over in the browser: what only the browser knows, and the last choices.
    pub(crate) fn come_alive(self) {
        if let Some((ws, http)) = browser::origins() {
            for id in ClientId::ALL {
                self.desk_of(id).url.set(format!("{ws}/ws"));
            }
            self.ws_origin.set(ws);
            self.http_origin.set(http);
        }
        for id in ClientId::ALL {
            self.desk_of(id).new_id();
        }
        browser::on_events(move |events| self.take(events));
        self.ask_gateway(|_| {});
        self.restore();
        self.listen_to_keys();
        self.alive.set(true);
        browser::mark_alive();
    }

    /// Asks the gateway for its numbers; `None` when it gave none.
    pub(crate) fn ask_gateway(self, done: impl Fn(Option<Stats>) + 'static) {
        browser::get_text("/stats", move |answer| {
            let stats = answer.ok().and_then(|text| Stats::read(&text));
            if let Some(stats) = &stats {
                // Nothing that is shown changes by it.
                self.playground.update_untracked(|p| p.heed(stats));
            }
            done(stats);
        });
    }

    /// The desk of a client.
    #[must_use]
    pub(crate) fn desk_of(self, id: ClientId) -> Desk {
        self.desks.with_value(|desks| desks[id.place()])
    }

    /// The desk of the active client; what reads it is run again when another becomes active.
    #[must_use]
    pub(crate) fn desk(self) -> Desk {
        self.desk_of(self.active.get())
    }

    /// The desk of the active client now.
    #[must_use]
    pub(crate) fn desk_now(self) -> Desk {
        self.desk_of(self.active.get_untracked())
    }

    /// Looks at the active client.
    pub(crate) fn with_client<T>(self, look: impl FnOnce(&Client) -> T) -> T {
        let active = self.active.get();
        self.playground.with(|p| look(p.client(active)))
    }

    /// The state of the active connection.
    #[must_use]
    pub(crate) fn phase(self) -> Memo<Phase> {
        Memo::new(move |_| self.with_client(|client| client.phase().clone()))
    }

    pub(crate) fn phase_of(self, id: ClientId) -> Phase {
        self.playground
            .with_untracked(|p| p.client(id).phase().clone())
    }

    /// Brings one more client in and makes it the active one.
    pub(crate) fn add_client(self) {
        if let Some(Some(id)) = self.playground.try_update(Playground::add) {
            self.active.set(id);
        }
        browser::catch_focus("message");
    }

    /// Sends a client away; its connection is closed in order. That is told now: whoever comes in its
    /// place is not to hear of it.
    pub(crate) fn remove_client(self, id: ClientId) {
        browser::part(id);
        if self.phase_of(id).has_socket() {
            let (code, reason) = (CloseCode::Normal.code(), String::new());
            self.happened(id, Event::Closed { code, reason });
        }
        browser::catch_focus("add-client");
        self.playground.update(|p| p.remove(id));
        if self.reading.filter.with_untracked(|f| f.client == Some(id)) {
            self.reading.narrow(|filter| filter.client = None);
        }
        if self.active.get_untracked() == id {
            self.active.set(ClientId::FIRST);
        }
    }

    /// Opens a client's connection to its URL; a path alone means this gateway.
    pub(crate) fn connect(self, id: ClientId) {
        let desk = self.desk_of(id);
        let url = self.whole(desk.url.get_untracked().trim().to_owned());
        desk.url.set(url.clone());
        desk.refusal.set(String::new());
        self.happened(id, Event::Opening { url: url.clone() });
        browser::open(id, &url);
    }

    /// An address in full; a path alone means this gateway.
    fn whole(self, mut url: String) -> String {
        if url.starts_with('/') {
            url.insert_str(0, &self.ws_origin.get_untracked());
        }
        url
    }

    /// Closes a client's connection in order.
    pub(crate) fn disconnect(self, id: ClientId) {
        browser::close(id);
    }

    /// Something happened to a client on this side.
    fn happened(self, client: ClientId, event: Event) {
        let at = browser::now();
        self.take(vec![Happened { client, at, event }]);
    }

    fn take(self, events: Vec<Happened>) {
        self.watch(&events);
        self.follow_replay(&events);
        self.playground.update(|p| p.apply_all(events));
        self.perform();
        for id in ClientId::ALL {
            let desk = self.desk_of(id);
            if desk.waiting.with_untracked(Option::is_none) {
                continue;
            }
            let phase = self.phase_of(id);
            if phase == Phase::Connecting {
                continue;
            }
            let waiting = desk.waiting.try_update(Option::take).flatten();
            match waiting {
                Some(text) if phase.is_open() => self.put(id, text),
                _ => desk.refusal.set(
                    "Not sent: the connection was not opened. Press Connect and send again.".into(),
                ),
            }
        }
    }

    /// Sends the frame of a client's desk if its fields are in order. What was edited by hand goes
    /// out as it is: seeing the gateway refuse it is the point of editing by hand.
    pub(crate) fn send(self, id: ClientId) {
        let desk = self.desk_of(id);
        match desk.problem() {
            Some((field, words)) => {
                desk.refusal
                    .set(format!("Not sent. {}: {words}", label(field.name)));
                browser::focus(&format!("field-{}", field.name));
            }
            None => self.send_anyway(id),
        }
    }

    /// Sends the frame of a client's desk whatever it is.
    pub(crate) fn send_anyway(self, id: ClientId) {
        let desk = self.desk_of(id);
        let text = untrack(move || desk.frame());
        match self.phase_of(id) {
            Phase::Connecting => {
                desk.refusal
                    .set("Goes out as soon as the connection is open.".into());
                desk.waiting.set(Some(text));
            }
            phase if phase.is_open() => self.put(id, text),
            _ => desk
                .refusal
                .set("Not sent: there is no connection. Press Connect first.".into()),
        }
    }

    /// Sends a text and makes the composer ready for the next one.
    pub(crate) fn put(self, id: ClientId, text: String) {
        let desk = self.desk_of(id);
        let uses_id = desk.uses_id(&text);
        match browser::send(id, text) {
            Ok(()) => desk.was_sent(uses_id),
            Err(words) => desk.refusal.set(format!("Not sent: {words}.")),
        }
    }

    /// Chooses the type of the frame of the active client. `resume` and `ack` are filled in from
    /// what the client knows.
    pub(crate) fn choose(self, kind: &str) {
        let desk = self.desk_now();
        self.playground
            .with_untracked(|p| desk.choose(kind, p.client(desk.id)));
    }

    /// Fills in a form that was offered.
    pub(crate) fn accept(self, offer: &Offer) {
        if let Some(topic) = &offer.topic {
            let draft = self.desk_now().draft;
            draft.update(|draft| draft.set("topic", topic.clone()));
        }
        self.choose(offer.kind);
        browser::focus("send");
    }
}
