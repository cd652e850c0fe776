//! The turn: what has come in is read and published, what came for this shard is handed out, then
//! each socket that has something to get is written once.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use bytes::BytesMut;

use crate::hub::{Arrival, Careful, LocalTopic, Slot};

use crate::protocol::CloseCode;

use super::connection::Key;
use super::flush::{Batch, Link, Turn};
use super::poller::{Poller, Ready};
use super::shard::{Shard, State};

/// What one read takes at most; shared by all connections of the shard.
const SCRATCH_BYTES: usize = 64 * 1024;

impl Shard {
    /// Runs the turns, for as long as there is something to wait with.
    pub(super) async fn run_turns(self: Rc<Self>, mut poller: Poller) {
        let mut scratch = vec![0; SCRATCH_BYTES];
        while let Ok(()) = self.something(&mut poller).await {
            for ready in poller.events() {
                self.attend(ready, &mut scratch);
            }
            let mut again = std::mem::take(&mut self.state.borrow_mut().again);
            for slot in again.drain(..) {
                self.attend(self.goes_on(slot), &mut scratch);
            }
            self.turn();
            // What rang meanwhile waits behind what else is ready.
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a socket is ready, a connection can go on or the inbox was rung.
    async fn something(&self, poller: &mut Poller) -> io::Result<()> {
        let told = poll_fn(|cx| {
            let rung = self.inbox.poll_rung(cx).is_ready();
            match poller.poll(cx) {
                Poll::Pending if rung || !self.state.borrow().again.is_empty() => {
                    Poll::Ready(Ok(()))
                }
                told => told,
            }
        });
        let told = told.await;
        if let Err(error) = &told {
            tracing::error!(%error, "a shard cannot wait for its sockets any more");
        }
        told
    }

    fn goes_on(&self, slot: Slot) -> Ready {
        if let Some(connection) = self.state.borrow_mut().connections.get_mut(slot) {
            connection.goes_on = false;
        }
        Ready::nothing_new(slot)
    }

    pub(super) fn turn(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let mut arrivals = std::mem::take(&mut state.arrivals);
        self.inbox.take(&mut arrivals);
        // Stable: the records of a topic stay in their order.
        arrivals.sort_by_key(|arrival| arrival.topic);
        let (mut lost, mut overrun) = (Vec::new(), Vec::new());
        for records in arrivals.chunk_by(|a, b| a.topic == b.topic) {
            let whole = records.iter().position(Arrival::is_lost);
            if let Some(gap) = whole {
                lost.push(records[gap].topic);
            }
            let whole = &records[..whole.unwrap_or(records.len())];
            self.hand_out(state, whole, &mut overrun);
        }
        arrivals.clear();
        state.arrivals = arrivals;
        let marked = self.write(state);
        state.batches.clear();
        state.links.clear();
        // Nothing has left a topic during the turn, so no number that is in use is freed here.
        state.topics.free_retired();
        for key in marked {
            self.after(state, key);
        }
        for local in lost {
            self.close_subscribers(state, local);
        }
        // Behind what this turn had for them.
        for slot in overrun {
            self.close_discontinued(state, slot);
        }
    }

    /// Closes a connection that would get what is behind a gap: it resumes from what it has.
    fn close_discontinued(self: &Rc<Self>, state: &mut State, slot: Slot) {
        let now_ms = self.now_ms();
        if let Some(connection) = state.connections.get_mut(slot) {
            connection.close(now_ms, CloseCode::ContinuityLost);
            let key = (slot, connection.generation);
            self.after(state, key);
        }
    }

    /// Closes those who would get what is behind a gap of this topic.
    fn close_subscribers(self: &Rc<Self>, state: &mut State, local: LocalTopic) {
        let careful = state.topics.careful(local).iter().map(|c| c.slot);
        let slots: Vec<Slot> = state
            .topics
            .live(local)
            .iter()
            .copied()
            .chain(careful)
            .collect();
        for slot in slots {
            self.close_discontinued(state, slot);
        }
    }

    /// Writes what is laid out for a connection whose peer says nothing more, but may still listen.
    pub(super) fn last_words(&self, key: Key) {
        let mut state = self.state.borrow_mut();
        if state.get(key).is_some_and(|c| c.has_something_to_write()) {
            let marked = std::mem::replace(&mut state.marked, vec![key.0]);
            self.write(&mut state);
            state.marked = marked;
        }
    }

    /// Writes the marked sockets and returns those that need looking after.
    fn write(&self, state: &mut State) -> Vec<Key> {
        let limits = self.limits.get();
        let mut turn = Turn {
            batches: &state.batches,
            links: &state.links,
            spare: &mut state.spare,
            limits: &limits,
            metrics: &self.metrics,
            now_ns: &|| self.gateway.mono_ns(),
        };
        let mut troubled = Vec::new();
        for slot in state.marked.drain(..) {
            let Some(connection) = state.connections.get_mut(slot) else {
                continue;
            };
            connection.marked = false;
            connection.flush(&mut turn);
            if connection.is_behind() || !connection.is_open() {
                troubled.push((slot, connection.generation));
            }
        }
        troubled
    }

    /// Chains one topic's records of this turn to everyone who is to get them. Those who would have to
    /// wait with too many are `overrun`.
    fn hand_out(&self, state: &mut State, records: &[Arrival], overrun: &mut Vec<Slot>) {
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return;
        };
        let local = first.topic;
        if !state.topics.live(local).is_empty() {
            let batch = push_batch(state, records);
            for at in 0..state.topics.live(local).len() {
                let slot = state.topics.live(local)[at];
                chain(state, slot, batch);
            }
        }
        for at in 0..state.topics.careful(local).len() {
            let careful = state.topics.careful(local)[at];
            if !self.hand_to_careful(state, local, careful, records) {
                overrun.push(careful.slot);
            }
        }
        state.topics.mark_delivered(local, last.seq_no);
    }

    /// False when the connection would have to wait with too many.
    fn hand_to_careful(
        &self,
        state: &mut State,
        local: LocalTopic,
        careful: Careful,
        records: &[Arrival],
    ) -> bool {
        let Some(connection) = state.connections.get_mut(careful.slot) else {
            return true;
        };
        let Some(after) = careful.after else {
            if let Some(window) = connection.window(local) {
                window.parked = true;
                return true;
            }
            return connection.hold(records, &self.limits.get());
        };
        let fresh = &records[records.partition_point(|record| record.seq_no <= after)..];
        let count = match connection.window(local) {
            Some(window) => fresh
                .iter()
                .take_while(|record| window.admit(record.seq_no, record.frame.len()))
                .count(),
            None => fresh.len(),
        };
        if let Some(last) = fresh[..count].last() {
            let batch = push_batch(state, &fresh[..count]);
            chain(state, careful.slot, batch);
            if careful.guarded {
                state.topics.settle(careful.slot, local, last.seq_no);
            }
        }
        true
    }
}

/// Lays the records' frames together once for everyone who gets them.
fn push_batch(state: &mut State, records: &[Arrival]) -> u32 {
    let bytes = match records {
        [one] => one.frame.clone(),
        many => {
            let length = many.iter().map(|record| record.frame.len()).sum();
            let mut bytes = BytesMut::with_capacity(length);
            for record in many {
                bytes.extend_from_slice(&record.frame);
            }
            bytes.freeze()
        }
    };
    let first = records.first();
    let accepted = |record: Option<&Arrival>| record.map_or(0, |record| record.accepted);
    state.batches.push(Batch {
        bytes,
        messages: records.len() as u32,
        accepted: (accepted(first), accepted(records.last())),
        first: first.map_or((0, 0), |record| (record.topic, record.seq_no)),
    });
    state.batches.len() as u32 - 1
}

/// Appends a batch to what a connection gets this turn.
fn chain(state: &mut State, slot: Slot, batch: u32) {
    let at = state.links.len() as u32;
    let Some(connection) = state.connections.get_mut(slot) else {
        return;
    };
    if !connection.is_open() {
        return;
    }
    state.links.push(Link { batch, next: None });
    connection.chain = match connection.chain {
        None => Some((at, at)),
        Some((first, last)) => {
            state.links[last as usize].next = Some(at);
            Some((first, at))
        }
    };
    state.mark(slot);
}
