//! Publishing: many messages on their way at once, bounded in number and bytes, each answered within
//! a bounded time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::envelope::{HEADER, dedup_key, encode};
use super::ids::{Ids, Reserved};
use super::link::{Done, Link, PATIENCE, read_answer};
use super::names;
use super::queue::InOrder;
use super::reader::Reader;
use crate::backbone::{Answer, Now, Publication, Published, Unavailable};
use crate::protocol::{AckStatus, Epoch, SeqNo, Topic};

/// The most messages on their way.
const MOST_MESSAGES: usize = 64 * 1024;
/// The most bytes of messages on their way.
const MOST_BYTES: usize = 64 << 20;

type Reply = oneshot::Sender<Result<Published, Unavailable>>;

/// What is on its way; given back when it is dropped.
struct Share {
    way: Arc<Way>,
    bytes: usize,
}

#[derive(Default)]
struct Way {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    closed: AtomicBool,
}

impl Way {
    fn enter(self: &Arc<Self>, bytes: usize) -> Result<Share, Unavailable> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Unavailable("the gateway stops".to_owned()));
        }
        let messages = self.messages.fetch_add(1, Ordering::AcqRel);
        let waiting = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let share = Share {
            way: self.clone(),
            bytes,
        };
        if messages >= MOST_MESSAGES || waiting + bytes > MOST_BYTES {
            return Err(Unavailable("too much is on its way to NATS".to_owned()));
        }
        Ok(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.way.messages.fetch_sub(1, Ordering::AcqRel);
        self.way.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// A message on its way.
struct Letter {
    topic: Topic,
    partition: u16,
    key: String,
    line: String,
    payload: Bytes,
    reply: Reply,
    _share: Share,
}

/// Something to be sent, in the order it was handed in; not any more when it has waited for
/// [`PATIENCE`].
struct Job {
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
    done: Done,
    since: Instant,
}

/// Publishes; shared by all who do.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    way: Arc<Way>,
    node: String,
    partitions: u16,
}

struct Shared {
    link: Arc<Link>,
    reader: Arc<Reader>,
    jobs: mpsc::UnboundedSender<Job>,
    epochs: Arc<RwLock<Vec<Epoch>>>,
    /// Only where one stream does not see every message id.
    ids: Option<Ids>,
    reserving: Mutex<InOrder<Letter>>,
    runtime: tokio::runtime::Handle,
    acked: OnAck,
}

/// Called with a topic and its message's number before the publisher is told.
pub(super) type OnAck = Box<dyn Fn(&Topic, SeqNo) + Send + Sync>;

impl Publisher {
    /// Must be called within the runtime that does the work.
    pub(super) fn new(
        link: Arc<Link>,
        reader: Arc<Reader>,
        epochs: Arc<RwLock<Vec<Epoch>>>,
        node: String,
        partitions: u16,
        acked: OnAck,
    ) -> Self {
        let (jobs, given) = mpsc::unbounded_channel();
        link.run(send_all(link.clone(), given));
        Self {
            shared: Arc::new(Shared {
                ids: (partitions > 1).then(|| Ids::new(link.clone(), partitions)),
                reserving: Mutex::default(),
                link,
                reader,
                jobs,
                epochs,
                runtime: tokio::runtime::Handle::current(),
                acked,
            }),
            way: Arc::default(),
            node,
            partitions,
        }
    }

    /// Sends a message; the answer comes within twice [`PATIENCE`], with partitions for each of its two
    /// steps.
    pub(super) fn publish(
        &self,
        now: Now,
        publication: &Publication<'_>,
    ) -> Answer<Result<Published, Unavailable>> {
        if !self.shared.link.is_connected() {
            return Answer::Ready(Err(Unavailable("NATS is away".to_owned())));
        }
        let line = encode(publication, now, &self.node);
        let bytes = publication.payload.len() + line.len() + publication.topic.len() + 512;
        let share = match self.way.enter(bytes) {
            Ok(share) => share,
            Err(unavailable) => return Answer::Ready(Err(unavailable)),
        };
        let (reply, later) = oneshot::channel();
        let letter = Letter {
            topic: Topic::trusted(publication.topic),
            partition: names::partition(publication.topic, self.partitions),
            key: dedup_key(publication.user, publication.message_id),
            line,
            payload: Bytes::copy_from_slice(publication.payload.as_bytes()),
            reply,
            _share: share,
        };
        match &self.shared.ids {
            None => Shared::append(&self.shared, letter),
            Some(_) => Shared::reserve(&self.shared, letter),
        }
        Answer::Later(later)
    }

