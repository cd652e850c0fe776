//! The topics that somebody on this node listens to.
//!
//! A pump owns some of the topics and does one thing after the other, so nothing in here is locked:
//! it listens to each topic's live subject, keeps a [`Tracker`] of it, hands on what the tracker
//! releases, and answers questions for the topic's end, which it mostly knows. Questions to the
//! stream run beside it and come back as commands.
//!
//! Listening begins before the head is asked for, on the same connection, and the head comes from the
//! stream's leader: the leader knows of our interest before it answers, so no message can fall
//! between the two.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{BoxStream, SelectAll, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, interval, sleep, timeout};

use super::Shared;
use super::cache::Cache;
use super::link::PATIENCE;
use super::names;
use super::question::Question;
use super::reader::{Stored, Trimmed, live_headers};
use super::tracker::{Act, Item, Tracker};
use crate::backbone::{Head, Unavailable};
use crate::protocol::{Epoch, SeqNo, Topic};

/// What one topic may hold while something before it is missing, in bytes; the rest is read again.
const MOST_HELD: usize = 1 << 20;
/// Pause before a question to the stream is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a topic is listened to when nobody does any more: who was cut off comes back.
const LINGER: Duration = Duration::from_secs(5);
/// How often is looked for what has waited too long, and for topics that are not listened to yet.
const TICK: Duration = Duration::from_millis(500);

/// A topic in its pump, and which of those with that number it is.
type Key = (usize, u64);

/// What a pump is told.
pub(super) enum Command {
    /// Somebody on this node listens to the topic, or nobody does any more.
    Interest(Topic, bool),
    /// Answer this.
    Ask(Question),
    /// A message of the topic was acknowledged on this node.
    Acked(Topic, SeqNo),
    /// Nothing of the partition up to this number has gone past us.
    Clear(u16, SeqNo),
    /// Messages may have gone past us since.
    Resync,
    /// The partition's stream is another one: its numbers begin anew, and this is their epoch.
    Renumbered(u16, Epoch),
    /// The head of a topic, as it was asked for.
    Head(Key, SeqNo),
    /// What was missing of a topic, as it was asked for.
    Filled(Key, Result<Vec<Stored>, Trimmed>),
}

struct Entry {
    topic: Topic,
    partition: u16,
    generation: u64,
    tracker: Tracker<Stored>,
    /// Ends the subscription; `None` while there is none.
    listening: Option<AbortHandle>,
    waiting: Vec<Question>,
    /// Since when nobody listens to it any more.
    idle: Option<Instant>,
}

/// Some of the topics.
pub(super) struct Pump {
    shared: Arc<Shared>,
    own: mpsc::UnboundedSender<Command>,
    entries: slab::Slab<Entry>,
    by_topic: HashMap<Topic, usize>,
    generation: u64,
    live: SelectAll<BoxStream<'static, (Key, Message)>>,
    /// Up to where nothing has gone past us, by partition.
    clear: Vec<SeqNo>,
    /// Those that our numbers belong to, by partition. The shared ones can be ahead of what was told
    /// here: a number goes with the epoch it was learned in.
    epochs: Vec<Epoch>,
    cache: Cache,
    began: Instant,
    /// Topics that nobody listens to, and since when.
    idle: VecDeque<(Instant, Topic)>,
    /// Topics with questions that wait, and topics that are not listened to yet.
    unsettled: HashSet<usize>,
    /// Bounds the questions to the stream that run at once.
    asking: Arc<Semaphore>,
    acts: Vec<Act<Stored>>,
}

