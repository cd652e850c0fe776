//! The NATS backbone: any number of gateways, none with a state of its own. What was acknowledged is
//! in a JetStream stream, on as many servers as it has replicas.
//!
//! * `names`: topics as subjects. Pure.
//! * `envelope`: what travels beside a payload. Pure.
//! * `tracker`: what a node has of a topic, and whether something is missing. Pure.
//! * `link`: the connection, and requests that end in a bounded time.
//! * `setup`: streams and buckets, made and checked.
//! * `reader`: what a stream has kept.
//! * `publisher`, `ids`: publishing, and message ids across partitions.
//! * `queue`: what is decided in any order and goes on in the order it came. Pure.
//! * `sessions`: sessions that any gateway can go on with.
//! * `load`: how much of them waits to be written. Pure.
//! * `roster`: which gateways there are.
//! * `bus`: what gateways ask each other.
//! * `revocations`: users and tokens that every gateway turns away.
//! * `cache`: the newest records of those. Pure.
//! * `question`: questions for a topic's end, and their answers.
//! * `caretaker`: whether the streams are there, and still the same.
//! * `pump`: the topics that somebody on this node listens to.
//!
//! A message is published into the stream of its topic's partition. The stream refuses an id it has
//! seen (promise I2), gives the number (I3), stores and replicates (I4), and then repeats the message
//! on the topic's live subject, with its number and the one before it. Only nodes with a subscriber
//! of the topic listen there. Numbers are the stream's: they rise in a topic and have gaps.

mod bus;
mod cache;
mod caretaker;
mod envelope;
mod ids;
mod link;
mod load;
mod names;
mod publisher;
mod pump;
mod question;
mod queue;
mod reader;
mod revocations;
mod roster;
mod sessions;
mod setup;
mod tracker;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use self::bus::{Bus, Heard};
pub use self::revocations::{Revocation, Revocations, Whose};
pub(crate) use self::sessions::TakeOver;
pub use self::sessions::{NatsSessions, TAKE_OVER};

use self::caretaker::Caretaker;
use self::envelope::Envelope;
use self::link::Link;
use self::publisher::Publisher;
use self::pump::Command;
use self::question::Question;
use self::reader::{Reader, Stored};
use super::{
    Answer, Backbone, Durability, Events, Head, History, Now, PageSize, Publication, Published,
    Record, Replay, Retention, Unavailable, unix_ms,
};
use crate::protocol::{Epoch, Position, SeqNo, Topic};

/// Questions to the streams that follow a lost connection, at once.
const MOST_CHECKS: usize = 64;
/// Bytes of the newest records that are kept for clients that come back.
const CACHE_BYTES: usize = 64 << 20;
/// Replays that are read at once.
const MOST_REPLAYS: usize = 256;

/// Where NATS is and what is wanted of it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its servers; any of them will do.
    pub servers: Vec<async_nats::ServerAddr>,
    /// A file with credentials, as `nsc` makes them.
    pub credentials: Option<PathBuf>,
    /// On how many servers each message is kept, 1 to 5.
    pub replicas: usize,
    /// Streams that the topics are spread over, at least 1.
    pub partitions: u16,
    /// The largest message of a client, in bytes; the server must take it.
    pub max_message_bytes: usize,
    /// How long a session can be resumed.
    pub session_ttl: Duration,
    /// Bytes of kept sessions in all.
    pub session_bytes: u64,
    /// How long a revocation is kept.
    pub revocation_ttl: Duration,
    /// What this gateway is called among the others.
    pub node: String,
    /// How long is waited at the start for servers that are not there yet.
    pub connect_patience: Duration,
    /// Cancelled when a part of the backbone has failed for good.
    pub failed: CancellationToken,
}

impl Default for Options {
    /// One server on this machine, one replica, one partition.
    fn default() -> Self {
        Self {
            servers: "nats://127.0.0.1:4222".parse().into_iter().collect(),
            credentials: None,
            replicas: 1,
            partitions: 1,
            max_message_bytes: 64 * 1024,
            session_ttl: Duration::from_secs(120),
            session_bytes: 256 << 20,
            revocation_ttl: Duration::from_secs(30 * 24 * 3600),
            node: "gateway".to_owned(),
            connect_patience: Duration::from_secs(10),
            failed: CancellationToken::new(),
        }
    }
}

