//! The same load for minutes or hours against one gateway that is not killed: what it holds of memory and
//! descriptors is sampled, and a line is laid through the samples.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::cast::Cast;
use super::disturb::start;
use super::flood::Flood;
use super::truth::Truth;
use super::world::{World, token};
use super::{conclude, flags, number};
use crate::harness::{Dice, Process, Socket, tokens};

/// Samples of a run.
const SAMPLES: u32 = 120;
/// Of them the first are of a gateway whose tables are still filling.
const WARM_UP: usize = 40;
/// What is shorter after that says nothing.
const LEAST: f64 = 2.0;

/// What the gateway held at a moment.
#[derive(Clone, Copy)]
struct Sample {
    minutes: f64,
    memory_kib: f64,
    descriptors: f64,
}

/// The slope of the line with the least squares through these points; `None` for fewer than two.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let count = points.clone().count() as f64;
    let mean_x = points.clone().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.clone().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.clone().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let together: f64 = points.map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (spread > 0.0).then(|| together / spread)
}

/// The line through the samples of one quantity.
#[derive(Debug, PartialEq)]
struct Line {
    /// A minute.
    slope: f64,
    mean: f64,
    /// How far the samples lie from the line, as a standard deviation.
    scatter: f64,
}

impl Line {
    fn through(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let slope = slope(points.clone())?;
        let count = points.clone().count() as f64;
        let mean_x = points.clone().map(|(x, _)| x).sum::<f64>() / count;
        let mean = points.clone().map(|(_, y)| y).sum::<f64>() / count;
        let off = points.map(|(x, y)| (y - mean - slope * (x - mean_x)).powi(2));
        Some(Self {
            slope,
            mean,
            scatter: (off.sum::<f64>() / count).sqrt(),
        })
    }

    /// Whether it rises over these minutes by more than this part of its mean. What is within three times the
    /// scatter does not count: what is held follows what is published just then.
    fn rises(&self, minutes: f64, part: f64) -> bool {
        self.slope * minutes > (part * self.mean).max(3.0 * self.scatter)
    }
}

/// What the samples after the warm-up say.
#[derive(Debug, PartialEq)]
struct Trend {
    minutes: f64,
    memory_kib: Line,
    descriptors: Line,
}

impl Trend {
    fn of(samples: &[Sample]) -> Option<Self> {
        let (first, last) = (samples.first()?, samples.last()?);
        let line = |value: fn(&Sample) -> f64| {
            Line::through(samples.iter().map(move |one| (one.minutes, value(one))))
        };
        Some(Self {
            minutes: last.minutes - first.minutes,
            memory_kib: line(|sample| sample.memory_kib)?,
            descriptors: line(|sample| sample.descriptors)?,
        })
    }

    /// Whether the line rises over the whole time by more than 2 % of what there is, or for descriptors
    /// by more than a tenth; `None` when it was too short to say.
    fn rises(&self) -> Option<bool> {
        let memory = self.memory_kib.rises(self.minutes, 0.02);
        let descriptors = self.descriptors.rises(self.minutes, 0.1);
        (self.minutes >= LEAST).then_some(memory || descriptors)
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.rises() {
            None => "too short to say",
            Some(true) => "it RISES",
            Some(false) => "level",
        };
        write!(
            f,
            "{verdict}: {:+.1} KiB a minute at {:.0} ± {:.0} KiB, {:+.2} descriptors a minute at {:.0} ± {:.0}, over the last {:.1} minutes",
            self.memory_kib.slope,
            self.memory_kib.mean,
            self.memory_kib.scatter,
            self.descriptors.slope,
            self.descriptors.mean,
            self.descriptors.scatter,
            self.minutes
        )
    }
}

#[test]
#[ignore = "a step of its own: make soak"]
fn memory_and_descriptors_stay_level() {
    let time = Duration::from_secs(number("SOAK_SECONDS", 5));
    let seed = number("CHAOS_SEED", tokens::now());
    println!("soak: CHAOS_SEED={seed} SOAK_SECONDS={}", time.as_secs());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (samples, world) = runtime.block_on(soak(time, Dice::new(seed)));
    println!("| minute | memory KiB | descriptors |\n|--:|--:|--:|");
    for Sample {
        minutes,
        memory_kib,
        descriptors,
    } in samples.iter().step_by(6)
    {
        println!("| {minutes:.2} | {memory_kib:.0} | {descriptors:.0} |");
    }
    let trend = Trend::of(&samples[WARM_UP..]).unwrap();
    let truth = world.truth();
    println!("\n{:?}\n{trend}\nnote: {trend}", truth.counts());
    assert_eq!(truth.faults(), [""; 0], "CHAOS_SEED={seed}");
    assert!(truth.count("resumed") > 0 && truth.count("visits") > 0);
    assert_ne!(trend.rises(), Some(true), "CHAOS_SEED={seed}");
}

