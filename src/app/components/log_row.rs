//! One row of the log. What came over the wire is only ever text here.

use std::sync::Arc;

use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::log::{Row, Tone, Way};
use super::super::playground::text::{clock, span, visible};

/// One row.
#[component]
#[expect(
    clippy::needless_pass_by_value,
    reason = "a component owns its properties"
)]
pub fn LogRow(page: Page, row: Arc<Row>, newest: Memo<u64>) -> impl IntoView {
    let (id, client) = (row.id, row.client);
    // One stop for the Tab key in the whole log; Up and Down go on from there.
    let tabindex = Memo::new(move |_| if newest.get() == id { "0" } else { "-1" });
    let tone = match row.tone {
        Tone::Plain => "plain",
        Tone::Notable => "notable",
        Tone::Trouble => "trouble",
    };
    let link = row.link.map(|link| {
        let verb = if row.way == Way::Sent {
            "answered by"
        } else {
            "answers"
        };
        format!("{verb} #{} after {}", link.row, span(link.ms))
    });
    let mend = row.code.map(|code| {
        view! {
            <p class="mend">
                {code.mend()} " " <a href=format!("#error-{}", code.as_str())>{code.as_str()}</a>
            </p>
        }
    });
    let topic = row
        .topic
        .as_deref()
        .map(|topic| visible(topic).into_owned());
    let copied = RwSignal::new(None);
    let text = row.text.clone();
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
    view! {
        <li class="row" data-client=client.letter() data-way=row.way.word() data-tone=tone data-type=row.kind.clone()>
            <span class="row-way">
                <span class="arrow" aria-hidden="true">{row.way.arrow()}</span>
                {row.way.word()}
            </span>
            <span class="row-client">
                <span class="visually-hidden">"client "</span>
                {client.letter()}
            </span>
            <time class="row-time">{clock(row.at, browser::minutes_east())}</time>
            <span class="row-type">{row.kind.clone()}</span>
            {topic.map(|topic| view! { <span class="row-topic">{topic}</span> })}
            <span class="row-link">{format!("#{id} ")} {link}</span>
            <span class="row-acts">
                {again}
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
            <pre class="row-text">{visible(&row.text).into_owned()}</pre>
            {mend}
        </li>
    }
}
