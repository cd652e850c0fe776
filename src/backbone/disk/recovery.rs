//! Reads the log back and finds where it is whole. Changes nothing until [`Recovered::mend`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::format::{Next, Stored, next};
use super::segment::{HEADER, Header, Segment, forget_sweep, header, list, sync_dir};
use crate::protocol::SeqNo;

/// A segment and what of it is the log.
#[derive(Debug)]
pub(super) struct Span {
    /// The file.
    pub(super) segment: Arc<Segment>,
    /// What it says of itself.
    pub(super) header: Header,
    /// Where the log goes on in the next one, in bytes.
    pub(super) end: u64,
    /// When its newest message was accepted, in milliseconds since the Unix epoch.
    pub(super) newest_ms: u64,
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// The whole part of the log.
    pub(super) spans: Vec<Span>,
    /// The highest number that any topic ever had.
    pub(super) highest: SeqNo,
    /// Why acknowledged messages may be missing, if they may be.
    pub(super) damage: Option<String>,
    /// Segments that lie behind the whole part.
    behind: Vec<Segment>,
    /// Segments that a swept one stands for.
    swept: Vec<Segment>,
}

impl Span {
    /// The first segment that it stands for.
    pub(super) fn first(&self) -> u64 {
        first(self.header, self.segment.index)
    }
}

fn first(header: Header, index: u64) -> u64 {
    header.swept.map_or(index, |swept| swept.first)
}

/// Reads all of it, oldest first. `each` gets every message with its file, its place there and its
/// length, and says whether its number can be.
pub(super) fn scan(
    dir: &Path,
    mut each: impl FnMut(&Arc<Segment>, usize, usize, &Stored<'_>) -> bool,
) -> io::Result<Recovered> {
    let mut found = Recovered::default();
    let mut indices = list(dir)?;
    for index in indices.clone() {
        if let Some(header) = header(dir, index)? {
            let stands_for = first(header, index)..index;
            for old in indices.extract_if(.., |old| stands_for.contains(old)) {
                found.swept.push(Segment::open(dir, old)?);
            }
        }
    }
    // The header of the next one says where this one ends, so one is read ahead.
    let mut ahead = None;
    for (i, &index) in indices.iter().enumerate() {
        let segment = Segment::open(dir, index)?;
        let bytes = match ahead.take() {
            Some(bytes) => bytes,
            None => segment.read()?,
        };
        let header = Header::decode(&bytes, index);
        let first_of = |header: Option<Header>, index| header.map_or(index, |h| first(h, index));
        if i > 0 && !follows(indices[i - 1], first_of(header, index)) {
            found.damage = Some(format!("the segment before {index} is missing"));
            found.behind.push(segment);
            break;
        }
        let Some(header) = header else {
            // One that was just being made holds nothing.
            if i + 1 < indices.len() || bytes.len() > HEADER {
                found.damage = Some(format!("segment {index} has no valid header"));
            }
            found.behind.push(segment);
            break;
        };
        found.highest = found.highest.max(header.floor);
        let mut end = header.swept.map(|swept| swept.end as usize);
        if let Some(&next_index) = indices.get(i + 1) {
            let next_bytes = Segment::open(dir, next_index)?.read()?;
            // One that does not follow says where another one ends.
            let next = Header::decode(&next_bytes, next_index)
                .filter(|next| follows(index, first(*next, next_index)));
            end = end.or_else(|| next.map(|next| next.previous_end as usize));
            ahead = Some(next_bytes);
        }
        let segment = Arc::new(segment);
        let mut at = header.length();
        let mut newest_ms = 0;
        let limit = end.unwrap_or(bytes.len()).min(bytes.len());
        while at < limit {
            let Next::Record(stored, length) = next(&bytes[at..limit]) else {
                break;
            };
            if !each(&segment, at, length, &stored) {
                break;
            }
            if !stored.is_gone() {
                newest_ms = newest_ms.max(stored.ts);
            }
            found.highest = found.highest.max(stored.seq_no);
            at += length;
        }
        let whole = match end {
            Some(end) => at == end,
            None => matches!(next(&bytes[at..limit]), Next::End | Next::Torn),
        };
        found.spans.push(Span {
            segment,
            header,
            end: at as u64,
            newest_ms,
        });
        if !whole {
            found.damage = Some(format!("segment {index} is damaged at byte {at}"));
            break;
        }
    }
    let known = found.spans.len() + found.behind.len();
    for &index in indices.iter().skip(known) {
        found.behind.push(Segment::open(dir, index)?);
    }
    Ok(found)
}

/// Whether these are the indices of two segments without another between them.
fn follows(before: u64, index: u64) -> bool {
    before.checked_add(1) == Some(index)
}

impl Recovered {
    /// Cuts the log behind its whole part and brings that part to the disk, so that nothing is
    /// served which a second crash could take back.
    pub(super) fn mend(&mut self, dir: &Path) -> io::Result<()> {
        for segment in self.behind.drain(..).chain(self.swept.drain(..)) {
            segment.unlink()?;
        }
        if let Some(last) = self.spans.last_mut() {
            if let Some(swept) = &mut last.header.swept {
                swept.end = last.end;
                let header = last.header.encode(last.segment.index);
                last.segment.write_at(&header, 0)?;
            }
            last.segment.cut(last.end)?;
        }
        forget_sweep(dir)?;
        sync_dir(dir)
    }
}
