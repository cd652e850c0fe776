//! The connections of one core, and the turn.
//!
//! Everything in here runs on the shard's own thread; `state` is borrowed for a few calls and never
//! across an await.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mio::{Registry, Token};
use tokio::sync::Notify;

use crate::backbone::Now;
use crate::gateway::{Gateway, Permit};
use crate::hub::{Arrival, Inbox, ShardId, Slot, Topics};
use crate::metrics::ShardMetrics;
use crate::protocol::{CloseCode, Topic};
use crate::session::{Input, Session};
#[cfg(test)]
use crate::websocket::push_text;
use crate::websocket::{Fault, Incoming, OpCode, control_frame};

use super::connection::{Connection, Key};
use super::deadlines::Deadlines;
use super::flush::{Batch, Link};
use super::guests::Guest;
use super::poller::Ready;
use super::sessions::Fate;
use super::slots::Slots;
use super::socket::Socket;
use super::{Limits, ShardHandle};

/// Reads from one connection before it is the others' turn.
const READS: usize = 4;

/// One core's share of the gateway.
pub(super) struct Shard {
    pub(super) id: ShardId,
    pub(super) gateway: Arc<Gateway>,
    pub(super) limits: Cell<Limits>,
    /// All shards, by number.
    pub(super) peers: Arc<[ShardHandle]>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) state: RefCell<State>,
    registry: Registry,
    sooner: Notify,
}

/// What the shard owns.
pub(super) struct State {
    pub(super) connections: Slots<Connection>,
    pub(super) topics: Topics,
    pub(super) marked: Vec<Slot>,
    /// Connections that can go on at once: the poller will say nothing more about them.
    pub(super) again: Vec<Slot>,
    deadlines: Deadlines,
    generation: u32,
    /// When the bytes that are being taken in were read.
    pub(super) now: Now,
    // The turn's working memory, kept from turn to turn.
    pub(super) arrivals: Vec<Arrival>,
    pub(super) batches: Vec<Batch>,
    pub(super) links: Vec<Link>,
    /// Buffers of answers that were written.
    pub(super) spare: Spare,
}

/// Buffers that go from connection to connection: one that has nothing to say owns none.
#[derive(Default)]
pub(super) struct Spare(Vec<Vec<u8>>);

impl Spare {
    /// The most buffers that are kept.
    const MOST: usize = 64;
    /// A buffer that grew beyond this many bytes is not kept.
    const LARGE: usize = 64 * 1024;

    pub(super) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        if self.0.len() < Self::MOST && buffer.capacity() <= Self::LARGE {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

impl State {
    /// The connection, if it is still the same one.
    pub(super) fn get(&mut self, (slot, generation): Key) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(slot)?;
        (connection.generation == generation).then_some(connection)
    }

    /// Puts a connection on the list of sockets to write at the end of the turn.
    pub(super) fn mark(&mut self, slot: Slot) {
        if let Some(connection) = self.connections.get_mut(slot)
            && !std::mem::replace(&mut connection.marked, true)
        {
            self.marked.push(slot);
        }
    }
}

impl Shard {
    pub(super) fn new(
        id: ShardId,
        gateway: Arc<Gateway>,
        limits: Limits,
        peers: Arc<[ShardHandle]>,
        registry: Registry,
    ) -> Rc<Self> {
        let now = gateway.now();
        Rc::new(Self {
            id,
            inbox: gateway.hub().inbox(id),
            metrics: gateway.shard_metrics(id),
            gateway,
            limits: Cell::new(limits),
            peers,
            state: RefCell::new(State {
                connections: Slots::default(),
                topics: Topics::default(),
                marked: Vec::new(),
                again: Vec::new(),
                deadlines: Deadlines::default(),
                generation: 0,
                now,
                arrivals: Vec::new(),
                batches: Vec::new(),
                links: Vec::new(),
                spare: Spare::default(),
            }),
            registry,
            sooner: Notify::new(),
        })
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.gateway.mono_ns() / 1_000_000
    }

    /// Takes over a socket, with the bytes that came behind its handshake.
    pub(super) fn adopt(
        self: &Rc<Self>,
        mut socket: Socket,
        first_bytes: &mut [u8],
        topic: Option<Topic>,
        permit: Permit,
        guest: Arc<Guest>,
    ) {
        let now_ms = self.now_ms();
        let session = Session::new(now_ms, topic, self.limits.get().session);
        let key = {
            let mut state = self.state.borrow_mut();
            state.generation = state.generation.wrapping_add(1);
            let generation = state.generation;
            let token = Token(state.connections.next() as usize);
            if let Err(error) = socket.watch(&self.registry, token) {
                return tracing::error!(%error, "a connection cannot be watched");
            }
            let span = self.gateway.traces().root("connection", Some(guest.came()));
            let mut connection =
                Connection::new(generation, now_ms, socket, session, permit, guest);
            connection.span = span.map(Box::new);
            (state.connections.insert(connection), generation)
        };
        self.metrics.opened();
        if self.gateway.is_draining() {
            // Admitted before the drain began, and too late to be told with the others.
            self.with(key, |state, now_ms| {
                self.handle(state, key, now_ms, Input::Drain);
            });
        }
        self.take_in(key, first_bytes);
    }

