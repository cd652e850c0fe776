//! One row of the log. What came over the wire is only ever text here.

use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::log::{Link, Row, Tone, Way};
use super::super::playground::text::{clock, span, visible, visible_to};
use crate::protocol::ErrorCode;

/// Characters of a frame that a row has room for; the whole frame is seen when the row is opened.
const SHOWN: usize = 400;

/// The row that is shown in a place, if one is.
#[derive(Clone, Copy)]
pub struct Shown(pub Signal<Option<Arc<Row>>>);

impl Shown {
    fn map<T>(self, look: impl FnOnce(&Row) -> T) -> Option<T> {
        self.0.with(|row| row.as_deref().map(look))
    }

    fn id(self) -> Option<u64> {
        self.map(|row| row.id)
    }

    /// What to do with the row that is shown when a button is pressed.
    fn on<E>(self, act: impl Fn(&Arc<Row>) + 'static) -> impl Fn(E) + 'static {
        move |_| {
            if let Some(row) = self.0.get_untracked() {
                act(&row);
            }
        }
    }
}

/// A place in which one row after the other is shown, each as high as every other. Everything in it is
/// there from the start, since thousands of rows a second go through. `stop` is the row that the Tab key
/// goes to.
#[component]
pub fn LogRow(
    page: Page,
    row: Shown,
    stop: Memo<u64>,
    pinned: Memo<Vec<Arc<Row>>>,
    #[prop(optional)] element: NodeRef<html::Li>,
) -> impl IntoView {
    let tabindex = Memo::new(move |_| match row.id() {
        Some(id) if id == stop.get() => "0",
        _ => "-1",
    });
    let open = Memo::new(move |_| row.id().is_some() && row.id() == page.reading.opened.get());
    let tone = |row: &Row| match row.tone {
        Tone::Plain => "plain",
        Tone::Notable => "notable",
        Tone::Trouble => "trouble",
    };
    let link = Signal::derive(move || row.map(|row| Some((row.way, row.link?))).flatten());
    let code = Signal::derive(move || row.map(|row| row.code).flatten());
    let kind = move || row.map(|row| visible(&row.kind).into_owned());
    let topic = move || row.map(|row| Some(visible(row.topic.as_deref()?).into_owned()));
    view! {
        <li
            node_ref=element
            class="row"
            class:open=move || open.get()
            class:mended=move || code.get().is_some()
            data-row=move || row.id()
            data-client=move || row.map(|row| row.client.letter())
            data-way=move || row.map(|row| row.way.word())
            data-tone=move || row.map(tone)
            data-type=move || row.map(|row| row.kind.clone())
        >
            <div class="row-head">
                <span class="row-way">
                    <span class="arrow" aria-hidden="true">
                        {move || row.map(|row| row.way.arrow())}
                    </span>
                    <span class="way-word">{move || row.map(|row| row.way.word())}</span>
                </span>
                <span class="row-client">
                    <span class="visually-hidden">"client "</span>
                    {move || row.map(|row| row.client.letter())}
                </span>
                <time class="row-time">
                    {move || row.map(|row| clock(row.at, browser::minutes_east()))}
                </time>
                <button
                    type="button"
                    class="row-type"
                    data-act="open"
                    tabindex=move || tabindex.get()
                    aria-label=move || {
                        row.map(|row| format!("Open frame {}: {}", row.id, visible(&row.kind)))
                    }
                    aria-expanded=move || open.get().to_string()
                    on:click=row.on(move |row| page.toggle_row(row.id))
                >
                    {kind}
                </button>
                <span class="row-topic" class:absent=move || topic().flatten().is_none()>
                    {move || topic().flatten()}
                </span>
                <span class="row-side">
                    {move || row.map(|row| format!("#{} ", row.id))}
                    <LinkButton page link tabindex />
                    <Acts page row pinned tabindex />
                </span>
            </div>
            <pre class="row-text" on:click=row.on(move |row| page.toggle_row(row.id))>
                {move || row.map(|row| visible_to(&row.text, SHOWN).into_owned())}
            </pre>
            <Mend code />
        </li>
    }
    .into_any()
}

/// What can be done with a row.
#[component]
fn Acts(
    page: Page,
    row: Shown,
    pinned: Memo<Vec<Arc<Row>>>,
    tabindex: Memo<&'static str>,
) -> impl IntoView {
    let label = move |verb| row.id().map(|id| format!("{verb} frame {id}"));
    let copied = RwSignal::new(None);
    let copy = move |row: &Arc<Row>| {
        let id = row.id;
        browser::copy(&row.text, move |ok| copied.set(Some((id, ok))));
    };
    let copied = move || copied.get().filter(|(id, _)| Some(*id) == row.id());
    let is_sent = move || row.map(|row| row.way == Way::Sent) == Some(true);
    let again = move |row: &Arc<Row>| page.repeat(row);
    let is_pinned = move |id| pinned.with(|all| all.iter().any(|row| row.id == id));
    let pin = Memo::new(move |_| match row.id() {
        Some(id) if is_pinned(id) => "Unpin",
        _ => "Pin",
    });
    view! {
        <span class="row-acts">
            <button
                type="button"
                class="row-act"
                class:absent=move || !is_sent() || page.is_imported()
                data-act="again"
                tabindex=move || tabindex.get()
                aria-label=move || label("Repeat")
                on:click=row.on(again)
            >
                "Repeat"
            </button>
            <button
                type="button"
                class="row-act"
                data-act="pin"
                tabindex=move || tabindex.get()
                aria-label=move || label(pin.get())
                on:click=row.on(move |row| page.toggle_pin(row))
            >
                {move || pin.get()}
            </button>
            <button
                type="button"
                class="row-act"
                data-act="copy"
                tabindex=move || tabindex.get()
                aria-label=move || label("Copy")
                on:click=row.on(copy)
            >
                {move || match copied() {
                    None => "Copy",
                    Some((_, true)) => "Copied",
                    Some((_, false)) => "No clipboard",
                }}
            </button>
        </span>
    }
    .into_any()
}

/// The request or the answer of a row that went this way, and the way to it.
#[component]
pub fn LinkButton(
    page: Page,
    #[prop(into)] link: Signal<Option<(Way, Link)>>,
    #[prop(into)] tabindex: Signal<&'static str>,
) -> impl IntoView {
    let words = |(way, link): (Way, Link)| {
        let verb = if way == Way::Sent {
            "answered by"
        } else {
            "answers"
        };
        format!("{verb} #{} after {}", link.row, span(link.ms))
    };
    let go = move |_| {
        if let Some((_, link)) = link.get_untracked() {
            page.go_to_row(link.row);
        }
    };
    view! {
        <button
            type="button"
            class="row-act row-link"
            class:absent=move || link.get().is_none()
            data-act="link"
            tabindex=move || tabindex.get()
            on:click=go
        >
            {move || link.get().map(words)}
        </button>
    }
    .into_any()
}

/// What mends an error, and where it is told of.
#[component]
pub fn Mend(#[prop(into)] code: Signal<Option<ErrorCode>>) -> impl IntoView {
    view! {
        <p class="mend" class:absent=move || code.get().is_none()>
            {move || code.get().map(ErrorCode::mend)} " "
            <a href=move || {
                code.get().map(|code| format!("#error-{}", code.as_str()))
            }>{move || code.get().map(ErrorCode::as_str)}</a>
        </p>
    }
    .into_any()
}
