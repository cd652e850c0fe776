//! Where the frames of one client are composed.

use leptos::prelude::*;

use super::super::browser;
use super::super::playground::client::{Client, ClientId};
use super::super::playground::draft::{Draft, frame_problem};
use crate::protocol::reference::FieldDoc;

/// Whom each client says it is until told otherwise.
const TOKENS: [&str; ClientId::ALL.len()] = ["demo-user", "ben", "cleo", "dan"];

/// The signals of one client's desk. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Desk {
    /// Whose desk it is.
    pub(crate) id: ClientId,
    /// Where to connect to.
    pub(crate) url: RwSignal<String>,
    /// The frame being composed.
    pub(crate) draft: RwSignal<Draft>,
    /// The frame's text where it was edited by hand.
    pub(crate) edited: RwSignal<Option<String>>,
    /// Whether the next publish takes the same Message ID again.
    pub(crate) keep_id: RwSignal<bool>,
    /// What became of the last press of Send, when it sent nothing.
    pub(crate) refusal: RwSignal<String>,
    /// A frame that waits for the connection to open.
    pub(super) waiting: RwSignal<Option<String>>,
}

impl Desk {
    pub(super) fn new(id: ClientId, url: &str) -> Self {
        let mut draft = Draft::default();
        draft.set("token", TOKENS[id.place()]);
        Self {
            id,
            url: RwSignal::new(url.to_owned()),
            draft: RwSignal::new(draft),
            edited: RwSignal::new(None),
            keep_id: RwSignal::new(false),
            refusal: RwSignal::new(String::new()),
            waiting: RwSignal::new(None),
        }
    }

    /// The text that Send sends.
    #[must_use]
    pub(crate) fn frame(self) -> String {
        self.edited
            .get()
            .unwrap_or_else(|| self.draft.with(Draft::frame))
    }

    /// Whom the client says it is.
    #[must_use]
    pub(crate) fn token(self) -> String {
        self.draft
            .with_untracked(|draft| draft.get("token").to_owned())
    }

    /// The first field that is not in order; none counts where the frame was edited by hand.
    pub(super) fn problem(self) -> Option<(&'static FieldDoc, String)> {
        let by_hand = self.edited.with_untracked(Option::is_some);
        let problem = self.draft.with_untracked(Draft::first_problem);
        problem.filter(|_| !by_hand)
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

    /// A frame went out: makes ready for the next one.
    pub(super) fn was_sent(self) {
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

    pub(super) fn choose(self, kind: &str, client: &Client) {
        self.draft.update(|draft| {
            draft.choose(kind);
            match kind {
                "resume" => draft.fill_in_resume(client),
                "ack" => draft.fill_in_ack(client),
                _ => {}
            }
        });
        self.edited.set(None);
        self.refusal.set(String::new());
    }
}
