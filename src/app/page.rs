//! The playground's state as signals, and what the buttons do.

use leptos::prelude::*;

use super::browser;
use super::playground::draft::{Draft, frame_problem};
use super::playground::log::Filter;
use super::playground::phase::Phase;
use super::playground::saved::Saved;
use super::playground::{Event, Offer, Playground};

/// Where the page stands before it knows its own host; also what a reader without script sees.
const PLACEHOLDER_HOST: &str = "localhost:3000";

/// The signals of the page. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    /// Whether the browser has taken over.
    pub(crate) alive: RwSignal<bool>,
    /// The connection and its log.
    pub(crate) playground: RwSignal<Playground>,
    /// Where to connect to.
    pub(crate) url: RwSignal<String>,
    /// `ws://host` or `wss://host` of this gateway.
    pub(crate) ws_origin: RwSignal<String>,
    /// `http://host` or `https://host` of this gateway.
    pub(crate) http_origin: RwSignal<String>,
    /// The frame being composed.
    pub(crate) draft: RwSignal<Draft>,
    /// The frame's text where it was edited by hand.
    pub(crate) edited: RwSignal<Option<String>>,
    /// Whether the next publish takes the same Message ID again.
    pub(crate) keep_id: RwSignal<bool>,
    /// What became of the last press of Send, when it sent nothing.
    pub(crate) refusal: RwSignal<String>,
    /// Which rows of the log are shown.
    pub(crate) filter: RwSignal<Filter>,
    /// The last row shown while the log is paused.
    pub(crate) paused_at: RwSignal<Option<u64>>,
    /// A frame that waits for the connection to open.
    waiting: RwSignal<Option<String>>,
}

