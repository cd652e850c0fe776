//! The wire language, version 1: what the gateway, the page and the Rust client say to each other.
//!
//! Invariant: this room is pure. It knows no socket, no clock and no framework, and compiles for
//! the server and for wasm32 alike.
//!
//! JSON text frames; unknown fields are ignored, an unknown `type` is an error. The order rules:
//!
//! * `setup` (or `resume`) comes first. Its answers are one `subscribed` or `error` per topic in
//!   order, the URL's topic first, then `ready`.
//! * per topic, `message` frames come with strictly rising `seqNo`; where one does not follow its
//!   predecessor directly, `prevSeq` names the predecessor, or is 0 where none is kept.
//! * a replay stands between its `subscribed` and the first live message of that topic.
//!
//! Uses: nothing.

pub mod codec;
pub mod codes;
mod depth;
pub mod message;
pub mod names;
pub mod reference;
#[cfg(feature = "ssr")]
pub mod writing;

#[cfg(feature = "ssr")]
pub use codec::write_server;
pub use codec::{DecodeError, decode_client, decode_server, encode_client, encode_server};
pub use codes::{CloseCode, ErrorCode, Reconnect};
pub use depth::{MAX_DEPTH, check_depth};
pub use message::{
    AckStatus, ClientMessage, ErrorFrame, MessageFrame, Publish, PublishAck, Ready, Refusal,
    Resume, ServerMessage, Setup, Subscribe, Subscribed, UnrecoveredReason,
};
pub use names::{Epoch, MessageId, NameError, Position, SeqNo, Token, Topic};
