//! The connections of one core, and the turn.
//!
//! Everything in here runs on the shard's own thread; `state` is borrowed for a few calls and never
//! across an await. Reading tasks run as sockets become ready and publish at once. The first record
//! for this shard rings the inbox, which wakes the turn; the run queue puts it behind everything
//! that is ready already, so one turn serves many messages when there are many.

use std::cell::RefCell;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use slab::Slab;
use tokio::io::ReadBuf;
use tokio::sync::Notify;
use tokio::task::spawn_local;

use crate::gateway::{Gateway, Permit};
use crate::hub::{Arrival, Inbox, ShardId, Slot, Topics};
use crate::metrics::ShardMetrics;
use crate::protocol::{CloseCode, Topic};
use crate::session::{Input, Session};
use crate::websocket::{Fault, Incoming, OpCode, control_frame};

use super::connection::{Batch, Connection, Key, Link};
use super::deadlines::Deadlines;
use super::sessions::Fate;
use super::socket::Socket;
use super::{Limits, ShardHandle};

/// What one read takes at most; shared by all connections of the shard.
const SCRATCH_BYTES: usize = 64 * 1024;

/// One core's share of the gateway.
pub(super) struct Shard {
    pub(super) id: ShardId,
    pub(super) gateway: Arc<Gateway>,
    pub(super) limits: Limits,
    /// All shards, by number.
    pub(super) peers: Arc<[ShardHandle]>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) state: RefCell<State>,
    scratch: RefCell<Box<[u8]>>,
    sooner: Notify,
}

/// What the shard owns.
pub(super) struct State {
    pub(super) connections: Slab<Connection>,
    pub(super) topics: Topics,
    pub(super) marked: Vec<Slot>,
    deadlines: Deadlines,
    generation: u32,
    // The turn's working memory, kept from turn to turn.
    pub(super) arrivals: Vec<Arrival>,
    pub(super) batches: Vec<Batch>,
    pub(super) links: Vec<Link>,
}

