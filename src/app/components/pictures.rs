//! Pictures of the traffic: this page's and the gateway's. They are drawn once a second, however much
//! passes.

use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::Playground;
use super::super::playground::figures::{PerSecond, Point, evenly, line};
use super::super::playground::gateway::Stats;
use super::super::playground::latencies::{BUCKETS, Latencies, bars, bound_words};
use super::super::playground::text::span;
use super::topics::Topics;
use crate::histogram::LATENCY_BOUNDS_US;

/// The field of a picture, in its own units.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;
/// Every so many bounds of the histogram one is written: one a decade.
const WRITTEN: usize = 3;
/// Topics in the table; the busiest come first.
const TOPICS: usize = 20;

/// The tool.
#[component]
pub fn Pictures(page: Page) -> impl IntoView {
    let now = RwSignal::new(browser::now());
    browser::every_second(move || now.set(browser::now()));
    // What was heard before the tool was opened is still there.
    let moments = page.moments;
    let heard = RwSignal::new(false);
    browser::follow("/stats/stream", move |text| {
        let take = |text: String| moments.try_update(|m| m.take(browser::now(), &text));
        heard.set(text.and_then(take) == Some(true));
    });
    let mine = move |which: fn(&Page) -> PerSecond| {
        let now = now.get();
        vec![evenly(&which(&page).before(now))]
    };
    let sent = move || mine(|page| page.playground.with_untracked(|p| p.figures().sent.clone()));
    let received = move || {
        mine(|page| {
            page.playground
                .with_untracked(|p| p.figures().received.clone())
        })
    };
    let figure = move |of: fn(&Stats) -> u64| moments.with(|m| m.over_time(now.get(), of));
    let rate = move |of: fn(&Stats) -> u64| moments.with(|m| m.rate(now.get(), of));
    let here = Memo::new(move |_| {
        now.track();
        page.playground.with_untracked(Playground::latencies)
    });
    let there = Memo::new(move |_| {
        moments.with(|m| {
            m.last()
                .map_or_else(Latencies::default, |s| s.latency.times)
        })
    });
    view! {
        <section class="panel pictures" aria-labelledby="pictures-title">
            <h2 id="pictures-title">"Pictures"</h2>
            <h3>"This page, the last minute"</h3>
            <div class="charts">
                <Chart title="Frames received a second" values=received />
                <Chart title="Frames sent a second" values=sent />
            </div>
            <Topics playground=page.playground now most=TOPICS />
            <h3>"The gateway, the last two minutes"</h3>
            <p class="hint" class:absent=move || heard.get()>
                "Waiting for the gateway's numbers."
            </p>
            <div class="charts">
                <Chart title="Connections" values=move || figure(|s| s.connections) />
                <Chart title="Subscriptions" values=move || figure(|s| s.subscriptions) />
                <Chart title="Published a second" values=move || rate(|s| s.published) />
                <Chart title="Delivered a second" values=move || rate(|s| s.delivered) />
            </div>
            <h3>"How long deliveries took"</h3>
            <Histogram here there />
        </section>
    }
}

/// A line with its title and its last and highest value in words.
#[component]
fn Chart(
    title: &'static str,
    values: impl Fn() -> Vec<Vec<Point>> + Send + Sync + Copy + 'static,
) -> impl IntoView {
    let values = Memo::new(move |_| values());
    let words = move || {
        values.with(|values| {
            let mut values = values.iter().flatten().map(|(_, value)| *value);
            let Some(first) = values.next() else {
                return "none yet".to_owned();
            };
            let (last, most) = values.fold((first, first), |(_, most), v| (v, most.max(v)));
            format!("now {}, most {}", round(last), round(most))
        })
    };
    let path = move || values.with(|values| line(values, WIDTH, HEIGHT));
    view! {
        <figure class="chart">
            <figcaption>
                <span>{title}</span>
                " "
                <span class="figure">{words}</span>
            </figcaption>
            <svg
                viewBox=format!("0 -2 {WIDTH} {}", HEIGHT + 4.0)
                preserveAspectRatio="none"
                role="img"
                aria-label=move || format!("{title}: {}", words())
            >
                <path d=path fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" />
            </svg>
        </figure>
    }
}

/// Two histograms beside each other, what the page measured and what the gateway did, and their
/// percentiles.
#[component]
fn Histogram(here: Memo<Latencies>, there: Memo<Latencies>) -> impl IntoView {
    let paths = Memo::new(move |_| bars([&here.get(), &there.get()]));
    let words = move || {
        let say = |latencies: &Latencies| match latencies.words() {
            words if words.is_empty() => "nothing yet".to_owned(),
            words => words,
        };
        let (here, there) = (here.with(say), there.with(say));
        format!("Histogram of latency. This page: {here}. The gateway: {there}.")
    };
    let percent = |bounds: usize| format!("{:.2}%", 100.0 * bounds as f64 / BUCKETS as f64);
    let bounds = (0..LATENCY_BOUNDS_US.len()).step_by(WRITTEN).map(|at| {
        let x = percent(at + 1);
        view! {
            <line x1=x.clone() x2=x.clone() y1="0" y2="100" />
            <text x=x y="116">{bound_words(LATENCY_BOUNDS_US[at])}</text>
        }
    });
    let row = |class: &'static str, name: &'static str, of: Memo<Latencies>| {
        let percentiles = [0, 1, 2].map(|which| {
            let time = move || {
                of.with(|of| match of.count {
                    0 => "none yet".to_owned(),
                    _ => span(of.percentiles[which]),
                })
            };
            view! { <td class="figure">{time}</td> }
        });
        view! {
            <tr>
                <th scope="row">
                    <svg class=class viewBox="0 0 1 1" aria-hidden="true">
                        <path d="M0 0h1v1H0z" />
                    </svg>
                    {name}
                </th>
                <td class="figure">{move || of.with(|of| of.count)}</td>
                {percentiles.collect_view()}
            </tr>
        }
    };
    view! {
        <figure class="chart histogram">
            <svg role="img" aria-label=words>
                {bounds.collect_view()}
                <line x1="0" x2="100%" y1="100" y2="100" />
                <svg
                    viewBox=format!("0 0 {BUCKETS} 1")
                    width="100%"
                    height="100"
                    preserveAspectRatio="none"
                >
                    <path class="here" d=move || paths.with(|[here, _]| here.clone()) />
                    <path class="there" d=move || paths.with(|[_, there]| there.clone()) />
                </svg>
            </svg>
            <figcaption class="hint">
                "The higher the bar, the more of all took up to this long. This page: its own messages, from "
                "publish to deliver. The gateway: all deliveries since its start, from accept to write."
            </figcaption>
        </figure>
        <table class="topics latencies">
            <thead>
                <tr>
                    <th scope="col">"Measured by"</th>
                    <th scope="col">"Count"</th>
                    <th scope="col">"p50"</th>
                    <th scope="col">"p95"</th>
                    <th scope="col">"p99"</th>
                </tr>
            </thead>
            <tbody>
                {row("here", "this page", here)}
                {row("there", "the gateway", there)}
            </tbody>
        </table>
    }
}

fn round(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}
