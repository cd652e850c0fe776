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

    /// Writes it down; it is on disk when this returns. Over what was there, so that a full disk has
    /// room for it: it is less than a sector, which a disk writes whole or not at all.
    pub(super) fn save(&self, dir: &Path) -> io::Result<()> {
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let mut file = options.open(dir.join(STATE))?;
        let mut text = serde_json::to_vec(self)?;
        let before = file.metadata()?.len() as usize;
        text.resize(text.len().max(before), b' ');
        file.write_all(&text)?;
        file.sync_all()?;
        sync_dir(dir)
    }
}

/// Makes the directory where it is not there, with those it is in. Their names are on disk when this
/// returns.
pub(super) fn make(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    make(parent)?;
    fs::create_dir_all(dir)?;
    sync_dir(parent)
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
