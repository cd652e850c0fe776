//! RFC 6455 as pure code: the handshake's key, frame headers, and the reader that turns bytes into
//! messages. The gateway's side only: what comes in is masked, what goes out is not.
//!
//! Invariant: this room is pure. It is handed bytes and hands back bytes.
//!
//! Uses: nothing.

pub mod frame;
pub mod handshake;
pub mod reader;

pub use frame::{OpCode, close_frame, control_frame, push_text, text_frame};
pub use handshake::accept_key;
pub use reader::{Fault, Incoming, Reader};
