//! What stands above the log: how much of it is shown, and what is shown.

use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::client::ClientId;
use super::super::playground::log::Way;
use super::super::playground::text::visible;

/// How much is shown, kept and gone.
#[component]
pub fn Count(page: Page) -> impl IntoView {
    let words = move || {
        let shown = page.reading.listing.with(|listing| listing.len());
        let mut words = page.with_log(|log| {
            let mut words = format!("{shown} of {} rows", log.len());
            if log.dropped() > 0 {
                words.push_str(&format!(", {} older dropped", log.dropped()));
            }
            words
        });
        page.reading.held.with(|held| {
            if let Some(held) = held {
                let last = page.shown().with(|p| p.log().last_id());
                let new = last.saturating_sub(held.last_id());
                words.push_str(&format!(", paused: {new} new"));
            }
        });
        words
    };
    view! { <p class="count">{words}</p> }
}

/// The filter and the buttons.
#[component]
pub fn Tools(page: Page) -> impl IntoView {
    let reading = page.reading;
    let filter = reading.filter;
    let ids = Memo::new(move |_| page.shown().with(|p| p.ids().collect::<Vec<_>>()));
    let clients = move || {
        let all = ids.get().into_iter();
        all.map(|id| (id.letter().to_owned(), format!("Client {}", id.letter())))
            .collect()
    };
    let ways = || {
        Way::ALL
            .map(|way| (way.word().to_owned(), way.title().to_owned()))
            .into()
    };
    let names = |names: &std::collections::BTreeSet<String>| {
        let words = |name: &String| (name.clone(), visible(name).into_owned());
        names.iter().map(words).collect()
    };
    let kinds = Memo::new(move |_| page.shown().with(|p| names(p.log().kinds())));
    let topics = Memo::new(move |_| page.shown().with(|p| names(p.log().topics())));
    view! {
        <div class="log-tools" role="group" aria-label="Log tools">
            <span class="log-filter" class:absent=move || ids.with(Vec::len) < 2>
                <Choice
                    label="Filter by client"
                    all="All clients"
                    options=Signal::derive(clients)
                    chosen=Signal::derive(move || {
                        filter.with(|f| f.client.map_or("", ClientId::letter).to_owned())
                    })
                    choose=Callback::new(move |letter: String| {
                        reading.narrow(|f| f.client = ClientId::from_letter(&letter));
                    })
                />
            </span>
            <Choice
                label="Filter by direction"
                all="Both directions"
                options=Signal::derive(ways)
                chosen=Signal::derive(move || filter.with(|f| f.way.map_or("", Way::word).to_owned()))
                choose=Callback::new(move |word: String| {
                    reading.narrow(|f| f.way = Way::ALL.into_iter().find(|way| way.word() == word));
                })
            />
            <Choice
                label="Filter by type"
                all="All types"
                options=kinds.into()
                chosen=Signal::derive(move || filter.with(|f| f.kind.clone()))
                choose=Callback::new(move |kind| reading.narrow(|f| f.kind = kind))
            />
            <Choice
                label="Filter by topic"
                all="All topics"
                options=topics.into()
                chosen=Signal::derive(move || filter.with(|f| f.topic.clone()))
                choose=Callback::new(move |topic| reading.narrow(|f| f.topic = topic))
            />
            <Search page />
            <Buttons page />
        </div>
    }
    .into_any()
}

/// A list of what can pass. Its options are told by their value and their words.
#[component]
fn Choice(
    label: &'static str,
    all: &'static str,
    options: Signal<Vec<(String, String)>>,
    chosen: Signal<String>,
    choose: Callback<String>,
) -> impl IntoView {
    view! {
        <select
            aria-label=label
            prop:value=move || chosen.get()
            on:change=move |ev| choose.run(event_target_value(&ev))
        >
            <option value="">{all}</option>
            <For each=move || options.get() key=Clone::clone let((value, words))>
                <option value=value>{words}</option>
            </For>
        </select>
    }
    .into_any()
}

/// What is looked for in the frames.
#[component]
fn Search(page: Page) -> impl IntoView {
    let reading = page.reading;
    let wrong = move || reading.wrong.with(|wrong| !wrong.is_empty());
    view! {
        <span class="log-search">
            <input
                type="text"
                aria-label="Filter by text"
                placeholder="Text in the frame"
                maxlength="200"
                spellcheck="false"
                autocapitalize="off"
                aria-describedby="log-wrong"
                aria-invalid=move || wrong().then_some("true")
                prop:value=move || reading.filter.with(|f| f.text.clone())
                on:input=move |ev| {
                    let text = event_target_value(&ev);
                    reading.narrow(|f| f.text = text);
                }
            />
            <label class="check">
                <input
                    type="checkbox"
                    prop:checked=move || reading.filter.with(|f| f.regex)
                    on:change=move |ev| {
                        let regex = event_target_checked(&ev);
                        reading.narrow(|f| f.regex = regex);
                    }
                />
                "Regex"
            </label>
        </span>
        <p class="problem" class:absent=move || !wrong() id="log-wrong" role="status">
            {move || {
                wrong()
                    .then(|| {
                        let why = reading.wrong.get();
                        format!("Not a regular expression: {why}. Mend it; until then any text passes.")
                    })
            }}
        </p>
    }
    .into_any()
}

#[component]
fn Buttons(page: Page) -> impl IntoView {
    let reading = page.reading;
    view! {
        <span class="log-buttons">
            <label class="check">
                <input
                    type="checkbox"
                    prop:checked=move || reading.follow.get()
                    on:change=move |ev| reading.follow.set(event_target_checked(&ev))
                />
                "Follow"
            </label>
            <button
                type="button"
                class="small"
                aria-pressed=move || reading.latest.get().to_string()
                on:click=move |_| reading.latest.update(|latest| *latest = !*latest)
            >
                "Last values"
            </button>
            <button
                type="button"
                class="small"
                aria-pressed=move || reading.held.with(Option::is_some).to_string()
                on:click=move |_| page.toggle_pause()
            >
                "Pause"
            </button>
            <button
                type="button"
                class="small"
                disabled=move || page.is_imported()
                on:click=move |_| page.clear_log()
            >
                "Clear"
            </button>
        </span>
    }
    .into_any()
}
