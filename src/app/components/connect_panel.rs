//! Where to connect, the state of the connection, and what to do next.

use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::Offer;
use super::super::playground::client::Client;
use super::super::playground::phase::Phase;
use super::super::playground::text::visible;

const PRESETS: [(&str, &str); 2] = [
    ("Multi-topic (/ws)", "/ws"),
    ("Sub: prices (/ws/sub/prices)", "/ws/sub/prices"),
];

/// The connection.
#[component]
pub fn ConnectPanel(page: Page) -> impl IntoView {
    let phase = page.phase();
    let busy = Memo::new(move |_| phase.with(Phase::has_socket));
    let toggle = move || {
        if busy.get_untracked() {
            page.disconnect(page.active.get_untracked());
        } else {
            page.connect(page.active.get_untracked());
        }
    };
    let submit = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        toggle();
    };
    view! {
        <section class="panel connect" aria-labelledby="connect-title">
            <div class="panel-head">
                <h2 id="connect-title">"Connection"</h2>
                <div class="chips" role="group" aria-label="Endpoints">
                    {PRESETS
                        .map(|(label, path)| {
                            let url = move || format!("{}{path}", page.ws_origin.get());
                            let chosen = move || (page.desk().url.get() == url()).to_string();
                            view! {
                                <button
                                    type="button"
                                    class="chip"
                                    aria-pressed=chosen
                                    on:click=move |_| page.desk_now().url.set(url())
                                >
                                    {label}
                                </button>
                            }
                        })
                        .collect_view()}
                </div>
            </div>
            <form class="connect-form" on:submit=submit>
                <div class="field grow">
                    <label for="url">"URL"</label>
                    <input
                        id="url"
                        type="text"
                        inputmode="url"
                        autocomplete="off"
                        autocapitalize="off"
                        spellcheck="false"
                        value=page.desk_now().url.get_untracked()
                        prop:value=move || page.desk().url.get()
                        on:input=move |ev| page.desk_now().url.set(event_target_value(&ev))
                    />
                </div>
                <button type="submit" class="primary" class:quiet=move || busy.get()>
                    {move || if busy.get() { "Disconnect" } else { "Connect" }}
                </button>
            </form>
            <State page phase />
        </section>
    }
}

#[component]
fn State(page: Page, phase: Memo<Phase>) -> impl IntoView {
    let next = Memo::new(move |_| page.with_client(Client::next_step));
    let node = Memo::new(move |_| page.with_client(|client| client.node().to_owned()));
    let offers = move || next.with(|next| next.offers.clone());
    view! {
        <div class="state" data-phase=move || phase.with(Phase::name)>
            <div role="status">
                <p class="state-name">
                    <span class="dot" aria-hidden="true"></span>
                    {move || phase.with(Phase::words)}
                    <span class="node">{move || node.with(|node| on_node(node))}</span>
                </p>
                <p class="next-step">{move || next.with(|next| next.words.clone())}</p>
            </div>
            <div class="chips">
                <For each=offers key=|offer| offer.label.clone() let:offer>
                    <OfferButton page offer />
                </For>
            </div>
        </div>
    }
}

/// Which gateway that is, where it says so.
fn on_node(node: &str) -> String {
    if node.is_empty() {
        String::new()
    } else {
        format!("on {}", visible(node))
    }
}

#[component]
fn OfferButton(page: Page, offer: Offer) -> impl IntoView {
    let label = offer.label.clone();
    view! {
        <button type="button" class="chip offer" on:click=move |_| page.accept(&offer)>
            {label}
        </button>
    }
}
