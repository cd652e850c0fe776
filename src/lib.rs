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
pub mod backbone;
#[cfg(feature = "ssr")]
pub mod config;
#[cfg(feature = "ssr")]
pub mod hub;
#[cfg(feature = "ssr")]
pub mod session;
#[cfg(feature = "ssr")]
pub mod telemetry;
#[cfg(feature = "ssr")]
pub mod websocket;
