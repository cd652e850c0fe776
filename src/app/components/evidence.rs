//! The seven promises: what this page's own traffic shows of each, and Verify.

use std::time::Duration;

use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::evidence::Promise;
use super::super::playground::evidence::verification::Verification;
use super::super::playground::gateway::Measured;
use super::super::playground::text::visible;
use crate::verify::PROMISES;

/// Time between two looks at the evidence: often enough to watch, seldom enough to cost nothing at
/// thousands of messages a second.
const LOOK: Duration = Duration::from_millis(300);
/// Looks between two questions to `/stats`.
const ASK: u32 = 7;

/// What is shown.
type Seen = [Promise; PROMISES.len()];

/// The tool.
#[component]
pub fn Evidence(page: Page) -> impl IntoView {
    let measured = RwSignal::new(None);
    let look = move || {
        let measured = measured.get_untracked();
        page.playground
            .with_untracked(|p| p.promises(measured.as_ref()))
    };
    let seen = RwSignal::new(look());
    let renew = move || {
        let now = look();
        if seen.with_untracked(|before| *before != now) {
            seen.set(now);
        }
    };
    watch(page, measured, renew);
    let begin_anew = move |_| {
        page.playground.update(|p| p.begin_evidence());
        renew();
    };
    view! {
        <section class="panel evidence" aria-labelledby="evidence-title">
            <div class="panel-head">
                <h2 id="evidence-title">"Evidence"</h2>
                <button type="button" class="small" on:click=begin_anew>
                    "Start over"
                </button>
            </div>
            <p class="hint">
                "What the traffic of this page's clients shows of the seven promises, and below each what Verify found."
            </p>
            <Verify page />
            <ol class="promises">
                {(0..PROMISES.len())
                    .map(|place| view! { <PromiseRow page seen place /> })
                    .collect_view()}
            </ol>
        </section>
    }
}

/// Looks again and again, and asks the gateway now and then, until the tool is closed.
fn watch(page: Page, measured: RwSignal<Option<Measured>>, renew: impl Fn() + Copy + 'static) {
    let ask = move || {
        page.ask_gateway(move |stats| {
            // The tool may be closed by now.
            let _ = measured.try_set(stats.map(|stats| stats.latency));
        });
    };
    ask();
    let looks = StoredValue::new(0);
    let every = set_interval_with_handle(
        move || {
            looks.update_value(|looks| *looks = (*looks + 1) % ASK);
            if looks.get_value() == 0 {
                ask();
            }
            renew();
        },
        LOOK,
    );
    on_cleanup(move || {
        if let Ok(every) = every {
            every.clear();
        }
    });
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
        <form class="verify-form" on:submit=submit>
            {text("verify-token", "Token to verify with", token)}
            {text("verify-denied", "A topic it does not allow, if any", denied)}
            <button type="submit" id="verify" class="primary" class:quiet=move || running.get()>
                {move || if running.get() { "Stop" } else { "Verify" }}
            </button>
        </form>
        <p class="hint">
            "Verify runs the checks of micro-socket verify from here, on sockets and topics of its own."
        </p>
        <p class="verdict" role="status">
            {move || run.with(Verification::words)}
        </p>
    }
}

/// One promise: what was seen here, and what the checks found.
#[component]
fn PromiseRow(page: Page, seen: RwSignal<Seen>, place: usize) -> impl IntoView {
    let run = page.verifying.run;
    let (id, name) = PROMISES[place];
    let verdict = Memo::new(move |_| seen.with(|seen| seen[place].verdict));
    let words = Memo::new(move |_| seen.with(|seen| seen[place].words.clone()));
    let outcome = Memo::new(move |_| {
        run.with(|run| match run.finding(place) {
            Some(finding) => finding.outcome.word(),
            None if run.is_checking(place) => "checking",
            None => "",
        })
    });
    let finding = move || {
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
            <p class="seen" data-verdict=move || verdict.get().words()>
                <b>{move || verdict.get().words()}</b>
                " "
                {move || words.get()}
            </p>
            <p
                class="finding"
                data-outcome=move || outcome.get()
                class:absent=move || outcome.get().is_empty()
            >
                "Verify: "
                <b>{move || outcome.get()}</b>
                " "
                {finding}
            </p>
        </li>
    }
}