impl Options {
    /// How long the bucket keeps what was written last of a session.
    fn session_bucket_ttl(&self) -> Duration {
        // One that lives is written anew in time, also when one such write fails.
        self.session_ttl + 2 * sessions::RENEWED_EVERY
    }
}

/// What everybody in here shares.
struct Shared {
    link: Arc<Link>,
    reader: Arc<Reader>,
    partitions: u16,
    node: String,
    epochs: Arc<RwLock<Vec<Epoch>>>,
    events: Arc<dyn Events>,
    replaying: Semaphore,
    /// Bytes of records that each pump keeps.
    cache_bytes: usize,
    history_size: usize,
    history_ttl_ms: u64,
    /// A moment on our clock and on the gateway's.
    clock: OnceLock<(Instant, Now)>,
    /// Why the streams cannot be used.
    down: Mutex<Option<String>>,
}

impl Shared {
    fn epoch(&self, partition: u16) -> Epoch {
        let epochs = self.epochs.read();
        let epoch = epochs.get(usize::from(partition));
        epoch.cloned().unwrap_or_else(|| Epoch::new(""))
    }

    fn learn_clock(&self, now: Now) {
        self.clock.get_or_init(|| (Instant::now(), now));
    }

    /// When a message was accepted, on this gateway's clock. What another node accepted is as old as
    /// the two machines' wall clocks say.
    fn accepted(&self, envelope: &Envelope<'_>) -> u64 {
        if envelope.node == self.node {
            return envelope.mono_ns;
        }
        let Some((at, now)) = self.clock.get() else {
            return 0;
        };
        let mono_ns = now.mono_ns + at.elapsed().as_nanos() as u64;
        let age_ms = unix_ms().saturating_sub(envelope.ts);
        mono_ns.saturating_sub(age_ms.saturating_mul(1_000_000))
    }

    /// Hands a message on, as the record that it returns.
    fn deliver(&self, topic: &Topic, stored: &Stored, previous: SeqNo) -> Option<Record> {
        let envelope = Envelope::decode(&stored.line);
        let record = envelope.as_ref().and_then(|envelope| {
            envelope.record(topic.as_str(), &stored.payload, stored.seq_no, previous)
        });
        match (envelope, record) {
            (Some(envelope), Some(record)) => {
                let accepted = self.accepted(&envelope);
                self.events.deliver(topic.as_str(), &record, accepted);
                Some(record)
            }
            _ => {
                let seq_no = stored.seq_no;
                tracing::warn!(%topic, seq_no, "a message that no gateway wrote was left out");
                None
            }
        }
    }
}

/// Numbers, deduplicates and keeps messages in JetStream.
pub struct Nats {
    shared: Arc<Shared>,
    publisher: Publisher,
    pumps: Arc<[mpsc::UnboundedSender<Command>]>,
    runtime: tokio::runtime::Handle,
    replicas: usize,
    name: String,
}

impl Nats {
    /// Connects, makes what is not there, and checks what is.
    ///
    /// # Errors
    /// One line: what is wrong, and the mend.
    pub async fn open(
        options: Options,
        retention: &Retention,
        events: Arc<dyn Events>,
    ) -> Result<Self, String> {
        let node = uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
        let link = Link::open(&options, &node).await?;
        setup::check_server(&link.client.server_info(), &options)?;
        let epochs = setup::ensure(&link, &options, retention).await?;
        let epochs = Arc::new(RwLock::new(epochs));
        let reader = Arc::new(Reader::new(link.clone(), &options, retention));
        let workers = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8);
        let shared = Arc::new(Shared {
            link: link.clone(),
            reader: reader.clone(),
            partitions: options.partitions,
            node: node.clone(),
            epochs: epochs.clone(),
            events,
            replaying: Semaphore::new(MOST_REPLAYS),
            cache_bytes: CACHE_BYTES.min(retention.history_bytes) / workers,
            history_size: retention.history_size,
            history_ttl_ms: retention.history_ttl.as_millis() as u64,
            clock: OnceLock::new(),
            down: Mutex::new(None),
        });
        let asking = Arc::new(Semaphore::new(MOST_CHECKS));
        let pumps = std::iter::repeat_with(|| pump::start(&shared, &asking));
        let pumps: Arc<[_]> = pumps.take(workers).collect();
        let acked = pumps.clone();
        let acked =
            move |topic: &Topic, seq_no| tell(&acked, topic, Command::Acked(topic.clone(), seq_no));
        let publisher = Publisher::new(
            link,
            reader,
            epochs,
            node,
            options.partitions,
            Box::new(acked),
        );
        let replicas = options.replicas;
        let name = options.node.clone();
        let caretaker = Caretaker::new(&shared, &pumps, options, retention);
        shared.link.run(caretaker.run());
        Ok(Self {
            shared,
            publisher,
            pumps,
            runtime: tokio::runtime::Handle::current(),
            replicas,
            name,
        })
    }

    /// The way to the other gateways.
    #[must_use]
    pub fn bus(&self) -> Bus {
        Bus::new(self.shared.link.clone(), &self.shared.node, &self.name)
    }

    /// Users and tokens that all gateways turn away.
    #[must_use]
    pub fn revocations(&self) -> Revocations {
        Revocations::new(self.shared.link.clone())
    }

    /// The sessions of all gateways; called once.
    #[must_use]
    pub fn sessions(&self) -> NatsSessions {
        NatsSessions::new(self.shared.link.clone(), self.bus())
    }
}

