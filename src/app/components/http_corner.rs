//! Publishing without a WebSocket, as one line for a terminal.

use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::text::visible;

const PATH: &str = "/demo/publish/prices?bid=100&ask=101";

/// The line, a button to copy it and a button to try it from here.
#[component]
pub fn HttpCorner(page: Page) -> impl IntoView {
    let line = move || format!("curl \"{}{PATH}\"", page.http_origin.get());
    let outcome = RwSignal::new(String::new());
    let copy = move |_| {
        let said = |ok| {
            if ok {
                "Copied."
            } else {
                "This browser does not let the page copy."
            }
        };
        browser::copy(&line(), move |ok| outcome.set(said(ok).into()));
    };
    let try_it = move |_| {
        browser::get_text(PATH, move |answer| {
            outcome.set(answer.unwrap_or_else(|why| format!("It did not work: {why}")));
        });
    };
    view! {
        <section class="panel http" aria-labelledby="http-title">
            <h2 id="http-title">"From a terminal"</h2>
            <p class="hint">"Anything that speaks HTTP can publish. Subscribers of prices see it live."</p>
            <code class="line">{line}</code>
            <div class="send-row">
                <button type="button" class="small" on:click=try_it>
                    "Try it"
                </button>
                <button type="button" class="small" on:click=copy>
                    "Copy command"
                </button>
            </div>
            <p class="outcome" role="status">
                {move || outcome.with(|text| visible(text.trim_end()).into_owned())}
            </p>
        </section>
    }
}
