//! The page at `/docs`: rendered on the server first, then hydrated in the browser.
//!
//! * [`playground`]: what the page knows and how events change it. Pure.
//! * `page`: that state as signals, and what the buttons do.
//! * `browser`: everything the page asks of the browser; on the server it asks for nothing.
//! * `docs_page`, `components`: what is seen. The reference is plain HTML; only the playground,
//!   [`App`], is hydrated, so that the reference costs no WASM.
//!
//! Uses: protocol, token, client, histogram, verify.

mod browser;
#[expect(unreachable_pub, reason = "the component macro writes pub")]
mod components;
#[expect(unreachable_pub, reason = "the component macro writes pub")]
mod docs_page;
mod page;
pub mod playground;

use leptos::config::LeptosOptions;
use leptos::hydration::{AutoReload, HydrationScripts};
use leptos::prelude::*;

use docs_page::DocsPage;

/// The element that [`App`] is rendered into, and hydrated from.
#[cfg(feature = "hydrate")]
const ROOT: &str = "app";

/// The whole document of `GET /docs`. Nothing in it comes from another host, and no script in it
/// lacks the nonce of the Content-Security-Policy.
#[must_use]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let style = format!("/{}/{}.css", options.site_pkg_dir, options.output_name);
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <meta
                    name="description"
                    content="Speak the Micro Socket protocol from your browser, and look up every message, code and setting."
                />
                <title>"Micro Socket: docs and playground"</title>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="stylesheet" href=style />
                <AutoReload options=options.clone() />
                <HydrationScripts options />
            </head>
            <body>
                <DocsPage />
            </body>
        </html>
    }
}

/// The playground: the part of the page that comes to life in the browser.
#[component]
pub fn App() -> impl IntoView {
    let page = page::Page::new();
    Effect::new(move |_| page.come_alive());
    view! { <components::Playground page /> }
}

/// Brings [`App`] to life in a document that [`shell`] rendered.
#[cfg(feature = "hydrate")]
pub fn hydrate() {
    use wasm_bindgen::JsCast;

    let root = document().get_element_by_id(ROOT);
    if let Some(root) = root.and_then(|root| root.dyn_into().ok()) {
        leptos::mount::hydrate_from(root, App).forget();
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests;
