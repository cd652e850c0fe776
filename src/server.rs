//! All of it started, drained and stopped.
//!
//! Uses: config, protocol, backbone, hub, auth, gateway, transport, session, cluster, feed, http, traces.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use leptos::config::LeptosOptions;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::auth::Authenticator;
use crate::backbone::disk::{self, DiskSessions};
use crate::backbone::nats;
use crate::backbone::{
    self, Disk, Memory, MemorySessions, Nats, Now, Retention, Sessions, unix_ms,
};
use crate::cluster::{Cluster, Others};
use crate::config::{Backbone, Settings};
use crate::feed;
use crate::gateway::Gateway;
use crate::http::{AppState, MAX_STREAMS, Rates, Rules, routers};
use crate::hub::Hub;
use crate::protocol::Epoch;
use crate::session;
use crate::traces::{Collector, Traces};
use crate::transport::listen::{Door, Running, Start, bind, start};
use crate::transport::tls::Tls;
use crate::transport::{Limits, ShardHandle};

/// How often the backbone lets go of what has outlived its time.
const TEND_INTERVAL: Duration = Duration::from_secs(1);

/// How long HTTP answers that have begun may take once the sockets are gone.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A running gateway. Dropped, it stops at once; [`Server::drain`] stops it politely.
pub struct Server {
    /// Where it listens; the port is known also when 0 was asked for.
    pub addr: SocketAddr,
    /// Where operators come in, if not there.
    pub admin_addr: Option<SocketAddr>,
    gateway: Arc<Gateway>,
    backbone: backbone::Handle,
    sessions: Arc<dyn Sessions>,
    cluster: Arc<OnceLock<Cluster>>,
    shards: Vec<Running>,
    refuse: CancellationToken,
    exchanges: TaskTracker,
    stop: DropGuard,
    failed: CancellationToken,
    /// What is in force.
    settings: Mutex<Settings>,
    tls: Option<Tls>,
    rules: Arc<RwLock<Arc<Rules>>>,
}

impl Server {
    /// Starts a gateway. Must be called within a runtime, which renders pages and answers HTTP.
    ///
    /// # Errors
    /// When the address cannot be listened on, the certificate is of no use, or the backbone cannot be
    /// opened.
    pub async fn start(settings: &Settings) -> io::Result<Self> {
        // The page is rendered on the runtime we are in; a second start finds it set already.
        let _ = any_spawner::Executor::init_tokio();
        let tls = tls(settings)?;
        let listener = bind(settings.addr)?;
        let addr = listener.local_addr()?;
        let admin = settings.admin_addr.map(bind).transpose()?;
        let admin_addr = admin.as_ref().map(|admin| admin.local_addr()).transpose()?;
        let cores = std::thread::available_parallelism()?.get();
        let hub = Arc::new(Hub::new(cores));
        let node = settings.node.at(addr.port());
        let broken = CancellationToken::new();
        let (backbone, sessions, others) = backbone(settings, &node, hub.clone(), &broken).await?;
        let collector = settings.otlp_endpoint.clone().map(|endpoint| Collector {
            endpoint,
            of_a_million: settings.otlp_sample,
        });
        let traces = Traces::start(collector.as_ref())?;
        let gateway = Gateway::new(
            authenticator(settings)?,
            backbone.clone(),
            sessions.clone(),
            hub,
            settings.max_connections.map_or(0, Into::into),
            settings.slo,
            &node,
        );
        let gateway = Arc::new(gateway.with_traces(traces));
        let failed = |error: String| io::Error::other(format!("nats: {error}"));
        let seen = match &others {
            Some(others) => others.prepare(&gateway).await,
            None => Ok(0),
        };
        let seen = seen.map_err(failed)?;
        let refuse = CancellationToken::new();
        let exchanges = TaskTracker::new();
        let stop = CancellationToken::new();
        let cluster = Arc::new(OnceLock::new());
        let rules = Arc::new(RwLock::new(Arc::new(rules(settings))));
        let state = AppState {
            gateway: gateway.clone(),
            cluster: cluster.clone(),
            rules: rules.clone(),
            tls: settings.tls.is_some(),
            rates: Arc::new(Rates::default()),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            max_message_bytes: settings.max_message_bytes,
            dedup_ttl: settings.dedup_ttl,
            leptos: leptos_options(),
        };
        let routers = routers(&state, admin.is_some());
        let mut doors = vec![Door {
            listener: Arc::new(listener),
            router: routers.public,
            tls: tls.clone(),
            counts: true,
        }];
        doors.extend(admin.map(|listener| Door {
            listener: Arc::new(listener),
            router: routers.admin,
            tls: None,
            counts: false,
        }));
        let shards = start(
            &Handle::current(),
            &Start {
                doors,
                gateway: gateway.clone(),
                limits: limits(settings),
                refuse: refuse.clone(),
                exchanges: exchanges.clone(),
                stop: stop.clone(),
                failed: broken.clone(),
            },
        )?;
        let handles = shards.iter().map(|shard| shard.handle.clone()).collect();
        let joined = match others {
            Some(others) => Cluster::join(&node, &gateway, handles, others, seen).await,
            None => Ok(Cluster::alone(&node, &gateway, handles)),
        };
        let _ = cluster.set(joined.map_err(failed)?);
        tokio::spawn(tend(gateway.clone(), stop.clone()));
        if settings.demo_feed {
            let rules = rules.clone();
            let wanted = move || rules.read().demo_endpoints;
            tokio::spawn(feed::publish(gateway.clone(), wanted, stop.clone()));
        }
        if let Some(interval) = sessions.renewed_every() {
            let shards = shards.iter().map(|shard| shard.handle.clone()).collect();
            tokio::spawn(renew_sessions(shards, interval, stop.clone()));
        }
        Ok(Self {
            addr,
            admin_addr,
            gateway,
            backbone,
            sessions,
            cluster,
            shards,
            refuse,
            exchanges,
            stop: stop.drop_guard(),
            failed: broken,
            settings: Mutex::new(settings.clone()),
            tls,
            rules,
        })
    }

