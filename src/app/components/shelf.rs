//! The shelf: tools that are out of the way until one is taken down. One is open at a time, so that
//! the page stays one column of thought.

use leptos::prelude::*;

use super::super::page::Page;
use super::evidence::Evidence;
use super::faults::Faults;
use super::scenarios::Scenarios;

/// A tool on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Scenarios,
    Faults,
    Evidence,
}

impl Tool {
    /// In the order of the shelf.
    const ALL: &[Self] = &[Self::Scenarios, Self::Faults, Self::Evidence];

    /// The button's words.
    fn title(self) -> &'static str {
        match self {
            Self::Scenarios => "Scenarios",
            Self::Faults => "Faults",
            Self::Evidence => "Evidence",
        }
    }

    fn view(self, page: Page) -> AnyView {
        match self {
            Self::Scenarios => view! { <Scenarios page /> }.into_any(),
            Self::Faults => view! { <Faults page /> }.into_any(),
            Self::Evidence => view! { <Evidence page /> }.into_any(),
        }
    }
}

/// The shelf and the tool that is open.
#[component]
pub fn Shelf(page: Page) -> impl IntoView {
    let open = page.tool;
    view! {
        <div class="shelf">
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
            </div>
            <div id="tool" class:absent=move || open.get().is_none()>
                {move || open.get().map(|tool| tool.view(page))}
            </div>
        </div>
    }
}
