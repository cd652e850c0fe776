//! The live log: a window onto the rows that pass the filter. However many they are, only those around
//! what is in view stand in the document.

use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;
use leptos::web_sys;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::listing::Filter;
use super::super::playground::log::Row;
use super::frame_detail::FrameDetail;
use super::log_row::{LogRow, Shown};
use super::log_rows::Rows;
use super::log_tools::{Count, Tools};
use super::session::Banner;
use super::topics::Topics;

/// How near to its end the log counts as being at its end, in pixels.
const NEAR: i32 = 24;
/// Rows above one that is brought into view.
const ROOM_ABOVE: usize = 2;
/// Topics whose last value is shown.
const TOPICS: usize = 200;

/// The log.
#[component]
pub fn FrameLog(page: Page) -> impl IntoView {
    let latest = page.reading.latest;
    let pinned = Memo::new(move |_| page.shown().with(|p| p.log().pinned().cloned().collect()));
    view! {
        <section id="log" class="panel log-panel" tabindex="-1" aria-labelledby="log-title">
            <div class="panel-head">
                <h2 id="log-title">"Log"</h2>
                <p class="problem" role="status">
                    {move || page.reading.remark.get()}
                </p>
                <Count page />
                <Banner page />
            </div>
            <Tools page />
            <Pinned page pinned />
            {move || latest.get().then(|| view! { <Latest page /> })}
            <Frames page pinned />
            <FrameDetail page />
        </section>
    }
    .into_any()
}