async fn soak(time: Duration, mut dice: Dice) -> (Vec<Sample>, Arc<World>) {
    let mut flags = flags();
    // Short, so that what is kept for a while is soon as much as it will ever be.
    let more = [
        "history-size=20000",
        "history-ttl=20s",
        "dedup-ttl=20s",
        "session-ttl=20s",
    ];
    flags.extend(more.map(|flag| format!("--{flag}")));
    let gateway = start(flags).await;
    let world = Arc::new(World::new(gateway.addr, Truth::keeping(20_000)));
    let mut cast = Cast::enter(world.clone(), dice.another()).await;
    cast.disturb();
    let flood = Flood::at(gateway.addr, dice.another());
    let visiting = tokio::spawn(visit(world.clone(), dice.another()));
    let began = Instant::now();
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        tokio::time::sleep(time / SAMPLES).await;
        let (memory_kib, descriptors) = held(&gateway);
        samples.push(Sample {
            minutes: began.elapsed().as_secs_f64() / 60.0,
            memory_kib,
            descriptors,
        });
    }
    flood.end(&world);
    cast.quiet_down().await;
    visiting.await.unwrap();
    conclude(&world, cast).await;
    (samples, world)
}

/// One after the other comes, with a topic of its own, publishes to it, and goes, politely or not.
async fn visit(world: Arc<World>, mut dice: Dice) {
    let token = token("vic", &["visit/*"], &["visit/*"]);
    let mut number = 0;
    while world.pause(dice.upto(Duration::from_millis(20))).await {
        number += 1;
        let topic = format!("visit/{number}");
        let mut socket = Socket::connect(world.addr, "/ws").await;
        socket.setup(&token, &[&topic]).await;
        let ack = socket.publish(&topic, &topic, json!(number)).await;
        if ack["status"] != "ok" {
            world.truth().fault("I2", format!("{topic}: {ack}"));
        }
        match dice.roll(3) {
            0 => drop(socket.close(1000, "").await),
            1 => {
                let frame = json!({"type": "unsubscribe", "topic": topic});
                socket.send(frame).await;
            }
            _ => {}
        }
        world.note("visits");
    }
}

/// The memory of a process in KiB, and its descriptors.
fn held(gateway: &Process) -> (f64, f64) {
    let folder = format!("/proc/{}", gateway.child.id());
    // `VmRSS` is counted for each core and can be off by megabytes.
    let text = fs::read_to_string(format!("{folder}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB").parse();
    let descriptors = fs::read_dir(format!("{folder}/fd")).unwrap().count();
    (kib.unwrap(), descriptors as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: impl Fn(f64) -> (f64, f64)) -> Vec<Sample> {
        let minutes = (0..100).map(|at| f64::from(at) * 0.1);
        let sample = |minutes| {
            let (memory_kib, descriptors) = values(minutes);
            Sample {
                minutes,
                memory_kib,
                descriptors,
            }
        };
        minutes.map(sample).collect()
    }

    #[test]
    fn the_slope_is_that_of_the_line() {
        let line = [(0.0, 5.0), (1.0, 8.0), (2.0, 11.0), (5.0, 20.0)];
        assert_eq!(slope(line.into_iter()), Some(3.0));
        let scattered = [(0.0, 1.0), (0.0, 3.0), (2.0, 1.0), (2.0, 5.0)];
        assert_eq!(slope(scattered.into_iter()), Some(0.5));
        assert_eq!(slope([(1.0, 1.0), (1.0, 2.0)].into_iter()), None);
        assert_eq!(slope(std::iter::empty()), None);
    }

    #[test]
    fn only_what_rises_rises() {
        // A sawtooth around a level.
        let tooth = |minutes: f64| (minutes * 10.0) % 7.0 * 500.0;
        let level = samples(|minutes| (50_000.0 + tooth(minutes), 40.0));
        assert_eq!(Trend::of(&level).unwrap().rises(), Some(false));
        let leak = samples(|minutes| (50_000.0 + tooth(minutes) + 400.0 * minutes, 40.0));
        assert_eq!(Trend::of(&leak).unwrap().rises(), Some(true));
        let descriptors = samples(|minutes| (50_000.0, 40.0 + minutes));
        assert_eq!(Trend::of(&descriptors).unwrap().rises(), Some(true));
        let falls = samples(|minutes| (50_000.0 - 900.0 * minutes, 40.0));
        assert_eq!(Trend::of(&falls).unwrap().rises(), Some(false));
        // More is published for a while, and less at the end.
        let busy = |minutes: f64| {
            if (6.0..9.0).contains(&minutes) {
                4_000.0
            } else {
                0.0
            }
        };
        let busy = samples(|minutes| (80_000.0 + busy(minutes), 40.0));
        assert!(Trend::of(&busy).unwrap().memory_kib.slope * 10.0 > 1_600.0);
        assert_eq!(Trend::of(&busy).unwrap().rises(), Some(false));
        assert_eq!(Trend::of(&leak[..15]).unwrap().rises(), None);
    }
}
