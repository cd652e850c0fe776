//! Everything at once, for a bounded time: publishers, readers, resumers, cuts in the middle of a resume,
//! readers that do not read, meddlers, garbage, and `kill -9`; then each promise is judged on what
//! everybody was told.
//!
//! * [`world`]: what all share. [`cast`]: who takes part.
//! * [`publish`], [`readers`], [`resumer`]: those who behave. [`disturb`], [`flood`]: those who do not.
//! * [`payload`], [`truth`]: what is published, and what must hold of it. Pure.
//! * [`report`]: what came of it. [`soak`]: the same for hours, and what it leaves in memory.
//!
//! The tests are steps of their own (`make chaos`, `make soak`), since they want the machine for
//! themselves. `CHAOS_SEED` makes the same choices again, though not at the same moments.

mod cast;
mod disturb;
mod flood;
mod payload;
mod publish;
mod readers;
mod report;
mod resumer;
mod soak;
mod truth;
mod truth_tests;
mod world;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use micro_socket::client::Qos;
use micro_socket::protocol::Token;
use serde_json::value::RawValue;

use self::cast::Cast;
use self::disturb::{kill, start};
use self::flood::Flood;
use self::payload::id;
use self::publish::insist;
use self::report::{Latency, Part, Report, missing};
use self::truth::{Ends, Truth};
use self::world::{FAT, OPEN, SECRET, World, socket, token};
use crate::harness::process::free_ports;
use crate::harness::{Dice, Process, Request, tokens};

/// Nothing that was published goes, as long as a run may take.
const KEEPING_ALL: [&str; 4] = [
    "--history-size=10000000",
    "--history-ttl=24h",
    "--history-bytes=8GiB",
    "--dedup-ttl=24h",
];

/// A number of the environment, or this one.
fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        _ => otherwise,
    }
}

/// The flags of a gateway on a port to which no client's socket is bound by chance while it is away.
fn flags() -> Vec<String> {
    let [port] = free_ports();
    vec![
        format!("--addr=127.0.0.1:{port}"),
        "--auth=jwt".to_owned(),
        format!("--jwt-secret={}", tokens::SECRET),
        "--send-queue-bytes=256KiB".to_owned(),
    ]
}

#[test]
#[ignore = "a step of its own: make chaos"]
fn every_promise_holds_with_everything_at_once() {
    let time = Duration::from_secs(number("CHAOS_SECONDS", 20));
    let random = tokens::now().wrapping_mul(u64::from(std::process::id()));
    let seed = number("CHAOS_SEED", random);
    println!("chaos: CHAOS_SEED={seed} CHAOS_SECONDS={}", time.as_secs());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let report = runtime.block_on(async {
        let mut dice = Dice::new(seed);
        let garbage = flooded(time / 2, &mut dice).await;
        let everything = killed(time / 2, &mut dice).await;
        let parts = vec![garbage, everything];
        Report { seed, parts }
    });
    println!("{report}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/chaos");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("report.json"), report.to_json()).unwrap();
    std::fs::write(folder.join("report.md"), report.to_string()).unwrap();
    println!("note: {}", report.summary());
    let missing = report.missing();
    assert!(report.ok(), "CHAOS_SEED={seed}: a promise is broken");
    assert!(
        missing.is_empty(),
        "CHAOS_SEED={seed}: never happened: {missing:?}"
    );
}

/// Half of the time without garbage, then with it. In memory, where nothing but the gateway itself
/// takes time.
async fn flooded(time: Duration, dice: &mut Dice) -> Part {
    let mut flags = flags();
    flags.extend(KEEPING_ALL.map(str::to_owned));
    let gateway = start(flags).await;
    let world = Arc::new(World::new(gateway.addr, Truth::keeping_all()));
    let mut cast = Cast::enter(world.clone(), dice.another()).await;
    // Not the first moments: connections and caches warm up.
    tokio::time::sleep(time / 10).await;
    let quiet = Phase::of(&world, &gateway, time * 4 / 10).await;
    let flood = Flood::at(gateway.addr, dice.another());
    let noisy = Phase::of(&world, &gateway, time / 2).await;
    let thrown = flood.end(&world);
    let counted = count_deliveries(&world).await;
    cast.quiet_down().await;
    conclude(&world, cast).await;
    let mut part = Part::new(
        "garbage",
        &world.truth(),
        &["thrown", "acked", "duplicates"],
    );
    part.latency.push(quiet.latency(&world, "quiet", 0));
    part.latency.push(noisy.latency(&world, "garbage", thrown));
    part.evidence.push(counted);
    part
}

/// A stretch of time, in microseconds since the beginning, and what the gateway needed of it.
struct Phase {
    range: Range<u64>,
    cpu: Duration,
}

impl Phase {
    async fn of(world: &World, gateway: &Process, time: Duration) -> Self {
        let (from, before) = (world.now_us(), gateway.cpu());
        tokio::time::sleep(time).await;
        Self {
            range: from..world.now_us(),
            cpu: gateway.cpu().saturating_sub(before),
        }
    }