/// Starts a pump.
pub(super) fn start(
    shared: &Arc<Shared>,
    asking: &Arc<Semaphore>,
) -> mpsc::UnboundedSender<Command> {
    let (own, commands) = mpsc::unbounded_channel();
    let pump = Pump {
        shared: shared.clone(),
        own: own.clone(),
        entries: slab::Slab::new(),
        by_topic: HashMap::new(),
        generation: 0,
        live: SelectAll::new(),
        clear: vec![0; usize::from(shared.partitions)],
        epochs: shared.epochs.read().clone(),
        cache: Cache::new(
            shared.cache_bytes,
            shared.history_size,
            shared.history_ttl_ms,
        ),
        began: Instant::now(),
        idle: VecDeque::new(),
        unsettled: HashSet::new(),
        asking: asking.clone(),
        acts: Vec::new(),
    };
    shared.link.run(pump.run(commands));
    own
}

impl Pump {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut tick = interval(TICK);
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                Some((key, message)) = self.live.next() => self.arrived(key, message),
                _ = tick.tick() => self.tick().await,
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Interest(topic, true) => self.open(topic).await,
            Command::Interest(topic, false) => {
                if let Some(at) = self.by_topic.get(&topic) {
                    self.entries[*at].idle = Some(Instant::now());
                    self.idle.push_back((Instant::now(), topic));
                }
            }
            Command::Ask(question) => self.ask(question),
            Command::Acked(topic, seq_no) => {
                if let Some(at) = self.by_topic.get(&topic) {
                    self.entries[*at].tracker.expect(seq_no);
                }
            }
            Command::Clear(partition, seq_no) => {
                self.clear[usize::from(partition)] = seq_no;
            }
            Command::Resync => self.resync(),
            Command::Renumbered(partition, epoch) => self.renumbered(partition, epoch),
            Command::Head(key, head) => {
                self.with(key, |tracker, acts| tracker.head_is(head, acts));
            }
            Command::Filled(key, stored) => {
                let items = stored
                    .ok()
                    .map(|stored| stored.into_iter().map(item).collect());
                self.with(key, |tracker, acts| tracker.filled(items, acts));
            }
        }
    }

    fn key(&self, at: usize) -> Key {
        (at, self.entries.get(at).map_or(0, |entry| entry.generation))
    }

    async fn open(&mut self, topic: Topic) {
        if let Some(at) = self.by_topic.get(&topic) {
            self.entries[*at].idle = None;
            return;
        }
        self.generation += 1;
        let partition = names::partition(topic.as_str(), self.shared.partitions);
        let (tracker, _) = Tracker::new(MOST_HELD);
        let at = self.entries.insert(Entry {
            topic: topic.clone(),
            partition,
            generation: self.generation,
            tracker,
            listening: None,
            waiting: Vec::new(),
            idle: None,
        });
        self.by_topic.insert(topic, at);
        self.listen(at).await;
    }

    /// Listens to the topic, then asks for its head. While NATS is away it is tried again later.
    async fn listen(&mut self, at: usize) {
        let key = self.key(at);
        let Some(entry) = self.entries.get_mut(at) else {
            return;
        };
        self.unsettled.insert(at);
        if !self.shared.link.is_connected() {
            return;
        }
        let subject = names::live(entry.partition, entry.topic.as_str());
        let subscribing = self.shared.link.client.subscribe(subject);
        let Ok(Ok(subscriber)) = timeout(PATIENCE, subscribing).await else {
            return;
        };
        let (abort, registration) = AbortHandle::new_pair();
        entry.listening = Some(abort);
        let messages = Abortable::new(subscriber, registration);
        self.live
            .push(messages.map(move |message| (key, message)).boxed());
        self.ask_head(key);
    }

    /// Leaves the topics that nobody has listened to for a while.
    fn leave_idle(&mut self) {
        while let Some((_, topic)) = self.idle.pop_front_if(|(at, _)| at.elapsed() >= LINGER) {
            let at = self.by_topic.get(&topic).copied();
            let idle = at.and_then(|at| self.entries.get(at)?.idle);
            if idle.is_some_and(|since| since.elapsed() >= LINGER) {
                self.close(&topic);
            }
        }
    }

    fn close(&mut self, topic: &Topic) {
        if let Some(at) = self.by_topic.remove(topic) {
            let entry = self.entries.remove(at);
            self.unsettled.remove(&at);
            self.cache.forget(entry.generation);
            if let Some(abort) = entry.listening {
                abort.abort();
            }
        }
    }

    fn arrived(&mut self, key: Key, message: Message) {
        let numbers = message.headers.as_ref().and_then(live_headers);
        let Some((seq_no, previous, line)) = numbers else {
            // Nobody but the stream may publish here.
            tracing::warn!(subject = %message.subject, "a message without a number was left out");
            return;
        };
        let stored = Stored {
            seq_no,
            subject: String::new(),
            line,
            payload: message.payload,
        };
        let item = Item {
            previous,
            ..item(stored)
        };
        self.with(key, |tracker, acts| tracker.arrived(item, acts));
    }

    /// Does something with a topic's tracker, then what the tracker wants done.
    fn with(&mut self, key: Key, act: impl FnOnce(&mut Tracker<Stored>, &mut Vec<Act<Stored>>)) {
        let Some(entry) = self.entries.get_mut(key.0) else {
            return;
        };
        if entry.generation != key.1 {
            return;
        }
        let mut acts = std::mem::take(&mut self.acts);
        act(&mut entry.tracker, &mut acts);
        let (topic, partition) = (entry.topic.clone(), entry.partition);
        let now_ms = self.began.elapsed().as_millis() as u64;
        for act in acts.drain(..) {
            match act {
                Act::Deliver(item, previous) => {
                    let record = self.shared.deliver(&topic, &item.message, previous);
                    if let Some(record) = record {
                        self.cache.push(now_ms, key.1, record);
                    }
                }
                Act::Opened(head) => self.cache.begin(key.1, head),
                Act::AskHead => self.ask_head(key),
                Act::Fill(after, to) => self.ask_between(key, partition, topic.clone(), after, to),
                Act::Lost(left_behind) => {
                    self.cache.begin(key.1, left_behind);
                    tracing::warn!(%topic, "messages were lost; the topic's subscribers are closed");
                    self.shared.events.lost(topic.as_str());
                }
            }
        }
        self.acts = acts;
        self.answer_waiting(key.0);
    }

    /// Asks for a topic's head until it is known.
    fn ask_head(&self, key: Key) {
        let Some(entry) = self.entries.get(key.0) else {
            return;
        };
        let (partition, topic) = (entry.partition, entry.topic.clone());
        self.until_known(key, move |shared| {
            let topic = topic.clone();
            async move {
                let head = shared.reader.head(partition, &topic).await?;
                Ok(Command::Head(key, head))
            }
        });
    }

    fn ask_between(&self, key: Key, partition: u16, topic: Topic, after: SeqNo, to: SeqNo) {
        self.until_known(key, move |shared| {
            let topic = topic.clone();
            async move {
                let reader = &shared.reader;
                let found = reader.between(partition, &topic, after, to).await?;
                Ok(Command::Filled(key, found))
            }
        });
    }

    /// Asks the stream, again and again, until it answers or the topic is not listened to any more.
    fn until_known<F>(&self, key: Key, ask: impl Fn(Arc<Shared>) -> F + Send + 'static)
    where
        F: Future<Output = Result<Command, Unavailable>> + Send,
    {
        let Some(abort) = self.entries.get(key.0).and_then(|e| e.listening.clone()) else {
            return;
        };
        let (shared, own, asking) = (self.shared.clone(), self.own.clone(), self.asking.clone());
        let stop = shared.link.stop.clone();
        let asking = async move {
            while !abort.is_aborted() {
                if shared.link.is_connected() {
                    let Ok(_permit) = asking.acquire().await else {
                        return;
                    };
                    if let Ok(command) = ask(shared.clone()).await {
                        let _ = own.send(command);
                        return;
                    }
                }
                sleep(PAUSE).await;
            }
        };
        tokio::spawn(stop.run_until_cancelled_owned(asking));
    }

    fn ask(&mut self, question: Question) {
        if !self.shared.link.is_connected() {
            return question.refuse("NATS is away");
        }
        match self.by_topic.get(&question.topic) {
            Some(at) => {
                let at = *at;
                self.entries[at].waiting.push(question);
                self.answer_waiting(at);
            }
            // Nobody listens to it: the stream alone knows.
            None => question.ask_stream(self.shared.clone()),
        }
    }

    /// Answers what can be answered.
    fn answer_waiting(&mut self, at: usize) {
        let Some(entry) = self.entries.get_mut(at) else {
            return;
        };
        if let Some(last) = entry.tracker.settled() {
            let mut acts = Vec::new();
            let (partition, generation, cache) = (entry.partition, entry.generation, &self.cache);
            for mut question in std::mem::take(&mut entry.waiting) {
                let position = question.after.as_ref();
                let ahead = position.is_some_and(|after| after.seq_no > last);
                if ahead && !question.checked {
                    // It may have been sent elsewhere before it came here.
                    question.checked = true;
                    entry.tracker.check(&mut acts);
                    entry.waiting.push(question);
                } else {
                    let cached = |after| cache.after(generation, after);
                    let head = Head {
                        seq_no: last,
                        epoch: self.epochs[usize::from(partition)].clone(),
                    };
                    question.answer(&self.shared, partition, head, cached);
                }
            }
            if !acts.is_empty() {
                self.ask_head(self.key(at));
            }
        }
        let Some(entry) = self.entries.get(at) else {
            return;
        };
        if entry.waiting.is_empty() && entry.listening.is_some() {
            self.unsettled.remove(&at);
        } else {
            self.unsettled.insert(at);
        }
    }

    fn resync(&mut self) {
        for key in self.keys() {
            let clear = self.clear[usize::from(self.entries[key.0].partition)];
            self.with(key, |tracker, acts| {
                tracker.clear_up_to(clear);
                tracker.check(acts);
            });
        }
    }

    fn renumbered(&mut self, partition: u16, epoch: Epoch) {
        self.clear[usize::from(partition)] = 0;
        self.epochs[usize::from(partition)] = epoch;
        for key in self.keys() {
            let entry = &mut self.entries[key.0];
            if entry.partition != partition {
                continue;
            }
            self.cache.forget(entry.generation);
            self.generation += 1;
            entry.generation = self.generation;
            entry.tracker = Tracker::new(MOST_HELD).0;
            if let Some(abort) = entry.listening.take() {
                abort.abort();
            }
            self.unsettled.insert(key.0);
            self.shared.events.lost(entry.topic.as_str());
        }
    }

    fn keys(&self) -> Vec<Key> {
        let entries = self.entries.iter();
        entries.map(|(at, entry)| (at, entry.generation)).collect()
    }

    async fn tick(&mut self) {
        let connected = self.shared.link.is_connected();
        self.leave_idle();
        self.cache.trim(self.began.elapsed().as_millis() as u64);
        for at in self.unsettled.iter().copied().collect::<Vec<_>>() {
            let Some(entry) = self.entries.get_mut(at) else {
                continue;
            };
            let late = |q: &mut Question| !connected || q.asked.elapsed() >= PATIENCE;
            for question in entry.waiting.extract_if(.., late) {
                question.refuse("the stream did not answer in time");
            }
            if entry.listening.is_none() {
                self.listen(at).await;
            } else {
                // Those who still wait may wait for what went past us.
                self.with(self.key(at), Tracker::check);
            }
        }
    }
}

fn item(stored: Stored) -> Item<Stored> {
    Item {
        seq_no: stored.seq_no,
        previous: 0,
        bytes: stored.payload.len() + stored.line.len() + 256,
        message: stored,
    }
}
