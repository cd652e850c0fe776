//! The shelf: tools that are out of the way until one is taken down. One is open at a time, so that
//! the page stays one column of thought.

use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::evidence::Evidence;
use super::faults::Faults;
use super::palette::PALETTE;
use super::pictures::Pictures;
use super::scenarios::Scenarios;
use super::session::Session;
use super::take_away::TakeAway;
use super::token_helper::TokenHelper;

/// A tool on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Stories that play themselves.
    Scenarios,
    /// What can go wrong, on a button.
    Faults,
    /// The promises on this page's own traffic, and the checks.
    Evidence,
    /// Traffic in pictures.
    Pictures,
    /// The message in other languages, as a link, or under a name.
    TakeAway,
    /// The log as a file.
    Session,
    /// What the token says.
    Token,
}

impl Tool {
    /// In the order of the shelf.
    pub(crate) const ALL: &[Self] = &[
        Self::Scenarios,
        Self::Faults,
        Self::Evidence,
        Self::Pictures,
        Self::TakeAway,
        Self::Session,
        Self::Token,
    ];

    /// The button's words.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Scenarios => "Scenarios",
            Self::Faults => "Faults",
            Self::Evidence => "Evidence",
            Self::Pictures => "Pictures",
            Self::TakeAway => "Take it away",
            Self::Session => "Session file",
            Self::Token => "Token helper",
        }
    }

    fn view(self, page: Page) -> AnyView {
        match self {
            Self::Scenarios => view! { <Scenarios page /> }.into_any(),
            Self::Faults => view! { <Faults page /> }.into_any(),
            Self::Evidence => view! { <Evidence page /> }.into_any(),
            Self::Pictures => view! { <Pictures page /> }.into_any(),
            Self::TakeAway => view! { <TakeAway page /> }.into_any(),
            Self::Session => view! { <Session page /> }.into_any(),
            Self::Token => view! { <TokenHelper page /> }.into_any(),
        }
    }
}

/// The shelf and the tool that is open.
#[component]
pub fn Shelf(page: Page) -> impl IntoView {
    let open = page.tool;
    view! {
        <div id="shelf" class="shelf">
            <div class="chips" role="group" aria-label="Tools">
                {Tool::ALL
                    .iter()
                    .map(|&tool| {
                        let is_open = move || open.get() == Some(tool);
                        view! {
                            <button
                                type="button"
                                class="chip"
                                aria-expanded=move || is_open().to_string()
                                aria-controls="tool"
                                on:click=move |_| {
                                    open.update(|open| {
                                        *open = (*open != Some(tool)).then_some(tool);
                                    });
                                }
                            >
                                {tool.title()}
                            </button>
                        }
                    })
                    .collect_view()}
                <button
                    type="button"
                    class="chip"
                    aria-haspopup="dialog"
                    aria-keyshortcuts="Control+K"
                    on:click=move |_| browser::show_dialog(PALETTE)
                >
                    "Commands" <kbd aria-hidden="true">"Ctrl K"</kbd>
                </button>
            </div>
            <div id="tool" tabindex="-1" class:absent=move || open.get().is_none()>
                {move || open.get().map(|tool| tool.view(page))}
            </div>
        </div>
    }
}
