//! Starts the shards, and accepts connections on each of them.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Type};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;
use crate::metrics::Refused;

use super::entrance::Entrance;
use super::guests::Guests;
use super::poller::Poller;
use super::shard::Shard;
use super::stream::Stream;
use super::tls::Tls;
use super::{Command, Limits, ShardHandle};

/// Connections that the kernel holds for us.
const LISTEN_QUEUE: i32 = 4096;
/// Pause after a failed accept, such as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens the address for listening.
///
/// # Errors
/// The system's reason, with the address.
pub fn bind(addr: SocketAddr) -> io::Result<StdListener> {
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"))
    };
    let open = || {
        let socket =
            socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        // Inherited by every connection: a small frame must not wait for more.
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(LISTEN_QUEUE)?;
        Ok(StdListener::from(socket))
    };
    open().map_err(explain)
}

/// A running shard.
pub struct Running {
    /// To tell it things.
    pub handle: ShardHandle,
    thread: JoinHandle<()>,
}

impl Running {
    /// Waits until the shard's thread has ended, after its stop was asked for.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a shard panicked");
        }
    }
}

/// An address that the shards listen on, and what is behind it.
#[derive(Clone)]
pub struct Door {
    /// The socket, open for listening.
    pub listener: Arc<StdListener>,
    /// Answers every request.
    pub router: Router,
    /// Every connection is TLS, if this is given.
    pub tls: Option<Tls>,
    /// Whether those who come here are counted, and may be too many. Where only operators get to, they
    /// must not be shut out by the others.
    pub counts: bool,
}

/// What a shard's thread needs.
#[derive(Clone)]
pub struct Start {
    /// The ways in.
    pub doors: Vec<Door>,
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// What connections may do.
    pub limits: Limits,
    /// Cancelled: no more connections are accepted, and those that speak HTTP end with their answer.
    pub refuse: CancellationToken,
    /// The connections that speak HTTP.
    pub exchanges: TaskTracker,
    /// Cancelled: the shard stops and drops every connection.
    pub stop: CancellationToken,
    /// Cancelled by a shard that cannot go on. It has dropped its connections; the process should end.
    pub failed: CancellationToken,
}

/// Starts the threads of all shards, each of which listens at every door. `general` runs everything
/// that is not a WebSocket.
///
/// # Errors
/// When a socket cannot be shared or a thread cannot be started.
pub fn start(general: &Handle, start: &Start) -> io::Result<Vec<Running>> {
    let shards = 0..start.gateway.hub().shards() as u16;
    let (peers, inputs): (Vec<ShardHandle>, Vec<_>) = shards
        .map(|_| {
            let (sender, commands) = mpsc::unbounded_channel();
            (ShardHandle(sender), commands)
        })
        .unzip();
    let peers: Arc<[ShardHandle]> = peers.into();
    let limits = &start.limits;
    let pending = start.gateway.shared_metrics().pending().clone();
    let most = limits.max_pending as u64;
    pending.limit.store(most, Ordering::Relaxed);
    let guests = Guests::new(pending, limits.max_connections_per_address);
    let operators = Guests::new(Arc::default(), 0);
    (0..)
        .zip(inputs)
        .map(|(id, commands)| {
            let peers = peers.clone();
            let handle = peers[usize::from(id)].clone();
            let entrances: Vec<_> = (start.doors.iter())
                .map(|door| {
                    let entrance = Entrance {
                        general: general.clone(),
                        door: door.clone(),
                        start: start.clone(),
                        own: handle.clone(),
                        guests: if door.counts { &guests } else { &operators }.clone(),
                    };
                    Ok((door.listener.try_clone()?, entrance))
                })
                .collect::<io::Result<_>>()?;
            let start = start.clone();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let poller = {
                let _inside = runtime.enter();
                Poller::new()?
            };
            let registry = poller.registry()?;
            let thread = std::thread::Builder::new()
                .name(format!("shard-{id}"))
                .spawn(move || {
                    let Start {
                        gateway, limits, ..
                    } = &start;
                    let shard = Shard::new(id, gateway.clone(), *limits, peers, registry);
                    let local = LocalSet::new();
                    // A runtime that cannot wait any more panics out of everything that it runs.
                    let failed = start.failed.clone().drop_guard();
                    local.block_on(&runtime, run(shard, poller, entrances, start, commands));
                    failed.disarm();
                })?;
            Ok(Running { handle, thread })
        })
        .collect()
}

async fn run(
    shard: Rc<Shard>,
    poller: Poller,
    entrances: Vec<(StdListener, Entrance)>,
    start: Start,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut vital = JoinSet::new();
    vital.spawn_local(shard.clone().run_turns(poller));
    #[cfg_attr(not(test), expect(unused_variables, reason = "a test makes it fail"))]
    let deadlines = vital.spawn_local(shard.clone().run_deadlines());
    let stop = start.stop.clone();
    for (listener, entrance) in entrances {
        let (refuse, shard) = (start.refuse.clone(), shard.clone());
        spawn_local(async move {
            let accepting = accept(listener, entrance, &shard);
            refuse.run_until_cancelled(accepting).await;
        });
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(ended) = vital.join_next() => {
                let why = ended.err().map(|error| error.to_string());
                tracing::error!(shard = shard.id, why, "a shard has ended; the gateway goes away");
                return start.failed.cancel();
            }
            command = commands.recv() => match command {
                Some(Command::Adopt(upgrade, topic, permit, guest)) => {
                    let shard = shard.clone();
                    spawn_local(async move {
                        match upgrade.await.map(|upgraded| upgraded.downcast::<TokioIo<Stream>>()) {
                            Ok(Ok(parts)) => match parts.io.into_inner().into_socket() {
                                // The bytes are not kept: they hold the whole buffer of the HTTP head.
                                Ok(socket) => {
                                    let mut first_bytes = Vec::from(parts.read_buf);
                                    shard.adopt(socket, &mut first_bytes, topic, permit, guest);
                                }
                                Err(error) => tracing::error!(%error, "an upgraded connection is lost"),
                            },
                            Ok(Err(_)) => tracing::error!("an upgraded connection is none of ours"),
                            Err(error) => tracing::debug!(%error, "upgrade failed"),
                        }
                    });
                }
                Some(Command::Ask(question)) => { spawn_local(shard.clone().answer(question)); }
                Some(Command::Inflict(key, id, fault, reply)) => {
                    let _ = reply.send(shard.inflict(key, id, fault));
                }
                Some(Command::Limit(limits)) => shard.limit(limits),
                Some(Command::Kick(kick)) => shard.kick(kick),
                Some(Command::Drain(spread)) => { spawn_local(shard.clone().drain(spread)); }
                Some(Command::TakeOver(key, asked)) => shard.hand_over(key, asked),
                #[cfg(test)]
                Some(Command::Fail) => deadlines.abort(),
                Some(Command::KeepSessions) => { spawn_local(shard.clone().keep_sessions()); }
                None => return,
            },
        }
    }
}

async fn accept(listener: StdListener, entrance: Entrance, shard: &Shard) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot accept connections"),
    };
    loop {
        let refused = match listener.accept().await {
            Ok((socket, peer)) => match entrance.guests.enter(peer.ip()) {
                Ok(guest) => {
                    let mut entrance = entrance.clone();
                    entrance.start.limits = shard.limits.get();
                    let exchanges = entrance.start.exchanges.clone();
                    let connection = entrance.greet(socket, peer, guest);
                    spawn_local(exchanges.track_future(connection));
                    continue;
                }
                Err(refused) => refused,
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                Refused::Accept
            }
        };
        entrance.start.gateway.shared_metrics().refused(refused);
    }
}
