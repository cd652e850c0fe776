//! A real nats-server for one test, with a folder of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A nats-server with JetStream. Dropped, it is killed and its folder removed.
pub struct NatsServer {
    /// Unless it was given one, the server chooses it when it is started first.
    port: Option<u16>,
    dir: TempDir,
    more: String,
    child: Option<Child>,
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
        Self::with_jetstream(None, more).await
    }

    /// Starts one on this port.
    pub async fn on(port: u16) -> Self {
        Self::with_jetstream(Some(port), "").await
    }

    /// Starts one that keeps nothing.
    pub async fn without_jetstream() -> Self {
        Self::begin(None, tempfile::tempdir().unwrap(), String::new()).await
    }

    async fn with_jetstream(port: Option<u16>, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let more = format!("jetstream {{ store_dir: {store:?} }}\n{more}");
        Self::begin(port, dir, more).await
    }

    async fn begin(port: Option<u16>, dir: TempDir, more: String) -> Self {
        let mut server = Self {
            port,
            dir,
            more,
            child: None,
        };
        server.start_again().await;
        server
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.expect("it was started")
    }

    /// Where it keeps its streams.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it again on the same port and with the same folder.
    pub async fn start_again(&mut self) {
        self.stop();
        let dir = self.dir.path();
        let settings = dir.join("nats.conf");
        let port = self.port.map_or(-1, i32::from);
        let text = format!(
            "host: \"127.0.0.1\"\nport: {port}\nports_file_dir: {dir:?}\n{}\n",
            self.more
        );
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
        let pid = child.id();
        self.child = Some(child);
        // Written once it listens; a killed one leaves its own behind, with another number.
        let ports = |entry: std::fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let ours = name.ends_with(&format!("_{pid}.ports"));
            ours.then(|| std::fs::read_to_string(entry.path()).ok())?
        };
        for _ in 0..1000 {
            let mut entries = std::fs::read_dir(self.dir.path()).unwrap();
            let text = entries.find_map(|entry| ports(entry.ok()?));
            let text: Option<Value> = text.and_then(|text| serde_json::from_str(&text).ok());
            let url = text.and_then(|text| Some(text["nats"][0].as_str()?.to_owned()));
            if let Some(port) = url.and_then(|url| url.rsplit(':').next()?.parse().ok()) {
                self.port = Some(port);
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
