//! Where the frames of one client are composed.

use leptos::prelude::*;

use super::super::browser;
use super::super::playground::client::{Client, ClientId};
use super::super::playground::draft::{Draft, frame_problem};
use crate::protocol::reference::FieldDoc;
use crate::protocol::{ClientMessage, decode_client};

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
    /// The Message ID that was sent last, and the one that was drawn in its place.
    replaced: StoredValue<Option<(String, String)>>,
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
            replaced: StoredValue::new(None),
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

    /// Whether a text is a publish with the Message ID that stands here.
    pub(super) fn uses_id(self, text: &str) -> bool {
        let frame = decode_client(text).ok();
        frame.is_some_and(|frame| match frame {
            ClientMessage::Publish(f) => self.message_id() == f.message_id,
            _ => false,
        })
    }

    /// A frame went out, with the Message ID that stands here or without: makes ready for the next one.
    pub(super) fn was_sent(self, used_id: bool) {
        self.refusal.set(String::new());
        if used_id && !self.keep_id.get_untracked() && self.edited.with_untracked(Option::is_none) {
            let sent = self.message_id();
            self.new_id();
            self.replaced.set_value(Some((sent, self.message_id())));
        }
    }

    /// Keeps the Message ID or not. Who asks for that after a publish means the id that was sent, and
    /// not the one that was drawn since.
    pub(crate) fn keep_id(self, keep: bool) {
        self.keep_id.set(keep);
        let Some((sent, drawn)) = self.replaced.get_value() else {
            return;
        };
        let (from, to) = if keep { (drawn, sent) } else { (sent, drawn) };
        if self.edited.with_untracked(Option::is_none) && self.message_id() == from {
            self.draft.update(|draft| draft.set("messageId", to));
        }
    }

    fn message_id(self) -> String {
        self.draft
            .with_untracked(|draft| draft.get("messageId").to_owned())
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
