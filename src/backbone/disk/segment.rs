//! One file of the log: a header, then records one after the other.
//!
//! ```text
//! header   magic 8 bytes | index u64 | floor u64 | end of the segment before u64 | check u32
//! swept    magic 8 bytes | index u64 | floor u64 | 0 u64 | first u64 | end u64 | check u32
//! ```
//!
//! A segment is written to until it is large or old enough or a write into it failed. The next one
//! says where it ends: what lies behind that was never acknowledged, and what is missing before it
//! was. `floor` is the highest number given to any topic before; see [`super::super::log`].
//!
//! A swept segment (see [`super::sweep`]) stands for all segments from `first` to its own index, and says
//! itself where it ends. Of those before it whatever is still there is no longer the log.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::format::{Next, next, u32_at, u64_at};
use crate::backbone::Record;
use crate::backbone::log::Kept;
use crate::protocol::SeqNo;

const MAGIC: &[u8; 8] = b"msocket1";
const MAGIC_SWEPT: &[u8; 8] = b"msocket2";
/// A swept segment's name until it takes its place.
const SWEEPING: &str = "sweep.new";
/// Where the first record begins.
pub(super) const HEADER: usize = 36;

/// Where the first record of a swept segment begins.
const HEADER_SWEPT: usize = HEADER + 16;

/// What the header says besides the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The highest number that any topic had before.
    pub(super) floor: SeqNo,
    /// Where the segment before ends, in bytes. 0 in a swept segment: it knows nothing of that.
    pub(super) previous_end: u64,
    /// What a swept segment says besides.
    pub(super) swept: Option<Swept>,
}

/// What a swept segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Swept {
    /// The first segment that it stands for.
    pub(super) first: u64,
    /// Where it ends, in bytes.
    pub(super) end: u64,
}

impl Header {
    /// Where the first record begins.
    pub(super) const fn length(self) -> usize {
        if self.swept.is_some() {
            HEADER_SWEPT
        } else {
            HEADER
        }
    }

    pub(super) fn encode(self, index: u64) -> Vec<u8> {
        let magic = self.swept.map_or(MAGIC, |_| MAGIC_SWEPT);
        let mut out = magic.to_vec();
        let swept = self.swept.map(|swept| [swept.first, swept.end]);
        let numbers = [index, self.floor, self.previous_end];
        for number in numbers.into_iter().chain(swept.into_iter().flatten()) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let check = crc32fast::hash(&out);
        out.extend_from_slice(&check.to_le_bytes());
        out
    }

    /// Reads the header of the segment with this index.
    pub(super) fn decode(bytes: &[u8], index: u64) -> Option<Self> {
        let is_swept = bytes.starts_with(MAGIC_SWEPT);
        let length = if is_swept { HEADER_SWEPT } else { HEADER };
        let header = bytes.get(..length)?;
        let whole = (is_swept || header.starts_with(MAGIC))
            && crc32fast::hash(&header[..length - 4]) == u32_at(header, length - 4)
            && u64_at(header, 8) == index;
        let swept = is_swept.then(|| Swept {
            first: u64_at(header, 32),
            end: u64_at(header, 40),
        });
        let whole = whole && swept.is_none_or(|swept| swept.first <= index);
        whole.then(|| Self {
            floor: u64_at(header, 16),
            previous_end: u64_at(header, 24),
            swept,
        })
    }
}

/// An open file of the log. It can be read as long as somebody holds it, also when it is unlinked.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its place in the log.
    pub(super) index: u64,
    file: File,
    path: PathBuf,
}

impl Segment {
    /// Makes a segment that is on disk when this returns, together with its name.
    pub(super) fn create(dir: &Path, index: u64, header: Header) -> io::Result<Self> {
        let path = path(dir, index);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        let made = options.open(&path).and_then(|file| {
            let segment = Self {
                index,
                file,
                path: path.clone(),
            };
            segment.write_at(&header.encode(index), 0)?;
            segment.sync()?;
            sync_dir(dir)?;
            Ok(segment)
        });
        if made.is_err() {
            let _ = fs::remove_file(&path);
        }
        made
    }

