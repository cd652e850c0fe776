//! All of it started, drained and stopped.
//!
//! Uses: config, protocol, backbone, hub, auth, gateway, transport, session, http.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leptos::config::LeptosOptions;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::auth::Authenticator;
use crate::backbone::disk::{self, DiskSessions};
use crate::backbone::{self, Disk, Memory, MemorySessions, Now, Retention, Sessions};
use crate::config::{Backbone, Settings};
use crate::gateway::Gateway;
use crate::http::{AppState, router};
use crate::hub::Hub;
use crate::protocol::Epoch;
use crate::session;
use crate::transport::listen::{Running, Start, bind, start};
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
    gateway: Arc<Gateway>,
    backbone: backbone::Handle,
    sessions: Arc<dyn Sessions>,
    shards: Vec<Running>,
    refuse: CancellationToken,
    exchanges: TaskTracker,
    stop: DropGuard,
    drain_timeout: Duration,
}

impl Server {
    /// Starts a gateway. Must be called within a runtime, which renders pages and answers HTTP.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the certificate is of no use.
    pub fn start(settings: &Settings) -> io::Result<Self> {
        // The page is rendered on the runtime we are in; a second start finds it set already.
        let _ = any_spawner::Executor::init_tokio();
        let tls = settings.tls.as_ref();
        let tls = tls.map(|files| Tls::load(&files.cert, &files.key));
        let tls = tls.transpose()?;
        let listener = bind(settings.addr)?;
        let addr = listener.local_addr()?;
        let cores = std::thread::available_parallelism()?.get();
        let hub = Arc::new(Hub::new(cores));
        let (backbone, sessions) = backbone(settings, hub.clone())?;
        let authenticator = match &settings.trust {
            None => Authenticator::Demo,
            Some(trust) => {
                Authenticator::jwt(trust, Handle::current()).map_err(io::Error::other)?
            }
        };
        let max_connections = settings.max_connections.map_or(0, Into::into);
        let gateway = Arc::new(Gateway::new(
            authenticator,
            backbone.clone(),
            sessions.clone(),
            hub,
            max_connections,
            settings.slo,
        ));
        let refuse = CancellationToken::new();
        let exchanges = TaskTracker::new();
        let stop = CancellationToken::new();
        let handles = Arc::default();
        let state = AppState {
            gateway: gateway.clone(),
            shards: Arc::clone(&handles),
            allowed_origins: Arc::new(settings.allowed_origins.clone()),
            demo_endpoints: settings.demo_endpoints,
            max_message_bytes: settings.max_message_bytes,
            leptos: leptos_options(),
        };
        let shards = start(
            &listener,
            &Handle::current(),
            &Start {
                gateway: gateway.clone(),
                limits: limits(settings),
                router: router(state),
                tls,
                refuse: refuse.clone(),
                exchanges: exchanges.clone(),
                stop: stop.clone(),
            },
        )?;
        let _ = handles.set(shards.iter().map(|shard| shard.handle.clone()).collect());
        tokio::spawn(tend(gateway.clone(), stop.clone()));
        Ok(Self {
            addr,
            gateway,
            backbone,
            sessions,
            shards,
            refuse,
            exchanges,
            stop: stop.drop_guard(),
            drain_timeout: settings.drain_timeout,
        })
    }

    /// Goes away politely: says so on `/readyz`, admits no new socket, closes every open one with 1012
    /// in batches, waits until they are gone or the drain timeout is over, then stops. HTTP is
    /// answered until the sockets are gone, so that a load balancer can see why.
    pub async fn drain(self) {
        let deadline = Instant::now() + self.drain_timeout;
        self.gateway.start_draining();
        // Half the time for telling, the other half for the last ones to leave.
        let spread = (self.drain_timeout / 2).min(Duration::from_secs(2));
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
        self.refuse.cancel();
        self.exchanges.close();
        let deadline = deadline.min(Instant::now() + LAST_ANSWERS);
        let _ = timeout_at(deadline, self.exchanges.wait()).await;
        drop(self.stop);
        let (shards, backbone, sessions) = (self.shards, self.backbone, self.sessions);
        let ended = tokio::task::spawn_blocking(move || {
            shards.into_iter().for_each(Running::join);
            sessions.close();
            backbone.close();
        });
        let _ = ended.await;
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

fn backbone(
    settings: &Settings,
    hub: Arc<Hub>,
) -> io::Result<(backbone::Handle, Arc<dyn Sessions>)> {
    let retention = retention(settings);
    // Memory begins a new numbering with each process, which no earlier one's positions fit; disk
    // does where it has to.
    let new_epoch = Epoch::new(&uuid::Uuid::new_v4().simple().to_string()[..16]);
    Ok(match settings.backbone {
        Backbone::Memory => (
            Arc::new(Memory::new(new_epoch, &retention, hub)),
            Arc::new(MemorySessions::default()),
        ),
        Backbone::Disk => {
            let options = disk::Options {
                dir: settings.data_dir.clone(),
                fsync_interval: settings.fsync_interval,
                new_epoch,
            };
            let unix = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = Now {
                mono_ns: 0,
                unix_ms: unix.unwrap_or_default().as_millis() as u64,
            };
            // First, because it makes sure that nobody else has the directory.
            let disk = Disk::open(now, options, &retention, hub)?;
            let sessions = DiskSessions::open(now, &settings.data_dir, settings.session_ttl)?;
            (Arc::new(disk), Arc::new(sessions))
        }
    })
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
            publish_rate: settings.publish_rate.map_or(0, Into::into),
        },
    }
}

/// Under cargo-leptos its environment says how the page is built; otherwise it is the release's.
fn leptos_options() -> LeptosOptions {
    let watched = std::env::var_os("LEPTOS_OUTPUT_NAME").is_some();
    let from_environment = watched.then(|| leptos::config::get_configuration(None).ok());
    match from_environment.flatten() {
        Some(configuration) => configuration.leptos_options,
        None => LeptosOptions::builder().output_name("micro-socket").build(),
    }
}
