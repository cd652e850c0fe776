//! What outlives the page: the last choices, messages under names, and links.

use leptos::prelude::*;

use super::super::browser::{self, Stored};
use super::super::playground::client::ClientId;
use super::super::playground::kept::{Kept, Library};
use super::super::playground::takeaway::Composed;
use super::{Desk, Page};

impl Page {
    /// Takes up the last choices of the first client and the named messages, and keeps them as they
    /// change. What the page's address says comes before the last choices.
    pub(super) fn restore(self) {
        let desk = self.desk_of(ClientId::FIRST);
        let last = browser::load(Stored::Choices).and_then(|text| Kept::from_text(&text));
        let linked = || browser::fragment().and_then(|text| Kept::from_fragment(&text));
        for kept in [last, linked()].into_iter().flatten() {
            self.lay_out(desk, kept);
        }
        // A link may be opened where the page is open already.
        browser::on_fragment(move || {
            if let Some(kept) = linked() {
                self.lay_out(self.desk_now(), kept);
            }
        });
        self.look_up();
        let Desk { url, draft, .. } = desk;
        keep(Stored::Choices, move || {
            url.with(|url| draft.with(|draft| Kept::of(url, draft, None).to_text()))
        });
        keep(Stored::Library, move || self.library.with(Library::to_text));
    }

    /// The named messages as they are kept: another page of this browser may have changed them.
    fn look_up(self) {
        let kept = browser::load(Stored::Library);
        if let Some(library) = kept.and_then(|text| Library::from_text(&text)) {
            self.library.set(library);
        }
    }

    fn lay_out(self, desk: Desk, kept: Kept) {
        let restored = desk.draft.try_update(|draft| kept.restore(draft));
        let Some((url, edited)) = restored else {
            return;
        };
        if let Some(url) = url {
            desk.url.set(self.whole(url));
        }
        desk.edited.set(edited);
        desk.refusal.set(String::new());
    }

    /// What the active client has composed, to keep.
    fn kept(self) -> Kept {
        let desk = self.desk();
        desk.edited.with(|edited| {
            let url = desk.url.get();
            desk.draft
                .with(|draft| Kept::of(&url, draft, edited.as_deref()))
        })
    }

    /// What the active client has composed, to be written in other languages.
    #[must_use]
    pub(crate) fn composed(self) -> Composed {
        let desk = self.desk();
        desk.edited.with(|edited| {
            let url = desk.url.get();
            desk.draft
                .with(|draft| Composed::new(&url, draft, edited.as_deref()))
        })
    }

    /// A link to the page with what the active client has composed; `None` when that is too long.
    #[must_use]
    pub(crate) fn link(self) -> Option<String> {
        let fragment = self.kept().to_fragment(&self.ws_origin.get())?;
        Some(format!("{}/docs#{fragment}", self.http_origin.get()))
    }

    /// Keeps what the active client has composed under a name.
    ///
    /// # Errors
    /// In words, when it cannot be kept.
    pub(crate) fn keep_as(self, name: &str) -> Result<(), String> {
        let kept = untrack(move || self.kept());
        self.look_up();
        let put = self.library.try_update(|library| library.put(name, kept));
        put.unwrap_or(Ok(()))
    }

    /// Forgets a named message.
    pub(crate) fn forget(self, name: &str) {
        self.look_up();
        self.library.update(|library| library.remove(name));
    }

    /// Lays a named message on the desk of the active client.
    pub(crate) fn take_out(self, name: &str) {
        let kept = self
            .library
            .with_untracked(|library| library.get(name).cloned());
        if let Some(kept) = kept {
            self.lay_out(self.desk_now(), kept);
        }
    }
}

/// Stores a text again whenever it changes.
fn keep(place: Stored, text: impl Fn() -> Option<String> + 'static) {
    Effect::new(move |_| {
        if let Some(text) = text() {
            browser::save(place, &text);
        }
    });
}
