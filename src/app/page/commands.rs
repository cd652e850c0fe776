//! What the page can do, by name: for the command palette and the shortcuts.

use leptos::prelude::*;

use super::super::browser;
use super::super::components::{PALETTE, SHORTCUTS, Tool};
use super::super::docs_page::CHAPTERS;
use super::super::playground::client::ClientId;
use super::super::playground::draft::kinds;
use super::super::playground::scenario::{FAULTS, RETURNS, SCENARIOS, Scenario};
use super::Page;

/// Buttons on the shelf that can be pressed by name: whose they are, their ids and what they do.
const BUTTONS: [(Tool, &str, &str); 5] = [
    (Tool::Evidence, "verify", "Verify, or stop it"),
    (Tool::TakeAway, "copy-program", "Copy program"),
    (Tool::TakeAway, "copy-link", "Copy link"),
    (Tool::Session, "export-log", "Export log"),
    (Tool::Session, "import-session", "Import a session"),
];

/// Something that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// Opens a tool and presses its button with this id; and what that does.
    Press(Tool, &'static str, &'static str),
    /// Plays a scenario.
    Play(&'static Scenario),
    /// Inflicts a fault on the active client, or brings it back.
    Inflict(&'static Scenario),
    /// Holds the log, or lets it go on.
    Pause,
    /// Empties the log.
    Clear,
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
        let idle = !page.is_playing();
        let plays = SCENARIOS.map(Self::Play).into_iter();
        let plays = plays.chain(FAULTS.into_iter().chain(RETURNS).map(Self::Inflict));
        let first = if open {
            Self::Disconnect
        } else {
            Self::Connect
        };
        [first, Self::Send]
            .into_iter()
            .chain(kinds().map(|kind| Self::Compose(kind.name)))
            .chain(Tool::ALL.iter().copied().map(Self::Take))
            .chain(plays.filter(move |_| idle))
            .chain(
                ids.into_iter()
                    .filter(|id| *id != active)
                    .map(Self::Activate),
            )
            .chain((!full).then_some(Self::AddClient))
            .chain([Self::Pause, Self::Log])
            .chain((!page.is_imported()).then_some(Self::Clear))
            .chain(BUTTONS.map(|(tool, id, title)| Self::Press(tool, id, title)))
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
            Self::Press(_, _, title) => title.into(),
            Self::Play(scenario) => format!("Play: {}", scenario.title),
            Self::Inflict(way) if RETURNS.contains(&way) => format!("Way back: {}", way.title),
            Self::Inflict(fault) => format!("Fault: {}", fault.title),
            Self::Clear => "Clear the log".into(),
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
            Self::Take(tool) => take(page, tool),
            Self::Press(tool, id, _) => {
                open(page, tool);
                browser::go_and_press(id);
            }
            Self::Play(scenario) => {
                take(page, Tool::Scenarios);
                page.play(scenario);
            }
            Self::Inflict(fault) => {
                take(page, Tool::Faults);
                page.inflict(fault);
            }
            Self::Clear => page.clear_log(),
            Self::Pause => page.toggle_pause(),
            Self::Log => browser::go_to("log"),
            Self::Chapter(id, _) => browser::go_to(id),
            Self::Shortcuts => browser::show_dialog(SHORTCUTS),
        }
    }
}

/// Opens a tool. One that is open stays as it is.
fn open(page: Page, tool: Tool) {
    page.tool
        .maybe_update(|open| open.replace(tool) != Some(tool));
}

/// Opens a tool and goes to it.
fn take(page: Page, tool: Tool) {
    open(page, tool);
    browser::go_to("tool");
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
