//! The lines that bring a topic into any web page. Plain HTML.

use leptos::prelude::*;

use super::reference::Chapter;

/// A whole page. Tests run it in a browser, and hold the READMEs to it.
const LINES: &str = include_str!("web_page.html");

/// The chapter.
#[component]
pub fn WebPage() -> impl IntoView {
    view! {
        <Chapter id="web-page" title="In a web page">
            <p>
                "The gateway serves its client at "
                <a href="/client.js">
                    <code>"/client.js"</code>
                </a> ". After a cut it comes back and goes on where it was."
            </p>
            <pre class="example">{LINES.trim_end()}</pre>
            <p>
                "A page of another origin names the gateway in both places, and the gateway names that origin in "
                <a href="#settings">
                    <code>"allowed-origins"</code>
                </a> ", beside " <code>"same-host"</code> " for this page."
            </p>
        </Chapter>
    }
}
