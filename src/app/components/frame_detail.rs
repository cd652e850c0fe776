//! A row of the log shown whole, below the log: what it is, its JSON as a tree or as it was on the wire.

use std::sync::Arc;

use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::json::{Kind, Value, tree};
use super::super::playground::log::Row;
use super::super::playground::text::{clock, visible, visible_to};
use super::log_row::{LinkButton, Mend};

/// Characters of the raw text that are shown; copying always takes all.
const RAW: usize = 65_536;
/// Levels of the tree that are unfolded at first.
const UNFOLDED: usize = 3;
/// Values in one place above which it is folded at first.
const MANY: usize = 50;

/// The row that is open.
#[component]
pub fn FrameDetail(page: Page) -> impl IntoView {
    let raw = RwSignal::new(false);
    // It stays when the log drops it.
    let row: Memo<Option<Arc<Row>>> = Memo::new(move |last: Option<&Option<Arc<Row>>>| {
        let id = page.reading.opened.get()?;
        let last = last.and_then(Option::as_ref).filter(|row| row.id == id);
        // What was found is as it is now, though the log may be paused.
        let live = page.shown().with(|p| p.log().get(id).cloned());
        live.or_else(|| page.with_log(|log| log.get(id).cloned()))
            .or_else(|| last.cloned())
    });
    move || row.get().map(|row| whole(page, &row, raw))
}

fn whole(page: Page, row: &Arc<Row>, raw: RwSignal<bool>) -> AnyView {
    let id = row.id;
    let close = move |_| {
        page.toggle_row(id);
        if !browser::focus_row(id) {
            browser::focus("log-rows");
        }
    };
    let topic = row.topic.as_deref().map(visible);
    let about = format!(
        "{} by client {} at {}, {} bytes{}",
        row.way.word(),
        row.client.letter(),
        clock(row.at, browser::minutes_east()),
        row.text.len(),
        topic.map_or_else(String::new, |topic| format!(", topic {topic}")),
    );
    let text = Arc::clone(&row.text);
    let body = move || match tree(&text) {
        Some(value) if !raw.get() => view! {
            <ul class="tree">{item(None, &value, 0)}</ul>
        }
        .into_any(),
        _ => view! { <pre class="raw">{visible_to(&text, RAW).into_owned()}</pre> }.into_any(),
    };
    let is_json = tree(&row.text).is_some();
    view! {
        <section class="detail" id="frame-detail" tabindex="-1" aria-label=format!("Frame {id}")>
            <div class="detail-head">
                <h3>{format!("#{id} ")} {visible(&row.kind).into_owned()}</h3>
                <p class="hint">{about}</p>
                <LinkButton page link=row.link.map(|link| (row.way, link)) tabindex="0" />
                <span class="row-acts">
                    {is_json
                        .then(|| {
                            view! {
                                <button
                                    type="button"
                                    class="small"
                                    aria-pressed=move || raw.get().to_string()
                                    on:click=move |_| raw.update(|raw| *raw = !*raw)
                                >
                                    "Raw text"
                                </button>
                            }
                        })}
                    <button type="button" class="small" aria-label=format!("Close frame {id}") on:click=close>
                        "Close"
                    </button>
                </span>
            </div>
            <Mend code=row.code />
            <div class="detail-body" tabindex="0" role="group" aria-label="The frame">
                {body}
            </div>
        </section>
    }
    .into_any()
}

/// A value of the tree with its key.
fn item(key: Option<&str>, value: &Value<'_>, depth: usize) -> AnyView {
    let key = key.filter(|key| !key.is_empty()).map(|key| {
        view! { <span class="json-key">{visible(key).into_owned()}</span> ": " }
    });
    let (count, words, items) = match value {
        Value::Leaf(kind, text) => {
            let class = match kind {
                Kind::String => "json-string",
                Kind::Number => "json-number",
                Kind::Word => "json-word",
                Kind::Rest => "json-rest",
            };
            let text = visible(text).into_owned();
            return view! { <li>{key} <span class=class>{text}</span></li> }.into_any();
        }
        Value::Object(all) => {
            let items = all
                .iter()
                .map(|(key, value)| item(Some(key), value, depth + 1));
            (
                all.len(),
                format!("{{{}}}", all.len()),
                items.collect_view(),
            )
        }
        Value::Array(all) => {
            let items = all.iter().map(|value| item(None, value, depth + 1));
            (all.len(), format!("[{}]", all.len()), items.collect_view())
        }
    };
    view! {
        <li>
            <details open=depth < UNFOLDED && count <= MANY>
                <summary>{key} <span class="json-rest">{words}</span></summary>
                <ul>{items}</ul>
            </details>
        </li>
    }
    .into_any()
}
