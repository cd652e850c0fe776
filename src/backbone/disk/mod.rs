//! The disk backbone: kept means on disk. What was acknowledged outlives the process.
//!
//! Own segments rather than a database: a log needs no tree, no page cache and no vacuum, only one
//! sequential write and one fsync for everybody who waits. Measured on one disk with 200-byte
//! payloads, SQLite (WAL, `synchronous=FULL`) commits 556 single messages a second and 64 thousand in
//! batches of 1024; an append with `fdatasync` 702 and 312 thousand. `docs/durability.md` says how.
//!
//! A writer thread appends ([`writer`]); a reader thread reads replays, so that no shard ever waits
//! for a disk. In memory there are the places of the kept messages ([`super::log`]) and the dedup
//! window ([`super::dedup`]), both rebuilt from the segments at the start.
//! What the index lets go of gives its room back in old segments ([`sweep`]).
//!
//! Locks: the index is held for moments, never over a read or a write; under it only
//! [`Events::deliver`] takes another one.

mod files;
mod format;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod queue;
mod recovery;
mod segment;
pub mod sessions;
mod state;
mod sweep;
mod writer;

#[cfg(test)]
mod ends;
#[cfg(test)]
mod fair;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod measure;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use self::sessions::DiskSessions;

use self::files::Files;
use self::queue::{Append, Queue};
use self::segment::Place;
use self::state::State;
use self::sweep::{Sweep, kept_bytes};
use self::writer::{Batch, Writer, segment_bytes};
use super::dedup::{Fingerprints, Window};
use super::log::{Bounds, Logs, Pool};
use super::{
    Answer, Backbone, Durability, Events, Head, History, Now, PageSize, Publication, Published,
    Replay, Retention, Unavailable,
};
use crate::protocol::{Epoch, Position, SeqNo, Topic, UnrecoveredReason};

/// Where the log is and when it is brought to the disk.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory; made when it is not there.
    pub dir: PathBuf,
    /// `None`: before every answer. Otherwise this often, and a power cut can take back what was
    /// acknowledged since.
    pub fsync_interval: Option<Duration>,
    /// The numbering's name if a new one has to begin; must differ from every earlier one.
    pub new_epoch: Epoch,
}

/// How much is kept, in bytes and milliseconds.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    total: u64,
    segment: u64,
    history_ms: u64,
    dedup_ms: u64,
}

/// What the writer and those who ask share.
struct Shared {
    dir: PathBuf,
    epoch: Epoch,
    opened: Now,
    queue: Queue,
    index: Mutex<Logs<Place>>,
    /// Why it cannot be written to.
    down: Mutex<Option<String>>,
    events: Arc<dyn Events>,
}

impl Shared {
    /// The clock of index and window, in milliseconds: it never goes back while we run, and messages
    /// of an earlier run have their moment on it.
    fn clock_ms(&self, now: Now) -> u64 {
        let since = now.mono_ms().saturating_sub(self.opened.mono_ms());
        self.opened.unix_ms + since
    }

    /// Takes note of whether a write succeeded; says so in the log when that changes.
    fn report<T>(&self, outcome: &io::Result<T>) {
        let mut down = self.down.lock();
        match outcome {
            Ok(_) if down.is_some() => {
                tracing::info!("the log can be written again");
                *down = None;
            }
            Ok(_) => {}
            Err(error) => {
                if down.is_none() {
                    tracing::error!(%error, "the log cannot be written");
                    *down = Some(error.to_string());
                }
            }
        }
    }
}

type Read = Box<dyn FnOnce() + Send>;

/// Numbers, deduplicates and keeps messages in files.
pub struct Disk {
    shared: Arc<Shared>,
    fingerprints: Fingerprints,
    fsync_interval: Option<Duration>,
    reads: mpsc::Sender<Read>,
    /// The writer, and what holds the directory for as long as it writes.
    writer: Mutex<Option<(JoinHandle<()>, File)>>,
}

impl Disk {
    /// Opens the log, or begins one.
    ///
    /// # Errors
    /// When another process works with the directory, or it cannot be read or mended.
    pub fn open(
        now: Now,
        options: Options,
        retention: &Retention,
        events: Arc<dyn Events>,
    ) -> io::Result<Self> {
        let dir = options.dir.clone();
        let fingerprints = Fingerprints::default();
        Self::open_dir(now, options, retention, events, fingerprints).map_err(|error| {
            let text = format!("data-dir {}: {error}", dir.display());
            io::Error::new(error.kind(), text)
        })
    }

