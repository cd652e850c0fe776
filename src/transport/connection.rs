//! One socket, its session, and what waits for it.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;

use crate::auth::Principal;
use crate::backbone::{SessionId, SessionRecord};
use crate::gateway::Permit;
pub(super) use crate::hub::Key;
use crate::hub::{Backlog, Chunk, LocalTopic};
use crate::metrics::{EndCause, ShardMetrics};
use crate::protocol::{CloseCode, SeqNo};
use crate::session::Session;
use crate::traces::Span;
use crate::websocket::{OpCode, Reader, close_frame, control_frame};

use super::Limits;
use super::aside::Aside;
use super::deadlines::Scheduled;
use super::guests::Guest;
use super::patience::Patience;
use super::poller::Readiness;
use super::socket::{Socket, Written};

/// How long a peer has to answer our close before its socket is dropped, in milliseconds.
const CLOSE_TIMEOUT_MS: u64 = 5_000;
/// How long a peer may take next to nothing while something waits for it, in milliseconds; see
/// [`Backlog::makes_way`].
const STALL_TIMEOUT_MS: u64 = 10_000;
/// Writes to one connection that was behind, before it is the others' turn.
const WRITES: usize = 32;

/// How far a close has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// Not begun.
    No,
    /// Our close frame is out or queued; the peer's is awaited.
    Asked,
    /// Nothing more is read; the socket ends when what waits is written.
    Ending,
    /// All is written and the peer has been told; what it still sends is let go of.
    Lingering,
    /// The socket is shut down; its reader will see the end.
    Ended,
}

/// One connection.
pub(super) struct Connection {
    pub(super) generation: u32,
    pub(super) socket: Socket,
    pub(super) reader: Reader,
    pub(super) session: Session,
    pub(super) principal: Option<Arc<Principal>>,
    /// Whether `ready` was sent: only then there is a session worth keeping.
    pub(super) was_set_up: bool,
    /// The session that is being resumed, as it was found, until `ready` was sent: a connection that
    /// ends before that leaves it as it was.
    pub(super) resuming: Option<Box<SessionRecord>>,
    /// The session that this connection holds.
    pub(super) session_id: Option<SessionId>,
    pub(super) aside: Option<Box<Aside>>,
    /// Answers of this turn, as frames.
    pub(super) out: Vec<u8>,
    pub(super) backlog: Option<Box<Backlog>>,
    /// First and last of this turn's batches in the shard's list.
    pub(super) chain: Option<(u32, u32)>,
    /// Whether it is on the shard's list of sockets to write.
    pub(super) marked: bool,
    /// Questions to the backbone that are open: no more frames are read meanwhile.
    pub(super) waiting: bool,
    /// Publishes whose answers are open.
    pub(super) in_flight: u32,
    pub(super) readiness: Readiness,
    /// Whether reading stopped while the connection was paused.
    stopped: bool,
    /// Whether it is on the shard's list of those that go on.
    pub(super) goes_on: bool,
    last_in_ms: u64,
    /// When a ping was sent that nothing came in after.
    pinged_ms: Option<u64>,
    /// When a close began, or when what waits last moved.
    since_ms: u64,
    closing: Closing,
    /// Why we close it, until that is counted.
    pub(super) closed_with: Option<CloseCode>,
    /// Why it ends, once that is clear.
    pub(super) end_cause: EndCause,
    pub(super) patience: Patience,
    /// In the shard's deadlines.
    pub(super) scheduled: Scheduled,
    permit: Permit,
    guest: Option<Arc<Guest>>,
    /// Its life as a trace, if that is one of those that are told.
    pub(super) span: Option<Box<Span>>,
}

impl Connection {
    pub(super) fn new(
        generation: u32,
        now_ms: u64,
        socket: Socket,
        session: Session,
        permit: Permit,
        guest: Arc<Guest>,
    ) -> Self {
        Self {
            generation,
            socket,
            reader: Reader::default(),
            session,
            principal: None,
            was_set_up: false,
            resuming: None,
            session_id: None,
            aside: None,
            out: Vec::new(),
            backlog: None,
            chain: None,
            marked: false,
            waiting: false,
            in_flight: 0,
            readiness: Readiness::default(),
            stopped: false,
            goes_on: false,
            last_in_ms: now_ms,
            pinged_ms: None,
            since_ms: now_ms,
            closing: Closing::No,
            closed_with: None,
            end_cause: EndCause::Lost,
            patience: Patience::default(),
            scheduled: Scheduled::default(),
            permit,
            guest: Some(guest),
            span: None,
        }
    }

