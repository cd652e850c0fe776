//! Garbage from many sockets, on a thread of its own: what is measured beside it must not wait for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{World, token};
use crate::garbage::garbage;
use crate::harness::Dice;

/// How many throw at once.
const THROWERS: usize = 24;
/// Pieces of garbage, made beforehand: making them would take the processor from what is measured.
const PIECES: usize = 300;
/// How long one waits for the answer, and before it throws again, at most.
const PAUSE: Duration = Duration::from_millis(40);

/// Garbage that is being thrown.
pub struct Flood {
    over: Arc<AtomicBool>,
    thrown: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Flood {
    /// Begins to throw.
    pub fn at(gateway: SocketAddr, mut dice: Dice) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let thrown = Arc::new(AtomicU64::new(0));
        let (ends, counts) = (over.clone(), thrown.clone());
        // With the token of somebody who may do little.
        let token = token("mallory", &["mallory/*"], &["mallory/*"]);
        let pieces: Vec<Vec<u8>> = (0..PIECES).map(|_| garbage(&mut dice, &token)).collect();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let throwing =
                (0..THROWERS).map(|_| throw(gateway, dice.another(), &pieces, &ends, &counts));
            runtime.block_on(futures_util::future::join_all(throwing));
        });
        Self {
            over,
            thrown,
            thread,
        }
    }

    /// Ends it; how many sockets there were.
    pub fn end(self, world: &World) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        let thrown = self.thrown.load(Ordering::Relaxed);
        world.truth().add("thrown", thrown);
        thrown
    }
}

async fn throw(
    gateway: SocketAddr,
    mut dice: Dice,
    pieces: &[Vec<u8>],
    over: &AtomicBool,
    thrown: &AtomicU64,
) {
    while !over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = TcpStream::connect(gateway).await {
            let bytes = &pieces[dice.roll(pieces.len() as u64) as usize];
            // The gateway may hang up in the middle of it: that is an answer too.
            let _ = tokio::time::timeout(PAUSE, stream.write_all(bytes)).await;
            let mut answer = [0; 4096];
            let _ = tokio::time::timeout(dice.upto(PAUSE), stream.read(&mut answer)).await;
            thrown.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(dice.upto(PAUSE)).await;
    }
}
