//! Topics of a connection: attached, replayed, acknowledged, left.

use std::borrow::Cow;
use std::rc::Rc;

use tokio::task::spawn_local;

use crate::backbone::{Answer, Record, Replay, Unavailable};
use crate::hub::{Joined, LocalTopic};
use crate::protocol::{CloseCode, Epoch, ErrorCode, Position, Refusal, SeqNo, Topic};
use crate::session::{Attached, Input};

use super::connection::Key;
use super::shard::{Shard, State};
use super::window::Window;

/// Replays up to this many bytes are copied into one write; what is more, of one topic or of many, is
/// queued by reference.
const SMALL_REPLAY: usize = 32 * 1024;

/// A replay that was answered and is to be sent behind its `subscribed`.
pub(super) struct Pending {
    local: LocalTopic,
    records: Vec<Record>,
    /// The topic's end at the moment of the answer.
    head: SeqNo,
    /// Where the first of the records goes on from.
    from: SeqNo,
    epoch: Epoch,
}

/// A `subscribe` that is being answered.
#[derive(Clone)]
struct Asking {
    topic: Topic,
    local: LocalTopic,
    /// Whether it is to be taken back when the answer is a refusal.
    fresh: bool,
    /// Where it stood before its live messages began to wait for the answer.
    stood: Option<SeqNo>,
    /// Whether they wait.
    held: bool,
    position: Option<SeqNo>,
}

type Answered = Result<(Attached, Pending), Refusal>;

impl Shard {
    /// Attaches the topic; `None` when the answer comes later.
    pub(super) fn subscribe(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        topic: &Topic,
        after: Option<&Position>,
        qos: Option<u8>,
    ) -> Option<Answered> {
        let principal = state.get(key)?.principal.clone()?;
        let mut joined = None;
        let now = self.gateway.now();
        let asked = self.gateway.subscribe(now, &principal, topic, after, || {
            joined = Some(self.join(state, key, topic)?);
            Ok(())
        });
        let asked = match asked {
            Ok(asked) => asked,
            Err(refusal) => return Some(Err(refusal)),
        };
        let (local, how) = joined?;
        let guarded = match (qos, state.get(key)?.window(local)) {
            (Some(qos), _) => qos == 1,
            (None, window) => window.is_some(),
        };
        let changed = guarded != state.get(key)?.window(local).is_some();
        let held = how != Joined::Already || after.is_some() || changed;
        let stood = state.topics.handed(key.0, local);
        if held {
            // What was live until now must not overtake the replay or come twice.
            state.topics.take_care(key.0, local, guarded);
            let window = guarded.then(|| Window::new(0));
            state.get(key)?.set_window(local, window);
        }
        let asking = Asking {
            topic: topic.clone(),
            local,
            fresh: how != Joined::Already,
            stood: stood.filter(|_| !guarded && !changed),
            held,
            position: after.map(|after| after.seq_no),
        };
        match asked {
            Answer::Ready(answer) => Some(self.attached(state, key, &asking, answer)),
            Answer::Later(later) => {
                let shard = self.clone();
                state.get(key)?.waiting = true;
                spawn_local(async move {
                    let answer = Answer::Later(later).await;
                    shard.with(key, |state, now_ms| {
                        if let Some(connection) = state.get(key) {
                            connection.waiting = false;
                        }
                        let answer = shard.attached(state, key, &asking, answer);
                        let (answer, pending) = split(answer);
                        shard.run(state, key, now_ms, Input::Subscribed(answer), pending);
                    });
                });
                None
            }
        }
    }

    fn join(
        &self,
        state: &mut State,
        key: Key,
        topic: &Topic,
    ) -> Result<(LocalTopic, Joined), Refusal> {
        let slot = key.0;
        let most = self.limits.get().max_topics;
        let full = state.topics.count(slot) >= most;
        if full && state.topics.subscribed(slot, topic.as_str()).is_none() {
            let text = format!("at most {most} topics on one connection");
            return Err(Refusal::new(ErrorCode::LimitExceeded, text));
        }
        let (local, how) = state.topics.join(slot, topic);
        if how == Joined::First {
            self.gateway.join(topic, self.id, local);
        }
        self.metrics.set_subscriptions(state.topics.subscriptions());
        Ok((local, how))
    }