    /// Reads once; 0 when nothing is to be read now. While something waits for this peer, or a
    /// question is open, nothing more is taken from it: a client that does not read cannot make us
    /// hold answers.
    ///
    /// # Errors
    /// When the stream has ended.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.is_paused() || !self.readiness.readable {
            return Ok(0);
        }
        loop {
            match self.socket.try_read(into) {
                Ok(taken) if taken.bytes == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(taken) => {
                    self.readiness.readable = !taken.drained || self.readiness.ends;
                    return Ok(taken.bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readiness.readable = false;
                    return Ok(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether it can do more now than it was doing, and the poller will not say so: what waits may be
    /// written, or the pause of its reader is over.
    pub(super) fn can_go_on(&mut self) -> bool {
        let paused = self.is_paused();
        let resumes = self.stopped && !paused;
        self.stopped = paused;
        resumes || (self.is_behind() && self.readiness.writable)
    }

    /// Whether frames must wait: no more is read, and what was read is kept.
    pub(super) fn is_paused(&self) -> bool {
        let busy = self.waiting || self.in_flight >= super::driver::MAX_IN_FLIGHT;
        (busy || self.backlog.is_some()) && self.closing != Closing::Ended
    }

    /// Something came in: the peer is alive.
    pub(super) fn heard(&mut self, now_ms: u64) {
        self.last_in_ms = now_ms;
        self.pinged_ms = None;
    }

    /// What came is read: a message of which the rest is still to come has its time from now on. While
    /// nothing is read, the rest is not the peer's to send.
    pub(super) fn waits(&mut self, now_ms: u64) {
        let for_the_rest = self.reader.is_mid_message() && !self.is_paused();
        self.patience.waits(now_ms, for_the_rest);
    }

    /// A frame came that carries nothing: of those there may be so many.
    pub(super) fn empty_frame(&mut self, now_ms: u64) {
        if !self.patience.empty_frame(now_ms) {
            self.fail(now_ms, CloseCode::Policy);
            self.end_cause = EndCause::Flooded;
        }
    }

    /// `ready` was sent.
    pub(super) fn is_set_up(&mut self) {
        if !std::mem::replace(&mut self.was_set_up, true)
            && let Some(span) = &self.span
        {
            span.event("set up");
        }
        self.guest.take_if(|guest| !guest.is_set_up());
    }

    /// Newer connections have a higher one.
    pub(super) const fn order(&self) -> u64 {
        self.permit.order()
    }

    /// Whether messages of the peer still count.
    pub(super) fn is_open(&self) -> bool {
        self.closing == Closing::No
    }

    /// Whether nothing of the peer is read any more.
    pub(super) fn is_closing_down(&self) -> bool {
        matches!(
            self.closing,
            Closing::Ending | Closing::Lingering | Closing::Ended
        )
    }

    pub(super) fn has_something_to_write(&self) -> bool {
        !self.out.is_empty() || (self.closing == Closing::Ending && !self.is_behind())
    }

    /// Begins to close: our close frame goes out behind what waits.
    pub(super) fn close(&mut self, now_ms: u64, code: CloseCode) {
        if self.is_open() {
            close_frame(&mut self.out, code.code(), code.reason());
            self.closing = Closing::Asked;
            self.closed_with = Some(code);
            self.end_cause = EndCause::Closed;
            self.since_ms = now_ms;
        }
    }

    /// The peer broke the protocol: close, and read nothing more of it (RFC 6455 section 7.1.7).
    pub(super) fn fail(&mut self, now_ms: u64, code: CloseCode) {
        self.close(now_ms, code);
        self.end(now_ms);
    }

    /// The peer closes: its frame is answered, then the socket ends (RFC 6455 section 5.5.1).
    pub(super) fn peer_closes(&mut self, now_ms: u64, code: Option<u16>) {
        if self.is_open() {
            let payload = code.map(u16::to_be_bytes);
            let payload = payload.as_ref().map_or(&[][..], |bytes| bytes);
            control_frame(&mut self.out, OpCode::Close, payload);
            self.end_cause = EndCause::Peer;
        }
        self.end(now_ms);
    }

    fn end(&mut self, now_ms: u64) {
        if !self.is_closing_down() {
            self.closing = Closing::Ending;
            self.since_ms = now_ms;
        }
    }

    /// Shuts the socket down; its reader sees the end and lets go of everything.
    pub(super) fn cut_off(&mut self) {
        self.socket.cut_off();
        self.closing = Closing::Ended;
        self.out = Vec::new();
        if let Some(backlog) = self.backlog.take() {
            self.lose(backlog.unsent());
        }
    }

    /// Whether something waits for the socket to take more.
    pub(super) fn is_behind(&self) -> bool {
        self.backlog.is_some() || (self.socket.is_pending() && self.closing != Closing::Ended)
    }

    /// Queues messages that are kept elsewhere anyway, such as history: they do not count against the
    /// queue's bound.
    pub(super) fn queue_shared(
        &mut self,
        now_ms: u64,
        topic: LocalTopic,
        seq_no: SeqNo,
        bytes: Bytes,
    ) {
        if !self.is_behind() {
            self.fell_behind(now_ms);
        }
        self.out_to_backlog();
        self.backlog.get_or_insert_default().push_shared(Chunk {
            bytes,
            messages: 0,
            accepted: 0,
            first: Some((topic, seq_no)),
        });
    }

    pub(super) fn is_ended(&self) -> bool {
        self.closing == Closing::Ended
    }

    pub(super) fn push_backlog(&mut self, chunk: Chunk, sent: usize) {
        self.backlog.get_or_insert_default().push(chunk, sent);
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.waiting())
    }

    /// Something waits from now on; the peer has a while to take it.
    pub(super) fn fell_behind(&mut self, now_ms: u64) {
        if self.is_open() {
            self.since_ms = now_ms;
        }
    }

    pub(super) fn out_to_backlog(&mut self) {
        if !self.out.is_empty() {
            let bytes = std::mem::take(&mut self.out).into();
            self.push_backlog(Chunk::of_answers(bytes), 0);
        }
    }

    /// The peer is too slow: everything that waits is let go, and it is told so.
    pub(super) fn give_up(&mut self, now_ms: u64, why: EndCause) {
        if let Some(mut backlog) = self.backlog.take() {
            self.lose(backlog.unsent());
            backlog.cut();
            self.backlog = Some(backlog);
        }
        if self.is_open() {
            self.close(now_ms, CloseCode::SlowConsumer);
            self.end_cause = why;
        }
        self.out_to_backlog();
        self.take_again();
    }

    /// A socket that was made to take nothing takes what its peer does again.
    pub(super) fn take_again(&mut self) {
        if self.socket.is_stalled() {
            self.socket.stall(false);
            // The poller did not see it stall, and will not say that it goes on.
            self.readiness.writable = true;
        }
    }

    pub(super) fn written_all(&mut self) {
        if self.closing == Closing::Ending && self.socket.finish() {
            // The reader drains what still comes, so that our close frame is not lost to a reset.
            self.closing = Closing::Lingering;
        }
    }

    /// Writes what waits, as far as the socket takes it, and for a while at most.
    pub(super) fn drain(&mut self, now_ns: impl Fn() -> u64, metrics: &ShardMetrics) {
        for _ in 0..WRITES {
            if self.backlog.as_ref().is_some_and(|b| b.is_empty()) {
                self.backlog = None;
                self.replays_are_written();
            }
            if !self.is_behind() {
                self.written_all();
                // The end of TLS may have to wait in its turn.
                if !self.is_behind() {
                    return;
                }
            }
            let front = self.backlog.as_ref().map_or(&[][..], |b| b.front());
            match self.socket.try_write(&mut [IoSlice::new(front)]) {
                Ok(written) => {
                    let Written { bytes, moved } = written;
                    metrics.wrote(bytes);
                    let backlog = self.backlog.as_mut();
                    if backlog.is_none_or(|b| b.makes_way(bytes, moved)) {
                        self.since_ms = now_ns() / 1_000_000;
                    }
                    let through = self.backlog.as_mut().and_then(|b| b.advance(bytes));
                    if let Some(chunk) = through.filter(|chunk| chunk.messages > 0) {
                        let age = now_ns().saturating_sub(chunk.accepted);
                        metrics.delivered(u64::from(chunk.messages), age, age);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readiness.writable = false;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.cut_off(),
            }
        }
    }

    /// When to look at this connection again.
    pub(super) fn deadline(&self, limits: &Limits) -> u64 {
        match self.closing {
            Closing::No => {}
            // Nothing is left to do but to let its reader see the end.
            Closing::Ended => return u64::MAX,
            _ => return self.since_ms + CLOSE_TIMEOUT_MS,
        }
        let alive = if self.backlog.is_some() {
            self.since_ms + STALL_TIMEOUT_MS
        } else {
            self.silent_until(limits)
        };
        let alive = alive.min(self.patience.until(limits.message_timeout_ms));
        self.session.deadline().map_or(alive, |at| at.min(alive))
    }

    /// Until when the peer may be silent. The answer to a ping has its whole time from when the ping
    /// was sent, also where that was late.
    fn silent_until(&self, limits: &Limits) -> u64 {
        match self.pinged_ms {
            Some(at_ms) => at_ms + limits.pong_timeout.as_millis() as u64,
            None => self.last_in_ms + limits.ping_interval.as_millis() as u64,
        }
    }

    /// Does what silence and stalled closes ask for. Returns whether there is something to write.
    pub(super) fn tick(&mut self, now_ms: u64, limits: &Limits) -> bool {
        if self.closing != Closing::No {
            if now_ms >= self.since_ms + CLOSE_TIMEOUT_MS {
                self.cut_off();
            }
            false
        } else if now_ms >= self.patience.until(limits.message_timeout_ms) {
            if self.is_paused() {
                self.patience.message_ended();
            } else {
                self.fail(now_ms, CloseCode::Policy);
                self.end_cause = EndCause::Unfinished;
            }
            true
        } else if self.backlog.is_some() {
            if now_ms >= self.since_ms + STALL_TIMEOUT_MS {
                self.give_up(now_ms, EndCause::Stalled);
            }
            false
        } else if now_ms < self.silent_until(limits) {
            false
        } else if self.is_paused() {
            // It may well speak: it is not listened to.
            self.heard(now_ms);
            false
        } else if self.pinged_ms.is_some() {
            // The peer is gone; there is nobody to tell.
            self.end_cause = EndCause::Silent;
            self.cut_off();
            false
        } else {
            control_frame(&mut self.out, OpCode::Ping, b"");
            self.pinged_ms = Some(now_ms);
            true
        }
    }
}
