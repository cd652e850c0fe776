//! The gateway from outside: the real router and the real shards on a port of their own, spoken to
//! by a WebSocket client that is not ours. One behaviour a file; `harness` tells the story's words.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    unreachable_pub,
    reason = "tests fail by panicking, and a literal reads best by value"
)]

mod harness;

mod access;
mod acknowledging;
mod admin_door;
mod architecture;
mod bad_input;
mod binary;
mod chaos;
mod closing;
mod cluster;
mod cluster_faults;
mod cluster_operators;
mod cluster_processes;
mod cluster_script;
mod demo_feed;
mod deploy;
mod documents;
mod durability;
mod faults;
mod frames;
mod garbage;
mod http_api;
mod http_pages;
mod key_sets;
mod limits;
mod metrics;
mod operating;
mod order;
#[cfg(feature = "otlp")]
mod otlp;
mod patience;
mod pipelining;
mod readme;
mod reload;
mod replay;
mod resume;
mod resume_random;
mod revoking;
mod rfc6455;
mod rust_client;
mod security;
mod setup;
mod slow_consumer;
mod stats_stream;
mod subsocket;
mod supply;
mod tls;
#[cfg(unix)]
mod unheard;
mod verify;
