//! The connection to NATS: requests that are answered or given up within a bounded time, and what
//! happened to the connection.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Event, HeaderMap, Message, ServerAddr, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::backbone::Unavailable;

/// How long a request may take. What has not been answered by then is not available.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How often requests are looked through for those that took too long.
const SWEEP: Duration = Duration::from_millis(100);
/// Silence after which the server is pinged; two pings unanswered end the connection.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// The longest pause between two attempts to connect.
const MOST_PAUSE_MS: u64 = 1000;
/// Messages of one subject that wait for us inside the client; more are dropped and read again from
/// the stream.
const WAITING_MESSAGES: usize = 16 * 1024;
/// Commands that wait for the socket inside the client.
const WAITING_COMMANDS: usize = 4096;

/// What is called with the answer to a request, or with nothing when there is none.
pub(super) type Done = Box<dyn FnOnce(Result<Message, Unavailable>) + Send>;

#[derive(Default)]
struct Pending {
    requests: HashMap<u64, Done>,
    /// All have the same patience: the oldest is the next to be given up.
    deadlines: VecDeque<(Instant, u64)>,
    next: u64,
}

/// What became of the connection.
#[derive(Default)]
pub(super) struct Signals {
    connected: AtomicBool,
    /// Messages may have gone past us.
    missed: AtomicBool,
    changed: Notify,
}

impl Signals {
    fn event(&self, event: &Event) {
        match event {
            Event::Connected => {
                tracing::info!("connected to NATS");
                self.connected.store(true, Ordering::Release);
                self.missed.store(true, Ordering::Release);
            }
            Event::Disconnected | Event::Closed => {
                if self.connected.swap(false, Ordering::AcqRel) {
                    tracing::warn!("NATS is away");
                }
            }
            Event::SlowConsumer(_) => {
                if !self.missed.swap(true, Ordering::AcqRel) {
                    tracing::warn!("messages came from NATS faster than they were taken");
                }
            }
            // One a second while it is away, and nothing that is not said above.
            other => tracing::debug!(event = %other, "NATS"),
        }
        self.changed.notify_one();
    }
}

/// The connection, shared by everybody who needs it.
pub(super) struct Link {
    pub(super) client: Client,
    signals: Arc<Signals>,
    inbox: String,
    pending: Mutex<Pending>,
    connects: AtomicU64,
    pub(super) stop: CancellationToken,
    failed: CancellationToken,
}

impl Link {
    /// Connects, and tries again for a while when nobody is there.
    pub(super) async fn open(options: &Options, node: &str) -> Result<Arc<Self>, String> {
        let signals = Arc::new(Signals::default());
        let client = connect(options, node, signals.clone()).await?;
        signals.connected.store(true, Ordering::Release);
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await;
        let answers = answers.map_err(|error| format!("cannot subscribe: {error}"))?;
        let link = Arc::new(Self {
            client,
            signals,
            inbox,
            pending: Mutex::default(),
            connects: AtomicU64::new(0),
            stop: CancellationToken::new(),
            failed: options.failed.clone(),
        });
        link.run(link.clone().take_answers(answers));
        link.run(link.clone().sweep());
        Ok(link)
    }

    /// Runs something that the backbone cannot be without, until that stops. Where it panics, the gateway
    /// has failed: its subscribers would wait in silence.
    pub(super) fn run(&self, vital: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let failed = self.failed.clone().drop_guard();
        tokio::spawn(async move {
            stop.run_until_cancelled_owned(vital).await;
            failed.disarm();
        });
    }

    /// Whether the connection stands, as far as is known.
    pub(super) fn is_connected(&self) -> bool {
        self.signals.connected.load(Ordering::Acquire)
            && self.client.connection_state() == State::Connected
    }

    /// Returns when messages may have gone past us, or when the connection was lost.
    pub(super) async fn changed(&self) {
        self.signals.changed.notified().await;
    }