    /// Takes what can be changed from these settings, and drops no socket: keys and rules for the tokens
    /// to come, the certificate for the connections to come, origins, and limits. Answers the names of the
    /// settings that differ and need a restart. Must be called within a runtime.
    ///
    /// # Errors
    /// When the certificate or a key is of no use; then nothing has changed.
    pub fn reload(&self, new: &Settings) -> io::Result<Vec<&'static str>> {
        let mut settings = self.settings.lock();
        let (new, left) = settings.renewed(new);
        // All that can fail comes first. The files may have changed under their names.
        let tls = tls(&new)?;
        // A key set that stays keeps the keys that were fetched.
        let trust = new.trust.as_ref();
        let changed = trust.filter(|_| new.trust != settings.trust);
        let renew = |trust| {
            self.gateway
                .authenticator()
                .renewed(trust, Handle::current())
        };
        let authenticator = changed.map(renew).transpose().map_err(io::Error::other)?;
        if let Some(authenticator) = authenticator {
            self.gateway.trust(authenticator);
        }
        if let (Some(current), Some(tls)) = (&self.tls, &tls) {
            current.replace(tls);
        }
        *self.rules.write() = Arc::new(rules(&new));
        let most = new.max_connections.map_or(0, Into::into);
        self.gateway.set_max_connections(most);
        for shard in &self.shards {
            shard.handle.limit(limits(&new));
        }
        *settings = new;
        Ok(left)
    }

    /// Ready when a shard or the backbone cannot go on: connections are gone or would wait in vain. What is left to do is [`Server::drain`], and to be started anew.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Goes away politely: says so on `/readyz`, admits no new socket, closes every open one with 1012
    /// in batches, waits until they are gone or the drain timeout is over, then stops. HTTP is
    /// answered until the sockets are gone, so that a load balancer can see why.
    pub async fn drain(self) {
        let drain_timeout = self.settings.lock().drain_timeout;
        let deadline = Instant::now() + drain_timeout;
        self.gateway.start_draining();
        // Half the time for telling, the other half for the last ones to leave.
        let spread = (drain_timeout / 2).min(Duration::from_secs(2));
        let handles: Vec<ShardHandle> = self.shards.iter().map(|s| s.handle.clone()).collect();
        for handle in handles {
            handle.drain(spread);
        }
        while self.gateway.connections() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(20)).await;
        }
        let left = self.gateway.connections();
        if left > 0 {
            tracing::warn!(left, "the drain timeout is over; the rest is cut off");
        }
        if let Some(cluster) = self.cluster.get() {
            cluster.leave().await;
        }
        self.refuse.cancel();
        self.exchanges.close();
        let deadline = deadline.min(Instant::now() + LAST_ANSWERS);
        let _ = timeout_at(deadline, self.exchanges.wait()).await;
        drop(self.stop);
        let (shards, backbone, sessions) = (self.shards, self.backbone, self.sessions);
        let traces = self.gateway.traces().clone();
        let ended = tokio::task::spawn_blocking(move || {
            shards.into_iter().for_each(Running::join);
            sessions.close();
            backbone.close();
            traces.finish();
        });
        let _ = ended.await;
    }
}

async fn renew_sessions(shards: Vec<ShardHandle>, interval: Duration, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(interval)).await.is_some() {
        shards.iter().for_each(ShardHandle::keep_sessions);
    }
}

async fn tend(gateway: Arc<Gateway>, stop: CancellationToken) {
    while stop
        .run_until_cancelled(sleep(TEND_INTERVAL))
        .await
        .is_some()
    {
        gateway.tend();
    }
}

/// The backbone, the sessions, and the other gateways where there are any.
type Opened = (backbone::Handle, Arc<dyn Sessions>, Option<Others>);

