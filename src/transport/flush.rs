//! One socket written once: answers and batches of a turn in one call, what it does not take into
//! the backlog.

use std::io::{self, IoSlice};

use bytes::Bytes;

use crate::hub::{Chunk, LocalTopic};
use crate::metrics::{EndCause, ShardMetrics};
use crate::protocol::SeqNo;

use super::Limits;
use super::connection::Connection;
use super::shard::Spare;

/// Pieces of one gathered write.
const PIECES: usize = 32;

/// What a turn has for many connections: the frames of one topic, laid together.
pub(super) struct Batch {
    pub(super) bytes: Bytes,
    pub(super) messages: u32,
    /// When the first and the last were accepted.
    pub(super) accepted: (u64, u64),
    /// The topic and the number of the first.
    pub(super) first: (LocalTopic, SeqNo),
}

/// One link of a connection's chain of batches.
pub(super) struct Link {
    pub(super) batch: u32,
    pub(super) next: Option<u32>,
}

impl Batch {
    pub(super) fn chunk(&self) -> Chunk {
        Chunk {
            bytes: self.bytes.clone(),
            messages: self.messages,
            accepted: self.accepted.0,
            first: Some(self.first),
        }
    }
}

/// What a turn has for its connections.
pub(super) struct Turn<'a> {
    pub(super) batches: &'a [Batch],
    pub(super) links: &'a [Link],
    pub(super) spare: &'a mut Spare,
    pub(super) limits: &'a Limits,
    pub(super) metrics: &'a ShardMetrics,
    /// Nanoseconds since the gateway started.
    pub(super) now_ns: &'a dyn Fn() -> u64,
}

impl<'a> Turn<'a> {
    /// The batches of a chain, from this link on.
    fn chain(&self, mut next: Option<u32>) -> impl Iterator<Item = &'a Batch> + use<'a> {
        let (batches, links) = (self.batches, self.links);
        std::iter::from_fn(move || {
            let link = &links[next? as usize];
            next = link.next;
            Some(&batches[link.batch as usize])
        })
    }
}

impl Connection {
    /// Writes answers and batches of this turn with one call where the socket takes them; what it
    /// does not take waits in the backlog.
    pub(super) fn flush(&mut self, turn: &mut Turn<'_>) {
        let first = self.chain.take().map(|(first, _)| first);
        if self.is_ended() {
            return;
        }
        if self.is_behind() {
            self.out_to_backlog();
            for batch in turn.chain(first) {
                self.push_backlog(batch.chunk(), 0);
            }
        } else {
            let written = match self.write_once(turn, first) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    self.lose(turn.chain(first).map(|batch| batch.first));
                    return self.cut_off();
                }
            };
            turn.metrics.wrote(written);
            let now_ns = (turn.now_ns)();
            self.keep_the_rest(turn, first, written, now_ns);
            if !self.is_behind() {
                return self.written_all();
            }
            self.fell_behind(now_ns / 1_000_000);
        }
        if self.waiting_bytes() > turn.limits.send_queue_bytes {
            self.give_up((turn.now_ns)() / 1_000_000, EndCause::QueueFull);
        }
    }

    fn write_once(&mut self, turn: &Turn<'_>, first: Option<u32>) -> io::Result<usize> {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let mut count = 0;
        if !self.out.is_empty() {
            pieces[0] = IoSlice::new(&self.out);
            count = 1;
        }
        for (piece, batch) in pieces[count..].iter_mut().zip(turn.chain(first)) {
            *piece = IoSlice::new(&batch.bytes);
            count += 1;
        }
        match count {
            0 => Ok(0),
            _ => Ok(self.socket.try_write(&mut pieces[..count])?.bytes),
        }
    }

    /// After so many bytes were written: counts the batches that are through, queues the others.
    fn keep_the_rest(
        &mut self,
        turn: &mut Turn<'_>,
        first: Option<u32>,
        written: usize,
        now_ns: u64,
    ) {
        let mut left = written;
        if !self.out.is_empty() {
            let length = self.out.len();
            // The memory is given away either way: an idle connection owns no buffer.
            let bytes = std::mem::take(&mut self.out);
            if left < length {
                self.push_backlog(Chunk::of_answers(bytes.into()), left);
            } else {
                turn.spare.give(bytes);
                self.replays_are_written();
            }
            left = left.saturating_sub(length);
        }
        for batch in turn.chain(first) {
            let length = batch.bytes.len();
            // Bytes that wait in the socket are written as far as the queue is concerned.
            if left >= length && self.backlog.is_none() {
                let (oldest, newest) = batch.accepted;
                turn.metrics.delivered(
                    u64::from(batch.messages),
                    now_ns.saturating_sub(oldest),
                    now_ns.saturating_sub(newest),
                );
                left -= length;
            } else {
                self.push_backlog(batch.chunk(), left);
                left = 0;
            }
        }
    }
}
