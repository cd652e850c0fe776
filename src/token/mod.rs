//! What a token says, and what that allows. Shared by the gateway, which believes a token only after its
//! signature, and the page, which explains it. Pure.
//!
//! * [`claims`](Claims): what a token says.
//! * [`grants`](Grants): what a user may do with a topic.
//!
//! Uses: nothing.

mod claims;
mod grants;

pub use claims::{Audience, Claims, Topics, unix_ms};
pub use grants::{Action, Grants, Pattern};