    /// Whether messages may have gone past us since this was asked last.
    pub(super) fn take_missed(&self) -> bool {
        let connects = self.client.statistics().connects.load(Ordering::Relaxed);
        let again = self.connects.swap(connects, Ordering::AcqRel) != connects;
        // Not `||`: the flag has to be taken whatever the number says.
        self.signals.missed.swap(false, Ordering::AcqRel) | again
    }

    fn away() -> Unavailable {
        Unavailable("NATS is away".to_owned())
    }

    /// Writes a request down and returns the subject its answer is to be sent to.
    fn begin(&self, done: Done) -> (u64, String) {
        let mut pending = self.pending.lock();
        pending.next += 1;
        let token = pending.next;
        pending.requests.insert(token, done);
        pending
            .deadlines
            .push_back((Instant::now() + PATIENCE, token));
        (token, format!("{}.{token}", self.inbox))
    }

    fn end(&self, token: u64, answer: Result<Message, Unavailable>) {
        let done = self.pending.lock().requests.remove(&token);
        if let Some(done) = done {
            done(answer);
        }
    }

    /// Sends a request; returns when it is on its way. `done` is called in any case, within
    /// [`PATIENCE`].
    pub(super) async fn ask(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        done: Done,
    ) {
        if !self.is_connected() {
            return done(Err(Self::away()));
        }
        let (token, reply) = self.begin(done);
        let sent = async {
            match headers {
                Some(headers) => {
                    let publish = self
                        .client
                        .publish_with_reply_and_headers(subject, reply, headers, payload);
                    publish.await
                }
                None => {
                    self.client
                        .publish_with_reply(subject, reply, payload)
                        .await
                }
            }
        };
        match timeout(PATIENCE, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.end(token, Err(Unavailable(error.to_string()))),
            Err(_) => self.end(token, Err(Unavailable("NATS takes nothing".to_owned()))),
        }
    }

    /// Asks and waits for the answer.
    pub(super) async fn request(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<Message, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let done: Done = Box::new(move |answer| {
            let _ = reply.send(answer);
        });
        self.ask(subject, headers, payload, done).await;
        answer.await.unwrap_or_else(|_| Err(Self::away()))
    }

    /// Asks the JetStream API, whose answers are JSON.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: &serde_json::Value,
    ) -> Result<Result<T, ApiError>, Unavailable> {
        let subject = format!("$JS.API.{subject}");
        let message = self.request(subject, None, body.to_string().into()).await?;
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(Unavailable("JetStream does not answer".to_owned()));
        }
        read_answer(&message.payload)
    }

    /// Writes an entry of a bucket; returns its revision.
    pub(super) async fn store(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        body: Bytes,
    ) -> Result<Result<u64, ApiError>, Unavailable> {
        #[derive(serde::Deserialize)]
        struct Stored {
            seq: u64,
        }
        let answer = self.request(subject, headers, body).await?;
        if answer.status.is_some() {
            return Err(Unavailable("the bucket does not answer".to_owned()));
        }
        let stored = read_answer::<Stored>(&answer.payload)?;
        Ok(stored.map(|stored| stored.seq))
    }

    async fn take_answers(self: Arc<Self>, mut answers: Subscriber) {
        while let Some(message) = answers.next().await {
            let token = message.subject.rsplit('.').next();
            if let Some(token) = token.and_then(|token| token.parse().ok()) {
                self.end(token, Ok(message));
            }
        }
    }

    /// Gives up what took too long, and everything when the connection is lost: no answer will come.
    async fn sweep(self: Arc<Self>) {
        let mut was_connected = true;
        loop {
            sleep(SWEEP).await;
            let connected = self.is_connected();
            let lost = was_connected && !connected;
            was_connected = connected;
            for done in self.given_up(lost) {
                done(Err(if connected {
                    Unavailable("NATS did not answer in time".to_owned())
                } else {
                    Self::away()
                }));
            }
        }
    }

    fn given_up(&self, all: bool) -> Vec<Done> {
        let now = Instant::now();
        let mut pending = self.pending.lock();
        let mut given_up = Vec::new();
        while let Some((deadline, token)) = pending.deadlines.front().copied() {
            // Those that were answered go out of the queue as soon as they come to its front.
            let open = pending.requests.contains_key(&token);
            if open && deadline > now && !all {
                break;
            }
            pending.deadlines.pop_front();
            given_up.extend(pending.requests.remove(&token));
        }
        given_up
    }
}

