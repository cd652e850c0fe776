//! The log reader with logs that were written by nobody, and with real ones that were damaged.
//!
//! The first byte of an input says which:
//!
//! * 0: the rest are segments as they are, each behind its length (u16).
//! * 1: the rest are bodies of records, each behind its length (u8), with right checks.
//! * else: the rest is a story: what was published, and what happened to the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::format::{encode, frame, number};
use super::recovery::{Recovered, scan};
use super::segment::{HEADER, Header};
use crate::backbone::Publication;

/// Segments of a log at most.
const SEGMENTS: u64 = 6;

/// Reads the log that these bytes stand for.
pub fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let bytes = &mut Bytes(data);
    match kind {
        0 => {
            let files = (0..SEGMENTS).map_while(|index| {
                let length = usize::from(u16::from(bytes.next()?) << 8 | u16::from(bytes.next()?));
                Some((index, bytes.take(length).to_vec()))
            });
            read(&files.collect());
        }
        1 => {
            let mut file = start(0, 0, 0);
            while let Some(length) = bytes.next() {
                frame(&mut file, bytes.take(length.into()));
            }
            read(&[(0, file)].into());
        }
        _ => Story::of(bytes).check(),
    }
}

/// What is left of an input.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// The files of a log, by index.
type Files = BTreeMap<u64, Vec<u8>>;

/// A place in a file.
type At = (u64, usize);

fn start(index: u64, floor: u64, previous_end: usize) -> Vec<u8> {
    let previous_end = previous_end as u64;
    let header = Header {
        floor,
        previous_end,
        swept: None,
    };
    header.encode(index)
}

/// Reads the files and mends them; what was mended reads the same, and is whole. Returns where the
/// records are, and what was wrong.
fn read(files: &Files) -> (Vec<At>, Option<String>) {
    let folder = Folder::new(files);
    let (mut found, records) = folder.scan();
    let damage = found.damage.clone();
    for (segment, at) in &records {
        assert!(files[segment].len() > *at, "a record outside its file");
    }
    let mended = found.mend(&folder.0);
    assert!(mended.is_ok(), "{mended:?}");
    let (again, same) = folder.scan();
    assert_eq!(records, same, "mending changes nothing of what is whole");
    assert_eq!(again.damage, None, "what was mended is whole");
    assert_eq!(again.highest, found.highest);
    (records, damage)
}

/// A folder that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &Files) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("micro-socket-fuzz-{}-{count}", std::process::id());
        // Nothing of it has to last, and every mending waits for the disk.
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let folder = Self(parent.join(name));
        let made = fs::create_dir_all(&folder.0);
        for (index, bytes) in files {
            let written = fs::write(folder.0.join(format!("{index:012}.log")), bytes);
            assert!(made.is_ok() && written.is_ok(), "{made:?} {written:?}");
        }
        folder
    }

    fn scan(&self) -> (Recovered, Vec<At>) {
        let mut records = Vec::new();
        let found = scan(&self.0, |segment, at, _, _| {
            records.push((segment.index, at));
            true
        });
        assert!(found.is_ok(), "the log cannot be read: {:?}", found.err());
        (found.unwrap_or_default(), records)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A log as it was written, and as it was found.
struct Story {
    written: Files,
    /// Where the records are, with their ends.
    records: Vec<(u64, usize, usize)>,
    found: Files,
}

impl Story {
    fn of(bytes: &mut Bytes<'_>) -> Self {
        let mut written: Files = [(0, start(0, 0, 0))].into();
        let mut records = Vec::new();
        let mut last = 0;
        let count = bytes.next().unwrap_or(0) % 24;
        for seq_no in 1..=u64::from(count) {
            let step = bytes.next().unwrap_or(0);
            let payload = "7".repeat(1 + usize::from(step >> 2));
            let publication = Publication {
                user: "ann",
                topic: if step & 1 == 0 { "a" } else { "b" },
                message_id: "m",
                payload: &payload,
                sig: None,
            };
            if step & 3 == 3 && last + 1 < SEGMENTS {
                let end = written[&last].len();
                last += 1;
                written.insert(last, start(last, seq_no - 1, end));
            }
            let mut record = encode(&publication, seq_no);
            number(&mut record, seq_no);
            let file = written.entry(last).or_default();
            records.push((last, file.len(), file.len() + record.len()));
            file.extend_from_slice(&record);
        }
        let mut found = written.clone();
        while let Some(what) = bytes.next() {
            let index = u64::from(bytes.next().unwrap_or(0)) % (last + 1);
            let at = usize::from(bytes.next().unwrap_or(0)) << 8
                | usize::from(bytes.next().unwrap_or(0));
            let Some(file) = found.get_mut(&index) else {
                continue;
            };
            let at = at % (file.len() + 1);
            match what % 5 {
                0 => file.truncate(at),
                1 => file
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= what | 1),
                // The end of a log that is gone cannot be missed: no crash takes a name that was synced.
                2 if index < last => drop(found.remove(&index)),
                3 => file.resize(file.len() + at % 50, 0),
                _ => file.extend_from_slice(bytes.take(at % 20)),
            }
        }
        Self {
            written,
            records,
            found,
        }
    }

    /// Whether the file is as it was written up to there.
    fn is_whole(&self, index: u64, end: usize) -> bool {
        let found = self.found.get(&index).and_then(|file| file.get(..end));
        found == Some(&self.written[&index][..end])
    }

    /// Exactly the records before the first damage are read, and that some are missing is known,
    /// unless it is what a crash leaves: the last one of all was cut off.
    fn check(&self) {
        let (read, damage) = read(&self.found);
        // Old segments are let go of from the front.
        let first = self.found.keys().next().copied().unwrap_or(SEGMENTS);
        let kept = self.records.iter().filter(|(index, ..)| *index >= first);
        let kept: Vec<_> = kept.copied().collect();
        let whole = kept.iter().take_while(|(index, _, end)| {
            let mut before = first..*index;
            before.all(|index| self.is_whole(index, self.written[&index].len()))
                && self.is_whole(*index, *end)
        });
        let whole: Vec<At> = whole.map(|(index, at, _)| (*index, *at)).collect();
        assert_eq!(read, whole, "{damage:?}");
        if self.found == self.written {
            assert_eq!(damage, None, "nothing happened");
        }
        if let Some((index, at, end)) = kept.get(read.len()) {
            let rest = self.found.get(index).map(|file| file.get(*at..));
            let is_torn = rest.is_some_and(|rest| {
                rest.is_none_or(|rest| rest.len() < end - at || rest.iter().all(|byte| *byte == 0))
            });
            // What lies behind was just being made.
            let mut behind = self.found.range(index + 1..);
            let is_last = match behind.next() {
                None => *index + 1 == self.written.len() as u64,
                Some((next, file)) => {
                    let begun = file.len() <= HEADER && !self.is_whole(*next, HEADER);
                    *next == index + 1 && begun && behind.next().is_none()
                }
            };
            assert!(
                damage.is_some() || (is_last && is_torn),
                "a loss at {index}:{at} that nobody is told of"
            );
        }
    }
}