    fn latency(self, world: &World, when: &'static str, thrown: u64) -> Latency {
        let time = Duration::from_micros(self.range.end - self.range.start);
        Latency::new(when, &world.latencies(self.range), thrown, time, self.cpu)
    }
}

/// What must have happened, or it shows nothing.
const WANTED: [&str; 10] = [
    "acked",
    "clogged",
    "closed as too slow",
    "cut in a resume",
    "cuts",
    "denied",
    "duplicates",
    "killed",
    "recovered",
    "resumed",
];

/// Everything else, on disk, with the gateway killed again and again.
async fn killed(time: Duration, dice: &mut Dice) -> Part {
    let dir = tempfile::tempdir().unwrap();
    let mut flags = flags();
    flags.extend(KEEPING_ALL.map(str::to_owned));
    flags.push("--backbone=disk".to_owned());
    flags.push(format!("--data-dir={}", dir.path().display()));
    let gateway = start(flags.clone()).await;
    let world = Arc::new(World::new(gateway.addr, Truth::keeping_all()));
    let mut cast = Cast::enter(world.clone(), dice.another()).await;
    cast.disturb();
    let flood = Flood::at(gateway.addr, dice.another());
    let killing = kill(world.clone(), flags, gateway, time, dice.another());
    let killing = tokio::spawn(killing);
    tokio::time::sleep(time).await;
    // On a machine that is busy everything takes longer.
    let all = async {
        while !missing(&world.truth(), &WANTED).is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(180), all).await;
    flood.end(&world);
    world.over.send_replace(true);
    let gateway = killing.await.unwrap();
    cast.quiet_down().await;
    conclude(&world, cast).await;
    let evidence = verified(&world).await;
    drop(gateway);
    let mut part = Part::new("everything", &world.truth(), &WANTED);
    part.evidence = evidence;
    part
}

/// I5: each delivery is in the histogram. So far everything was delivered live, and by one process.
async fn count_deliveries(world: &World) -> String {
    let seen = world.truth().count("received");
    let mut counted = 0;
    for _ in 0..100 {
        let stats = Request::get("/stats").send(world.addr).await.json();
        counted = stats["latency"]["count"].as_u64().unwrap();
        if counted >= seen {
            return format!("the histogram has {counted} deliveries; {seen} had been seen by then");
        }
        // A delivery is seen before it is counted.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let what = format!("{counted} deliveries in the histogram of at least {seen}");
    world.truth().fault("I5", what.clone());
    what
}

/// The last message of each topic, which all must come to; and the history, in which all must be.
async fn conclude(world: &World, cast: Cast) {
    let write = token("last", &["*"], &["*"]);
    let publisher = socket(world.addr, write.clone(), &[], Qos::Zero);
    let mut ends = Ends::new();
    for topic in [OPEN[0], OPEN[1], FAT, SECRET] {
        let id = id(&format!("last-{topic}"), 0, world.now_us());
        insist(world, &publisher.handle(), topic, id.clone()).await;
        let end = world.truth().place_of(topic, &id);
        ends.insert(topic.to_owned(), end.unwrap_or_default());
        if world.truth().keeps_all() {
            let history = history(world, &write, topic).await;
            world.truth().history(topic, &history);
        }
    }
    cast.judge(ends).await;
}

/// All kept messages of a topic as (seqNo, messageId, payload).
async fn history(world: &World, token: &str, topic: &str) -> Vec<(u64, String, String)> {
    #[derive(serde::Deserialize)]
    struct Page {
        messages: Vec<Kept>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kept {
        seq_no: u64,
        message_id: String,
        data: Box<RawValue>,
    }
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let topic = topic.replace('/', "%2F");
        let path = format!("/api/topics/{topic}/history?after={after}&limit=100");
        let answer = Request::get(&path).bearer(token).send(world.addr).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page: Page = serde_json::from_slice(&answer.body).unwrap();
        let Some(last) = page.messages.last() else {
            return all;
        };
        after = last.seq_no;
        let messages = page.messages.into_iter();
        all.extend(messages.map(|m| (m.seq_no, m.message_id, m.data.get().to_owned())));
    }
}

/// `micro-socket verify` of the gateway that has been through all this.
async fn verified(world: &World) -> Vec<String> {
    let request = micro_socket::verify::Request {
        url: format!("http://{}", world.addr),
        token: Token::new(token("verifier", &["verify.*"], &["verify.*"])),
        denied_topic: Some(SECRET.to_owned()),
        timeout: Duration::from_secs(60),
    };
    let report = micro_socket::verify::run(&request).await;
    let mut evidence = Vec::new();
    for finding in &report.promises {
        let text = format!(
            "verify afterwards, {}: {}",
            finding.promise, finding.evidence
        );
        if finding.outcome == micro_socket::verify::Outcome::Pass {
            evidence.push(text);
        } else {
            world.truth().fault(finding.id, text);
        }
    }
    evidence
}

impl Process {
    /// The processor time that it has had.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let tasks = tasks.into_iter().flatten().flatten();
        let nanos = tasks.filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }
}
