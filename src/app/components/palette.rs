//! The command palette and the sheet of shortcuts: everything by keyboard.

use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

use super::super::browser;
use super::super::page::{Command, Page};

/// The id of the palette's dialog.
pub(crate) const PALETTE: &str = "palette";
/// The id of the sheet of shortcuts.
pub(crate) const SHORTCUTS: &str = "shortcuts";

/// Keys, and what they do.
const KEYS: [(&[&str], &str); 7] = [
    (&["Ctrl", "K"], "Find a command"),
    (&["?"], "This sheet"),
    (&["Ctrl", "Enter"], "Send the frame, from any of its fields"),
    (&["Enter"], "In the URL: connect or disconnect"),
    (&["↑", "↓"], "In the log: the row above or below"),
    (&["Esc"], "Close a dialog"),
    (&["Tab"], "The next control; every control can be reached"),
];

/// The palette.
#[component]
pub fn Palette(page: Page) -> impl IntoView {
    let query = RwSignal::new(String::new());
    let chosen = RwSignal::new(0_usize);
    let found = Memo::new(move |_| {
        let mut all = Command::all(page);
        query.with(|query| all.retain(|command| command.is_meant_by(query)));
        all
    });
    let run = move |command: Command| {
        browser::close_dialog(PALETTE);
        command.run(page);
    };
    let keys = move |ev: KeyboardEvent| {
        let count = found.with_untracked(Vec::len).max(1);
        match ev.key().as_str() {
            "ArrowDown" => chosen.update(|at| *at = (*at + 1) % count),
            "ArrowUp" => chosen.update(|at| *at = (*at + count - 1) % count),
            "Enter" => {
                let command = found.with_untracked(|all| all.get(chosen.get_untracked()).copied());
                if let Some(command) = command {
                    run(command);
                }
            }
            _ => return,
        }
        ev.prevent_default();
        browser::show(&option_id(chosen.get_untracked()));
    };
    let option = move |(at, command): (usize, Command)| {
        let is_chosen = move || chosen.get() == at;
        view! {
            <li
                id=option_id(at)
                role="option"
                aria-selected=move || is_chosen().to_string()
                on:click=move |_| run(command)
            >
                {command.title()}
            </li>
        }
    };
    view! {
        <dialog
            id=PALETTE
            class="sheet"
            closedby="any"
            aria-label="Commands"
            on:close=move |_| {
                query.set(String::new());
                chosen.set(0);
            }
        >
            <input
                type="text"
                role="combobox"
                aria-label="Find a command"
                aria-expanded="true"
                aria-controls="commands"
                aria-autocomplete="list"
                aria-activedescendant=move || {
                    found.with(|all| (!all.is_empty()).then(|| option_id(chosen.get())))
                }
                autocomplete="off"
                spellcheck="false"
                placeholder="What would you like to do?"
                prop:value=move || query.get()
                on:input=move |ev| {
                    query.set(event_target_value(&ev));
                    chosen.set(0);
                }
                on:keydown=keys
            />
            <ul id="commands" class="commands" role="listbox" aria-label="Commands">
                {move || found.get().into_iter().enumerate().map(option).collect_view()}
            </ul>
            <p class="hint" role="status">
                {move || match found.with(Vec::len) {
                    0 => "Nothing has that name.".to_owned(),
                    1 => "1 command".to_owned(),
                    count => format!("{count} commands"),
                }}
            </p>
            <Close of=PALETTE />
        </dialog>
    }
}

fn option_id(at: usize) -> String {
    format!("command-{at}")
}

/// The sheet of shortcuts.
#[component]
pub fn Shortcuts() -> impl IntoView {
    let rows = KEYS.map(|(keys, words)| {
        let keys = keys
            .iter()
            .map(|key| view! { <kbd>{*key}</kbd> })
            .collect_view();
        view! {
            <div>
                <dt>{keys}</dt>
                <dd>{words}</dd>
            </div>
        }
    });
    view! {
        <dialog id=SHORTCUTS class="sheet" closedby="any" aria-labelledby="shortcuts-title">
            <h2 id="shortcuts-title">"Shortcuts"</h2>
            <dl class="keys">{rows.collect_view()}</dl>
            <Close of=SHORTCUTS />
        </dialog>
    }
}

/// Closes a dialog. A click beside the dialog does it too, where the browser knows `closedby`.
#[component]
fn Close(of: &'static str) -> impl IntoView {
    view! {
        <button type="button" on:click=move |_| browser::close_dialog(of)>
            "Close"
        </button>
    }
}
