//! The page at `/docs`: rendered on the server first, then hydrated in the browser.
//!
//! Uses: protocol, client.

pub mod playground;
