//! The files that are written: the active segment, those before it, and what becomes of them.
//!
//! One rule for everything that goes wrong while writing: the active segment ends where the last
//! good write ended, and the next segment says so in its header before anything else is accepted.
//! Until that segment could be made, nothing is accepted. So neither a part of a failed write nor
//! pages that a failed fsync left in doubt can ever be taken for the log.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::recovery::Span;
use super::segment::{HEADER, Header, Segment};
use crate::protocol::SeqNo;

/// How long after a failure the next attempt is made, so that a full disk is not hammered.
const RETRY: Duration = Duration::from_millis(100);

/// The files of the log.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    /// Whether every write is followed by an fsync before it counts.
    always: bool,
    segment_bytes: u64,
    sealed: VecDeque<Span>,
    active: Option<Active>,
    next_index: u64,
    /// With an interval: something was written after the last fsync.
    dirty: bool,
    retry_at: Option<Instant>,
    /// A failed fsync left acknowledged messages in doubt; only a restart can tell what is there.
    poisoned: Option<String>,
}

#[derive(Debug)]
struct Active {
    span: Span,
    since_ms: u64,
}

impl Files {
    /// Goes on behind these.
    pub(super) fn new(dir: PathBuf, always: bool, segment_bytes: u64, spans: Vec<Span>) -> Self {
        let next_index = spans.last().map_or(0, |span| span.segment.index + 1);
        Self {
            dir,
            always,
            segment_bytes,
            sealed: spans.into(),
            active: None,
            next_index,
            dirty: false,
            retry_at: None,
            poisoned: None,
        }
    }

    /// Makes sure that there is a segment with room for this many bytes, and returns it with the
    /// place they would go to. `floor` is the highest number given so far.
    pub(super) fn ready(
        &mut self,
        now_ms: u64,
        bytes: usize,
        floor: SeqNo,
    ) -> io::Result<(Arc<Segment>, u64)> {
        let full = |active: &Active| {
            active.span.end > HEADER as u64 && active.span.end + bytes as u64 > self.segment_bytes
        };
        if self.active.as_ref().is_some_and(full) {
            self.seal()?;
        }
        if self.active.is_none() {
            self.open_next(now_ms, floor)?;
        }
        match &self.active {
            Some(active) => Ok((active.span.segment.clone(), active.span.end)),
            None => Err(io::Error::other("there is no segment")),
        }
    }

