//! The topics of this page: how many messages, how often, the last value and when it came.

use leptos::prelude::*;

use super::super::browser;
use super::super::playground::Playground;
use super::super::playground::figures::{MAX_TOPICS, SECONDS, TopicFigures, evenly, line};
use super::super::playground::text::{clock, visible};

/// The field of a sparkline, in its own units.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 16.0;

/// The table, drawn anew whenever `now` changes; the busiest topics come first, at most `most` of them.
#[component]
pub fn Topics(playground: RwSignal<Playground>, now: RwSignal<f64>, most: usize) -> impl IntoView {
    let shown = move || {
        let now = now.get();
        playground.with_untracked(|p| {
            let figures = p.figures();
            let mut all: Vec<(&String, &TopicFigures)> = figures.topics().iter().collect();
            all.sort_by(|(a, x), (b, y)| y.count.cmp(&x.count).then(a.cmp(b)));
            let mut beyond = String::new();
            if all.len() > most {
                beyond = format!("and {} more topics", all.len() - most);
            }
            if figures.uncounted() > 0 {
                let uncounted = figures.uncounted();
                beyond.push_str(&format!(
                    " and {uncounted} messages on topics beyond the first {MAX_TOPICS}"
                ));
            }
            let rows: Vec<_> = all
                .into_iter()
                .take(most)
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
                            <th scope="col">"Last came"</th>
                            <th scope="col">"Last value"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            {(!beyond.is_empty()).then(|| view! { <p class="hint">{beyond}</p> })}
        }
        .into_any()
    }
}

fn row(name: &str, figures: &TopicFigures, now: f64) -> impl IntoView + use<> {
    let counts = figures.rate.before(now);
    let path = line(&[evenly(&counts)], WIDTH, HEIGHT);
    let sum: u32 = counts.iter().sum();
    view! {
        <tr>
            <th scope="row">{visible(name).into_owned()}</th>
            <td class="figure">{figures.count}</td>
            <td>
                <svg
                    class="sparkline"
                    viewBox=format!("0 -1 {WIDTH} {}", HEIGHT + 2.0)
                    preserveAspectRatio="none"
                    role="img"
                    aria-label=format!("{sum} in {SECONDS} s")
                >
                    <path d=path fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" />
                </svg>
            </td>
            <td class="figure">{clock(figures.at, browser::minutes_east())}</td>
            <td class="last-value">{format!("#{} ", figures.seq_no)} {visible(&figures.last).into_owned()}</td>
        </tr>
    }
}