/// The rows that pass the filter, as far as they are in view.
#[component]
fn Frames(page: Page, pinned: Memo<Vec<Arc<Row>>>) -> impl IntoView {
    let reading = page.reading;
    let (follow, first, listing) = (reading.follow, reading.first, reading.listing);
    let scroller = NodeRef::<html::Div>::new();
    let list = NodeRef::<html::Ol>::new();
    let height = move || browser::row_height(&*list.get_untracked()?);

    // What is read stays where it is when rows above it fall out.
    Effect::new(move |_| {
        let gone = page.list_new_rows();
        if gone > 0
            && !follow.get_untracked()
            && let (Some(log), Some(height)) = (scroller.get_untracked(), height())
        {
            first.update(|first| *first = first.saturating_sub(gone));
            log.set_scroll_top(log.scroll_top() - (gone as f64 * height).round() as i32);
        }
    });
    let window = Memo::new(move |_| {
        let first = (!follow.get()).then(|| first.get());
        listing.with(|listing| listing.window(first))
    });
    let all = Memo::new(move |_| listing.with(|listing| listing.len()));
    let rows: Memo<Vec<Arc<Row>>> = Memo::new(move |_| {
        page.with_log(|log| {
            listing.with(|listing| {
                let ids = listing.slice(window.get());
                ids.filter_map(|id| log.get(id).cloned()).collect()
            })
        })
    });
    Effect::new(move |_| {
        let (window, all) = (window.get(), all.get());
        if let Some(list) = list.get() {
            browser::lay_rows(&list, window.start, all);
        }
        if follow.get()
            && let Some(log) = scroller.get()
        {
            // The rows stand in the document by the next frame.
            request_animation_frame(move || log.set_scroll_top(log.scroll_height()));
        }
    });
    // Where the reader was: who moves up stops following, who moves down to the end goes on. A log that only
    // became higher or lower changes nothing.
    let last_top = StoredValue::new(0);
    let scrolled = move |_| {
        let (Some(log), Some(height)) = (scroller.get_untracked(), height()) else {
            return;
        };
        let top = log.scroll_top();
        let at_end = log.scroll_height() - top - log.client_height() < NEAR;
        let moved = top - last_top.get_value();
        last_top.set_value(top);
        let follows = if follow.get_untracked() {
            at_end || moved >= 0
        } else {
            at_end && moved > 0
        };
        first.maybe_update(|first| {
            let now = (f64::from(top) / height) as usize;
            std::mem::replace(first, now) != now
        });
        if follow.get_untracked() != follows {
            follow.set(follows);
        }
    };
    Effect::new(move |_| {
        let Some(id) = reading.sought.get() else {
            return;
        };
        reading.sought.set(None);
        // A row that the filter hides is seen below the log.
        let Some(place) = listing.with_untracked(|listing| listing.place(id)) else {
            return browser::focus("frame-detail");
        };
        let place = place.saturating_sub(ROOM_ABOVE);
        // All of a short log is in view anyway.
        let is_long = |log: web_sys::HtmlDivElement| log.scroll_height() > log.client_height();
        if scroller.get_untracked().is_some_and(is_long) {
            follow.set(false);
            first.set(place);
        }
        request_animation_frame(move || {
            if let (Some(log), Some(height)) = (scroller.get_untracked(), height()) {
                log.set_scroll_top((place as f64 * height).round() as i32);
            }
            // The rows there stand in the document by the frame after that.
            request_animation_frame(move || {
                browser::focus_row(id);
            });
        });
    });
    // The log is lower while a row is open; the row itself stays in view.
    Effect::new(move |_| {
        if let Some(id) = reading.opened.get() {
            request_animation_frame(move || browser::show_row(id));
        }
    });
    // One stop for the Tab key in the whole log; Up and Down go on from there.
    let stop = Memo::new(move |_| {
        listing.with(|listing| {
            let place = if follow.get() {
                listing.len().saturating_sub(1)
            } else {
                first.get() + 1
            };
            listing.at(place).unwrap_or_default()
        })
    });
    let live = move || {
        let quiet = page.shown().with(|p| p.flooded())
            || reading.held.with(Option::is_some)
            || !follow.get();
        if quiet { "off" } else { "polite" }
    };
    let label = move || {
        let window = window.get();
        format!(
            "Frames {} to {} of {}",
            window.start + 1,
            window.end,
            all.get()
        )
    };
    view! {
        <div
            class="log"
            id="log-rows"
            class:absent=move || reading.latest.get()
            role="log"
            aria-label="Live log"
            aria-live=live
            tabindex="0"
            node_ref=scroller
            on:scroll=scrolled
            on:keydown=move |ev| browser::focus_neighbour(&ev)
        >
            <p class="log-empty" class:absent=move || { all.get() > 0 }>
                {move || {
                    if reading.filter.with(Filter::is_open) {
                        "Every frame will stand here, in both directions, as it is on the wire."
                    } else {
                        "No frame passes the filter."
                    }
                }}
            </p>
            <ol class="rows window" node_ref=list aria-label=label>
                {move || {
                    page.alive
                        .get()
                        .then(|| view! { <Rows page log=scroller list rows stop pinned /> })
                }}
            </ol>
        </div>
    }
    .into_any()
}

/// The rows that stay in view.
#[component]
fn Pinned(page: Page, pinned: Memo<Vec<Arc<Row>>>) -> impl IntoView {
    let stop = Memo::new(move |_| pinned.with(|rows| rows.first().map_or(0, |row| row.id)));
    view! {
        <ol
            class="rows pinned"
            class:absent=move || pinned.with(Vec::is_empty)
            aria-label="Pinned frames"
            on:keydown=move |ev| browser::focus_neighbour(&ev)
        >
            <For each=move || pinned.get() key=|row| (row.id, row.link.is_some()) let:row>
                <LogRow page row=Shown(Signal::stored(Some(row))) stop pinned />
            </For>
        </ol>
    }
    .into_any()
}

/// The last value of each topic.
#[component]
fn Latest(page: Page) -> impl IntoView {
    let now = RwSignal::new(browser::now());
    browser::every_second(move || now.set(browser::now()));
    view! {
        <div class="latest">
            <Topics playground=untrack(|| page.shown()) now most=TOPICS />
        </div>
    }
    .into_any()
}
