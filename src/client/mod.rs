//! The Rust client: `SubSocket`, for native programs and in the browser.
//!
//! Uses: protocol.
