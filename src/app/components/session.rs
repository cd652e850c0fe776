//! The log as a file: saved, read again and shown in its place, and sent again.

use leptos::ev::DragEvent;
use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::replaying::{Replay, Speed};
use super::super::playground::text::visible;

/// The file chooser, which its button presses.
const CHOOSER: &str = "session-file";

/// The tool.
#[component]
pub fn Session(page: Page) -> impl IntoView {
    let over = RwSignal::new(false);
    let hover = move |ev: DragEvent, is_over: bool| {
        ev.prevent_default();
        over.set(is_over);
    };
    let take = move |name, text| page.import(name, text);
    let failed = Memo::new(move |_| page.imported.outcome.with(Result::is_err));
    let drop = move |ev: DragEvent| {
        browser::read_dropped(&ev, take);
        hover(ev, false);
    };
    view! {
        <section
            class="panel tool session"
            class:over=move || over.get()
            aria-labelledby="session-title"
            on:dragover=move |ev| hover(ev, true)
            on:dragleave=move |ev| hover(ev, false)
            on:drop=drop
        >
            <h2 id="session-title">"Session file"</h2>
            <p class="hint">
                "The log as a file, a row a line (NDJSON). Tokens are left out; whatever else the frames say is in it. To import one, choose it or drop it here: nothing is sent to the gateway."
            </p>
            <div class="send-row">
                <button
                    type="button"
                    id="export-log"
                    class="small"
                    on:click=move |_| page.export()
                >
                    "Export log"
                </button>
                <button
                    type="button"
                    id="import-session"
                    class="small"
                    on:click=move |_| browser::press(CHOOSER)
                >
                    "Import a session"
                </button>
                <input
                    id=CHOOSER
                    type="file"
                    class="absent"
                    aria-label="Session file"
                    accept=".ndjson,.jsonl,application/x-ndjson"
                    on:change=move |ev| browser::read_chosen(&ev, take)
                />
                <span
                    role="status"
                    class=move || if failed.get() { "problem" } else { "outcome" }
                >
                    {move || page.imported.outcome.get().unwrap_or_else(|why| why)}
                </span>
            </div>
            {move || page.is_imported().then(|| view! { <Again page /> })}
            <Outcome page />
        </section>
    }
}

/// What sends the imported session again.
#[component]
fn Again(page: Page) -> impl IntoView {
    let imported = page.imported;
    let speeds = Speed::ALL
        .map(|speed| {
            view! {
                <button
                    type="button"
                    class="chip"
                    aria-pressed=move || (imported.speed.get() == speed).to_string()
                    on:click=move |_| imported.speed.set(speed)
                >
                    {speed.name()}
                </button>
            }
        })
        .collect_view();
    view! {
        <h3>"Replay"</h3>
        <p class="hint">
            "What the session sent is sent again by this page's clients of the same letters. They must be set up before: frames with a token are not replayed, nor the topics of a setup subscribed."
        </p>
        <div class="send-row">
            <div class="chips" role="group" aria-label="Speed">
                {speeds}
            </div>
            <label class="check">
                <input
                    type="checkbox"
                    prop:checked=move || imported.renew.get()
                    on:change=move |ev| imported.renew.set(event_target_checked(&ev))
                />
                "New Message IDs"
            </label>
            <button
                type="button"
                id="replay"
                class="small"
                disabled=move || imported.is_replaying()
                on:click=move |_| page.replay_session()
            >
                "Replay"
            </button>
        </div>
        <p class="hint">
            "With the old ones the gateway takes a publish of the same user within its dedup window for a duplicate."
        </p>
    }
}

/// How far a replay is, and what was answered otherwise.
#[component]
fn Outcome(page: Page) -> impl IntoView {
    let imported = page.imported;
    let on = Memo::new(move |_| imported.is_replaying());
    let words = Memo::new(move |_| {
        imported
            .replay
            .with(|replay| replay.as_ref().map(Replay::words))
    });
    let differences = Memo::new(move |_| {
        imported
            .replay
            .with(|replay| replay.as_ref().map_or_else(Vec::new, Replay::differences))
    });
    view! {
        <div class="send-row" class:absent=move || words.with(Option::is_none)>
            <p class="outcome" role="status">
                {move || words.get()}
            </p>
            <button
                type="button"
                class="small"
                class:absent=move || !on.get()
                on:click=move |_| page.stop_replay()
            >
                "Stop replay"
            </button>
            // The log shows the file; what is sent and answered stands in the live one.
            <button
                type="button"
                class="small"
                class:absent=move || !page.is_imported()
                on:click=move |_| page.leave_session()
            >
                "See it in the live log"
            </button>
        </div>
        <ul class="differences" aria-label="Answered otherwise" class:absent=move || differences.with(Vec::is_empty)>
            {move || {
                differences
                    .get()
                    .into_iter()
                    .map(|words| view! { <li>{visible(&words).into_owned()}</li> })
                    .collect_view()
            }}
        </ul>
    }
}

/// Says in the log that it is an imported session, and leaves that.
#[component]
pub fn Banner(page: Page) -> impl IntoView {
    let words = move || {
        let name = page.imported.name.get().unwrap_or_default();
        let about = page.imported.about.get();
        let mut words = format!("Imported session {}, read-only", visible(&name));
        if !about.is_empty() {
            words.push_str(&format!(": {}", visible(&about)));
        }
        words.push('.');
        words
    };
    view! {
        <div class="notice session-banner" class:absent=move || !page.is_imported()>
            <p role="status">{move || page.is_imported().then(words)}</p>
            <button type="button" class="small" on:click=move |_| page.leave_session()>
                "Back to the live log"
            </button>
        </div>
    }
}
