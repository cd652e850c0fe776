//! A scenario or fault that is played: what to watch, its steps ticking off, and what was seen.

use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::scenario::{Progress, Run, Scenario, TopicResult, Verdict};
use super::super::playground::text::visible;

/// What of a run is seen.
#[derive(Clone, PartialEq)]
struct Seen {
    scenario: &'static Scenario,
    steps: Vec<(&'static str, Progress)>,
    verdict: Option<Verdict>,
    topics: Vec<TopicResult>,
}

impl Seen {
    fn of(run: &Run) -> Self {
        let verdict = run.verdict().cloned();
        // Half of a return says nothing yet.
        let topics = verdict.as_ref().map_or_else(Vec::new, |_| run.topics());
        Self {
            scenario: run.scenario(),
            steps: run.steps(),
            verdict,
            topics,
        }
    }
}

/// Buttons that each play something. While something is played they do nothing.
#[component]
pub fn PlayButtons(
    page: Page,
    label: &'static str,
    scenarios: &'static [&'static Scenario],
    play: fn(Page, &'static Scenario),
) -> impl IntoView {
    let playing = Memo::new(move |_| page.is_playing());
    let buttons = scenarios.iter().map(|scenario| {
        let scenario: &'static Scenario = scenario;
        view! {
            <button
                type="button"
                class="chip"
                aria-disabled=move || playing.get().to_string()
                on:click=move |_| play(page, scenario)
            >
                {scenario.title}
            </button>
        }
    });
    view! {
        <div class="chips" role="group" aria-label=label>
            {buttons.collect_view()}
        </div>
    }
}

/// The run, if it is one of these.
#[component]
pub fn RunView(page: Page, of: fn(&'static Scenario) -> bool) -> impl IntoView {
    let seen = Memo::new(move |_| {
        page.run.with(|run| {
            let run = run.as_ref()?;
            of(run.scenario()).then(|| Seen::of(run))
        })
    });
    let playing = move || seen.with(|s| s.as_ref().is_some_and(|s| s.verdict.is_none()));
    let title = move || seen.with(|s| s.as_ref().map(|s| s.scenario.title));
    let watch = move || seen.with(|s| s.as_ref().map(|s| s.scenario.watch));
    let steps = move || seen.with(|s| s.as_ref().map_or_else(Vec::new, |s| s.steps.clone()));
    let verdict = Memo::new(move |_| seen.with(|s| s.as_ref().and_then(|s| s.verdict.clone())));
    let topics =
        Memo::new(move |_| seen.with(|s| s.as_ref().map_or_else(Vec::new, |s| s.topics.clone())));
    let good = move || verdict.with(|v| v.as_ref().map(|v| v.good.to_string()));
    let words = move || {
        verdict.with(|v| {
            let words = v.as_ref().map_or("", |v| v.words.as_str());
            visible(words).into_owned()
        })
    };
    view! {
        <div class="run" class:absent=move || seen.with(Option::is_none)>
            <div class="panel-head">
                <h3>{title}</h3>
                <button
                    type="button"
                    class="small"
                    class:absent=move || !playing()
                    on:click=move |_| page.stop()
                >
                    "Stop"
                </button>
            </div>
            <p class="watch">{watch}</p>
            <ol class="steps">
                {move || steps().into_iter().map(|(words, progress)| step(words, progress)).collect_view()}
            </ol>
            <p class="verdict" role="status" data-good=good>
                {words}
            </p>
            {move || {
                topics.with(|topics| (!topics.is_empty()).then(|| table(topics)))
            }}
        </div>
    }
}

fn step(words: &'static str, progress: Progress) -> impl IntoView {
    let (name, sign) = match progress {
        Progress::Waiting => ("to come", "·"),
        Progress::Doing => ("now", "…"),
        Progress::Done => ("done", "✓"),
        Progress::Failed => ("failed", "✗"),
    };
    view! {
        <li data-progress=name>
            <span class="sign" aria-hidden="true">
                {sign}
            </span>
            {words}
            <span class="visually-hidden">{format!(" ({name})")}</span>
        </li>
    }
}

/// What became of each topic.
fn table(topics: &[TopicResult]) -> impl IntoView + use<> {
    let rows = topics.iter().map(|topic| {
        let counts = topic.counts;
        view! {
            <tr>
                <th scope="row">
                    <code>{visible(&topic.topic).into_owned()}</code>
                </th>
                <td>{topic.words()}</td>
                <td>{counts.received}</td>
                <td>{counts.gaps}</td>
                <td>{counts.doubles}</td>
                <td>{counts.disorder}</td>
            </tr>
        }
    });
    view! {
        <div class="table" tabindex="0" role="region" aria-label="What became of each topic">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"Topic"</th>
                        <th scope="col">"Position"</th>
                        <th scope="col">"Received"</th>
                        <th scope="col">"Gaps"</th>
                        <th scope="col">"Doubles"</th>
                        <th scope="col">"Out of order"</th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}
