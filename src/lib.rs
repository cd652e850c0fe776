//! Micro Socket: a WebSocket pub/sub gateway with a playground, in one crate.
//!
//! The rooms in reading order. A room names only rooms that its own `Uses:` line lists; a test reads
//! those lines.
//!
//! * [`protocol`]: the wire language, shared by gateway, page and client. Pure.
//! * [`websocket`]: RFC 6455 frames and messages. Pure.
//! * [`session`]: one connection's life as a state machine. Pure.
//! * [`backbone`]: numbers, deduplicates, remembers and replays messages.
//! * [`hub`]: who listens to what on this node.
//! * [`token`]: what a token says and allows, shared by gateway and page. Pure.
//! * [`auth`]: which tokens are believed, and for whom they stand.
//! * [`gateway`]: the conductor; every publish and subscribe of every way in goes through it.
//! * [`histogram`], [`metrics`], [`slo`]: what is counted, and how deliveries are judged.
//! * [`traces`]: how long what took, for an OpenTelemetry collector. Empty without the feature `otlp`.
//! * [`transport`]: where a session meets a socket.
//! * [`cluster`]: what gateways do for each other, and what operators ask of all of them.
//! * [`http`]: every route on one screen, and what answers it.
//! * [`feed`]: a demo that publishes.
//! * [`server`]: all of it started, drained and stopped.
//! * [`client`]: the Rust client, native and in the browser.
//! * [`verify`]: evidence of the seven promises from a live gateway, as a client sees it.
//! * [`app`]: the page at `/docs`.
//! * `fuzz`: what fuzzers feed. In no release.
//!
//! One `publish` frame: a shard of [`transport`] reads it, [`websocket`] unmasks it, [`protocol`]
//! decodes it, [`session`] checks it, [`gateway`] asks the ACL, [`backbone`] numbers and encodes it
//! once and hands it to [`hub`], which puts it into the inbox of each shard with a subscriber. At the
//! end of its turn a shard writes each socket that has something to get once. The `ack` goes the same
//! way back.

// The types of the page's views nest deeper than the compiler's default of 128.
#![recursion_limit = "256"]

pub mod protocol;

#[cfg(any(feature = "client", feature = "hydrate"))]
pub mod client;

#[cfg(any(feature = "ssr", feature = "hydrate"))]
pub mod app;
#[cfg(any(feature = "ssr", feature = "hydrate"))]
pub mod histogram;
#[cfg(any(feature = "ssr", feature = "hydrate"))]
pub mod token;
#[cfg(any(feature = "ssr", feature = "hydrate"))]
pub mod verify;

#[cfg(feature = "ssr")]
pub mod auth;
#[cfg(feature = "ssr")]
pub mod backbone;
#[cfg(feature = "ssr")]
pub mod cluster;
#[cfg(feature = "ssr")]
pub mod config;
#[cfg(feature = "ssr")]
pub mod feed;
#[cfg(all(feature = "ssr", any(test, fuzzing)))]
pub mod fuzz;
#[cfg(feature = "ssr")]
pub mod gateway;
#[cfg(feature = "ssr")]
pub mod http;
#[cfg(feature = "ssr")]
pub mod hub;
#[cfg(feature = "ssr")]
pub mod metrics;
#[cfg(feature = "ssr")]
pub mod server;
#[cfg(feature = "ssr")]
pub mod session;
#[cfg(feature = "ssr")]
pub mod slo;
#[cfg(feature = "ssr")]
pub mod telemetry;
#[cfg(feature = "ssr")]
pub mod traces;
#[cfg(feature = "ssr")]
pub mod transport;
#[cfg(feature = "ssr")]
pub mod websocket;

/// Where the browser comes in: brings the page that the server rendered to life.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    app::hydrate();
}
