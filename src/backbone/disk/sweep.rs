//! Makes room on disk without letting go of what is still kept.
//!
//! What has to go is the index's decision ([`super::super::log`]): beyond its bytes whoever holds the
//! most gives, so the old messages of somebody who writes little stay. Here the space of what went is
//! taken back: segments that are no longer written to are copied without it, the oldest first, several
//! into one when little is left of them.
//!
//! The copy is written beside the log, brought to the disk, and then takes the name of the last segment
//! that it stands for. A crash before that leaves the old ones, a crash after it the new one and some
//! that it stands for, which the next start removes.
//!
//! A pass goes from the oldest segment to the newest. Messages of a topic go in their order, so what is
//! left of one on disk has no end missing, with one exception: what a pass copied while it was kept, and
//! was let go of before the pass came to the messages behind it. Those are dropped with a record that says
//! so (`gone`), or a restart would take the older ones for the end of the topic and give numbers twice (I3).
//!
//! It works in steps of a bounded size, as many as pay for what is written, on the writer's thread.
//! At most half of the log's bytes are kept, and it begins when a quarter is left: so a pass takes back at
//! least a quarter of the log for half of it copied, however the messages are mixed.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::files::Files;
use super::format::{self, Next, next};
use super::recovery::Span;
use super::segment::{Header, Place, Segment, Swept, forget_sweep};
use crate::backbone::log::Logs;
use crate::protocol::{SeqNo, Topic};

/// Bytes that are read at once.
const CHUNK: usize = if cfg!(test) { 600 } else { 64 << 10 };
/// Bytes that are read for each byte that is published, while room is made.
const PACE: u64 = 8;
/// Messages that are looked for elsewhere from now on, under one lock.
const MOVES: usize = if cfg!(test) { 5 } else { 1024 };
/// Bytes after which the copy is brought to the disk: little is left to be waited for at its end.
const SYNC_EVERY: u64 = 1 << 20;

/// What part of the log's bytes may be kept messages.
pub(super) const fn kept_bytes(total: usize) -> usize {
    total / 2
}

/// Takes space back.
#[derive(Debug)]
pub(super) struct Sweep {
    dir: PathBuf,
    /// It works while the log has more bytes.
    above: u64,
    /// A copy of this many bytes is long enough.
    enough: u64,
    /// Where the pass goes on.
    next: u64,
    /// Topics of which this pass left messages behind it.
    left: HashSet<Topic>,
    stage: Stage,
    /// Bytes that may be read.
    credit: u64,
    /// Something failed; it is tried again when it is time to tend.
    rests: bool,
}

#[derive(Debug, Default)]
enum Stage {
    /// Nothing is to be done.
    #[default]
    Idle,
    /// A segment is being made.
    Copying(Copy),
    /// It has its place, and is becoming known.
    Moving(Moving),
}

#[derive(Debug)]
struct Copy {
    segment: Segment,
    first: u64,
    end: u64,
    synced: u64,
    newest_ms: u64,
    /// What is read, and where.
    source: Source,
    at: u64,
    /// What is read behind it.
    behind: Option<Source>,
    /// Those that were read; held, so that nobody takes their names away meanwhile.
    read: Vec<Source>,
    moves: Vec<Move>,
    gone: HashMap<Topic, SeqNo>,
}

/// A segment that is read.
#[derive(Debug, Clone)]
struct Source {
    segment: Arc<Segment>,
    start: u64,
    end: u64,
    newest_ms: u64,
}

impl From<&Span> for Source {
    fn from(span: &Span) -> Self {
        Self {
            segment: span.segment.clone(),
            start: span.header.length() as u64,
            end: span.end,
            newest_ms: span.newest_ms,
        }
    }
}

/// Where a message lies in the copy.
#[derive(Debug)]
struct Move {
    topic: Topic,
    seq_no: SeqNo,
    at: u32,
    length: u32,
}

#[derive(Debug)]
struct Moving {
    swept: Span,
    moves: Vec<Move>,
    _read: Vec<Source>,
}