    fn attached(
        &self,
        state: &mut State,
        key: Key,
        asking: &Asking,
        answer: Result<Replay, Unavailable>,
    ) -> Answered {
        let member = state.topics.subscribed(key.0, asking.topic.as_str());
        if member != Some(asking.local) {
            return Err(taken_away());
        }
        let replay = match answer {
            Ok(replay) => replay,
            Err(unavailable) => {
                if asking.fresh {
                    self.unsubscribe(state, key, asking.topic.as_str());
                } else if asking.held {
                    self.goes_on_as_before(state, key, asking);
                }
                return Err(unavailable.into());
            }
        };
        let count = replay.outcome.as_ref().map(|records| records.len() as u64);
        let head = replay.head.seq_no;
        let attached = Attached {
            seq_no: head,
            epoch: replay.head.epoch.clone(),
            replay: asking.position.map(|_| count.map_err(|reason| *reason)),
        };
        let from = match (&replay.outcome, asking.position) {
            (Ok(_), Some(position)) => position,
            _ => head,
        };
        let pending = Pending {
            local: asking.local,
            records: replay.outcome.unwrap_or_default(),
            head,
            from,
            epoch: replay.head.epoch,
        };
        Ok((attached, pending))
    }

    /// A subscription that there was goes on from where it stood; where that is not known, its
    /// connection has to resume from what it has.
    fn goes_on_as_before(&self, state: &mut State, key: Key, asking: &Asking) {
        let now_ms = self.now_ms();
        let Some(connection) = state.get(key) else {
            return;
        };
        match asking.stood {
            Some(stood) => {
                let after = connection.release_held(now_ms, asking.local, stood);
                state.topics.settle(key.0, asking.local, after);
            }
            None => connection.close(now_ms, CloseCode::ContinuityLost),
        }
    }

    pub(super) fn unsubscribe(&self, state: &mut State, key: Key, topic: &str) {
        let local = state.topics.subscribed(key.0, topic);
        if let Some((topic, local)) = state.topics.leave(key.0, topic) {
            self.gateway.leave(&topic, self.id, local);
        }
        if let (Some(connection), Some(local)) = (state.get(key), local) {
            connection.lets_go_of(local);
        }
        self.metrics.set_subscriptions(state.topics.subscriptions());
    }