    /// Makes a swept segment, which is no part of the log yet.
    pub(super) fn sweeping(dir: &Path, index: u64) -> io::Result<Self> {
        let path = dir.join(SWEEPING);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&path)?;
        Ok(Self { index, file, path })
    }

    /// Gives a swept segment, which is whole and on disk, its place in the log.
    pub(super) fn take_place(&mut self, dir: &Path) -> io::Result<()> {
        let path = path(dir, self.index);
        fs::rename(&self.path, &path)?;
        self.path = path;
        sync_dir(dir)
    }

    /// Opens a segment that is there.
    pub(super) fn open(dir: &Path, index: u64) -> io::Result<Self> {
        let path = path(dir, index);
        let file = File::options().read(true).write(true).open(&path)?;
        Ok(Self { index, file, path })
    }

    /// All its bytes.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        fs::read(&self.path)
    }

    /// As many of its bytes as there is room for.
    pub(super) fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        read_exact_at(&self.file, bytes, at)
    }

    /// Writes into it.
    pub(super) fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        if self.fault("fail-write") {
            write_all_at(&self.file, &bytes[..bytes.len() / 2], at)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        write_all_at(&self.file, bytes, at)
    }

    /// Returns when everything written is on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.fault("fail-sync") || fs::remove_file(self.beside("fail-sync-once")).is_ok() {
            return Err(io::Error::other("the disk lost it"));
        }
        self.file.sync_data()
    }

    /// Cuts off what lies behind `end`.
    pub(super) fn cut(&self, end: u64) -> io::Result<()> {
        self.file.set_len(end)?;
        self.sync()
    }

    /// Whether a test wants the next call to fail: it put a file of this name beside the log.
    #[cfg(test)]
    fn fault(&self, name: &str) -> bool {
        self.beside(name).exists()
    }

    /// Returns when no test wants it to wait any more: the file of that name is gone.
    #[cfg(test)]
    pub(super) fn hold(&self) {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while self.fault("hold-write") && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
    }

    #[cfg(test)]
    fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    /// Takes its name away; its bytes go when nobody holds it any more.
    pub(super) fn unlink(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Where a message lies.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Its place in the topic.
    pub(super) seq_no: SeqNo,
    /// In which file.
    pub(super) segment: std::sync::Arc<Segment>,
    /// Its first byte there.
    pub(super) at: u32,
    /// Its bytes.
    pub(super) length: u32,
}

impl Kept for Place {
    fn seq_no(&self) -> SeqNo {
        self.seq_no
    }

    fn bytes(&self) -> usize {
        self.length as usize
    }
}

impl Place {
    /// Reads the message, and checks it again: what changed on disk meanwhile is never served.
    pub(super) fn read(&self) -> io::Result<Record> {
        let mut bytes = vec![0; self.length as usize];
        read_exact_at(&self.segment.file, &mut bytes, u64::from(self.at))?;
        match next(&bytes) {
            Next::Record(stored, _) if stored.seq_no == self.seq_no => Ok(Record::new(
                &stored.publication,
                stored.seq_no,
                stored.seq_no - 1,
                stored.ts,
            )),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "{} is damaged at byte {}",
                    self.segment.path.display(),
                    self.at
                ),
            )),
        }
    }
}

/// Takes away what a sweep that did not end has left.
pub(super) fn forget_sweep(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(SWEEPING)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The header of a segment, if it has one.
pub(super) fn header(dir: &Path, index: u64) -> io::Result<Option<Header>> {
    let mut bytes = Vec::new();
    let file = File::open(path(dir, index))?;
    file.take(HEADER_SWEPT as u64).read_to_end(&mut bytes)?;
    Ok(Header::decode(&bytes, index))
}

/// The indices of the segments in a directory, in order.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let index = name
            .to_str()
            .and_then(|name| name.strip_suffix(".log"))
            .and_then(|index| index.parse::<u64>().ok());
        found.extend(index);
    }
    found.sort_unstable();
    Ok(found)
}

fn path(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("{index:012}.log"))
}

/// Returns when the names in the directory are on disk.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened, and a file's own sync brings its name.
    if cfg!(unix) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        bytes = &bytes[written..];
        at += written as u64;
    }
    Ok(())
}