    fn open_dir(
        now: Now,
        options: Options,
        retention: &Retention,
        events: Arc<dyn Events>,
        fingerprints: Fingerprints,
    ) -> io::Result<Self> {
        let dir = options.dir;
        state::make(&dir)?;
        let lock = state::lock(&dir)?;
        let sizes = Sizes {
            total: retention.history_bytes as u64,
            segment: segment_bytes(retention.history_bytes as u64),
            history_ms: retention.history_ttl.as_millis() as u64,
            dedup_ms: retention.dedup_ttl.as_millis() as u64,
        };
        let bounds = Bounds {
            per_topic: retention.history_size,
            ttl_ms: sizes.history_ms,
        };
        let pool = Pool::new(kept_bytes(retention.history_bytes), 1);
        let mut index = Logs::new(bounds, pool).lingering();
        let mut window = Window::new(sizes.dedup_ms, retention.dedup_bytes);
        let mut clock_ms = 0;
        let mut found = recovery::scan(&dir, |segment, at, length, stored| {
            let publication = &stored.publication;
            if stored.is_gone() {
                index.drop_up_to(publication.topic, stored.seq_no);
                return true;
            }
            if stored.seq_no <= index.head(publication.topic) {
                return false;
            }
            // Moments never go back, and none is in the future.
            clock_ms = stored.ts.min(now.unix_ms).max(clock_ms);
            let place = Place {
                seq_no: stored.seq_no,
                segment: segment.clone(),
                at: at as u32,
                length: length as u32,
            };
            let id = fingerprints.of(publication.user, publication.message_id);
            let topic = index.insert(clock_ms, id.share(), publication.topic, place);
            window.remember(clock_ms, id, topic, stored.seq_no);
            true
        })?;
        // Any number up to this one may have been told as the end of a topic that is not kept.
        index.raise_floor(found.highest);
        index.trim(now.unix_ms);
        let epoch = settle_epoch(&dir, &found, options.fsync_interval, &options.new_epoch)?;
        found.mend(&dir)?;

        let shared = Arc::new(Shared {
            dir: dir.clone(),
            epoch,
            opened: now,
            queue: Queue::default(),
            index: Mutex::new(index),
            down: Mutex::new(None),
            events,
        });
        let always = options.fsync_interval.is_none();
        let mut sweep = Sweep::new(&dir, sizes.total, sizes.segment);
        let mut files = Files::new(dir, always, sizes.segment, found.spans);
        shared.report(&files.ready(now.unix_ms, 0, found.highest));
        sweep.shrink(&mut files, &shared.index, found.highest);
        let writer = Writer {
            shared: shared.clone(),
            files,
            sweep,
            window,
            sizes,
            interval: options.fsync_interval,
            highest: found.highest,
            batch: Batch::default(),
        };
        let (reads, asked) = mpsc::channel::<Read>();
        let read_all = move || asked.into_iter().for_each(|read| read());
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        spawn("disk-reader").spawn(read_all)?;
        let writer = spawn("disk-writer").spawn(move || writer.run())?;
        Ok(Self {
            shared,
            fingerprints,
            fsync_interval: options.fsync_interval,
            reads,
            writer: Mutex::new(Some((writer, lock))),
        })
    }

    fn head(&self, seq_no: SeqNo) -> Head {
        let epoch = self.shared.epoch.clone();
        Head { seq_no, epoch }
    }

    /// Has the reader thread make an answer.
    fn later<T: Send + 'static>(&self, make: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        let (reply, later) = oneshot::channel();
        // Without a reader thread the answer says so: the channel is closed.
        let _ = self.reads.send(Box::new(move || {
            let _ = reply.send(make());
        }));
        Answer::Later(later)
    }
}