    /// The client received everything of a topic up to a number.
    pub(super) fn acked<'a>(
        self: &Rc<Self>,
        state: &mut State,
        key: Key,
        topic: Cow<'a, str>,
        seq_no: SeqNo,
    ) -> Option<Input<'a>> {
        let refuse = |topic, text: &'static str| {
            let refusal = Refusal::new(ErrorCode::BadAck, text);
            Some(Input::AckRefused { topic, refusal })
        };
        let Some(local) = state.topics.subscribed(key.0, &topic) else {
            return refuse(topic, "this topic is not subscribed");
        };
        let handed = state.topics.handed(key.0, local);
        let ahead = match state.get(key)?.window(local) {
            Some(window) => window.ack(seq_no).is_err(),
            // With qos 0 what was sent is the position; the ack is only checked.
            None => handed.is_some_and(|handed| seq_no > handed),
        };
        if ahead {
            return refuse(topic, "this seqNo was not sent yet");
        }
        self.refill(state, key, local);
        None
    }

    /// Goes on with a parked qos 1 subscription from the history, as far as its window has room.
    pub(super) fn refill(self: &Rc<Self>, state: &mut State, key: Key, local: LocalTopic) {
        loop {
            let Some((name, epoch)) = state.topics.name(local) else {
                return;
            };
            let Some(connection) = state.get(key) else {
                return;
            };
            let principal = connection.principal.clone();
            let (Some(window), Some(principal)) = (connection.window(local), principal) else {
                return;
            };
            if !window.wants_refill() {
                return;
            }
            let sent = window.sent();
            let after = Position {
                epoch,
                seq_no: sent,
            };
            let now = self.gateway.now();
            let asked = self
                .gateway
                .subscribe(now, &principal, &name, Some(&after), || Ok(()));
            match asked {
                Ok(Answer::Ready(answer)) => {
                    if !self.refilled(state, key, local, answer) {
                        return;
                    }
                }
                Ok(Answer::Later(later)) => {
                    window.refilling = true;
                    let shard = self.clone();
                    spawn_local(async move {
                        let answer = Answer::Later(later).await;
                        shard.with(key, |state, _| {
                            let window = state.get(key).and_then(|c| c.window(local));
                            if window.is_some_and(|window| window.takes_refill(sent))
                                && shard.refilled(state, key, local, answer)
                            {
                                shard.refill(state, key, local);
                            }
                        });
                    });
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// Sends what the history had for a parked subscription; false when that was nothing.
    fn refilled(
        &self,
        state: &mut State,
        key: Key,
        local: LocalTopic,
        answer: Result<Replay, Unavailable>,
    ) -> bool {
        let handed_out = state.topics.delivered(local);
        let now_ms = self.now_ms();
        // Nothing follows a close.
        let Some(connection) = state.get(key).filter(|connection| connection.is_open()) else {
            return false;
        };
        let records = match answer.map(|replay| replay.outcome) {
            Ok(Ok(records)) if !records.is_empty() => records,
            // What it should get next is gone: it must know, and resume from what it has.
            _ => {
                connection.close(now_ms, CloseCode::ContinuityLost);
                return false;
            }
        };
        let Some(window) = connection.window(local) else {
            return false;
        };
        window.parked = false;
        let count = records
            .iter()
            .take_while(|record| window.admit(record.seq_no, record.frame.len()))
            .count();
        // Live records that were passed over while it was parked are still to be asked for.
        window.parked |= window.sent() < handed_out;
        let sent = window.sent();
        for record in records.into_iter().take(count) {
            connection.queue_shared(now_ms, local, record.seq_no, record.frame);
        }
        state.topics.settle(key.0, local, sent);
        count > 0
    }
}

/// An operator did not wait for the answer, or the connection was closed meanwhile.
fn taken_away() -> Refusal {
    let text = "the topic was taken away before its history was found; subscribe it again";
    Refusal::new(ErrorCode::NotAvailable, text)
}

pub(super) fn split(answer: Answered) -> (Result<Attached, Refusal>, Option<Pending>) {
    match answer {
        Ok((attached, pending)) => (Ok(attached), Some(pending)),
        Err(refusal) => (Err(refusal), None),
    }
}

impl Shard {
    /// Sends a replay; the connection gets live messages behind it.
    pub(super) fn send_replay(self: &Rc<Self>, state: &mut State, key: Key, pending: Pending) {
        let local = pending.local;
        queue_replay(state, key, self.now_ms(), pending);
        self.refill(state, key, local);
    }
}

fn queue_replay(state: &mut State, key: Key, now_ms: u64, pending: Pending) {
    let Pending {
        local,
        mut records,
        head,
        from,
        epoch,
    } = pending;
    state.topics.set_epoch(local, &epoch);
    if state.topics.handed(key.0, local).is_some() {
        // It was subscribed and gave no position: it goes on where it is, which may be before `head`.
        return;
    }
    let handed_out = state.topics.delivered(local);
    let Some(connection) = state.get(key) else {
        return;
    };
    let mut after = head;
    if let Some(window) = connection.window(local) {
        // Live records that came while the replay was asked for were passed over, unless it has them.
        let passed_over = window.parked;
        *window = Window::new(from);
        let count = records
            .iter()
            .take_while(|record| window.admit(record.seq_no, record.frame.len()))
            .count();
        records.truncate(count);
        after = window.sent();
        window.parked |= passed_over && after < handed_out;
    }
    let bytes: usize = records.iter().map(|record| record.frame.len()).sum();
    if connection.out.len() + bytes <= SMALL_REPLAY && !connection.is_behind() {
        connection.answer_with(local, &records);
    } else {
        for record in records {
            connection.queue_shared(now_ms, local, record.seq_no, record.frame);
        }
    }
    after = connection.release_held(now_ms, local, after);
    state.topics.settle(key.0, local, after);
}
