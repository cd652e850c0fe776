//! Who owns the directory, and which numbering the log holds.
//!
//! The epoch goes on over a restart when it can be shown that no acknowledged number was lost:
//!
//! * the log was written with an fsync before every answer, or was closed properly, and
//! * every segment is whole up to where the next one says it ends, and
//! * the last one ends with a whole record or with one that was cut off, which is what a crash
//!   leaves of a message that was not acknowledged yet.
//!
//! Otherwise a new epoch begins. It is on disk before anything is cut or served.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::segment::sync_dir;

const STATE: &str = "epoch.json";
const LOCK: &str = "lock";

/// What is written down about the numbering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The epoch of the log.
    pub(super) epoch: String,
    /// Whether messages may have been acknowledged that were not on disk: it runs, or ran and ended
    /// by itself, with an interval between fsyncs.
    pub(super) unsynced: bool,
}

impl State {
    /// Reads what the last process left; `None` when there is nothing or it cannot be understood.
    pub(super) fn load(dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(dir.join(STATE)) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it down; it is on disk when this returns.
    pub(super) fn save(&self, dir: &Path) -> io::Result<()> {
        let new = dir.join("epoch.json.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, dir.join(STATE))?;
        sync_dir(dir)
    }
}

/// Holds the directory for this process until it is dropped.
///
/// # Errors
/// When another process holds it, or it cannot be written to.
pub(super) fn lock(dir: &Path) -> io::Result<File> {
    let file = File::create(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another micro-socket works with it; give each its own data-dir",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
