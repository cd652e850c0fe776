//! The gateway from outside: the real router and the real shards on a port of their own, spoken to
//! by a WebSocket client that is not ours. One behaviour a file; `harness` tells the story's words.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod harness;

mod architecture;
mod bad_input;
mod closing;
mod frames;
mod http_api;
mod http_pages;
mod limits;
mod order;
mod pipelining;
mod readme;
mod replay;
mod resume;
mod rfc6455;
mod setup;
mod slow_consumer;
mod subsocket;
mod verify;