/// Tells the pump of a topic.
fn tell(pumps: &[mpsc::UnboundedSender<Command>], topic: &Topic, command: Command) {
    // Other bits than those that chose the partition.
    let hash = crc32fast::hash(topic.as_str().as_bytes()) >> 16;
    let _ = pumps[hash as usize % pumps.len()].send(command);
}

impl Shared {
    fn report(&self, problem: Option<String>) {
        let mut down = self.down.lock();
        match (&*down, &problem) {
            (None, Some(why)) => tracing::error!(%why, "the streams cannot be used"),
            (Some(_), None) => tracing::info!("the streams can be used again"),
            _ => {}
        }
        *down = problem;
    }
}

impl Backbone for Nats {
    fn publish(
        &self,
        now: Now,
        publication: Publication<'_>,
    ) -> Answer<Result<Published, Unavailable>> {
        self.shared.learn_clock(now);
        self.publisher.publish(now, &publication)
    }

    fn replay(
        &self,
        now: Now,
        topic: &Topic,
        after: Option<&Position>,
    ) -> Answer<Result<Replay, Unavailable>> {
        self.shared.learn_clock(now);
        let (reply, later) = oneshot::channel();
        let question = Question {
            topic: topic.clone(),
            after: after.cloned(),
            reply,
            asked: tokio::time::Instant::now(),
            checked: false,
        };
        tell(&self.pumps, topic, Command::Ask(question));
        Answer::Later(later)
    }

    fn history(
        &self,
        _: Now,
        topic: &Topic,
        after: SeqNo,
        page: PageSize,
    ) -> Answer<Result<History, Unavailable>> {
        let (reply, later) = oneshot::channel();
        let (shared, topic) = (self.shared.clone(), topic.clone());
        let reading = async move {
            let partition = names::partition(topic.as_str(), shared.partitions);
            let reader = &shared.reader;
            // Before the number: one of another stream must not come under its epoch.
            let epoch = shared.epoch(partition);
            let read = async {
                let seq_no = reader.head(partition, &topic).await?;
                let stored = reader.kept(partition, &topic, after, page).await?;
                Ok(History {
                    head: Head {
                        // What came while it was read belongs to it.
                        seq_no: stored.last().map_or(seq_no, |last| last.seq_no.max(seq_no)),
                        epoch,
                    },
                    records: question::records(&topic, &stored, after),
                })
            };
            let _ = reply.send(read.await);
        };
        let stop = self.shared.link.stop.clone();
        self.runtime.spawn(stop.run_until_cancelled_owned(reading));
        Answer::Later(later)
    }

    fn interest(&self, topic: &Topic, wanted: bool) {
        tell(&self.pumps, topic, Command::Interest(topic.clone(), wanted));
    }

    fn health(&self) -> Result<(), Unavailable> {
        if !self.shared.link.is_connected() {
            return Err(Unavailable("NATS is away".to_owned()));
        }
        match &*self.shared.down.lock() {
            None => Ok(()),
            Some(why) => Err(Unavailable(why.clone())),
        }
    }

    fn durability(&self) -> Durability {
        Durability::Replicated(self.replicas)
    }

    fn tend(&self, now: Now) {
        self.shared.learn_clock(now);
    }

    fn close(&self) {
        self.publisher.close();
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.shared.link.stop.cancel();
    }
}

#[cfg(test)]
mod tests;
