//! Micro Socket: a WebSocket pub/sub gateway with a playground, in one crate.
//!
//! The rooms in reading order; each names only rooms above it, except where its own text says so.
//!
//! * [`protocol`]: the wire language, shared by gateway, page and client. Pure.
//! * [`client`]: the Rust client, native and in the browser.
//! * `app`: the page at `/docs`.

pub mod protocol;

#[cfg(any(feature = "client", feature = "hydrate"))]
pub mod client;

#[cfg(any(feature = "ssr", feature = "hydrate"))]
pub mod app;

#[cfg(feature = "ssr")]
pub mod config;
#[cfg(feature = "ssr")]
pub mod telemetry;

/// Where the browser comes in: brings the page that the server rendered to life.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    app::hydrate();
}
