//! What outlives the page: the last choices, messages under names, and links.

use leptos::prelude::*;

use super::super::browser::{self, Stored};
use super::super::playground::client::ClientId;
use super::super::playground::kept::{Kept, Library};
use super::super::playground::takeaway::Composed;
use super::super::playground::text::visible;
use super::{Desk, Page};

impl Page {
    /// Takes up the last choices of the first client, which are kept as they change, and the named
    /// messages. What the page's address says comes before the last choices.
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
        Effect::new(move |_| {
            let kept = url.with(|url| draft.with(|draft| Kept::of(url, draft, None).0));
            if let Some(text) = kept.to_text() {
                // Where it is not stored it is forgotten: no reason to disturb anyone.
                let _ = browser::save(Stored::Choices, &text);
            }
        });
    }

    /// The named messages as they are kept: another page of this browser may have changed them.
    fn look_up(self) {
        if !self.library_kept.get_value() {
            return;
        }
        let kept = browser::load(Stored::Library);
        if let Some(library) = kept.and_then(|text| Library::from_text(&text)) {
            self.library.set(library);
        }
    }

    /// Stores the named messages. Returns whether the browser keeps them.
    fn store(self) -> bool {
        let text = self.library.with_untracked(Library::to_text);
        let stored = text.is_some_and(|text| browser::save(Stored::Library, &text));
        self.library_kept.set_value(stored);
        stored
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

    /// What the active client has composed, to keep, and in words what is missing of it.
    fn kept(self) -> (Kept, Option<&'static str>) {
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

    /// A link to the page with what the active client has composed, and in words what is missing of it;
    /// `None` when that is too long.
    #[must_use]
    pub(crate) fn link(self) -> Option<(String, Option<&'static str>)> {
        let (kept, left_out) = self.kept();
        let fragment = kept.to_fragment(&self.ws_origin.get())?;
        let link = format!("{}/docs#{fragment}", self.http_origin.get());
        Some((link, left_out))
    }

    /// Keeps what the active client has composed under a name. Returns in words what became of it.
    ///
    /// # Errors
    /// In words, when it cannot be kept.
    pub(crate) fn keep_as(self, name: &str) -> Result<String, String> {
        let (kept, left_out) = untrack(move || self.kept());
        self.look_up();
        let put = self.library.try_update(|library| library.put(name, kept));
        put.unwrap_or(Ok(()))?;
        let name = visible(name.trim());
        let saved = if self.store() {
            format!("Saved as {name}.")
        } else {
            format!(
                "{name} is kept until this page is closed only: the browser stores nothing more."
            )
        };
        Ok(match left_out {
            Some(words) => format!("{saved} {words}"),
            None => saved,
        })
    }

    /// Forgets a named message.
    pub(crate) fn forget(self, name: &str) {
        self.look_up();
        self.library.update(|library| library.remove(name));
        self.store();
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
