//! What is composed, to take away: in another language, as a link, or under a name for later.

use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::kept::Library;
use super::super::playground::takeaway::Language;
use super::super::playground::text::visible;

/// The tool.
#[component]
pub fn TakeAway(page: Page) -> impl IntoView {
    view! {
        <section class="panel take-away" aria-labelledby="take-away-title">
            <h2 id="take-away-title">"Take it away"</h2>
            <Program page />
            <Link page />
            <Named page />
        </section>
    }
}

/// The composed message in a language.
#[component]
fn Program(page: Page) -> impl IntoView {
    let chosen = RwSignal::new(None);
    let language = Memo::new(move |_| chosen.get().unwrap_or_else(|| page.composed().language()));
    let written = Memo::new(move |_| page.composed().written_in(language.get()));
    let outcome = RwSignal::new(String::new());
    let choose = Language::ALL
        .map(|one| {
            view! {
                <button
                    type="button"
                    class="chip"
                    aria-pressed=move || (language.get() == one).to_string()
                    on:click=move |_| {
                        chosen.set(Some(one));
                        outcome.set(String::new());
                    }
                >
                    {one.name()}
                </button>
            }
        })
        .collect_view();
    let copy = move |_| {
        if let Ok(text) = written.get_untracked() {
            browser::copy(&text, move |ok| outcome.set(copied(ok).into()));
        }
    };
    let program = move || {
        let text = written.get().ok()?;
        Some(view! {
            <pre class="example" tabindex="0" role="region" aria-label="Program">
                {shown(&text)}
            </pre>
        })
    };
    view! {
        <div class="chips" role="group" aria-label="Language">
            {choose}
        </div>
        {program}
        <p class="hint">
            {move || written.get().map_or_else(|why| why, |_| language.get().needs())}
        </p>
        <div class="send-row">
            <button
                type="button"
                id="copy-program"
                class="small"
                disabled=move || written.with(Result::is_err)
                on:click=copy
            >
                "Copy program"
            </button>
            <span class="outcome" role="status">
                {move || outcome.get()}
            </span>
        </div>
    }
}

/// A text of several lines as it may be shown.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(visible).collect();
    lines.join("\n")
}

fn copied(ok: bool) -> &'static str {
    if ok {
        "Copied."
    } else {
        "This browser does not let the page copy."
    }
}

/// A link to the page with this message.
#[component]
fn Link(page: Page) -> impl IntoView {
    let outcome = RwSignal::new(String::new());
    let copy = move |_| match untrack(move || page.link()) {
        Some((link, left_out)) => browser::copy(&link, move |ok| {
            outcome.set(match left_out {
                Some(words) if ok => format!("{} {words}", copied(ok)),
                _ => copied(ok).into(),
            });
        }),
        None => outcome.set("This is too long for a link: save it under a name instead.".into()),
    };
    view! {
        <div class="send-row">
            <button type="button" id="copy-link" class="small" on:click=copy>
                "Copy link"
            </button>
            <span class="hint">
                "Opens this page with the same message. No token goes along, and nothing is sent by itself."
            </span>
            <span class="outcome" role="status">
                {move || outcome.get()}
            </span>
        </div>
    }
}

/// Messages under names.
#[component]
fn Named(page: Page) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let outcome = RwSignal::new(String::new());
    let names = Memo::new(move |_| {
        let own = |library: &Library| library.names().rev().map(ToOwned::to_owned).collect();
        page.library.with(own)
    });
    let save = move || match page.keep_as(&name.get_untracked()) {
        Ok(words) => {
            outcome.set(words);
            name.set(String::new());
        }
        Err(why) => outcome.set(why),
    };
    let one = move |title: String| {
        let (take, forget) = (title.clone(), title.clone());
        let label = visible(&title).into_owned();
        view! {
            <li>
                <button type="button" class="chip" on:click=move |_| page.take_out(&take)>
                    {label.clone()}
                </button>
                <button
                    type="button"
                    class="small"
                    aria-label=format!("Delete {label}")
                    on:click=move |_| {
                        page.forget(&forget);
                        browser::focus("save-as");
                    }
                >
                    "×"
                </button>
            </li>
        }
    };
    view! {
        <div class="send-row">
            <label for="save-as">"Save as"</label>
            <input
                id="save-as"
                type="text"
                autocomplete="off"
                maxlength="60"
                prop:value=move || name.get()
                on:input=move |ev| name.set(event_target_value(&ev))
                on:keydown=move |ev| {
                    if ev.key() == "Enter" {
                        ev.prevent_default();
                        save();
                    }
                }
            />
            <button type="button" class="small" on:click=move |_| save()>
                "Save"
            </button>
            <span class="outcome" role="status">
                {move || outcome.get()}
            </span>
        </div>
        <ul class="named" aria-label="Saved messages" class:absent=move || names.with(Vec::is_empty)>
            <For each=move || names.get() key=Clone::clone let:title>
                {one(title)}
            </For>
        </ul>
    }
}
