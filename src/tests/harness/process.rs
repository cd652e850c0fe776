//! The gateway as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The gateway's program. Nothing of the environment of the tests is a setting.
pub fn program() -> Command {
    without_settings(Command::new(env!("CARGO_BIN_EXE_micro-socket")))
}

/// A command that is not passed the settings in the environment of the tests.
pub fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars() {
        if name.starts_with("MICRO_SOCKET_") || name.starts_with("LEPTOS_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running gateway. Killed when dropped.
pub struct Process {
    pub child: Child,
    pub addr: SocketAddr,
    /// Kept open: what it prints must go somewhere.
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts one with these flags, on a port that it chooses unless they name one.
    pub fn start(flags: &[&str]) -> Self {
        Self::try_start(flags).expect("it ended before it listened")
    }

    /// The same; `None` when it ends before it listens.
    pub fn try_start(flags: &[&str]) -> Option<Self> {
        let mut command = program();
        if !flags.iter().any(|flag| flag.starts_with("--addr=")) {
            command.arg("--addr=127.0.0.1:0");
        }
        command.arg("--log=warn").args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        if line.is_empty() {
            child.wait().unwrap();
            return None;
        }
        let addr = line.trim().rsplit(' ').next().unwrap().parse();
        let addr = addr.unwrap_or_else(|_| panic!("no address: {line:?}"));
        Some(Self {
            child,
            addr,
            _stdout: lines,
        })
    }

    /// Starts one as soon as NATS lets it: servers that look for each other need a while.
    pub fn start_on_nats(flags: &[&str]) -> Self {
        let began = Instant::now();
        loop {
            if let Some(process) = Self::try_start(flags) {
                return process;
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "NATS is not ready"
            );
        }
    }

    /// SIGKILL: nothing of it runs any more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a process a signal.
pub fn signal(process: u32, name: &str) {
    let mut command = Command::new("kill");
    command.args([&format!("-{name}"), &process.to_string()]);
    assert!(command.status().unwrap().success());
}

/// Ports that nobody listens on, for programs that need to know theirs beforehand. They are below those
/// that the kernel gives away.
pub fn free_ports<const N: usize>() -> [u16; N] {
    const FIRST: u16 = 20_000;
    const COUNT: u32 = 12_000;
    // Tests of one process run side by side: none is given what another will listen on in a moment.
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    let mut held = Vec::new();
    while held.len() < N {
        let at = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        held.extend(TcpListener::bind(("127.0.0.1", FIRST + at as u16)));
    }
    std::array::from_fn(|n| held[n].local_addr().unwrap().port())
}