impl State {
    /// The connection, if it is still the same one.
    pub(super) fn get(&mut self, (slot, generation): Key) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(slot as usize)?;
        (connection.generation == generation).then_some(connection)
    }

    /// Puts a connection on the list of sockets to write at the end of the turn.
    pub(super) fn mark(&mut self, slot: Slot) {
        if let Some(connection) = self.connections.get_mut(slot as usize)
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
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            inbox: gateway.hub().inbox(id),
            metrics: gateway.shard_metrics(id),
            gateway,
            limits,
            peers,
            state: RefCell::new(State {
                connections: Slab::new(),
                topics: Topics::default(),
                marked: Vec::new(),
                deadlines: Deadlines::default(),
                generation: 0,
                arrivals: Vec::new(),
                batches: Vec::new(),
                links: Vec::new(),
            }),
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into()),
            sooner: Notify::new(),
        })
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.gateway.mono_ns() / 1_000_000
    }

    /// Serves a socket until it ends.
    pub(super) async fn serve(
        self: Rc<Self>,
        socket: Socket,
        mut first_bytes: Vec<u8>,
        topic: Option<Topic>,
        permit: Permit,
    ) {
        let now_ms = self.now_ms();
        let session = Session::new(now_ms, topic, self.limits.session);
        let key = {
            let mut state = self.state.borrow_mut();
            state.generation = state.generation.wrapping_add(1);
            let generation = state.generation;
            let connection = Connection::new(generation, now_ms, socket, session, permit);
            (state.connections.insert(connection) as Slot, generation)
        };
        self.schedule(key);
        if self.gateway.is_draining() {
            // Admitted before the drain began, and too late to be told with the others.
            self.with(key, |state, now_ms| {
                self.handle(state, key, now_ms, Input::Drain);
            });
        }
        if !first_bytes.is_empty() {
            self.take_in(key, &mut first_bytes);
        }
        drop(first_bytes);
        while poll_fn(|cx| self.poll_read(key, cx)).await.is_continue() {}
        self.remove(key);
    }

    /// Reads once and acts on it. Breaks when the socket has ended.
    fn poll_read(self: &Rc<Self>, key: Key, cx: &mut Context<'_>) -> Poll<ControlFlow<()>> {
        let mut scratch = self.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        {
            let mut state = self.state.borrow_mut();
            let Some(connection) = state.get(key) else {
                return Poll::Ready(ControlFlow::Break(()));
            };
            // What was kept while the connection was paused comes before what is still to be read.
            if connection.reader.is_mid_message() && !connection.is_paused() {
                drop(state);
                self.take_in(key, &mut []);
                state = self.state.borrow_mut();
            }
            let Some(connection) = state.get(key) else {
                return Poll::Ready(ControlFlow::Break(()));
            };
            match connection.poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(ControlFlow::Break(())),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Poll::Ready(ControlFlow::Break(()));
                }
                Poll::Ready(Ok(())) => {}
            }
        }
        self.metrics.read(buffer.filled().len());
        self.take_in(key, buffer.filled_mut());
        Poll::Ready(ControlFlow::Continue(()))
    }

    /// Takes bytes of a peer through the frame reader into the session.
    fn take_in(self: &Rc<Self>, key: Key, bytes: &mut [u8]) {
        let now_ms = self.now_ms();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
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
        let limit = self.limits.max_message_bytes;
        let result = reader.feed(bytes, limit, |incoming| {
            self.message(state, key, now_ms, incoming)
        });
        let Some(connection) = state.get(key) else {
            return;
        };
        connection.reader = reader;
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
            Incoming::Text(text) => {
                let frame = crate::protocol::decode_client(text);
                self.handle(state, key, now_ms, Input::Frame(frame));
            }
            Incoming::Binary => connection.fail(now_ms, CloseCode::Unsupported),
            Incoming::Ping(payload) => control_frame(&mut connection.out, OpCode::Pong, payload),
            Incoming::Pong => {}
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
        self.drain_if_behind(state, key);
    }

    fn drain_if_behind(self: &Rc<Self>, state: &mut State, key: Key) {
        let Some(connection) = state.get(key) else {
            return;
        };
        if connection.is_behind() && !std::mem::replace(&mut connection.draining, true) {
            let shard = self.clone();
            spawn_local(async move {
                poll_fn(|cx| {
                    let mut state = shard.state.borrow_mut();
                    let Some(connection) = state.get(key) else {
                        return Poll::Ready(());
                    };
                    let drained =
                        connection.poll_drain(cx, || shard.gateway.mono_ns(), &shard.metrics);
                    if drained.is_ready() {
                        connection.draining = false;
                    }
                    drained
                })
                .await;
            });
        }
        self.schedule_in(state, key, 0);
    }

    /// Lets go of a connection.
    fn remove(&self, key: Key) {
        let mut state = self.state.borrow_mut();
        if state.get(key).is_some() {
            self.detach(&mut state, key, Fate::Kept);
            state.connections.remove(key.0 as usize);
        }
    }

    fn schedule(&self, key: Key) {
        self.schedule_in(&mut self.state.borrow_mut(), key, 0);
    }

    fn schedule_in(&self, state: &mut State, key: Key, not_before: u64) {
        let Some(connection) = state.get(key) else {
            return;
        };
        let at_ms = connection.deadline(&self.limits).max(not_before);
        if at_ms < connection.scheduled_ms {
            connection.scheduled_ms = at_ms;
            if state.deadlines.push(at_ms, key) {
                self.sooner.notify_one();
            }
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
            while let Some(key) = state.deadlines.pop_due(now_ms) {
                self.deadline_came(&mut state, key, now_ms);
            }
        }
    }

    fn deadline_came(self: &Rc<Self>, state: &mut State, key: Key, now_ms: u64) {
        let Some(connection) = state.get(key) else {
            return;
        };
        connection.scheduled_ms = u64::MAX;
        if connection.deadline(&self.limits) <= now_ms {
            if connection.is_open() {
                self.handle(state, key, now_ms, Input::Deadline);
            }
            if let Some(connection) = state.get(key) {
                connection.tick(now_ms, &self.limits);
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
        connections
            .map(|(slot, c)| (slot as Slot, c.generation))
            .collect()
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
