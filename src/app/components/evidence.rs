//! The seven promises, and Verify.

use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::evidence::verification::Verification;
use super::super::playground::text::visible;
use crate::verify::PROMISES;

/// The tool.
#[component]
pub fn Evidence(page: Page) -> impl IntoView {
    view! {
        <section class="panel evidence" aria-labelledby="evidence-title">
            <h2 id="evidence-title">"Evidence"</h2>
            <Verify page />
            <ol class="promises">
                {(0..PROMISES.len()).map(|place| view! { <Promise page place /> }).collect_view()}
            </ol>
        </section>
    }
}

/// Starts and stops the checks, and says what came of them in all.
#[component]
fn Verify(page: Page) -> impl IntoView {
    let run = page.verifying.run;
    let token = RwSignal::new(page.desk_now().token());
    let denied = RwSignal::new(String::new());
    let running = Memo::new(move |_| run.with(Verification::is_running));
    let submit = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        if running.get_untracked() {
            page.verifying.stop();
        } else {
            let url = format!("{}/ws", page.ws_origin.get_untracked());
            let (token, denied) = (token.get_untracked(), denied.get_untracked());
            page.verifying.start(url, &token, &denied);
        }
    };
    let text = move |id: &'static str, label: &'static str, value: RwSignal<String>| {
        view! {
            <div class="field grow">
                <label for=id>{label}</label>
                <input
                    id=id
                    type="text"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    prop:value=move || value.get()
                    on:input=move |ev| value.set(event_target_value(&ev))
                />
            </div>
        }
    };
    view! {
        <p class="hint">
            "Verify runs the checks of micro-socket verify from here: on sockets and topics of its own, beside the clients above."
        </p>
        <form class="verify-form" on:submit=submit>
            {text("verify-token", "Token to verify with", token)}
            {text("verify-denied", "A topic it does not allow, if any", denied)}
            <button type="submit" class="primary" class:quiet=move || running.get()>
                {move || if running.get() { "Stop" } else { "Verify" }}
            </button>
        </form>
        <p class="verdict" role="status">
            {move || run.with(Verification::words)}
        </p>
    }
}

/// One promise, and what the checks found.
#[component]
fn Promise(page: Page, place: usize) -> impl IntoView {
    let run = page.verifying.run;
    let (id, name) = PROMISES[place];
    let outcome = Memo::new(move |_| {
        run.with(|run| match run.finding(place) {
            Some(finding) => finding.outcome.word(),
            None if run.is_checking(place) => "checking",
            None => "",
        })
    });
    let evidence = move || {
        run.with(|run| {
            let evidence = run
                .finding(place)
                .map(|f| visible(&f.evidence).into_owned());
            evidence.unwrap_or_default()
        })
    };
    view! {
        <li class="promise">
            <p class="promise-name">
                <b>{id}</b>
                " "
                {name}
            </p>
            <p class="finding" data-outcome=move || outcome.get() class:absent=move || outcome.get().is_empty()>
                <b>{move || outcome.get()}</b>
                " "
                {evidence}
            </p>
        </li>
    }
}