impl Sweep {
    /// For a log of `total` bytes, in segments of `segment` bytes.
    pub(super) fn new(dir: &Path, total: u64, segment: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            above: total - total / 4,
            enough: segment / 2,
            next: 0,
            left: HashSet::new(),
            stage: Stage::Idle,
            credit: 0,
            rests: false,
        }
    }

    /// The bytes of a copy that is not in its place yet.
    pub(super) fn bytes(&self) -> u64 {
        match &self.stage {
            Stage::Idle => 0,
            Stage::Copying(copy) => copy.end,
            Stage::Moving(moving) => moving.swept.end,
        }
    }

    /// Bytes are about to be written: does as much as they pay for, if the log has too many with them.
    /// `floor` is the highest number given so far.
    pub(super) fn pay(
        &mut self,
        files: &mut Files,
        index: &Mutex<Logs<Place>>,
        floor: SeqNo,
        bytes: u64,
    ) {
        self.credit += bytes * PACE;
        self.work(files, index, floor, bytes);
    }

    /// Goes over a log that was just opened, as far as little is left. How far the pass of the last
    /// process had come is not known: without this, a few restarts would leave it no room.
    pub(super) fn shrink(&mut self, files: &mut Files, index: &Mutex<Logs<Place>>, floor: SeqNo) {
        self.credit = 2 * files.bytes();
        self.work(files, index, floor, 0);
    }

    fn work(&mut self, files: &mut Files, index: &Mutex<Logs<Place>>, floor: SeqNo, bytes: u64) {
        while self.credit > 0 && !self.rests {
            let spare = files.bytes() + bytes <= self.above;
            let outcome = match std::mem::take(&mut self.stage) {
                Stage::Idle if spare => Ok(None),
                Stage::Idle => self.begin(files),
                Stage::Copying(copy) => self.copy(copy, files, index, floor),
                Stage::Moving(moving) => Ok(self.make_known(moving, files, index)),
            };
            match outcome {
                Ok(Some(worked)) => self.credit = self.credit.saturating_sub(worked.max(1)),
                Ok(None) => self.credit = 0,
                Err(error) => {
                    tracing::warn!(%error, "no room can be made in the log; old messages go unfairly");
                    self.give_up(files, index);
                    self.rests = true;
                }
            }
        }
    }

    /// Tries again what failed.
    pub(super) fn rested(&mut self) {
        self.rests = false;
    }

    /// Ends what was begun, without reading or writing anything more.
    pub(super) fn give_up(&mut self, files: &mut Files, index: &Mutex<Logs<Place>>) {
        while let Stage::Moving(moving) = std::mem::take(&mut self.stage) {
            self.make_known(moving, files, index);
        }
        // What the pass left behind it is known for the part that it had in its place only.
        (self.next, self.credit) = (0, 0);
        self.left.clear();
        if let Err(error) = forget_sweep(&self.dir) {
            tracing::warn!(%error, "a file beside the log cannot be removed");
        }
    }

    /// Begins a copy. Returns what that costs; nothing when there is nothing to read.
    fn begin(&mut self, files: &Files) -> io::Result<Option<u64>> {
        if files.sealed_from(self.next).is_none() {
            self.next = 0;
            self.left.clear();
        }
        let Some((span, before)) = files.sealed_from(self.next) else {
            return Ok(None);
        };
        let small = |span: &&Span| span.header.swept.is_some() && span.end < self.enough / 2;
        let (first, behind) = match before.filter(small) {
            Some(before) => (before, Some(span.into())),
            None => (span, None),
        };
        let source = Source::from(first);
        let segment = Segment::sweeping(&self.dir, span.segment.index)?;
        let start = Self::header(first.first(), 0, 0).length() as u64;
        self.stage = Stage::Copying(Copy {
            segment,
            first: first.first(),
            end: start,
            synced: start,
            newest_ms: 0,
            at: source.start,
            source,
            behind,
            read: Vec::new(),
            moves: Vec::new(),
            gone: HashMap::new(),
        });
        Ok(Some(0))
    }

    const fn header(first: u64, end: u64, floor: SeqNo) -> Header {
        Header {
            floor,
            previous_end: 0,
            swept: Some(Swept { first, end }),
        }
    }

    /// Copies a part.
    fn copy(
        &mut self,
        mut copy: Copy,
        files: &Files,
        index: &Mutex<Logs<Place>>,
        floor: SeqNo,
    ) -> io::Result<Option<u64>> {
        let from = copy.at;
        if copy.at < copy.source.end {
            copy.some(&mut self.left, index)?;
        }
        let worked = copy.at - from;
        if copy.at == copy.source.end {
            self.next = copy.source.segment.index + 1;
            copy.newest_ms = copy.newest_ms.max(copy.source.newest_ms);
            let read: u64 = copy.read.iter().map(|source| source.end).sum();
            let left = (files.bytes() + copy.end).saturating_sub(read + copy.source.end);
            let more = copy.behind.take().or_else(|| {
                let more = left > self.above && copy.end < self.enough;
                let (span, _) = files.sealed_from(self.next).filter(|_| more)?;
                Some(span.into())
            });
            match more {
                Some(source) => {
                    copy.at = source.start;
                    let read = std::mem::replace(&mut copy.source, source);
                    copy.read.push(read);
                }
                None => {
                    let moving = copy.finish(&self.dir, floor)?;
                    self.stage = Stage::Moving(moving);
                    return Ok(Some(worked));
                }
            }
        }
        self.stage = Stage::Copying(copy);
        Ok(Some(worked))
    }

    /// From some messages on the copy is looked into.
    fn make_known(
        &mut self,
        mut moving: Moving,
        files: &mut Files,
        index: &Mutex<Logs<Place>>,
    ) -> Option<u64> {
        let segment = &moving.swept.segment;
        let rest = moving.moves.len().saturating_sub(MOVES);
        let mut index = index.lock();
        for each in moving.moves.drain(rest..) {
            let place = Place {
                seq_no: each.seq_no,
                segment: segment.clone(),
                at: each.at,
                length: each.length,
            };
            index.relocate(each.topic.as_str(), place);
        }
        drop(index);
        if moving.moves.is_empty() {
            files.replace(moving.swept);
        } else {
            self.stage = Stage::Moving(moving);
        }
        Some(CHUNK as u64)
    }
}

