//! What all who take part share: the gateway's address, the truth, the time, and the end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use micro_socket::client::{Backoff, Options, Qos, SubSocket};
use serde_json::json;
use tokio::sync::watch;

use super::payload::sent_us;
use super::truth::{Ends, Seen, Truth, Witness};
use crate::harness::tokens;

/// Topics that everybody may read.
pub const OPEN: [&str; 2] = ["open/a", "open/b"];
/// A topic of large messages.
pub const FAT: &str = "open/fat";
/// A topic for the few.
pub const SECRET: &str = "secret/plans";

/// A message that a measured reader got: when it was sent, and how long it took, in microseconds.
pub type Measured = (u64, u32);

pub struct World {
    pub addr: SocketAddr,
    truth: Mutex<Truth>,
    measured: Mutex<Vec<Measured>>,
    began: Instant,
    /// True once nothing is begun any more.
    pub over: watch::Sender<bool>,
    /// The last message of each topic, once it is there.
    pub ends: watch::Sender<Option<Ends>>,
    /// Whoever is not at the end yet will not come there.
    given_up: AtomicBool,
}

impl World {
    pub fn new(addr: SocketAddr, truth: Truth) -> Self {
        Self {
            addr,
            truth: Mutex::new(truth),
            measured: Mutex::default(),
            began: Instant::now(),
            over: watch::Sender::new(false),
            ends: watch::Sender::new(None),
            given_up: AtomicBool::new(false),
        }
    }

    pub fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    pub fn note(&self, what: &'static str) {
        self.truth().note(what);
    }

    /// Microseconds since the beginning.
    pub fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Waits, but not beyond the end; whether it goes on.
    pub async fn pause(&self, time: Duration) -> bool {
        let mut over = self.over.subscribe();
        tokio::time::timeout(time, over.wait_for(|over| *over))
            .await
            .is_err()
    }

    /// A message came to this witness.
    pub fn saw(&self, witness: &mut Witness, message: &Seen<'_>, measured: bool) {
        let now = self.now_us();
        witness.message(&mut self.truth(), message);
        if measured && let Some(sent) = sent_us(message.id) {
            let took = u32::try_from(now.saturating_sub(sent)).unwrap_or(u32::MAX);
            self.measured.lock().unwrap().push((sent, took));
        }
    }

    /// What measured readers got of what was sent within this time, in microseconds, sorted.
    pub fn latencies(&self, sent: std::ops::Range<u64>) -> Vec<u32> {
        let measured = self.measured.lock().unwrap();
        let within = measured.iter().filter(|(at, _)| sent.contains(at));
        let mut latencies: Vec<u32> = within.map(|(_, took)| *took).collect();
        latencies.sort_unstable();
        latencies
    }

    /// Lets all end who wait for something.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.ends.send_modify(|_| {});
    }

    /// Whether a witness has seen all there will be.
    pub fn has_all(&self, witness: &Witness) -> bool {
        if self.given_up.load(Ordering::Relaxed) {
            return true;
        }
        let ends = self.ends.borrow();
        ends.as_ref().is_some_and(|ends| witness.is_at(ends))
    }
}

/// A token of this user that allows to read and to write these topics.
pub fn token(user: &str, read: &[&str], write: &[&str]) -> String {
    let topics = json!({"read": read, "write": write});
    // Longer than any run.
    let exp = tokens::now() + 14 * 24 * 3600;
    tokens::token(user, &json!({"topics": topics, "exp": exp}))
}

/// A socket of the Rust client, which comes back soon when it is cut.
pub fn socket(addr: SocketAddr, token: String, topics: &[&str], qos: Qos) -> SubSocket {
    let mut options = Options::new(token);
    options.topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    options.qos = qos;
    options.reconnect = Some(Backoff {
        first: Duration::from_millis(20),
        limit: Duration::from_millis(200),
    });
    SubSocket::open(&format!("ws://{addr}/ws"), options).unwrap()
}
