//! Accepts connections on every shard and speaks HTTP on them.
//!
//! A request that wants to upgrade is routed on the shard itself, so that its socket stays on the
//! event loop it was accepted on. Every other request is routed on the general runtime: rendering a
//! page never holds up a delivery.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse as _, Response};
use http::{Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::gateway::Gateway;
use crate::metrics::Refused;

use super::poller::Poller;
use super::shard::Shard;
use super::stream::Stream;
use super::tls::Tls;
use super::{Command, Limits, ShardHandle};

/// A whole request head must come within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The most header fields of a request.
const MAX_HEADERS: usize = 100;
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
    (0..)
        .zip(inputs)
        .map(|(id, commands)| {
            let peers = peers.clone();
            let handle = peers[usize::from(id)].clone();
            let (general, start, own) = (general.clone(), start.clone(), handle.clone());
            let doors: Vec<_> = (start.doors.iter())
                .map(|door| Ok((door.listener.try_clone()?, door.clone())))
                .collect::<io::Result<_>>()?;
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
                    let shard =
                        Shard::new(id, start.gateway.clone(), start.limits, peers, registry);
                    let local = LocalSet::new();
                    local.block_on(
                        &runtime,
                        run(shard, poller, doors, general, start, own, commands),
                    );
                })?;
            Ok(Running { handle, thread })
        })
        .collect()
}

async fn run(
    shard: Rc<Shard>,
    poller: Poller,
    doors: Vec<(StdListener, Door)>,
    general: Handle,
    start: Start,
    own: ShardHandle,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    spawn_local(shard.clone().run_turns(poller));
    spawn_local(shard.clone().run_deadlines());
    let stop = start.stop.clone();
    for (listener, door) in doors {
        let refuse = start.refuse.clone();
        let accepting = accept(listener, door, general.clone(), start.clone(), own.clone());
        spawn_local(async move {
            refuse.run_until_cancelled(accepting).await;
        });
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            command = commands.recv() => match command {
                Some(Command::Adopt(upgrade, topic, permit)) => {
                    let shard = shard.clone();
                    spawn_local(async move {
                        match upgrade.await.map(|upgraded| upgraded.downcast::<TokioIo<Stream>>()) {
                            Ok(Ok(parts)) => match parts.io.into_inner().into_socket() {
                                // The bytes are not kept: they hold the whole buffer of the HTTP head.
                                Ok(socket) => {
                                    let mut first_bytes = Vec::from(parts.read_buf);
                                    shard.adopt(socket, &mut first_bytes, topic, permit);
                                }
                                Err(error) => tracing::error!(%error, "an upgraded connection is lost"),
                            },
                            Ok(Err(_)) => tracing::error!("an upgraded connection is none of ours"),
                            Err(error) => tracing::debug!(%error, "upgrade failed"),
                        }
                    });
                }
                Some(Command::Ask(question)) => { spawn_local(shard.clone().answer(question)); }
                Some(Command::Limit(limits)) => shard.limits.set(limits),
                Some(Command::Kick(kick)) => shard.kick(kick),
                Some(Command::Drain(spread)) => { spawn_local(shard.clone().drain(spread)); }
                Some(Command::TakeOver(key, id, user, reply)) => {
                    shard.hand_over(key, id, &user, reply);
                }
                Some(Command::KeepSessions) => { spawn_local(shard.clone().keep_sessions()); }
                None => return,
            },
        }
    }
}

async fn accept(
    listener: StdListener,
    door: Door,
    general: Handle,
    start: Start,
    own: ShardHandle,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot accept connections"),
    };
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let (door, general) = (door.clone(), general.clone());
                let connection = greet(socket, peer, door, general, start.clone(), own.clone());
                spawn_local(start.exchanges.track_future(connection));
            }
            Err(error) => {
                start.gateway.shared_metrics().refused(Refused::Accept);
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A new connection: TLS first, where it is asked for.
async fn greet(
    tcp: TcpStream,
    peer: SocketAddr,
    door: Door,
    general: Handle,
    start: Start,
    own: ShardHandle,
) {
    let stream = match &door.tls {
        None => Ok(Stream::Plain(tcp)),
        Some(tls) => match start.refuse.run_until_cancelled(tls.accept(tcp)).await {
            Some(stream) => stream,
            None => return,
        },
    };
    match stream {
        Ok(stream) => serve_http(stream, peer, door.router, general, start, own).await,
        Err(error) => {
            start.gateway.shared_metrics().refused(Refused::Tls);
            tracing::debug!(%error, %peer, "no TLS connection");
        }
    }
}

async fn serve_http(
    stream: Stream,
    peer: SocketAddr,
    router: Router,
    general: Handle,
    start: Start,
    own: ShardHandle,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(own.clone());
        let request = request.map(Body::new);
        let upgrades = request.headers().contains_key(header::UPGRADE);
        let answer = router.clone().oneshot(request);
        let general = general.clone();
        async move {
            if upgrades {
                return answer.await;
            }
            let answer = general.spawn(answer).await;
            // A handler that panicked has been logged; its connection gets an answer all the same.
            answer.unwrap_or_else(|_| {
                Ok::<Response, Infallible>(StatusCode::INTERNAL_SERVER_ERROR.into_response())
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = start.refuse.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}