impl Copy {
    /// Reads a part of the source and writes what of it is kept.
    fn some(&mut self, left: &mut HashSet<Topic>, index: &Mutex<Logs<Place>>) -> io::Result<()> {
        let rest = (self.source.end - self.at) as usize;
        let mut length = rest.min(CHUNK);
        let mut bytes = Vec::new();
        let records = loop {
            bytes.resize(length, 0);
            self.source.segment.read_at(&mut bytes, self.at)?;
            let mut records = Vec::new();
            let mut read = 0;
            while let Next::Record(stored, length) = next(&bytes[read..]) {
                records.push((stored, read..read + length));
                read += length;
            }
            if !records.is_empty() {
                break records;
            }
            if length == rest {
                let (segment, at) = (self.source.segment.index, self.at);
                let text = format!("segment {segment} is damaged at byte {at}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            length = rest.min(length * 2);
        };
        let mut kept = Vec::new();
        let index = index.lock();
        for (stored, place) in &records {
            let (topic, seq_no) = (stored.publication.topic, stored.seq_no);
            if !stored.is_gone()
                && let Some(topic) = index.holds(topic, seq_no)
            {
                self.moves.push(Move {
                    topic: topic.clone(),
                    seq_no,
                    at: (self.end + kept.len() as u64) as u32,
                    length: place.len() as u32,
                });
                if !left.contains(topic) {
                    left.insert(topic.clone());
                }
                kept.extend_from_slice(&bytes[place.clone()]);
            } else if let Some(topic) = left.get(topic) {
                let gone = self.gone.entry(topic.clone()).or_default();
                *gone = seq_no.max(*gone);
            }
        }
        drop(index);
        self.at += records.last().map_or(0, |(_, place)| place.end as u64);
        self.write(&kept)?;
        if self.end - self.synced > SYNC_EVERY {
            self.segment.sync()?;
            self.synced = self.end;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.segment.write_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Makes it a part of the log.
    fn finish(mut self, dir: &Path, floor: SeqNo) -> io::Result<Moving> {
        let gone: Vec<u8> = (self.gone.iter())
            .flat_map(|(topic, seq_no)| format::gone(topic.as_str(), *seq_no))
            .collect();
        self.write(&gone)?;
        self.read.push(self.source);
        self.segment.index = self.read.last().map_or(0, |last| last.segment.index);
        let header = Sweep::header(self.first, self.end, floor);
        self.segment
            .write_at(&header.encode(self.segment.index), 0)?;
        self.segment.sync()?;
        self.segment.take_place(dir)?;
        Ok(Moving {
            swept: Span {
                segment: Arc::new(self.segment),
                header,
                end: self.end,
                newest_ms: self.newest_ms,
            },
            moves: self.moves,
            _read: self.read,
        })
    }
}