impl Page {
    /// The state of a page that was just loaded, the same on the server and in the browser.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self {
            alive: RwSignal::new(false),
            playground: RwSignal::new(Playground::default()),
            url: RwSignal::new(format!("ws://{PLACEHOLDER_HOST}/ws")),
            ws_origin: RwSignal::new(format!("ws://{PLACEHOLDER_HOST}")),
            http_origin: RwSignal::new(format!("http://{PLACEHOLDER_HOST}")),
            draft: RwSignal::new(Draft::default()),
            edited: RwSignal::new(None),
            keep_id: RwSignal::new(false),
            refusal: RwSignal::new(String::new()),
            filter: RwSignal::new(Filter::default()),
            paused_at: RwSignal::new(None),
            waiting: RwSignal::new(None),
        }
    }

    /// Takes over in the browser: what only the browser knows, and the last choices.
    pub(crate) fn come_alive(self) {
        if let Some((ws, http)) = browser::origins() {
            self.url.set(format!("{ws}/ws"));
            self.ws_origin.set(ws);
            self.http_origin.set(http);
        }
        self.new_id();
        if let Some(saved) = browser::load().and_then(|text| Saved::from_text(&text)) {
            let url = self
                .draft
                .try_update(|draft| saved.restore(draft))
                .flatten();
            if let Some(url) = url {
                self.url.set(url);
            }
        }
        // From here on, choices are kept as they change.
        Effect::new(move |_| {
            let saved = self
                .url
                .with(|url| self.draft.with(|draft| Saved::of(url, draft)));
            if let Some(text) = saved.to_text() {
                browser::save(&text);
            }
        });
        self.alive.set(true);
        browser::mark_alive();
    }

    /// The state of the connection.
    #[must_use]
    pub(crate) fn phase(self) -> Memo<Phase> {
        Memo::new(move |_| self.playground.with(|p| p.phase().clone()))
    }

    /// Opens a connection to the URL; a path alone means this gateway.
    pub(crate) fn connect(self) {
        let mut url = self.url.get_untracked().trim().to_owned();
        if url.starts_with('/') {
            url.insert_str(0, &self.ws_origin.get_untracked());
            self.url.set(url.clone());
        }
        self.refusal.set(String::new());
        self.take(vec![(browser::now(), Event::Opening { url: url.clone() })]);
        browser::open(&url, move |events| self.take(events));
    }

    /// Closes the connection in order.
    pub(crate) fn disconnect(self) {
        self.waiting.set(None);
        browser::close();
    }

    fn take(self, events: Vec<(f64, Event)>) {
        self.playground.update(|p| p.apply_all(events));
        let phase = self.playground.with_untracked(|p| p.phase().clone());
        if phase == Phase::Connecting {
            return;
        }
        let waiting = self.waiting.try_update(Option::take).flatten();
        if let Some(text) = waiting.filter(|_| phase.is_open()) {
            self.put(text);
        }
    }

    /// The text that Send sends.
    #[must_use]
    pub(crate) fn frame(self) -> String {
        self.edited
            .get()
            .unwrap_or_else(|| self.draft.with(Draft::frame))
    }

    /// Sends the frame if its fields are in order. What was edited by hand goes out as it is:
    /// seeing the gateway refuse it is the point of editing by hand.
    pub(crate) fn send(self) {
        let by_hand = self.edited.with_untracked(Option::is_some);
        let problem = self.draft.with_untracked(Draft::first_problem);
        match problem.filter(|_| !by_hand) {
            Some((field, words)) => {
                self.refusal.set(format!("Not sent. {words}"));
                browser::focus(&format!("field-{}", field.name));
            }
            None => self.send_anyway(),
        }
    }

    /// Sends the frame whatever it is.
    pub(crate) fn send_anyway(self) {
        let text = untrack(move || self.frame());
        match self.playground.with_untracked(|p| p.phase().clone()) {
            Phase::Connecting => {
                self.refusal
                    .set("Goes out as soon as the connection is open.".into());
                self.waiting.set(Some(text));
            }
            phase if phase.is_open() => self.put(text),
            _ => self
                .refusal
                .set("Not sent: there is no connection. Press Connect first.".into()),
        }
    }

    /// Sends a text and makes the composer ready for the next one.
    pub(crate) fn put(self, text: String) {
        if let Err(words) = browser::send(text) {
            self.refusal.set(format!("Not sent: {words}."));
            return;
        }
        self.refusal.set(String::new());
        let publishes = self
            .draft
            .with_untracked(|draft| draft.kind().name == "publish");
        if publishes && !self.keep_id.get_untracked() && self.edited.with_untracked(Option::is_none)
        {
            self.new_id();
        }
    }

    /// A new Message ID.
    pub(crate) fn new_id(self) {
        self.draft
            .update(|draft| draft.set("messageId", browser::random_id()));
        self.edited.set(None);
    }

    /// Writes into a field of the draft.
    pub(crate) fn write(self, field: &'static str, value: String) {
        if field == "messageId" {
            // Who types an id of their own wants to use it again.
            self.keep_id.set(true);
        }
        self.draft.update(|draft| draft.set(field, value));
        self.edited.set(None);
        self.refusal.set(String::new());
    }

    /// Chooses the type of the frame. `resume` is filled in from what the page knows.
    pub(crate) fn choose(self, kind: &str) {
        self.draft.update(|draft| draft.choose(kind));
        if kind == "resume" {
            self.fill_in_resume();
        }
        if kind == "ack" {
            self.fill_in_ack();
        }
        self.edited.set(None);
        self.refusal.set(String::new());
    }

    /// Fills in a form that was offered.
    pub(crate) fn accept(self, offer: &Offer) {
        if let Some(topic) = &offer.topic {
            self.draft.update(|draft| draft.set("topic", topic.clone()));
        }
        self.choose(offer.kind);
        browser::focus("send");
    }

    fn fill_in_resume(self) {
        let (session, last, epochs) = self.playground.with_untracked(|p| {
            let text = |map: serde_json::Map<_, _>| serde_json::Value::Object(map).to_string();
            let topics = p.topics();
            let last = topics
                .iter()
                .map(|(name, at)| (name.clone(), at.seq_no.into()));
            let epochs = topics
                .iter()
                .map(|(name, at)| (name.clone(), at.epoch.clone().into()));
            (
                p.session_id().to_owned(),
                text(last.collect()),
                text(epochs.collect()),
            )
        });
        if !session.is_empty() {
            self.draft.update(|draft| {
                draft.set("sessionId", session);
                draft.set("lastSeqPerTopic", last);
                draft.set("epochs", epochs);
            });
        }
    }

    fn fill_in_ack(self) {
        let topic = self
            .draft
            .with_untracked(|draft| draft.get("topic").to_owned());
        let seq_no = self
            .playground
            .with_untracked(|p| p.topics().get(&topic).map(|at| at.seq_no));
        if let Some(seq_no) = seq_no {
            self.draft
                .update(|draft| draft.set("seqNo", seq_no.to_string()));
        }
    }

    /// What the gateway would say to a frame that was edited by hand.
    #[must_use]
    pub(crate) fn edited_problem(self) -> Option<String> {
        self.edited.with(|text| {
            text.as_deref()
                .and_then(frame_problem)
                .map(|e| e.to_string())
        })
    }
}