    /// Takes nothing more and waits until everything that was taken is answered.
    pub(super) fn close(&self) {
        self.way.closed.store(true, Ordering::Release);
        let deadline = Instant::now() + 2 * PATIENCE;
        while self.way.messages.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[derive(Deserialize)]
struct PubAck {
    seq: SeqNo,
    #[serde(default)]
    duplicate: bool,
}

/// Reads the answer to a publish.
fn read_ack(answer: Result<Message, Unavailable>) -> Result<PubAck, Unavailable> {
    let answer = answer?;
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(Unavailable("no stream takes the message".to_owned()));
    }
    read_answer(&answer.payload)?.map_err(|error| Unavailable(error.to_string()))
}

impl Shared {
    fn send(&self, subject: String, headers: HeaderMap, payload: Bytes, done: Done) {
        let job = Job {
            subject,
            headers,
            payload,
            done,
            since: Instant::now(),
        };
        if let Err(unsent) = self.jobs.send(job) {
            (unsent.0.done)(Err(Unavailable("the gateway stops".to_owned())));
        }
    }

    /// Makes sure that no other topic has the id, then appends. A topic's messages are appended in
    /// the order they came, in whatever order the streams of ids answer.
    fn reserve(self: &Arc<Self>, letter: Letter) {
        let shared = self.clone();
        let Some(ids) = &self.ids else {
            return Self::append(self, letter);
        };
        let (subject, headers, body) = ids.reservation(&letter.key, &letter.topic);
        let topic = letter.topic.clone();
        let ticket = self.reserving.lock().enter(&topic);
        let done: Done = Box::new(move |answer| {
            let goes_on = match Ids::reserved(answer) {
                Ok(true) => Some(letter),
                // Somebody was first: with the same topic, this is the same message, or a copy of it.
                Ok(false) => {
                    let own = shared.clone();
                    shared
                        .runtime
                        .spawn(async move { own.reserved_before(letter).await });
                    None
                }
                Err(unavailable) => {
                    let _ = letter.reply.send(Err(unavailable));
                    None
                }
            };
            let append = |letter| Self::append(&shared, letter);
            shared
                .reserving
                .lock()
                .decide(&topic, ticket, goes_on, append);
        });
        self.send(subject, headers, body, done);
    }

    async fn reserved_before(self: Arc<Self>, letter: Letter) {
        let Some(ids) = &self.ids else { return };
        let first = match ids.first(&letter.key, &letter.topic).await {
            Ok(Reserved::Here) => return Self::append(&self, letter),
            Ok(Reserved::Elsewhere(topic, seq_no)) => {
                let partition = names::partition(topic.as_str(), ids.partitions());
                Ok(Published {
                    status: AckStatus::Duplicate,
                    elsewhere: Some(topic),
                    seq_no,
                    epoch: self.epoch(partition),
                })
            }
            Err(unavailable) => Err(unavailable),
        };
        let _ = letter.reply.send(first);
    }

    fn append(self: &Arc<Self>, letter: Letter) {
        let shared = self.clone();
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", letter.key.as_str());
        headers.insert(HEADER, letter.line.as_str());
        let subject = names::inward(letter.partition, letter.topic.as_str());
        let payload = letter.payload.clone();
        let done: Done = Box::new(move |answer| match read_ack(answer) {
            Ok(ack) if ack.duplicate => {
                let runtime = shared.runtime.clone();
                runtime.spawn(async move { shared.duplicate(letter, ack.seq).await });
            }
            Ok(ack) => {
                if let Some(ids) = &shared.ids {
                    // The answer to it is of no interest.
                    let (subject, headers, body) =
                        ids.confirmation(&letter.key, &letter.topic, ack.seq);
                    shared.send(subject, headers, body, Box::new(|_| ()));
                }
                (shared.acked)(&letter.topic, ack.seq);
                let published = shared.published(&letter, AckStatus::Ok, ack.seq, None);
                let _ = letter.reply.send(Ok(published));
            }
            Err(unavailable) => drop(letter.reply.send(Err(unavailable))),
        });
        self.send(subject, headers, payload, done);
    }

    /// The stream had the id: finds out which topic's message it was. Of one that is gone nobody knows.
    async fn duplicate(self: Arc<Self>, letter: Letter, seq_no: SeqNo) {
        let first = self.reader.get(letter.partition, seq_no).await;
        let answer = first.map(|first| {
            let topic = first.and_then(|stored| names::topic(&stored.subject));
            if let Some(topic) = &topic {
                (self.acked)(topic, seq_no);
            }
            let elsewhere = topic.filter(|topic| *topic != letter.topic);
            self.published(&letter, AckStatus::Duplicate, seq_no, elsewhere)
        });
        let _ = letter.reply.send(answer);
    }

    fn published(
        &self,
        letter: &Letter,
        status: AckStatus,
        seq_no: SeqNo,
        elsewhere: Option<Topic>,
    ) -> Published {
        Published {
            status,
            elsewhere,
            seq_no,
            epoch: self.epoch(letter.partition),
        }
    }

    fn epoch(&self, partition: u16) -> Epoch {
        let epochs = self.epochs.read();
        let epoch = epochs.get(usize::from(partition));
        epoch.cloned().unwrap_or_else(|| Epoch::new(""))
    }
}

async fn send_all(link: Arc<Link>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = jobs.recv().await {
        if job.since.elapsed() >= PATIENCE {
            let why = "NATS takes less than is published";
            (job.done)(Err(Unavailable(why.to_owned())));
            continue;
        }
        link.ask(job.subject, Some(job.headers), job.payload, job.done)
            .await;
    }
}
