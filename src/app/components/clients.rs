//! The clients side by side: a card for each, and room for more. A client that is alone has no card:
//! the panels say all there is to say of it.

use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::Playground;
use super::super::playground::client::ClientId;
use super::super::playground::phase::Phase;
use super::super::playground::text::visible;

/// Topics that a card names; more are counted.
const TOPICS: usize = 3;

/// The cards.
#[component]
pub fn Clients(page: Page) -> impl IntoView {
    let ids = Memo::new(move |_| page.playground.with(|p| p.ids().collect::<Vec<_>>()));
    let full = Memo::new(move |_| ids.with(Vec::len) == ClientId::ALL.len());
    let cards = move || {
        ids.with(|ids| {
            if ids.len() > 1 {
                ids.clone()
            } else {
                Vec::new()
            }
        })
    };
    view! {
        <div class="clients" role="group" aria-label="Clients">
            <For each=cards key=|id| *id let:id>
                <Card page id />
            </For>
            <button
                type="button"
                id="add-client"
                class="small add-client"
                class:absent=move || full.get()
                on:click=move |_| page.add_client()
            >
                "Add a client"
            </button>
        </div>
    }
}

/// One client: who it is, how it is, and where it stands.
#[component]
fn Card(page: Page, id: ClientId) -> impl IntoView {
    let phase = Memo::new(move |_| page.playground.with(|p| p.client(id).phase().clone()));
    let places = Memo::new(move |_| page.playground.with(|p| places(p, id)));
    let letter = id.letter();
    view! {
        <div
            class="client"
            data-client=letter
            data-phase=move || phase.with(Phase::name)
            class:active=move || page.active.get() == id
        >
            <button
                type="button"
                class="choose-client"
                aria-pressed=move || (page.active.get() == id).to_string()
                on:click=move |_| page.active.set(id)
            >
                <span class="letter">
                    <span class="visually-hidden">"Client "</span>
                    {letter}
                </span>
                <span class="dot" aria-hidden="true"></span>
                <span class="client-state">{move || phase.with(Phase::words)}</span>
            </button>
            {(id != ClientId::FIRST)
                .then(|| {
                    view! {
                        <button
                            type="button"
                            class="small"
                            aria-label=format!("Remove client {letter}")
                            on:click=move |_| page.remove_client(id)
                        >
                            "×"
                        </button>
                    }
                })}
            <p class="places">{move || places.get()}</p>
        </div>
    }
}

/// The topics of a client with its place in each, in a line.
fn places(playground: &Playground, id: ClientId) -> String {
    let topics = playground.client(id).topics();
    let mut places: Vec<_> = topics
        .iter()
        .take(TOPICS)
        .map(|(name, at)| format!("{} #{}", visible(name), at.seq_no))
        .collect();
    if topics.len() > TOPICS {
        places.push(format!("{} more", topics.len() - TOPICS));
    }
    places.join(", ")
}
