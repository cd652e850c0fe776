//! Everything the page can do, by name: for the command palette and the shortcuts.

use leptos::prelude::*;

use super::super::browser;
use super::super::components::{PALETTE, SHORTCUTS, Tool};
use super::super::docs_page::CHAPTERS;
use super::super::playground::client::ClientId;
use super::super::playground::draft::kinds;
use super::Page;

/// Something that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Opens the active client's connection.
    Connect,
    /// Closes it in order.
    Disconnect,
    /// Sends what is composed.
    Send,
    /// Goes to the fields of a message of this type.
    Compose(&'static str),
    /// Goes to a client.
    Activate(ClientId),
    /// Brings one more client in.
    AddClient,
    /// Opens a tool of the shelf.
    Take(Tool),
    /// Holds the log, or lets it go on.
    Pause,
    /// Goes to the log.
    Log,
    /// Goes to a chapter of the page, by its id and title.
    Chapter(&'static str, &'static str),
    /// Shows the shortcuts.
    Shortcuts,
}

impl Command {
    /// What can be done now, the likeliest first.
    pub(crate) fn all(page: Page) -> Vec<Self> {
        let open = page.phase_of(page.active.get()).has_socket();
        let (ids, active) = (
            page.playground.with(|p| p.ids().collect::<Vec<_>>()),
            page.active.get(),
        );
        let full = ids.len() == ClientId::ALL.len();
        let first = if open {
            Self::Disconnect
        } else {
            Self::Connect
        };
        [first, Self::Send]
            .into_iter()
            .chain(kinds().map(|kind| Self::Compose(kind.name)))
            .chain(Tool::ALL.iter().copied().map(Self::Take))
            .chain(
                ids.into_iter()
                    .filter(|id| *id != active)
                    .map(Self::Activate),
            )
            .chain((!full).then_some(Self::AddClient))
            .chain([Self::Pause, Self::Log])
            .chain(CHAPTERS.map(|(id, title)| Self::Chapter(id, title)))
            .chain([Self::Shortcuts])
            .collect()
    }

    /// Its name.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Connect => "Connect".into(),
            Self::Disconnect => "Disconnect".into(),
            Self::Send => "Send the frame".into(),
            Self::Compose(kind) => format!("Compose {kind}"),
            Self::Activate(id) => format!("Go to client {}", id.letter()),
            Self::AddClient => "Add a client".into(),
            Self::Take(tool) => format!("Open: {}", tool.title()),
            Self::Pause => "Pause the log, or let it go on".into(),
            Self::Log => "Go to the log".into(),
            Self::Chapter(_, title) => format!("Read: {title}"),
            Self::Shortcuts => "Shortcuts".into(),
        }
    }

    /// Whether every word of a query stands in its name.
    pub(crate) fn is_meant_by(self, query: &str) -> bool {
        let title = self.title().to_lowercase();
        query
            .to_lowercase()
            .split_whitespace()
            .all(|word| title.contains(word))
    }

    /// Does it.
    pub(crate) fn run(self, page: Page) {
        let active = page.active.get_untracked();
        match self {
            Self::Connect => page.connect(active),
            Self::Disconnect => page.disconnect(active),
            Self::Send => page.send(active),
            Self::Compose(kind) => {
                page.choose(kind);
                browser::focus("message");
            }
            Self::Activate(id) => page.active.set(id),
            Self::AddClient => page.add_client(),
            Self::Take(tool) => {
                page.tool.set(Some(tool));
                browser::go_to("shelf");
            }
            Self::Pause => page.toggle_pause(),
            Self::Log => browser::go_to("log"),
            Self::Chapter(id, _) => browser::go_to(id),
            Self::Shortcuts => browser::show_dialog(SHORTCUTS),
        }
    }
}

impl Page {
    /// Keys that work wherever the focus is; those without Ctrl only where nobody writes.
    pub(super) fn listen_to_keys(self) {
        browser::on_key(move |key, held, writing| match (key, held) {
            ("k" | "K", true) => {
                browser::show_dialog(PALETTE);
                true
            }
            ("?", false) if !writing => {
                browser::show_dialog(SHORTCUTS);
                true
            }
            _ => false,
        });
    }
}
