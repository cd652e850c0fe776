//! Those who disturb: cutters, cloggers, and whoever kills.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::world::{FAT, World};
use crate::harness::{Dice, Process, Wire};

/// Large messages, about 5 MB.
const TOO_MUCH: usize = 100;

/// Cuts a wire now and then, and often again while those at its end come back.
pub async fn cut(world: Arc<World>, wire: Arc<Wire>, mut dice: Dice) {
    while world.pause(dice.upto(Duration::from_millis(1500))).await {
        loop {
            wire.cut();
            world.note("cuts");
            world.pause(dice.upto(Duration::from_millis(100))).await;
            wire.mend();
            if dice.roll(2) == 0 {
                break;
            }
            world.pause(dice.upto(Duration::from_millis(60))).await;
        }
    }
    wire.mend();
}

/// Now and then lets nothing through a wire, until more was published than kernels and the gateway's queue
/// hold for whoever does not read.
pub async fn clog(world: Arc<World>, wire: Arc<Wire>, mut dice: Dice) {
    while world.pause(dice.upto(Duration::from_secs(1))).await {
        wire.clog();
        world.note("clogged");
        let enough = world.truth().told(FAT) + TOO_MUCH;
        while world.truth().told(FAT) < enough && world.pause(Duration::from_millis(20)).await {}
        wire.mend();
    }
    wire.mend();
}

/// Kills the gateway now and then for so long, once at least, and starts it again where it was; the one that
/// runs at the end.
pub async fn kill(
    world: Arc<World>,
    flags: Vec<String>,
    first: Process,
    time: Duration,
    mut dice: Dice,
) -> Process {
    let began = Instant::now();
    let mut gateway = first;
    loop {
        let lives = Duration::from_millis(1500) + dice.upto(Duration::from_secs(6));
        if !world.pause(lives).await {
            return gateway;
        }
        // What takes long on a busy machine would begin anew with each kill.
        if began.elapsed() > time && world.truth().count("killed") > 0 {
            continue;
        }
        gateway.kill();
        world.note("killed");
        tokio::time::sleep(dice.upto(Duration::from_millis(300))).await;
        gateway = start(flags.clone()).await;
    }
}

/// Starts a gateway, again where its port is taken for a moment.
pub async fn start(flags: Vec<String>) -> Process {
    let starting = tokio::task::spawn_blocking(move || {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut failed = 0;
        loop {
            if let Some(gateway) = Process::try_start(&flags) {
                return gateway;
            }
            failed += 1;
            assert!(failed < 50, "the gateway does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    starting.await.unwrap()
}
