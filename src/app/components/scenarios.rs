//! The tool that plays scenarios.

use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::scenario::SCENARIOS;
use super::run_view::{PlayButtons, RunView};

/// One button each, and what is seen.
#[component]
pub fn Scenarios(page: Page) -> impl IntoView {
    view! {
        <section class="panel tool" aria-labelledby="scenarios-title">
            <h2 id="scenarios-title">"Scenarios"</h2>
            <p class="hint">
                "Each brings in the clients it needs, connects them to this gateway, and ends with what was really seen. "
                "Every frame is in the log."
            </p>
            <PlayButtons page label="Scenarios" scenarios=&SCENARIOS play=Page::play />
            <RunView page of=|s| SCENARIOS.contains(&s) />
        </section>
    }
}