/// The epoch to go on with; see [`state`] for the rule.
fn settle_epoch(
    dir: &Path,
    found: &recovery::Recovered,
    fsync_interval: Option<Duration>,
    new: &Epoch,
) -> io::Result<Epoch> {
    let old = State::load(dir)?;
    let doubt = match (&old, &found.damage) {
        (None, None) if found.spans.is_empty() => Some("it is new".to_owned()),
        (None, _) => Some("its epoch is not known".to_owned()),
        (_, Some(damage)) => Some(damage.clone()),
        _ if found.spans.is_empty() => Some("its segments are gone".to_owned()),
        (Some(state), _) if state.unsynced => {
            Some("it was not closed, and not every message was synced".to_owned())
        }
        _ => None,
    };
    if let Some(why) = &doubt {
        tracing::info!(epoch = %new, "the log begins a new epoch: {why}");
    }
    let epoch = match (&doubt, &old) {
        (None, Some(state)) => Epoch::new(&state.epoch),
        _ => new.clone(),
    };
    let state = State {
        epoch: epoch.as_str().to_owned(),
        unsynced: fsync_interval.is_some(),
    };
    if old.as_ref() != Some(&state) {
        state.save(dir)?;
    }
    Ok(epoch)
}

/// Reads places; says which one cannot be read.
fn read(place: &Place) -> Option<super::Record> {
    let log = |error: &dyn Display| tracing::error!(%error, "a kept message cannot be read");
    place.read().map_err(|error| log(&error)).ok()
}

impl Backbone for Disk {
    fn publish(
        &self,
        now: Now,
        publication: Publication<'_>,
    ) -> Answer<Result<Published, Unavailable>> {
        let (reply, later) = oneshot::channel();
        let append = Append {
            now,
            id: self
                .fingerprints
                .of(publication.user, publication.message_id),
            record: format::encode(&publication, now.unix_ms),
            reply,
        };
        match self.shared.queue.append(append) {
            Ok(()) => Answer::Later(later),
            Err(unavailable) => Answer::Ready(Err(unavailable)),
        }
    }

    fn replay(
        &self,
        _: Now,
        topic: &Topic,
        after: Option<&Position>,
    ) -> Answer<Result<Replay, Unavailable>> {
        let index = self.shared.index.lock();
        let head = self.head(index.head(topic.as_str()));
        let places = match after {
            None => Ok(Vec::new()),
            Some(position) if position.epoch.as_ref().is_some_and(|e| *e != head.epoch) => {
                Err(UnrecoveredReason::Epoch)
            }
            Some(position) => index.after(topic.as_str(), position.seq_no),
        };
        drop(index);
        match places {
            Ok(places) if places.is_empty() => Answer::Ready(Ok(Replay {
                head,
                outcome: Ok(Vec::new()),
            })),
            Ok(places) => self.later(move || {
                let records: Option<Vec<_>> = places.iter().map(read).collect();
                let outcome = records.ok_or(UnrecoveredReason::Unknown);
                Ok(Replay { head, outcome })
            }),
            Err(reason) => Answer::Ready(Ok(Replay {
                head,
                outcome: Err(reason),
            })),
        }
    }

    fn history(
        &self,
        _: Now,
        topic: &Topic,
        after: SeqNo,
        page: PageSize,
    ) -> Answer<Result<History, Unavailable>> {
        let index = self.shared.index.lock();
        let head = self.head(index.head(topic.as_str()));
        let places = index.kept_after(topic.as_str(), after, page);
        drop(index);
        self.later(move || {
            let records = places.iter().filter_map(read).collect();
            Ok(History { head, records })
        })
    }

    fn health(&self) -> Result<(), Unavailable> {
        match &*self.shared.down.lock() {
            None => Ok(()),
            Some(why) => Err(Unavailable(why.clone())),
        }
    }

    fn durability(&self) -> Durability {
        self.fsync_interval
            .map_or(Durability::Synced, Durability::SyncedEvery)
    }

    fn tend(&self, now: Now) {
        self.shared.queue.tend(now);
    }

    fn close(&self) {
        self.shared.queue.close();
        let writer = self.writer.lock().take();
        let Some((writer, lock)) = writer else {
            return;
        };
        if writer.join().is_err() {
            tracing::error!("the log's writer ended badly");
        }
        // Who waits for the close may open it again. That this process has the file no more would not
        // be enough: a child that is just being started may still have it.
        let _ = lock.unlock();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.close();
    }
}
