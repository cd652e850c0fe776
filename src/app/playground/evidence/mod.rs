//! Evidence for the seven promises, as this page sees them.
//!
//! [`verification`] is a run of checks on sockets of their own.

pub mod verification;