    fn open_next(&mut self, now_ms: u64, floor: SeqNo) -> io::Result<()> {
        if let Some(why) = &self.poisoned {
            return Err(io::Error::other(why.clone()));
        }
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return Err(io::Error::other("a write failed; about to try again"));
        }
        let previous_end = self.sealed.back().map_or(0, |span| span.end);
        let header = Header {
            floor,
            previous_end,
            swept: None,
        };
        let made = Segment::create(&self.dir, self.next_index, header);
        let segment = made.inspect_err(|_| self.retry_at = Some(Instant::now() + RETRY))?;
        self.retry_at = None;
        self.next_index += 1;
        self.active = Some(Active {
            span: Span {
                segment: Arc::new(segment),
                header,
                end: HEADER as u64,
                newest_ms: now_ms,
            },
            since_ms: now_ms,
        });
        Ok(())
    }

    /// Writes at the end of the active segment. When this returns `Ok`, the bytes are as safe as
    /// was asked for; otherwise they are not part of the log.
    pub(super) fn write(&mut self, now_ms: u64, bytes: &[u8]) -> io::Result<()> {
        let Some(active) = &mut self.active else {
            return Err(io::Error::other("there is no segment"));
        };
        let (segment, end) = (&active.span.segment, active.span.end);
        let mut written = segment.write_at(bytes, end);
        #[cfg(test)]
        segment.hold();
        if written.is_ok() && self.always {
            written = segment.sync();
        }
        match written {
            Ok(()) => {
                active.span.end += bytes.len() as u64;
                active.span.newest_ms = active.span.newest_ms.max(now_ms);
                self.dirty = !self.always;
                Ok(())
            }
            Err(error) => {
                self.retry_at = Some(Instant::now() + RETRY);
                // What was acknowledged first: that an fsync failed is said only once.
                let segment = segment.clone();
                self.sync()?;
                // At best the rest of it is gone now; the next header says so in any case.
                let _ = segment.cut(end);
                self.seal()?;
                Err(error)
            }
        }
    }

    fn seal(&mut self) -> io::Result<()> {
        self.sync()?;
        let Some(active) = self.active.take() else {
            return Ok(());
        };
        if active.span.end > HEADER as u64 {
            self.sealed.push_back(active.span);
        } else {
            // It holds nothing: the next one takes its name.
            self.next_index = active.span.segment.index;
        }
        Ok(())
    }

    /// Brings to the disk what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(why) = &self.poisoned {
            return Err(io::Error::other(why.clone()));
        }
        if let (true, Some(active)) = (self.dirty, &self.active)
            && let Err(error) = active.span.segment.sync()
        {
            let why = format!("an fsync failed, acknowledged messages are in doubt: {error}");
            self.poisoned = Some(why);
            self.active = None;
            return Err(error);
        }
        self.dirty = false;
        Ok(())
    }

    /// Ends the active segment when it was begun this long ago and holds something, so that an old
    /// message in it can go.
    pub(super) fn seal_older(&mut self, now_ms: u64, age_ms: u64) -> io::Result<()> {
        let old =
            |active: &Active| active.span.end > HEADER as u64 && now_ms >= active.since_ms + age_ms;
        if self.active.as_ref().is_some_and(old) {
            self.seal()?;
        }
        Ok(())
    }

    /// Unlinks the oldest segments while all of them are larger than `total_bytes`, calling `forget`
    /// for each, or while nobody holds a place in the oldest one and its messages are older than
    /// `before_ms`.
    pub(super) fn retire(&mut self, total_bytes: u64, before_ms: u64, forget: impl Fn(u64)) {
        // The last sealed one proves the numbering when there is no active one.
        let least = usize::from(self.active.is_none());
        while self.sealed.len() > least {
            let Some(oldest) = self.sealed.front() else {
                return;
            };
            if self.bytes() > total_bytes {
                forget(oldest.segment.index);
            } else if Arc::strong_count(&oldest.segment) > 1 || oldest.newest_ms > before_ms {
                return;
            }
            if let Err(error) = oldest.segment.unlink() {
                tracing::warn!(segment = oldest.segment.index, %error, "cannot remove a segment");
                return;
            }
            self.sealed.pop_front();
        }
    }

    /// The first segment from this one on that is no longer written to, and the one before it.
    pub(super) fn sealed_from(&self, index: u64) -> Option<(&Span, Option<&Span>)> {
        let at = (self.sealed).partition_point(|span| span.segment.index < index);
        let before = at.checked_sub(1).and_then(|at| self.sealed.get(at));
        Some((self.sealed.get(at)?, before))
    }

    /// Puts a swept segment, which has its name already, in the place of those that it stands for.
    pub(super) fn replace(&mut self, swept: Span) {
        let (first, last) = (swept.first(), swept.segment.index);
        let at = (self.sealed).partition_point(|span| span.segment.index < first);
        let behind = (self.sealed).partition_point(|span| span.segment.index <= last);
        for old in self.sealed.drain(at..behind) {
            if old.segment.index < last
                && let Err(error) = old.segment.unlink()
            {
                tracing::warn!(segment = old.segment.index, %error, "cannot remove a segment");
            }
        }
        self.sealed.insert(at, swept);
    }

    /// The bytes of all segments of the log.
    pub(super) fn bytes(&self) -> u64 {
        let active = self.active.as_ref().map(|active| &active.span);
        self.sealed.iter().chain(active).map(|span| span.end).sum()
    }
}
