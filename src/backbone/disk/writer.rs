//! The one thread that appends.
//!
//! It takes everything that waits, looks each id up, numbers the fresh ones, writes them with one
//! write and one fsync, and only then lets anyone see them: the index, the hub, the publishers. What
//! comes in meanwhile is the next batch, so the fsync's price is shared by all who wait for it.
//!
//! Numbers and ids of a batch are only taken when it is on disk. If that fails, nothing has happened.
//! A second copy of a message waits in the batch of the first and gets the same outcome (I2).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use super::files::Files;
use super::format;
use super::queue::{Append, Reply};
use super::segment::{HEADER, Place, Segment};
use super::state::State;
use super::sweep::Sweep;
use super::{Shared, Sizes};
use crate::backbone::dedup::{Fingerprint, Window};
use crate::backbone::{Now, Published, Record, Unavailable};
use crate::protocol::{AckStatus, SeqNo, Topic};

/// The room that is made while nobody publishes, in bytes for each time of tending.
const TENDED: usize = 32 << 10;
/// Bytes that say which topics are forgotten, in one write and in each time of tending.
const FORGOTTEN: [usize; 2] = [512 << 10, 16 << 20];

/// The writer and what only it touches.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) files: Files,
    pub(super) sweep: Sweep,
    pub(super) window: Window,
    pub(super) sizes: Sizes,
    /// Between fsyncs; `None`: one before every answer.
    pub(super) interval: Option<Duration>,
    /// The highest number given to any topic.
    pub(super) highest: SeqNo,
    pub(super) batch: Batch,
}

/// Fresh messages that are about to be written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    fresh: Vec<Fresh>,
    /// Where in `fresh` an id is.
    ids: HashMap<Fingerprint, usize>,
    heads: HashMap<Topic, SeqNo>,
}

#[derive(Debug)]
struct Fresh {
    append: Append,
    topic: Topic,
    seq_no: SeqNo,
    /// The number before it in the topic; 0 when nothing before it is kept.
    previous: SeqNo,
    /// Where in `bytes` it is.
    at: usize,
    /// Those who published the same id meanwhile, each with its topic.
    followers: Vec<(Reply, Topic)>,
}

impl Writer {
    /// Works until the queue is closed and empty. What was accepted is on disk then.
    pub(super) fn run(mut self) {
        let mut synced = Instant::now();
        loop {
            let patience = self
                .interval
                .map(|interval| interval.saturating_sub(synced.elapsed()));
            let work = self.shared.queue.take(patience);
            if let Some(now) = work.tend {
                self.tend(now);
            }
            self.append_all(work.appends);
            if self
                .interval
                .is_some_and(|interval| synced.elapsed() >= interval)
            {
                self.sync();
                synced = Instant::now();
            }
            if work.closed {
                break;
            }
        }
        self.finish();
    }

    fn append_all(&mut self, appends: Vec<Append>) {
        let Some(newest) = appends.last() else {
            return;
        };
        let now_ms = self.shared.clock_ms(newest.now);
        self.shared.index.lock().trim(now_ms);
        for append in appends {
            self.admit(append);
            if self.batch.bytes.len() as u64 >= self.sizes.segment {
                self.commit(now_ms);
                // What went is room for the next batch.
                self.shared.index.lock().trim(now_ms);
            }
        }
        self.commit(now_ms);
    }

