//! A real nats-server for one test, on a free port, with a folder of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

/// A nats-server with JetStream. Dropped, it is killed and its folder removed.
pub struct NatsServer {
    port: u16,
    dir: TempDir,
    more: String,
    child: Option<Child>,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The program: `NATS_SERVER`, or `nats-server` on PATH.
pub fn program() -> String {
    std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned())
}

impl NatsServer {
    /// Starts one.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// Starts one with more lines in its settings file.
    pub async fn with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let mut server = Self {
            port: free_port(),
            more: format!("jetstream {{ store_dir: {store:?} }}\n{more}"),
            child: None,
            dir,
        };
        server.start_again().await;
        server
    }

    /// Starts one that keeps nothing.
    pub async fn without_jetstream() -> Self {
        let mut server = Self {
            port: free_port(),
            dir: tempfile::tempdir().unwrap(),
            more: String::new(),
            child: None,
        };
        server.start_again().await;
        server
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps its streams.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it again on the same port and with the same folder.
    pub async fn start_again(&mut self) {
        self.stop();
        let settings = self.dir.path().join("nats.conf");
        let text = format!("listen: \"127.0.0.1:{}\"\n{}\n", self.port, self.more);
        std::fs::write(&settings, text).unwrap();
        let program = program();
        let child = Command::new(&program)
            .arg("--config")
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!(
                "{program} cannot be started ({error}): `.ci/tools nats-server` installs it, or NATS_SERVER names it"
            )
        });
        self.child = Some(child);
        for _ in 0..1000 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nats-server does not listen");
    }

    /// Kills it, as a power cut would.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.stop();
    }
}