    /// Does what a connection can do now: writes what waits, then reads what came.
    pub(super) fn attend(self: &Rc<Self>, ready: Ready, scratch: &mut [u8]) {
        let key = {
            let mut state = self.state.borrow_mut();
            let Some(connection) = state.connections.get_mut(ready.slot) else {
                return;
            };
            connection.readiness.add(ready);
            let key = (ready.slot, connection.generation);
            if connection.is_behind() {
                connection.drain(|| self.gateway.mono_ns(), &self.metrics);
                self.after(&mut state, key);
            }
            key
        };
        for _ in 0..READS {
            match self.read(key, scratch) {
                Ok(0) => return,
                Ok(count) => self.take_in(key, &mut scratch[..count]),
                // The end, orderly or not.
                Err(_) => {
                    self.last_words(key);
                    return self.remove(key);
                }
            }
        }
        // There may be more; first it is the others' turn.
        self.go_on(&mut self.state.borrow_mut(), key);
    }

    /// Reads once. Returns 0 when nothing is to be read now.
    fn read(self: &Rc<Self>, key: Key, scratch: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        if let Some(connection) = state.get(key)
            && connection.reader.is_mid_message()
            && !connection.is_paused()
        {
            // What was kept while the connection was paused comes before what is still to be read.
            drop(state);
            self.take_in(key, &mut []);
            state = self.state.borrow_mut();
        }
        let Some(connection) = state.get(key) else {
            return Ok(0);
        };
        let count = connection.read(scratch)?;
        self.metrics.read(count);
        Ok(count)
    }

    /// The connection goes on in the next turn, without a word of the poller.
    fn go_on(&self, state: &mut State, key: Key) {
        if let Some(connection) = state.get(key)
            && !std::mem::replace(&mut connection.goes_on, true)
        {
            state.again.push(key.0);
            self.inbox.ring();
        }
    }

    /// Takes bytes of a peer through the frame reader into the session.
    fn take_in(self: &Rc<Self>, key: Key, bytes: &mut [u8]) {
        let now = self.gateway.now();
        let now_ms = now.mono_ms();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.now = now;
        let Some(connection) = state.get(key) else {
            return;
        };
        if !bytes.is_empty() {
            connection.heard(now_ms);
        }
        if connection.is_closing_down() {
            return;
        }
        let mut reader = std::mem::take(&mut connection.reader);
        let limit = self.limits.get().max_message_bytes;
        let result = reader.feed(bytes, limit, |incoming| {
            self.message(state, key, now_ms, incoming)
        });
        let Some(connection) = state.get(key) else {
            return;
        };
        connection.reader = reader;
        connection.waits(now_ms);
        if let Err(fault) = result {
            let code = match fault {
                Fault::Protocol(_) => CloseCode::Protocol,
                Fault::Utf8 => CloseCode::BadUtf8,
                Fault::TooBig => CloseCode::TooBig,
            };
            tracing::debug!(?fault, "connection failed");
            connection.fail(now_ms, code);
        }
        self.after(state, key);
    }