    /// Answers a duplicate, or puts a fresh message into the batch.
    fn admit(&mut self, mut append: Append) {
        let Some(stored) = format::view(&append.record) else {
            return;
        };
        let topic = stored.publication.topic;
        let now_ms = self.shared.clock_ms(append.now);
        if let Some(first) = self.window.first(now_ms, append.id) {
            let published = self.duplicate(&first.topic, first.seq_no, topic);
            let _ = append.reply.send(Ok(published));
            return;
        }
        if let Some(&i) = self.batch.ids.get(&append.id) {
            let topic = Topic::trusted(topic);
            self.batch.fresh[i].followers.push((append.reply, topic));
            return;
        }
        let (topic, (seq_no, previous)) = match self.batch.heads.get_key_value(topic) {
            Some((topic, head)) => (topic.clone(), (head + 1, *head)),
            None => (Topic::trusted(topic), self.shared.index.lock().next(topic)),
        };
        format::number(&mut append.record, seq_no);
        self.batch.heads.insert(topic.clone(), seq_no);
        self.batch.ids.insert(append.id, self.batch.fresh.len());
        let at = self.batch.bytes.len();
        self.batch.bytes.extend_from_slice(&append.record);
        self.batch.fresh.push(Fresh {
            append,
            topic,
            seq_no,
            previous,
            at,
            followers: Vec::new(),
        });
    }

    fn duplicate(&self, first: &Topic, seq_no: SeqNo, topic: &str) -> Published {
        Published {
            status: AckStatus::Duplicate,
            elsewhere: (first.as_str() != topic).then(|| first.clone()),
            seq_no,
            epoch: self.shared.epoch.clone(),
        }
    }

    /// Writes the batch; then it has happened, or it never did.
    fn commit(&mut self, now_ms: u64) {
        if self.batch.fresh.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        match self.write(now_ms, &batch.bytes) {
            Ok((segment, base)) => {
                for fresh in batch.fresh.drain(..) {
                    self.apply(fresh, &segment, base);
                }
            }
            Err(error) => {
                let why = Unavailable(format!("the log cannot be written: {error}"));
                for fresh in batch.fresh.drain(..) {
                    let _ = fresh.append.reply.send(Err(why.clone()));
                    for (reply, _) in fresh.followers {
                        let _ = reply.send(Err(why.clone()));
                    }
                }
            }
        }
        // Keeps the buffers, unless a burst made them large.
        batch.bytes.clear();
        batch.bytes.shrink_to(1 << 20);
        batch.ids.clear();
        batch.heads.clear();
        self.batch = batch;
    }

    /// Writes at the end of the log. Returns where.
    fn write(&mut self, now_ms: u64, bytes: &[u8]) -> io::Result<(Arc<Segment>, u64)> {
        let ready = self.files.ready(now_ms, bytes.len(), self.highest);
        // Before the write, so that the log is never larger than it may be. Topics of which nothing is
        // left by that keep their numbers: somebody may be told them during the write.
        self.make_room(bytes.len());
        self.retire(now_ms, bytes.len());
        let written = ready.and_then(|place| self.files.write(now_ms, bytes).map(|()| place));
        self.shared.report(&written);
        written
    }

    /// Lets everyone see a message that is on disk.
    fn apply(&mut self, fresh: Fresh, segment: &Arc<Segment>, base: u64) {
        let Fresh {
            append,
            seq_no,
            previous,
            ..
        } = fresh;
        let now_ms = self.shared.clock_ms(append.now);
        let Some(stored) = format::view(&append.record) else {
            return;
        };
        let record = Record::new(&stored.publication, seq_no, previous, stored.ts);
        let place = Place {
            seq_no,
            segment: segment.clone(),
            at: base as u32 + fresh.at as u32,
            length: append.record.len() as u32,
        };
        let mut index = self.shared.index.lock();
        let topic = index.insert(now_ms, append.id.share(), fresh.topic.as_str(), place);
        // Under the lock, so that a replay answers for exactly what came before (I3).
        self.shared
            .events
            .deliver(topic.as_str(), &record, append.now.mono_ns);
        drop(index);
        self.highest = self.highest.max(seq_no);
        for (reply, other) in fresh.followers {
            let published = self.duplicate(&topic, seq_no, other.as_str());
            let _ = reply.send(Ok(published));
        }
        self.window.remember(now_ms, append.id, topic, seq_no);
        let _ = append.reply.send(Ok(Published {
            status: AckStatus::Ok,
            elsewhere: None,
            seq_no,
            epoch: self.shared.epoch.clone(),
        }));
    }

