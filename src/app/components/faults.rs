//! The tool that inflicts faults on the active client, and brings it back.

use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::scenario::{FAULTS, RETURNS};
use super::run_view::{PlayButtons, RunView};

/// The longest that a client can be offline, in seconds.
const MAX_OFFLINE_S: u32 = 60;

/// A button for each fault, the two ways back, and what became of the topics.
#[component]
pub fn Faults(page: Page) -> impl IntoView {
    let write_seconds = move |ev| {
        if let Ok(seconds) = event_target_value(&ev).parse::<u32>() {
            page.offline_s.set(seconds.clamp(1, MAX_OFFLINE_S));
        }
    };
    view! {
        <section class="panel tool" aria-labelledby="faults-title">
            <h2 id="faults-title">"Faults"</h2>
            <p class="hint">
                "They befall client " {move || page.active.get().letter()}
                ", the active one. What a page cannot do to its own socket, the gateway does to it; what follows is real."
            </p>
            <PlayButtons page label="Faults" scenarios=&FAULTS play=Page::inflict />
            <div class="ways-back">
                <PlayButtons page label="Ways back" scenarios=&RETURNS play=Page::inflict />
                <div class="field seconds">
                    <label for="offline-seconds">"Seconds offline"</label>
                    <input
                        id="offline-seconds"
                        type="number"
                        inputmode="numeric"
                        min="1"
                        max=MAX_OFFLINE_S.to_string()
                        prop:value=move || page.offline_s.get().to_string()
                        on:change=write_seconds
                    />
                </div>
            </div>
            <RunView page of=|s| FAULTS.contains(&s) || RETURNS.contains(&s) />
        </section>
    }
}
