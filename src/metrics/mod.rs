//! Counters and the latency of delivery, at next to no cost where messages pass.
//!
//! Each shard has its own [`ShardMetrics`] that only it writes; readers add them up. What is rarer
//! than a delivery and comes from any thread is in [`SharedMetrics`].
//!
//! Uses: histogram, protocol.

mod causes;
mod shared;

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::histogram::{Distribution, Histogram, bucket};
use crate::protocol::{CloseCode, ErrorCode};

pub use causes::{EndCause, Refused};
pub use shared::{Pending, SharedMetrics};

/// Adds to a counter that nobody else writes: cheaper than a read-modify-write.
fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

/// A counter for each value of a table, in the table's order.
#[derive(Debug)]
struct Counters<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl<const N: usize> Counters<N> {
    fn add_to(&self, sums: &mut [u64; N]) {
        for (sum, counter) in sums.iter_mut().zip(&self.0) {
            *sum += counter.load(Ordering::Relaxed);
        }
    }
}

/// What one shard counts.
#[derive(Debug, Default)]
pub struct ShardMetrics {
    opened: AtomicU64,
    subscriptions: AtomicU64,
    delivered: AtomicU64,
    /// From the moment a message was accepted to its write into a subscriber's socket, in
    /// nanoseconds (promise I5).
    pub latency: Histogram,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    closes: Counters<{ CloseCode::ALL.len() }>,
    ends: Counters<{ EndCause::ALL.len() }>,
    errors: Counters<{ ErrorCode::ALL.len() }>,
}

impl ShardMetrics {
    /// A WebSocket was opened.
    pub fn opened(&self) {
        add(&self.opened, 1);
    }

    /// A WebSocket ended, for this reason.
    pub fn ended(&self, cause: EndCause) {
        add(&self.ends.0[cause as usize], 1);
    }

    /// Messages were written into a socket, the oldest and the newest of them this long after they
    /// were accepted.
    pub fn delivered(&self, messages: u64, oldest_ns: u64, newest_ns: u64) {
        add(&self.delivered, messages);
        if bucket(oldest_ns) == bucket(newest_ns) {
            self.latency.record(oldest_ns, messages);
        } else {
            // A batch spans few buckets: half the messages at either end keeps the shape.
            self.latency.record(oldest_ns, messages - messages / 2);
            self.latency.record(newest_ns, messages / 2);
        }
    }

    /// Bytes were read from a socket.
    pub fn read(&self, bytes: usize) {
        add(&self.bytes_in, bytes as u64);
    }

    /// Bytes were written into a socket.
    pub fn wrote(&self, bytes: usize) {
        add(&self.bytes_out, bytes as u64);
    }

    /// The gateway closes a socket.
    pub fn closed(&self, code: CloseCode) {
        add(&self.closes.0[code as usize], 1);
    }

    /// An `error` frame was sent.
    pub fn refused(&self, code: ErrorCode) {
        add(&self.errors.0[code as usize], 1);
    }

    /// The shard has that many subscriptions now.
    pub fn set_subscriptions(&self, count: usize) {
        self.subscriptions.store(count as u64, Ordering::Relaxed);
    }
}

/// What all of the gateway counts together.
#[derive(Debug, Default)]
pub struct Totals {
    /// WebSockets open now.
    pub connections: u64,
    /// WebSockets opened.
    pub opened: u64,
    /// Pairs of topic and connection now.
    pub subscriptions: u64,
    /// Messages written into sockets.
    pub delivered: u64,
    /// Accept to write, in nanoseconds.
    pub latency: Distribution,
    /// Bytes read from WebSockets after their handshake.
    pub bytes_in: u64,
    /// Bytes written into WebSockets after their handshake.
    pub bytes_out: u64,
    /// Sockets that the gateway closed, in the order of [`CloseCode::ALL`].
    pub closes: [u64; CloseCode::ALL.len()],
    /// Sockets that ended, in the order of [`EndCause::ALL`].
    pub ends: [u64; EndCause::ALL.len()],
    /// `error` frames that were sent, in the order of [`ErrorCode::ALL`].
    pub errors: [u64; ErrorCode::ALL.len()],
}

impl Totals {
    /// Adds one shard.
    pub fn add(&mut self, shard: &ShardMetrics) {
        self.opened += shard.opened.load(Ordering::Relaxed);
        self.subscriptions += shard.subscriptions.load(Ordering::Relaxed);
        self.delivered += shard.delivered.load(Ordering::Relaxed);
        shard.latency.add_to(&mut self.latency);
        self.bytes_in += shard.bytes_in.load(Ordering::Relaxed);
        self.bytes_out += shard.bytes_out.load(Ordering::Relaxed);
        shard.closes.add_to(&mut self.closes);
        shard.ends.add_to(&mut self.ends);
        shard.errors.add_to(&mut self.errors);
    }

    /// Sockets that the gateway closed with this code.
    #[must_use]
    pub const fn closed(&self, code: CloseCode) -> u64 {
        self.closes[code as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_the_counter_of_its_place() {
        let shard = ShardMetrics::default();
        for (times, code) in CloseCode::ALL.iter().enumerate() {
            (0..times).for_each(|_| shard.closed(*code));
        }
        for (times, code) in ErrorCode::ALL.iter().enumerate() {
            (0..times).for_each(|_| shard.refused(*code));
        }
        let mut totals = Totals::default();
        totals.add(&shard);
        assert!(
            totals
                .closes
                .iter()
                .copied()
                .eq(0..CloseCode::ALL.len() as u64)
        );
        assert!(
            totals
                .errors
                .iter()
                .copied()
                .eq(0..ErrorCode::ALL.len() as u64)
        );
    }
}