    fn tend(&mut self, now: Now) {
        let now_ms = self.shared.clock_ms(now);
        self.shared.index.lock().trim(now_ms);
        self.window.turn(now_ms);
        let kept = self.sizes.history_ms.max(self.sizes.dedup_ms);
        let sealed = self.files.seal_older(now_ms, kept / 4);
        // Where it failed before, it is tried again without a publish: health comes back by itself.
        let ready = sealed.and_then(|()| self.files.ready(now_ms, 0, self.highest));
        self.shared.report(&ready);
        self.sweep.rested();
        self.make_room(TENDED);
        self.forget(now_ms);
        self.retire(now_ms, 0);
    }

    /// Forgets the topics of which nothing is kept. That is written down before: a forgotten topic has
    /// a higher end than what may still be on disk of it, and a restart must not fall back to that.
    fn forget(&mut self, now_ms: u64) {
        let [at_once, in_all] = FORGOTTEN;
        let at_once = at_once.min(self.sizes.segment as usize / 4);
        let mut written = 0;
        while written < in_all {
            let (mut topics, mut bytes) = (Vec::new(), Vec::new());
            let mut index = self.shared.index.lock();
            while bytes.len() < at_once
                && let Some((topic, seq_no)) = index.next_empty()
            {
                bytes.extend_from_slice(&format::gone(topic.as_str(), seq_no));
                topics.push(topic);
            }
            drop(index);
            if topics.is_empty() {
                return;
            }
            let done = self.write(now_ms, &bytes);
            let mut index = self.shared.index.lock();
            if done.is_err() {
                topics.into_iter().for_each(|topic| index.linger(topic));
                return;
            }
            topics.iter().for_each(|topic| index.forget(topic));
            written += bytes.len();
        }
    }

    /// Takes back the space of what is no longer kept, if little is left.
    fn make_room(&mut self, bytes: usize) {
        let index = &self.shared.index;
        self.sweep
            .pay(&mut self.files, index, self.highest, bytes as u64);
    }

    /// Gives space back, and makes room for this many bytes.
    fn retire(&mut self, now_ms: u64, bytes: usize) {
        let before_ms = now_ms.saturating_sub(self.sizes.dedup_ms);
        let index = &self.shared.index;
        let mut total = self.sizes.total.saturating_sub(bytes as u64);
        if self.files.bytes() + self.sweep.bytes() > total {
            self.sweep.give_up(&mut self.files, index);
        }
        total = total.saturating_sub(self.sweep.bytes());
        self.files.retire(total, before_ms, |last| {
            index.lock().drop_gone(|place| place.segment.index <= last);
        });
    }

    fn sync(&mut self) {
        let synced = self.files.sync();
        if synced.is_err() {
            self.shared.report(&synced);
        }
    }

    fn finish(&mut self) {
        let synced = self.files.sync();
        if let Err(error) = synced {
            tracing::error!(%error, "the log was not brought to the disk");
        } else if self.interval.is_some() {
            let state = State {
                epoch: self.shared.epoch.as_str().to_owned(),
                unsynced: false,
            };
            if let Err(error) = state.save(&self.shared.dir) {
                tracing::error!(%error, "the log was not closed properly");
            }
        }
    }
}

/// Whoever waits is answered, also when the writer ends by a fault of its own.
impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue.close();
        drop(self.shared.queue.take(Some(Duration::ZERO)));
        if thread::panicking() {
            let ended: io::Result<()> = Err(io::Error::other("its writer ended; restart it"));
            self.shared.report(&ended);
        }
    }
}

/// A segment's size for this many bytes in all: small enough that space comes back in steps, large
/// enough that files are few.
pub(super) const fn segment_bytes(total: u64) -> u64 {
    let part = total / 16;
    if part < 4096 {
        4096
    } else if part > 64 << 20 {
        64 << 20
    } else {
        part + HEADER as u64
    }
}
