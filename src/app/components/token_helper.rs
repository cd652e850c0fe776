//! A token, read in the page.

use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::text::visible;
use super::super::playground::token::{Jwt, Read, read};

/// The tool. It reads the token of the active client.
#[component]
pub fn TokenHelper(page: Page) -> impl IntoView {
    let token = Memo::new(move |_| {
        page.desk()
            .draft
            .with(|draft| draft.get("token").to_owned())
    });
    let topic = RwSignal::new("prices".to_owned());
    let now = RwSignal::new(browser::now());
    browser::every_second(move || now.set(browser::now()));
    let told = move || {
        token.with(|token| match read(token) {
            Read::Empty => note("The Token field of setup is empty."),
            Read::Name => note(
                "Not a JWT. With demo auth this is the user's name, and that user may do everything but use what is another's (private.{user}).",
            ),
            Read::Broken(words) => note(words),
            Read::Jwt(jwt) => view! { <Claims jwt=*jwt topic now /> }.into_any(),
        })
    };
    let write = move |ev| {
        let desk = page.desk_now();
        desk.write("token", event_target_value(&ev));
    };
    view! {
        <section class="panel token-helper" aria-labelledby="token-title">
            <h2 id="token-title">"What the token says"</h2>
            <p class="hint">"Read here in the page; nothing is sent. Only the gateway can check its signature."</p>
            <div class="field">
                <label for="token-read">"JWT of this client"</label>
                <textarea
                    id="token-read"
                    rows="3"
                    spellcheck="false"
                    autocapitalize="off"
                    prop:value=move || token.get()
                    on:input=write
                ></textarea>
            </div>
            {told}
        </section>
    }
}

fn note(words: &'static str) -> AnyView {
    view! { <p class="notice">{words}</p> }.into_any()
}

#[component]
fn Claims(jwt: Jwt, topic: RwSignal<String>, now: RwSignal<f64>) -> impl IntoView {
    let claims: Vec<_> = jwt
        .claims
        .iter()
        .map(|(name, value)| {
            view! {
                <div>
                    <dt>{visible(name).into_owned()}</dt>
                    <dd>{visible(&value.to_string()).into_owned()}</dd>
                </div>
            }
        })
        .collect();
    let remarks: Vec<_> = jwt
        .remarks()
        .into_iter()
        .map(|words| view! { <p class="problem">{words}</p> })
        .collect();
    let algorithm = visible(&jwt.algorithm).into_owned();
    let jwt = StoredValue::new(jwt);
    let validity = Memo::new(move |_| jwt.with_value(|jwt| jwt.validity(now.get())));
    let allowed = move || {
        let topic = topic.get();
        let (read, write) = jwt.with_value(|jwt| jwt.allows(&topic));
        let word = |may| if may { "yes" } else { "no" };
        format!("read: {}, write: {}", word(read), word(write))
    };
    view! {
        <p class="expiry" data-urgent=move || validity.with(|v| v.urgent).to_string()>
            {move || validity.with(|v| v.words.clone())}
        </p>
        {remarks}
        <div class="field">
            <label for="token-topic">"Ask about a topic"</label>
            <input
                id="token-topic"
                type="text"
                autocomplete="off"
                spellcheck="false"
                prop:value=move || topic.get()
                on:input=move |ev| topic.set(event_target_value(&ev))
            />
            <p class="allowed" role="status">
                {allowed}
            </p>
        </div>
        <dl class="claims">
            <div>
                <dt>"algorithm"</dt>
                <dd>{algorithm}</dd>
            </div>
            {claims}
        </dl>
    }
}
