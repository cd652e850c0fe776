//! A log as a file: NDJSON, a line a row, the first line a header.
//!
//! ```json
//! {"format":"micro-socket-session","version":1,"exported":"2026-03-01T10:00:00.000Z","dropped":0}
//! {"time":"2026-03-01T09:59:58.120Z","client":"A","user":"ada","direction":"sent","type":"ping","text":"{\"type\":\"ping\"}","size":15}
//! ```
//!
//! `text` is the frame as it was on the wire, but for tokens: none is ever written.

mod moment;
mod read;
mod write;

use super::client::ClientId;
use super::log::Way;
pub use moment::moment;
pub use read::{Problem, check_size, read};
pub use write::{Export, write};

/// What the header says the file is.
const FORMAT: &str = "micro-socket-session";
/// The only version there is.
const VERSION: u64 = 1;
/// A larger file is neither written nor read.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;
/// A longer line is neither written nor read.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// A row as a file holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The client whose it is.
    pub client: ClientId,
    /// When, in milliseconds since 1970.
    pub at: f64,
    /// Which way it went.
    pub way: Way,
    /// For a note, what it is about. What a frame is its text says.
    pub kind: String,
    /// The frame or the note.
    pub text: String,
}

/// What was read from a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Session {
    /// Its rows, oldest first.
    pub lines: Vec<Line>,
    /// Whom each client last stood for; empty where the file does not say.
    pub users: [String; ClientId::ALL.len()],
    /// Rows that were lost before it was written.
    pub dropped: u64,
}

#[cfg(test)]
mod tests;
