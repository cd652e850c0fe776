//! What fuzzers feed: each target is a function that takes any bytes and panics where a promise is
//! broken. `fuzz/` hands them to libFuzzer; the tests in here run the same corpus and random changes
//! of it, without it. Compiled for these two only.
//!
//! * [`frames`]: our frame reader beside tungstenite's.
//! * [`session`]: texts of a client, decoded and played to a session.
//! * [`log`]: the reader of the log on disk.
//!
//! Uses: websocket, protocol, session, backbone.

#![allow(clippy::panic, reason = "a panic is how a target tells")]

pub mod frames;
pub mod session;

pub use crate::backbone::disk::fuzz as log;

#[cfg(test)]
mod differential;
#[cfg(test)]
mod short;
