//! What waits for one connection that cannot take more now, bounded by bytes.
//!
//! Invariant: pure. The caller writes to the socket.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::protocol::SeqNo;
use crate::websocket::frame::boundary_after;

use super::topics::LocalTopic;

/// A run of whole frames.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The frames.
    pub bytes: Bytes,
    /// How many messages it holds; 0 for answers.
    pub messages: u32,
    /// When its first message was accepted, in nanoseconds since the gateway started.
    pub accepted: u64,
    /// The topic and the number of its first message.
    pub first: Option<(LocalTopic, SeqNo)>,
}

impl Chunk {
    /// Frames that are no messages.
    #[must_use]
    pub const fn of_answers(bytes: Bytes) -> Self {
        Self {
            bytes,
            messages: 0,
            accepted: 0,
            first: None,
        }
    }
}

/// Whether a chunk's bytes count as waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Here,
    Elsewhere,
}

/// Chunks in their order; the front one may be written in part.
#[derive(Debug, Default)]
pub struct Backlog {
    chunks: VecDeque<(Chunk, Kept)>,
    /// How much of the front chunk is written.
    sent: usize,
    /// Bytes of all chunks that are not written.
    unsent: usize,
    /// Bytes of all chunks that are kept elsewhere.
    shared: usize,
    /// Bytes that were written since that last counted as progress.
    crumbs: usize,
}

impl Backlog {
    /// Bytes that wait and are kept for this connection only.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.unsent.saturating_sub(self.shared)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Appends a chunk of which `sent` bytes are written already (only the first may be).
    pub fn push(&mut self, chunk: Chunk, sent: usize) {
        let sent = sent.min(chunk.bytes.len());
        debug_assert!(sent == 0 || self.chunks.is_empty());
        self.unsent += chunk.bytes.len() - sent;
        if self.chunks.is_empty() {
            self.sent = sent;
        }
        self.chunks.push_back((chunk, Kept::Here));
    }

    /// Appends a chunk whose bytes are kept elsewhere anyway and do not count as waiting.
    pub fn push_shared(&mut self, chunk: Chunk) {
        self.unsent += chunk.bytes.len();
        self.shared += chunk.bytes.len();
        self.chunks.push_back((chunk, Kept::Elsewhere));
    }

    /// The first message of each chunk that is not written whole.
    pub fn unsent(&self) -> impl Iterator<Item = (LocalTopic, SeqNo)> {
        self.chunks.iter().filter_map(|(chunk, _)| chunk.first)
    }

    /// The next bytes to write.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        self.chunks
            .front()
            .map_or(&[], |(c, _)| &c.bytes[self.sent..])
    }

    /// Whether it is progress that `written` bytes more of it were written, and `moved` bytes went out
    /// meanwhile: 16 KiB went out together, or all that waits was written. A peer that takes crumbs would
    /// hold its backlog for ever.
    pub fn makes_way(&mut self, written: usize, moved: usize) -> bool {
        const PORTION: usize = 16 * 1024;
        self.crumbs += moved;
        let enough = self.crumbs >= PORTION || written >= self.unsent;
        if enough {
            self.crumbs = 0;
        }
        enough
    }

    /// `count` bytes of the front were written; returns its chunk when that completed it.
    pub fn advance(&mut self, count: usize) -> Option<Chunk> {
        self.sent += count;
        self.unsent -= count;
        if self.sent < self.chunks.front()?.0.bytes.len() {
            return None;
        }
        self.sent = 0;
        let (chunk, kept) = self.chunks.pop_front()?;
        if kept == Kept::Elsewhere {
            self.shared -= chunk.bytes.len();
        }
        Some(chunk)
    }

    /// Lets go of everything but the rest of the frame that is on the wire in part, so that a close
    /// frame can follow it.
    pub fn cut(&mut self) {
        self.chunks.truncate(1);
        let keep = match self.chunks.front_mut() {
            Some((front, _)) if self.sent > 0 => {
                let end = boundary_after(&front.bytes, self.sent);
                front.bytes.truncate(end);
                end - self.sent
            }
            _ => 0,
        };
        if keep == 0 {
            self.chunks.clear();
            self.sent = 0;
        }
        self.unsent = keep;
        self.shared = 0;
        if let Some((_, kept)) = self.chunks.front_mut() {
            *kept = Kept::Here;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::push_text;

    fn chunk(texts: &[&str]) -> Chunk {
        let mut bytes = Vec::new();
        for text in texts {
            push_text(&mut bytes, |out| out.extend_from_slice(text.as_bytes()));
        }
        let messages = texts.len() as u32;
        Chunk {
            bytes: bytes.into(),
            messages,
            accepted: 0,
            first: None,
        }
    }

    #[test]
    fn it_counts_what_waits() {
        let mut backlog = Backlog::default();
        backlog.push(chunk(&["abc", "de"]), 4);
        backlog.push(chunk(&["f"]), 0);
        assert_eq!(backlog.waiting(), 5 + 3);
        assert!(backlog.advance(2).is_none());
        assert_eq!(backlog.advance(3).unwrap().messages, 2);
        assert_eq!(backlog.advance(3).unwrap().messages, 1);
        assert!(backlog.is_empty());
        assert_eq!(backlog.waiting(), 0);
    }

    #[test]
    fn a_chunk_cannot_be_written_beyond_its_end() {
        let mut backlog = Backlog::default();
        backlog.push(chunk(&["abc"]), 100);
        backlog.push(chunk(&["f"]), 0);
        assert_eq!((backlog.front(), backlog.waiting()), (&[][..], 3));
        assert_eq!(backlog.advance(0).unwrap().messages, 1);
        assert_eq!(backlog.front().len(), 3);
    }

    #[test]
    fn what_is_kept_elsewhere_does_not_wait() {
        let mut backlog = Backlog::default();
        backlog.push_shared(chunk(&["abc"]));
        backlog.push(chunk(&["de"]), 0);
        assert_eq!(backlog.waiting(), 4);
        assert!(backlog.advance(5).is_some());
        assert_eq!(backlog.waiting(), 4);
    }

    #[test]
    fn crumbs_are_progress_when_they_are_16_kib_or_all_that_waits() {
        let mut backlog = Backlog::default();
        backlog.push(chunk(&["x".repeat(60_000).as_str()]), 0);
        assert!(!backlog.makes_way(0, 16_000));
        assert!(backlog.makes_way(0, 384));
        assert!(!backlog.makes_way(50_000, 384));
        backlog.advance(50_000);
        assert!(!backlog.makes_way(10_003, 0));
        assert!(backlog.makes_way(10_004, 0));
    }

    #[test]
    fn cutting_keeps_only_the_rest_of_a_begun_frame() {
        let mut backlog = Backlog::default();
        backlog.push(chunk(&["abc", "de", "fg"]), 6);
        backlog.push(chunk(&["h"]), 0);
        backlog.cut();
        assert_eq!(backlog.front(), b"\x02de");
        assert_eq!(backlog.waiting(), 3);

        let mut between = Backlog::default();
        between.push(chunk(&["abc", "de"]), 5);
        between.cut();
        assert!(between.is_empty());

        let mut untouched = Backlog::default();
        untouched.push(chunk(&["abc"]), 0);
        untouched.cut();
        assert!(untouched.is_empty());
    }
}
