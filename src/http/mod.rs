//! The HTTP side: only the files of the page so far.
//!
//! Uses: protocol.

pub mod assets;
