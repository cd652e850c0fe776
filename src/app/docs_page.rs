//! The order of the page: header, playground, reference, footer.

use leptos::prelude::*;

use super::App;
use super::components::Reference;

/// The chapters by the ids of their elements.
pub(crate) const CHAPTERS: [(&str, &str); 7] = [
    ("playground", "Playground"),
    ("web-page", "In a web page"),
    ("endpoints", "Endpoints"),
    ("messages", "Messages"),
    ("errors", "Errors"),
    ("closes", "Close codes"),
    ("settings", "Settings"),
];

/// Everything in the body.
#[component]
pub fn DocsPage() -> impl IntoView {
    view! {
            <a class="skip" href="#playground">
                "Skip to the playground"
            </a>
            <header class="top">
                <a class="brand" href="/docs">
                    <Logo />
                    <span>"Micro Socket"</span>
                </a>
                <nav aria-label="On this page">
                    <ul>
                        {CHAPTERS
                            .map(|(id, title)| {
                                view! {
                                    <li>
                                        <a href=format!("#{id}")>{title}</a>
                                    </li>
                                }
                            })
                            .collect_view()}
                    </ul>
                </nav>
            </header>
            <main>
                <div id="playground" tabindex="-1">
                    <div class="hero">
    <h1>"Speak to the gateway"</h1>
                    <p class="lead">
                        "Send every message of the protocol from here, and see every answer."
                    </p>
                    </div>
                    <noscript>
                        <p class="notice">
                            "The playground needs JavaScript and WebAssembly. The reference below does not."
                        </p>
                    </noscript>
                    <div id="app">
                        <App />
                    </div>
                </div>
                <Reference />
            </main>
            <footer class="bottom">
                <p>
                    "Micro Socket " {env!("CARGO_PKG_VERSION")} ". Machine-readable: "
                    <a href="/asyncapi.json">"AsyncAPI"</a> ", " <a href="/openapi.json">"OpenAPI"</a>
                    ". To try the HTTP API: " <a href="/openapi">"its own page"</a> ". Numbers: "
                    <a href="/stats">"stats"</a> "."
                </p>
            </footer>
        }
}

/// One node that speaks to three.
#[component]
fn Logo() -> impl IntoView {
    view! {
        <svg
            class="logo"
            viewBox="0 0 32 32"
            width="28"
            height="28"
            aria-hidden="true"
            focusable="false"
        >
            <g fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round">
                <path d="M10 16h6M16 16l7-8M16 16h8M16 16l7 8" />
            </g>
            <g fill="currentColor">
                <circle cx="7" cy="16" r="4" />
                <circle cx="25" cy="7" r="3" />
                <circle cx="26" cy="16" r="3" />
                <circle cx="25" cy="25" r="3" />
            </g>
        </svg>
    }
}
