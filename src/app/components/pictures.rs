//! Pictures of the traffic: this page's and the gateway's. They are drawn once a second, however much
//! passes.

use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::figures::{PerSecond, SECONDS, TopicFigures, line};
use super::super::playground::gateway::Moments;
use super::super::playground::text::visible;

/// The field of a picture, in its own units.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;
/// Topics in the table; the busiest come first.
const TOPICS: usize = 20;

/// The tool.
#[component]
pub fn Pictures(page: Page) -> impl IntoView {
    let now = RwSignal::new(browser::now());
    browser::every_second(move || now.set(browser::now()));
    let moments = RwSignal::new(Moments::default());
    let heard = RwSignal::new(false);
    browser::follow("/stats/stream", move |text| {
        let taken = moments.try_update(|moments| moments.take(browser::now(), &text));
        heard.set(taken == Some(true));
    });
    let mine = move |which: fn(&Page) -> PerSecond| {
        let now = now.get();
        which(&page).before(now).map(f64::from).to_vec()
    };
    let sent = move || mine(|page| page.playground.with_untracked(|p| p.figures().sent.clone()));
    let received = move || {
        mine(|page| {
            page.playground
                .with_untracked(|p| p.figures().received.clone())
        })
    };
    let latency = move || {
        moments.with(|moments| match moments.last() {
            Some(stats) if stats.latency.count > 0 => format!(
                "Since its start half of {} deliveries took at most {} ms, 99 of 100 at most {} ms.",
                stats.latency.count, stats.latency.percentiles[0], stats.latency.percentiles[2]
            ),
            _ => "Nothing was delivered yet.".to_owned(),
        })
    };
    view! {
        <section class="panel pictures" aria-labelledby="pictures-title">
            <h2 id="pictures-title">"Pictures"</h2>
            <h3>"This page, the last minute"</h3>
            <div class="charts">
                <Chart title="Frames received a second" values=received />
                <Chart title="Frames sent a second" values=sent />
            </div>
            <Topics page now />
            <h3>"The gateway, the last two minutes"</h3>
            <p class="hint" class:absent=move || heard.get()>
                "Waiting for the gateway's numbers."
            </p>
            <div class="charts">
                <Chart
                    title="Connections"
                    values=move || moments.with(|m| m.over_time(|s| s.connections))
                />
                <Chart
                    title="Subscriptions"
                    values=move || moments.with(|m| m.over_time(|s| s.subscriptions))
                />
                <Chart
                    title="Published a second"
                    values=move || moments.with(|m| m.rate(|s| s.published))
                />
                <Chart
                    title="Delivered a second"
                    values=move || moments.with(|m| m.rate(|s| s.delivered))
                />
            </div>
            <p class="hint">{latency}</p>
        </section>
    }
}

/// A line with its title and its last and highest value in words.
#[component]
fn Chart(
    title: &'static str,
    values: impl Fn() -> Vec<f64> + Send + Sync + Copy + 'static,
) -> impl IntoView {
    let values = Memo::new(move |_| values());
    let words = move || {
        values.with(|values| {
            let most = values.iter().copied().fold(0.0, f64::max);
            let last = values.last().copied().unwrap_or_default();
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

fn round(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// The topics of this page: how many messages, how often, and the last value.
#[component]
fn Topics(page: Page, now: RwSignal<f64>) -> impl IntoView {
    let shown = move || {
        let now = now.get();
        page.playground.with_untracked(|p| {
            let figures = p.figures();
            let mut all: Vec<(&String, &TopicFigures)> = figures.topics().iter().collect();
            all.sort_by(|(a, x), (b, y)| y.count.cmp(&x.count).then(a.cmp(b)));
            let beyond = all.len().saturating_sub(TOPICS);
            let rows: Vec<_> = all
                .into_iter()
                .take(TOPICS)
                .map(|(name, figures)| row(name, figures, now))
                .collect();
            (rows, beyond)
        })
    };
    move || {
        let (rows, beyond) = shown();
        if rows.is_empty() {
            let words = "No message has come yet. Subscribe to a topic and publish to it.";
            return view! { <p class="hint">{words}</p> }.into_any();
        }
        view! {
            <div class="table" tabindex="0" role="region" aria-label="Topics">
                <table class="topics">
                    <thead>
                        <tr>
                            <th scope="col">"Topic"</th>
                            <th scope="col">"Messages"</th>
                            <th scope="col">"The last minute"</th>
                            <th scope="col">"Last value"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            {(beyond > 0).then(|| view! { <p class="hint">{format!("and {beyond} more topics")}</p> })}
        }
        .into_any()
    }
}

fn row(name: &str, figures: &TopicFigures, now: f64) -> impl IntoView + use<> {
    let counts = figures.rate.before(now);
    let path = line(&counts.map(f64::from), WIDTH / 2.0, HEIGHT / 3.0);
    let sum: u32 = counts.iter().sum();
    view! {
        <tr>
            <th scope="row">{visible(name).into_owned()}</th>
            <td class="figure">{figures.count}</td>
            <td>
                <svg
                    class="sparkline"
                    viewBox=format!("0 -1 {} {}", WIDTH / 2.0, HEIGHT / 3.0 + 2.0)
                    preserveAspectRatio="none"
                    role="img"
                    aria-label=format!("{sum} in {SECONDS} s")
                >
                    <path d=path fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" />
                </svg>
            </td>
            <td class="last-value">{format!("#{} ", figures.seq_no)} {visible(&figures.last).into_owned()}</td>
        </tr>
    }
}
