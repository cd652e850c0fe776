//! What is measured: a gateway, the floor, a peer. Each is a process of its own on the server's core.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Something that can be measured.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name in the tables.
    pub name: String,
    /// How it is started.
    pub kind: Kind,
    /// Its cores, as `taskset` reads them; `None` leaves them to the system.
    pub cores: Option<String>,
}

/// How a peer is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A gateway: its program and further arguments.
    Gateway(Vec<String>),
    /// The bare loop with at most so many frames in one write.
    Floor(usize),
    /// The reference protocol on Bun, `loop` or `native`.
    Bun(&'static str),
    /// nats-server's WebSocket.
    Nats,
}

/// A peer that runs. Dropped, it is killed.
pub struct Running {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    config: Option<PathBuf>,
}

impl Peer {
    /// The peers beside the gateways, by name.
    pub fn named(name: &str, cores: Option<String>) -> Option<Self> {
        let kind = match name {
            "bun-native" => Kind::Bun("native"),
            "bun-loop" => Kind::Bun("loop"),
            "nats" => Kind::Nats,
            _ => Kind::Floor(name.strip_prefix("limit-")?.parse().ok()?),
        };
        Some(Self {
            name: name.to_owned(),
            kind,
            cores,
        })
    }

    /// Starts it and waits until it listens.
    pub fn start(&self) -> Outcome<Running> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut config = None;
        let line: Vec<String> = match &self.kind {
            Kind::Gateway(line) => {
                let mut line = line.clone();
                let addr = format!("127.0.0.1:{port}");
                line.extend(["--addr", &addr, "--log", "off"].map(str::to_owned));
                line
            }
            Kind::Floor(most) => {
                let own = env::current_exe()?.display().to_string();
                vec![own, "floor".into(), port.to_string(), most.to_string()]
            }
            Kind::Bun(mode) => {
                let script = peers_folder().join("gateway.js").display().to_string();
                vec![bun(), script, (*mode).to_owned(), port.to_string()]
            }
            Kind::Nats => {
                let path = env::temp_dir().join(format!("micro-socket-bench-{port}.conf"));
                fs::write(&path, nats_config(port))?;
                let line = vec![nats(), "-c".into(), path.display().to_string()];
                config = Some(path);
                line
            }
        };
        let cores = self.cores.as_deref();
        let pinned = cores.map(|cores| ["taskset", "-c", cores].map(str::to_owned));
        let line: Vec<String> = pinned.into_iter().flatten().chain(line).collect();
        let child = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(match self.kind {
                Kind::Nats => Stdio::null(),
                _ => Stdio::inherit(),
            })
            .spawn()
            .map_err(|error| format!("{}: {error}", line[0]))?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut running = Running {
            child,
            addr,
            config,
        };
        running.wait()?;
        Ok(running)
    }

    /// What it calls its version.
    pub fn version(&self) -> Option<String> {
        let (program, argument) = match &self.kind {
            Kind::Gateway(line) => (line[0].clone(), "--version"),
            Kind::Floor(_) => return None,
            Kind::Bun(_) => (bun(), "--version"),
            Kind::Nats => (nats(), "-v"),
        };
        let output = Command::new(program).arg(argument).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let word = text.rsplit(' ').next().unwrap_or(&text);
        Some(match &self.kind {
            Kind::Gateway(_) => format!("micro-socket {word}"),
            Kind::Nats => format!("nats-server {word}"),
            _ => format!("Bun {word}"),
        })
    }

    /// Whether what it needs is there.
    pub fn is_there(&self) -> bool {
        match &self.kind {
            Kind::Floor(_) => true,
            Kind::Gateway(line) => Path::new(&line[0]).is_file(),
            Kind::Bun(_) | Kind::Nats => self.version().is_some(),
        }
    }
}

impl Running {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait(&mut self) -> Outcome<()> {
        let began = Instant::now();
        while TcpStream::connect(self.addr).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended with {status} instead of listening").into());
            }
            if began.elapsed() > PATIENCE {
                return Err("it does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(config) = &self.config {
            let _ = fs::remove_file(config);
        }
    }
}

fn peers_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

/// The program of npm's package, or the one that `BUN` names.
fn bun() -> String {
    let own = || {
        peers_folder()
            .join("node_modules/.bin/bun")
            .display()
            .to_string()
    };
    env::var("BUN").unwrap_or_else(|_| own())
}

/// The program on PATH, or the one that `NATS_SERVER` names.
fn nats() -> String {
    env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".into())
}

fn nats_config(port: u16) -> String {
    // Its own protocol needs a port too; -1 lets it choose one.
    format!(
        "host: 127.0.0.1\nport: -1\nwebsocket {{ host: \"127.0.0.1\", port: {port}, no_tls: true }}\n"
    )
}