    fn message(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        now_ms: u64,
        incoming: Incoming<'_>,
    ) -> ControlFlow<()> {
        let Some(connection) = state.get(key) else {
            return ControlFlow::Break(());
        };
        match incoming {
            Incoming::Close(code) => connection.peer_closes(now_ms, code),
            _ if !connection.is_open() => {}
            #[cfg(test)]
            Incoming::Text(text) if super::conformance::echoes(connection) => {
                push_text(&mut connection.out, |out| {
                    out.extend_from_slice(text.as_bytes());
                });
            }
            Incoming::Text(text) => {
                connection.patience.message_ended();
                let frame = crate::protocol::decode_client(text);
                self.handle(state, key, now_ms, Input::Frame(frame));
            }
            Incoming::Binary => connection.fail(now_ms, CloseCode::Unsupported),
            Incoming::Ping(payload) => {
                control_frame(&mut connection.out, OpCode::Pong, payload);
                connection.empty_frame(now_ms);
            }
            Incoming::Pong | Incoming::Crumb => connection.empty_frame(now_ms),
        }
        match state.get(key) {
            Some(connection) if !connection.is_paused() && !connection.is_closing_down() => {
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        }
    }

    /// What follows every act on a connection: its answers will be written, its backlog drained, its
    /// deadline kept.
    pub(super) fn after(self: &Rc<Self>, state: &mut State, key: Key) {
        let Some(connection) = state.get(key) else {
            return;
        };
        if connection.has_something_to_write() {
            state.mark(key.0);
            self.inbox.ring();
        }
        if let Some(connection) = state.get(key)
            && !connection.is_open()
        {
            if let Some(code) = connection.closed_with.take() {
                self.metrics.closed(code);
            }
            self.detach(state, key, Fate::Kept);
        }
        if let Some(connection) = state.get(key)
            && connection.can_go_on()
        {
            self.go_on(state, key);
        }
        self.schedule_in(state, key, 0);
    }

    /// Lets go of a connection.
    fn remove(&self, key: Key) {
        let mut state = self.state.borrow_mut();
        if state.get(key).is_some() {
            self.detach(&mut state, key, Fate::Kept);
            if let Some(connection) = state.connections.remove(key.0) {
                self.metrics.ended(connection.end_cause);
                if let Some(span) = &connection.span {
                    span.say("micro_socket.end", connection.end_cause.as_str());
                }
            }
        }
    }

    /// From now on these limits hold, for those too who are connected.
    pub(super) fn limit(&self, limits: Limits) {
        self.limits.set(limits);
        for key in self.keys_where(|_| true) {
            self.schedule_in(&mut self.state.borrow_mut(), key, 0);
        }
    }

    fn schedule_in(&self, state: &mut State, key: Key, not_before: u64) {
        let State {
            connections,
            deadlines,
            ..
        } = state;
        let connection = connections.get_mut(key.0);
        let Some(connection) = connection.filter(|c| c.generation == key.1) else {
            return;
        };
        let at_ms = connection.deadline(&self.limits.get()).max(not_before);
        if at_ms < u64::MAX && deadlines.push(at_ms, key, &mut connection.scheduled) {
            self.sooner.notify_one();
        }
    }

    /// Looks at each connection when its time has come, for ever.
    pub(super) async fn run_deadlines(self: Rc<Self>) {
        loop {
            let next = self.state.borrow().deadlines.next();
            let sleep = async {
                match next {
                    Some(at_ms) => {
                        let wait = at_ms.saturating_sub(self.now_ms());
                        tokio::time::sleep(Duration::from_millis(wait)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                () = self.sooner.notified() => continue,
            }
            let now_ms = self.now_ms();
            let mut state = self.state.borrow_mut();
            while let Some((at_ms, key)) = state.deadlines.pop_due(now_ms) {
                if state.get(key).is_some_and(|c| c.scheduled.comes_up(at_ms)) {
                    self.deadline_came(&mut state, key, now_ms);
                }
            }
        }
    }

    fn deadline_came(self: &Rc<Self>, state: &mut State, key: Key, now_ms: u64) {
        let Some(connection) = state.get(key) else {
            return;
        };
        let limits = self.limits.get();
        if connection.deadline(&limits) <= now_ms {
            if connection.is_open() {
                self.handle(state, key, now_ms, Input::Deadline);
            }
            if let Some(connection) = state.get(key) {
                connection.tick(now_ms, &limits);
            }
            self.after(state, key);
        }
        // Never again in this moment, whatever the connection thinks its deadline is.
        self.schedule_in(state, key, now_ms + 1);
    }

    /// Closes every connection with 1012, in batches spread over this time.
    pub(super) async fn drain(self: Rc<Self>, spread: Duration) {
        const BATCHES: usize = 20;
        // What was accepted before the drain is handed out before the first close.
        self.turn();
        let keys = self.keys_where(|_| true);
        for batch in keys.chunks(keys.len().div_ceil(BATCHES).max(1)) {
            for key in batch {
                let now_ms = self.now_ms();
                let mut state = self.state.borrow_mut();
                if state.get(*key).is_some_and(|c| c.is_open()) {
                    self.handle(&mut state, *key, now_ms, Input::Drain);
                }
                self.after(&mut state, *key);
            }
            tokio::time::sleep(spread / BATCHES as u32).await;
        }
    }

    /// The connections for which this holds.
    pub(super) fn keys_where(&self, holds: impl Fn(&Connection) -> bool) -> Vec<Key> {
        let state = self.state.borrow();
        let connections = state.connections.iter().filter(|(_, c)| holds(c));
        connections.map(|(slot, c)| (slot, c.generation)).collect()
    }

    /// Borrows the state for an act on a connection that is still there.
    pub(super) fn with(self: &Rc<Self>, key: Key, act: impl FnOnce(&mut State, u64)) {
        let now_ms = self.now_ms();
        let mut state = self.state.borrow_mut();
        if state.get(key).is_some() {
            act(&mut state, now_ms);
            self.after(&mut state, key);
        }
    }
}
