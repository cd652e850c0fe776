//! What an fsync costs and what sharing it brings. Prints numbers, asserts nothing about them:
//!
//! ```sh
//! cargo test --release --features ssr --lib measure_group_commit -- --ignored --nocapture
//! ```
//!
//! It writes into a directory below `TMPDIR`; set that to a real disk.

use std::time::Instant;

use super::tests::publication;
use super::*;
use crate::backbone::contract::retention;

const TIME: Duration = Duration::from_secs(3);

struct Nobody;

impl Events for Nobody {
    fn lost(&self, _: &str) {}
    fn deliver(&self, _: &str, _: &super::super::Record, _: u64) {}
}

/// Messages a second that `publishers` threads get acknowledged, each with `in_flight` on their way.
fn rate(fsync_interval: Option<Duration>, publishers: usize, in_flight: usize) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        dir: dir.path().to_owned(),
        fsync_interval,
        new_epoch: Epoch::new("e1"),
    };
    let now = Now {
        mono_ns: 0,
        unix_ms: 1_700_000_000_000,
    };
    let disk = Disk::open(now, options, &retention(), Arc::new(Nobody)).unwrap();
    let payload = format!("\"{}\"", "x".repeat(198));
    let started = Instant::now();
    let publish = |publisher: usize| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let topic = format!("t{publisher}");
        runtime.unwrap().block_on(async {
            let mut waiting = std::collections::VecDeque::new();
            for i in 0_u64.. {
                let now = Now {
                    mono_ns: started.elapsed().as_nanos() as u64,
                    ..now
                };
                let id = format!("{publisher}-{i}");
                waiting.push_back(disk.publish(now, publication(&topic, &id, &payload)));
                if waiting.len() == in_flight
                    && let Some(oldest) = waiting.pop_front()
                {
                    oldest.await.unwrap();
                }
                if started.elapsed() > TIME {
                    break;
                }
            }
            for last in waiting {
                last.await.unwrap();
            }
        });
    };
    let publish = &publish;
    thread::scope(|scope| {
        for publisher in 0..publishers {
            scope.spawn(move || publish(publisher));
        }
    });
    let acked: SeqNo = (0..publishers)
        .map(|publisher| disk.shared.index.lock().head(&format!("t{publisher}")))
        .sum();
    acked as f64 / started.elapsed().as_secs_f64()
}

#[test]
#[ignore = "it measures"]
fn measure_group_commit() {
    let single = rate(None, 1, 1);
    eprintln!("always, 1 publisher, 1 in flight (an fsync a message): {single:.0}/s");
    for (publishers, in_flight) in [(1, 64), (1, 1000), (64, 1), (8, 256)] {
        let shared = rate(None, publishers, in_flight);
        eprintln!(
            "always, {publishers} publishers, {in_flight} in flight each: {shared:.0}/s, {:.0} times that",
            shared / single
        );
    }
    let interval = rate(Some(Duration::from_millis(100)), 8, 256);
    eprintln!("every 100ms, 8 publishers, 256 in flight each: {interval:.0}/s");
}