async fn backbone(
    settings: &Settings,
    node: &str,
    hub: Arc<Hub>,
    broken: &CancellationToken,
) -> io::Result<Opened> {
    let retention = retention(settings);
    // Memory begins a new numbering with each process, which no earlier one's positions fit; disk
    // does where it has to.
    let new_epoch = Epoch::new(&uuid::Uuid::new_v4().simple().to_string()[..16]);
    Ok(match settings.backbone {
        Backbone::Memory => (
            Arc::new(Memory::new(new_epoch, &retention, hub)),
            Arc::new(MemorySessions::default()),
            None,
        ),
        Backbone::Disk => {
            let options = disk::Options {
                dir: settings.data_dir.clone(),
                fsync_interval: settings.fsync_interval,
                new_epoch,
            };
            let now = Now {
                mono_ns: 0,
                unix_ms: unix_ms(),
            };
            // First, because it makes sure that nobody else has the directory.
            let disk = Disk::open(now, options, &retention, hub)?;
            let sessions = DiskSessions::open(now, &settings.data_dir, settings.session_ttl)?;
            (Arc::new(disk), Arc::new(sessions), None)
        }
        Backbone::Nats => {
            let options = nats::Options {
                failed: broken.clone(),
                ..nats_options(settings, node)
            };
            let opened = Nats::open(options, &retention, hub).await;
            let nats = opened.map_err(|error| io::Error::other(format!("nats: {error}")))?;
            let others = Others {
                bus: nats.bus(),
                sessions: Arc::new(nats.sessions()),
                revocations: nats.revocations(),
            };
            (Arc::new(nats), others.sessions.clone(), Some(others))
        }
    })
}

fn nats_options(settings: &Settings, node: &str) -> nats::Options {
    nats::Options {
        servers: settings.nats.servers.0.clone(),
        credentials: settings.nats.credentials.clone(),
        replicas: settings.nats.replicas,
        partitions: settings.nats.partitions,
        max_message_bytes: settings.max_message_bytes,
        session_ttl: settings.session_ttl,
        revocation_ttl: settings.nats.revocation_ttl,
        node: node.to_owned(),
        ..nats::Options::default()
    }
}

fn retention(settings: &Settings) -> Retention {
    Retention {
        history_size: settings.history_size,
        history_ttl: settings.history_ttl,
        history_bytes: settings.history_bytes,
        dedup_ttl: settings.dedup_ttl,
        dedup_bytes: settings.dedup_bytes,
    }
}

fn tls(settings: &Settings) -> io::Result<Option<Tls>> {
    let files = settings.tls.as_ref();
    files
        .map(|files| Tls::load(&files.cert, &files.key))
        .transpose()
}

fn authenticator(settings: &Settings) -> io::Result<Authenticator> {
    match &settings.trust {
        None => Ok(Authenticator::Demo),
        Some(trust) => Authenticator::jwt(trust, Handle::current()).map_err(io::Error::other),
    }
}

fn rules(settings: &Settings) -> Rules {
    Rules {
        allowed_origins: settings.allowed_origins.clone(),
        demo_endpoints: settings.demo_endpoints,
        publish_rate: publish_rate(settings),
    }
}

/// 0 is no limit.
fn publish_rate(settings: &Settings) -> u32 {
    settings.publish_rate.map_or(0, Into::into)
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        max_message_bytes: settings.max_message_bytes,
        max_topics: settings.max_topics,
        send_queue_bytes: settings.send_queue_bytes,
        ping_interval: settings.ping_interval,
        pong_timeout: settings.pong_timeout,
        message_timeout_ms: settings.message_timeout.as_millis() as u64,
        max_pending: settings.max_pending.map_or(0, Into::into),
        max_connections_per_address: settings.max_connections_per_address.map_or(0, Into::into),
        session_ttl: settings.session_ttl,
        session: session::Limits {
            setup_timeout_ms: settings.setup_timeout.as_millis() as u64,
            publish_rate: publish_rate(settings),
        },
    }
}

/// Under cargo-leptos its environment says how the page is built; otherwise it is the release's.
fn leptos_options() -> LeptosOptions {
    let watched = std::env::var_os("LEPTOS_SITE_ROOT").is_some();
    let from_environment = watched.then(|| leptos::config::get_configuration(None).ok());
    match from_environment.flatten() {
        Some(configuration) => configuration.leptos_options,
        None => LeptosOptions::builder().output_name("micro-socket").build(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::config::RawSettings;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_shard_that_fails_is_told_and_the_others_drain() {
        let mut raw = RawSettings::default();
        raw.add("addr", "127.0.0.1:0".to_owned(), "addr".to_owned());
        let settings = Settings::resolve(&raw, None).unwrap();
        let server = Server::start(&settings).await.unwrap();
        let patience = Duration::from_secs(10);
        assert!(!server.failed.is_cancelled());
        server.shards[0].handle.fail();
        timeout(patience, server.failed()).await.unwrap();
        timeout(patience, server.drain()).await.unwrap();
    }
}
