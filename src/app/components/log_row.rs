//! One row of the log. What came over the wire is only ever text here.

use std::sync::Arc;

use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::log::{Link, Row, Tone, Way};
use super::super::playground::text::{clock, span, visible, visible_to};
use crate::protocol::ErrorCode;

/// Characters of a frame that a row has room for; the whole frame is seen when the row is opened.
const SHOWN: usize = 400;

/// One row, as high as every other. `stop` is the row that the Tab key goes to.
#[component]
#[expect(
    clippy::needless_pass_by_value,
    reason = "a component owns its properties"
)]
pub fn LogRow(page: Page, row: Arc<Row>, stop: Memo<u64>) -> impl IntoView {
    let (id, client) = (row.id, row.client);
    let tabindex = Memo::new(move |_| if stop.get() == id { "0" } else { "-1" });
    let open = Memo::new(move |_| page.reading.opened.get() == Some(id));
    let tone = match row.tone {
        Tone::Plain => "plain",
        Tone::Notable => "notable",
        Tone::Trouble => "trouble",
    };
    let topic = row
        .topic
        .as_deref()
        .map(|topic| visible(topic).into_owned());
    let kind = visible(&row.kind).into_owned();
    view! {
        <li
            class="row"
            class:open=move || open.get()
            data-row=id
            data-client=client.letter()
            data-way=row.way.word()
            data-tone=tone
            data-type=row.kind.clone()
        >
            <div class="row-head">
                <span class="row-way">
                    <span class="arrow" aria-hidden="true">{row.way.arrow()}</span>
                    <span class="way-word">{row.way.word()}</span>
                </span>
                <span class="row-client">
                    <span class="visually-hidden">"client "</span>
                    {client.letter()}
                </span>
                <time class="row-time">{clock(row.at, browser::minutes_east())}</time>
                <button
                    type="button"
                    class="row-type"
                    data-act="open"
                    tabindex=move || tabindex.get()
                    aria-label=format!("Open frame {id}: {kind}")
                    aria-expanded=move || open.get().to_string()
                    on:click=move |_| page.toggle_row(id)
                >
                    {kind.clone()}
                </button>
                {topic.map(|topic| view! { <span class="row-topic">{topic}</span> })}
                <span class="row-side">
                    {format!("#{id} ")}
                    {row.link.map(|link| view! { <LinkButton page way=row.way link tabindex /> })}
                    <Acts page row=Arc::clone(&row) tabindex />
                </span>
            </div>
            <pre class="row-text" on:click=move |_| page.toggle_row(id)>
                {visible_to(&row.text, SHOWN).into_owned()}
            </pre>
            {row.code.map(|code| view! { <Mend code /> })}
        </li>
    }
    .into_any()
}

/// What can be done with a row.
#[component]
fn Acts(page: Page, row: Arc<Row>, tabindex: Memo<&'static str>) -> impl IntoView {
    let (id, client) = (row.id, row.client);
    let copied = RwSignal::new(None);
    let text = Arc::clone(&row.text);
    let copy = move |_| browser::copy(&text, move |ok| copied.set(Some(ok)));
    let again = (row.way == Way::Sent && !untrack(|| page.is_imported())).then(|| {
        let text = row.text.to_string();
        view! {
            <button
                type="button"
                class="row-act"
                data-act="again"
                tabindex=move || tabindex.get()
                aria-label=format!("Repeat frame {id}")
                on:click=move |_| page.put(client, text.clone())
            >
                "Repeat"
            </button>
        }
    });
    let pinned = Memo::new(move |_| page.shown().with(|p| p.log().is_pinned(id)));
    view! {
        <span class="row-acts">
            {again}
            <button
                type="button"
                class="row-act"
                data-act="pin"
                tabindex=move || tabindex.get()
                aria-label=move || {
                    let verb = if pinned.get() { "Unpin" } else { "Pin" };
                    format!("{verb} frame {id}")
                }
                on:click=move |_| page.toggle_pin(&row)
            >
                {move || if pinned.get() { "Unpin" } else { "Pin" }}
            </button>
            <button
                type="button"
                class="row-act"
                data-act="copy"
                tabindex=move || tabindex.get()
                aria-label=format!("Copy frame {id}")
                on:click=copy
            >
                {move || match copied.get() {
                    None => "Copy",
                    Some(true) => "Copied",
                    Some(false) => "No clipboard",
                }}
            </button>
        </span>
    }
    .into_any()
}

/// The request or the answer of a row, and the way to it.
#[component]
pub fn LinkButton(
    page: Page,
    way: Way,
    link: Link,
    #[prop(into)] tabindex: Signal<&'static str>,
) -> impl IntoView {
    let verb = if way == Way::Sent {
        "answered by"
    } else {
        "answers"
    };
    view! {
        <button
            type="button"
            class="row-act row-link"
            data-act="link"
            tabindex=move || tabindex.get()
            on:click=move |_| page.go_to_row(link.row)
        >
            {format!("{verb} #{} after {}", link.row, span(link.ms))}
        </button>
    }
    .into_any()
}

/// What mends an error, and where it is told of.
#[component]
pub fn Mend(code: ErrorCode) -> impl IntoView {
    view! {
        <p class="mend">
            {code.mend()} " " <a href=format!("#error-{}", code.as_str())>{code.as_str()}</a>
        </p>
    }
    .into_any()
}
