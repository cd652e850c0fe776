//! The live log: a window onto the newest rows, with filters.

use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::client::ClientId;
use super::super::playground::log::{Filter, Row};
use super::log_row::LogRow;
use super::session::Banner;

/// Rows in view at first, and added by each press of "Show older". More would slow the browser
/// down at thousands of messages a second.
const WINDOW: usize = 200;

/// How near to its end the log counts as being at its end, in pixels.
const NEAR: i32 = 24;

/// The log.
#[component]
pub fn FrameLog(page: Page) -> impl IntoView {
    let window = RwSignal::new(WINDOW);
    let follow = RwSignal::new(true);
    let rows: Memo<Vec<Arc<Row>>> = Memo::new(move |_| {
        let until = page.paused_at.get().unwrap_or(u64::MAX);
        let filter = page.filter.get();
        page.shown()
            .with(|p| p.log().newest(&filter, window.get(), until))
    });
    let newest = Memo::new(move |_| rows.with(|rows| rows.last().map_or(0, |row| row.id)));
    let older = Memo::new(move |_| rows.with(Vec::len) == window.get());
    let empty = Memo::new(move |_| rows.with(Vec::is_empty));
    let live = move || {
        let quiet = page.shown().with(|p| p.flooded()) || page.paused_at.get().is_some();
        if quiet { "off" } else { "polite" }
    };

    let scroller = NodeRef::<html::Div>::new();
    // Where the reader was: only who moves up stops following, not who is overtaken by new rows.
    let last_top = StoredValue::new(0);
    Effect::new(move |_| {
        newest.track();
        if follow.get()
            && let Some(log) = scroller.get()
        {
            // The rows stand in the document by the next frame.
            request_animation_frame(move || log.set_scroll_top(log.scroll_height()));
        }
    });
    let scrolled = move |_| {
        if let Some(log) = scroller.get_untracked() {
            let top = log.scroll_top();
            let at_end = log.scroll_height() - top - log.client_height() < NEAR;
            let moved_up = top < last_top.get_value();
            last_top.set_value(top);
            let follows = at_end || (follow.get_untracked() && !moved_up);
            if follow.get_untracked() != follows {
                follow.set(follows);
            }
        }
    };

    view! {
        <section id="log" class="panel log-panel" aria-labelledby="log-title">
            <div class="panel-head">
                <h2 id="log-title">"Log"</h2>
                <Count page shown=Memo::new(move |_| rows.with(Vec::len)) />
                <Banner page />
            </div>
            <Tools page follow window />
            <div
                class="log"
                class:following=move || follow.get()
                role="log"
                aria-label="Live log"
                aria-live=live
                tabindex="0"
                node_ref=scroller
                on:scroll=scrolled
                on:keydown=move |ev| browser::focus_neighbour(&ev)
            >
                <Show when=move || older.get()>
                    <button
                        type="button"
                        class="small older"
                        on:click=move |_| window.update(|n| *n += WINDOW)
                    >
                        "Show older"
                    </button>
                </Show>
                <p class="log-empty" class:absent=move || !empty.get()>
                    {move || {
                        if page.filter.with(Filter::is_open) {
                            "Every frame will stand here, in both directions, as it is on the wire."
                        } else {
                            "No frame passes the filter."
                        }
                    }}
                </p>
                <ol class="rows">
                    <For each=move || rows.get() key=|row| (row.id, row.link.is_some()) let:row>
                        <LogRow page row newest />
                    </For>
                </ol>
            </div>
        </section>
    }
}

/// How much is shown, kept and gone.
#[component]
fn Count(page: Page, shown: Memo<usize>) -> impl IntoView {
    let words = move || {
        page.shown().with(|p| {
            let log = p.log();
            let mut words = format!("{} of {} rows", shown.get(), log.len());
            if log.dropped() > 0 {
                words.push_str(&format!(", {} older dropped", log.dropped()));
            }
            if let Some(at) = page.paused_at.get() {
                words.push_str(&format!(
                    ", paused: {} new",
                    log.last_id().saturating_sub(at)
                ));
            }
            words
        })
    };
    view! { <p class="count">{words}</p> }
}

#[component]
fn Tools(page: Page, follow: RwSignal<bool>, window: RwSignal<usize>) -> impl IntoView {
    let ids = Memo::new(move |_| page.shown().with(|p| p.ids().collect::<Vec<_>>()));
    let kinds = Memo::new(move |_| page.shown().with(|p| p.log().kinds().clone()));
    let topics = Memo::new(move |_| page.shown().with(|p| p.log().topics().clone()));
    let paused = move || page.paused_at.with(Option::is_some);
    let clear = move |_| {
        page.shown().update(|p| p.clear_log());
        page.filter.set(Filter::default());
        page.paused_at.set(None);
        window.set(WINDOW);
        follow.set(true);
    };
    view! {
        <div class="log-tools" role="group" aria-label="Log tools">
            <select
                aria-label="Filter by client"
                class:absent=move || ids.with(Vec::len) < 2
                prop:value=move || page.filter.with(|f| f.client.map_or("", ClientId::letter))
                on:change=move |ev| {
                    let client = ClientId::from_letter(&event_target_value(&ev));
                    page.filter.update(|f| f.client = client);
                }
            >
                <option value="">"All clients"</option>
                <For each=move || ids.get() key=|id| *id let:id>
                    <option value=id.letter()>{format!("Client {}", id.letter())}</option>
                </For>
            </select>
            <select
                aria-label="Filter by type"
                prop:value=move || page.filter.with(|f| f.kind.clone())
                on:change=move |ev| page.filter.update(|f| f.kind = event_target_value(&ev))
            >
                <option value="">"All types"</option>
                <For each=move || kinds.get() key=Clone::clone let:kind>
                    <option value=kind.clone()>{kind.clone()}</option>
                </For>
            </select>
            <select
                aria-label="Filter by topic"
                prop:value=move || page.filter.with(|f| f.topic.clone())
                on:change=move |ev| page.filter.update(|f| f.topic = event_target_value(&ev))
            >
                <option value="">"All topics"</option>
                <For each=move || topics.get() key=Clone::clone let:topic>
                    <option value=topic.clone()>{topic.clone()}</option>
                </For>
            </select>
            <span class="log-buttons">
                <label class="check">
                    <input
                        type="checkbox"
                        prop:checked=move || follow.get()
                        on:change=move |ev| follow.set(event_target_checked(&ev))
                    />
                    "Follow"
                </label>
                <button
                    type="button"
                    class="small"
                    aria-pressed=move || paused().to_string()
                    on:click=move |_| page.toggle_pause()
                >
                    "Pause"
                </button>
                <button type="button" class="small" disabled=move || page.is_imported() on:click=clear>
                    "Clear"
                </button>
            </span>
        </div>
    }
}