/// Why the JetStream API refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, thiserror::Error)]
#[error("{description} ({err_code})")]
pub(super) struct ApiError {
    /// As in HTTP.
    #[serde(default)]
    pub(super) code: u16,
    /// JetStream's own number for it.
    #[serde(default)]
    pub(super) err_code: u32,
    /// For people.
    #[serde(default)]
    pub(super) description: String,
}

#[derive(serde::Deserialize)]
struct Refused {
    error: Option<ApiError>,
}

/// Reads what JetStream answered.
pub(super) fn read_answer<T: DeserializeOwned>(
    body: &[u8],
) -> Result<Result<T, ApiError>, Unavailable> {
    let nonsense = |error| Unavailable(format!("NATS answered what cannot be read: {error}"));
    let refused: Refused = serde_json::from_slice(body).map_err(nonsense)?;
    match refused.error {
        Some(error) => Ok(Err(error)),
        None => Ok(Ok(serde_json::from_slice(body).map_err(nonsense)?)),
    }
}

async fn connect(options: &Options, node: &str, signals: Arc<Signals>) -> Result<Client, String> {
    let mut connect = async_nats::ConnectOptions::new()
        .name(format!("micro-socket {node}"))
        .ping_interval(PING_INTERVAL)
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE))
        .client_capacity(WAITING_COMMANDS)
        .subscription_capacity(WAITING_MESSAGES)
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let pause = 50_u64 << attempts.min(10);
            Duration::from_millis(pause.min(MOST_PAUSE_MS))
        })
        .event_callback(move |event| {
            signals.event(&event);
            std::future::ready(())
        });
    if let Some(file) = &options.credentials {
        let explain = |error| format!("nats-creds {}: {error}", file.display());
        connect = connect.credentials_file(file).await.map_err(explain)?;
    }
    let word = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let named = options.servers.iter().find_map(|server| {
        let name = server.username().map(word)?;
        Some((name, server.password().map(word)))
    });
    connect = match named {
        Some((user, Some(password))) => connect.user_and_password(user, password),
        Some((token, None)) => connect.token(token),
        None => connect,
    };
    let servers: Vec<ServerAddr> = options.servers.iter().cloned().map(nameless).collect();
    let deadline = Instant::now() + options.connect_patience;
    loop {
        match connect.clone().connect(&servers[..]).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() >= deadline || !is_temporary(&error) => {
                return Err(format!("cannot connect: {error}"));
            }
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// The address alone, without the name and password it came with.
fn nameless(server: ServerAddr) -> ServerAddr {
    let mut url = server.clone().into_inner();
    let _ = url.set_password(None);
    let _ = url.set_username("");
    ServerAddr::from_url(url).unwrap_or(server)
}

fn is_temporary(error: &async_nats::ConnectError) -> bool {
    use async_nats::ConnectErrorKind as Kind;
    !matches!(
        error.kind(),
        Kind::Authentication | Kind::AuthorizationViolation | Kind::ServerParse | Kind::Tls
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::contract::nats_server::NatsServer;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_panics_fails_the_gateway_and_what_ends_does_not() {
        let server = NatsServer::start().await;
        let options = Options {
            servers: server.url().parse().into_iter().collect(),
            ..Options::default()
        };
        let link = Link::open(&options, "a").await.unwrap();
        let (ended, when) = tokio::sync::oneshot::channel::<()>();
        link.run(async move { drop(ended) });
        assert!(when.await.is_err());
        assert!(!options.failed.is_cancelled());
        link.run(async { panic!("a bug") });
        let failed = tokio::time::timeout(Duration::from_secs(10), options.failed.cancelled());
        failed.await.unwrap();
        link.stop.cancel();
    }
}
