//! A gateway for one test, and who speaks to it.

pub mod dice;
pub mod http;
pub mod load;
pub mod nats;
pub mod nats_cluster;
pub mod process;
pub mod raw;
pub mod socket;
pub mod tokens;
pub mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use micro_socket::config::{RawSettings, Settings};
use micro_socket::server::Server;
use serde_json::Value;

pub use dice::Dice;
pub use http::{Answer, Request};
pub use nats::NatsServer;
pub use process::Process;
pub use raw::RawSocket;
pub use socket::Socket;
pub use wire::Wire;

/// How long anything may take that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for `what`, but not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// A real gateway on a free port. Dropped, it stops.
pub struct TestGateway {
    pub addr: SocketAddr,
    pub admin_addr: Option<SocketAddr>,
    server: Server,
}

impl TestGateway {
    /// With the default settings.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these settings, written as in a settings file.
    pub async fn with(settings: &[(&'static str, &str)]) -> Self {
        let server = Server::start(&resolve(settings)).await.unwrap();
        Self {
            addr: server.addr,
            admin_addr: server.admin_addr,
            server,
        }
    }

    /// A WebSocket to this path.
    pub async fn socket(&self, path: &str) -> Socket {
        Socket::connect(self.addr, path).await
    }

    /// A WebSocket to `/ws` that is set up as this user with these topics.
    pub async fn user(&self, token: &str, topics: &[&str]) -> Socket {
        let mut socket = self.socket("/ws").await;
        socket.setup(token, topics).await;
        socket
    }

    /// A WebSocket of which the test writes every byte itself.
    pub async fn raw(&self, path: &str) -> RawSocket {
        RawSocket::connect(self.addr, path, None).await
    }

    /// Asks for a path with GET.
    pub async fn get(&self, path: &str) -> Answer {
        Request::get(path).send(self.addr).await
    }

    /// The numbers of `/stats`.
    pub async fn stats(&self) -> Value {
        self.get("/stats").await.json()
    }

    /// Asks `/stats` until it is as it should be.
    pub async fn stats_become(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        soon(what, async {
            loop {
                let stats = self.stats().await;
                if fits(&stats) {
                    return stats;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    /// Changes the settings of the running gateway to these; answers those that need a restart.
    pub fn reload(&self, settings: &[(&'static str, &str)]) -> std::io::Result<Vec<&'static str>> {
        self.server.reload(&resolve(settings))
    }

    /// Stops the gateway politely.
    pub async fn drain(self) {
        self.server.drain().await;
    }
}

fn resolve(settings: &[(&'static str, &str)]) -> Settings {
    let mut raw = RawSettings::default();
    for (name, value) in settings {
        raw.add(name, (*value).to_owned(), (*name).to_owned());
    }
    raw.add("addr", "127.0.0.1:0".to_owned(), "addr".to_owned());
    Settings::resolve(&raw, None).unwrap()
}
