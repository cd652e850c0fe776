//! The frame being composed: type, fields, and the text that goes out.

use leptos::ev::{KeyboardEvent, SubmitEvent};
use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::draft::{Draft, in_view, kinds};
use super::field::Field;
use crate::protocol::reference::FieldDoc;

/// The composer.
#[component]
pub fn Composer(page: Page) -> impl IntoView {
    let kind = Memo::new(move |_| page.desk().draft.with(|draft| draft.kind().name));
    let summary = move || page.desk().draft.with(|draft| draft.kind().summary);
    let fields = move |seen: bool| {
        kind.track();
        let fields = page
            .desk_now()
            .draft
            .with_untracked(|draft| draft.kind().fields);
        fields
            .iter()
            .filter(|f| in_view(f) == seen)
            .collect::<Vec<&FieldDoc>>()
    };
    let folded = Memo::new(move |_| !fields(false).is_empty());
    let submit = move |ev: SubmitEvent| {
        ev.prevent_default();
        page.send(page.active.get_untracked());
    };
    let shortcut = move |ev: KeyboardEvent| {
        if ev.key() == "Enter" && (ev.ctrl_key() || ev.meta_key()) {
            ev.prevent_default();
            page.send(page.active.get_untracked());
        }
    };
    view! {
        <section class="panel" aria-labelledby="compose-title">
            <h2 id="compose-title">"Compose"</h2>
            <form class="composer" on:submit=submit on:keydown=shortcut>
                <div class="field">
                    <label for="message">"Message"</label>
                    <select
                        id="message"
                        aria-describedby="message-hint"
                        prop:value=move || kind.get()
                        on:change=move |ev| page.choose(&event_target_value(&ev))
                    >
                        {kinds()
                            .map(|kind| view! { <option value=kind.name>{kind.name}</option> })
                            .collect_view()}
                    </select>
                    <p class="hint" id="message-hint">
                        {summary}
                    </p>
                </div>
                <For each=move || fields(true) key=|field| field.name let:field>
                    <Field page field />
                </For>
                <details class="more" class:absent=move || !folded.get()>
                    <summary>"More fields"</summary>
                    <For each=move || fields(false) key=|field| field.name let:field>
                        <Field page field />
                    </For>
                </details>
                <FrameText page />
                <SendRow page />
            </form>
        </section>
    }
}

/// The frame as text. It follows the fields until it is edited by hand.
#[component]
fn FrameText(page: Page) -> impl IntoView {
    let by_hand = Memo::new(move |_| page.desk().edited.with(Option::is_some));
    let problem = Memo::new(move |_| page.desk().edited_problem());
    let words = move || {
        problem
            .get()
            .map(|words| format!("The gateway will refuse this: {words}."))
    };
    view! {
        <div class="field">
            <label for="frame">"Frame"</label>
            <textarea
                id="frame"
                class="frame-text"
                rows="3"
                spellcheck="false"
                autocapitalize="off"
                aria-describedby="frame-hint frame-problem"
                aria-invalid=move || problem.with(Option::is_some).then_some("true")
                prop:value=move || page.desk().frame()
                on:input=move |ev| {
                    page.desk_now().refusal.set(String::new());
                    page.desk_now().edited.set(Some(event_target_value(&ev)));
                }
            ></textarea>
            <p class="problem" id="frame-problem" aria-live="polite">
                {words}
            </p>
            <p class="hint" id="frame-hint">
                {move || {
                    if by_hand.get() {
                        "Edited by hand: goes out exactly as it stands, good or bad."
                    } else {
                        "What goes out. Edit it to try anything, bad frames too."
                    }
                }}
            </p>
            <Show when=move || by_hand.get()>
                <button
                    type="button"
                    class="small"
                    on:click=move |_| {
                        page.desk_now().edited.set(None);
                        super::super::browser::focus("frame");
                    }
                >
                    "Back to the fields"
                </button>
            </Show>
        </div>
    }
}

#[component]
fn SendRow(page: Page) -> impl IntoView {
    let doubtful = Memo::new(move |_| {
        page.desk().edited.with(Option::is_none)
            && page.desk().draft.with(Draft::first_problem).is_some()
    });
    // Where the log is out of sight, its last row in a line.
    let latest = move || {
        page.playground.with(|p| {
            p.log().get(p.log().last_id()).map_or_else(
                || "Go to the log".to_owned(),
                |row| format!("{} {} #{} in the log", row.way.arrow(), row.kind, row.id),
            )
        })
    };
    view! {
        <div class="send-row">
            <p class="refusal" role="status">
                {move || page.desk().refusal.get()}
            </p>
            <button type="submit" id="send" class="primary" aria-keyshortcuts="Control+Enter">
                "Send"
            </button>
            <Show when=move || doubtful.get()>
                <button type="button" on:click=move |_| page.send_anyway(page.active.get_untracked())>
                    "Send anyway"
                </button>
            </Show>
            <span class="hint shortcut">
                <kbd>"Ctrl"</kbd>
                "+"
                <kbd>"Enter"</kbd>
            </span>
            <a class="to-log" href="#log">
                {latest}
            </a>
        </div>
    }
}
