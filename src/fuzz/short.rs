//! Every target with its corpus and random changes of it: a short run without a fuzzer.
//!
//! `FUZZ_SECONDS` (1) is how long each target runs, `FUZZ_SEED` (1) which changes are made.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::{frames, log, session};

/// Random numbers (splitmix64) that are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }

    /// An input with some changes; pieces come from other inputs of the corpus.
    fn changed(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            let end = (at + self.below(16)).min(input.len());
            match self.below(6) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => input[at] = self.below(256) as u8,
                2 => drop(input.drain(at..end)),
                3 => input.insert(at, self.below(256) as u8),
                4 => {
                    let piece = input[at..end].to_vec();
                    let to = self.below(input.len() + 1);
                    input.splice(to..to, piece);
                }
                _ => {
                    let other = &corpus[self.below(corpus.len())];
                    let begin = self.below(other.len() + 1);
                    let end = (begin + self.below(64)).min(other.len());
                    input.splice(at..at, other[begin..end].iter().copied());
                }
            }
        }
        input
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn try_out(target: &str, run: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = files(&root.join("fuzz/corpus").join(target));
    let corpus: Vec<Vec<u8>> = corpus.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(corpus.len() > 10, "the corpus is not there");
    let attempt = |input: &[u8]| {
        if catch_unwind(|| run(input)).is_err() {
            let file = root.join(format!("target/fuzz-{target}"));
            fs::write(&file, input).unwrap();
            panic!(
                "{target} fails with {}: put it into the corpus",
                file.display()
            );
        }
    };
    corpus.iter().for_each(|input| attempt(input));
    let mut random = Random(setting("FUZZ_SEED", 1));
    let until = Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS", 1));
    let mut tried = 0_u32;
    while Instant::now() < until {
        attempt(&random.changed(&corpus));
        tried += 1;
    }
    println!(
        "{target}: {} inputs and {tried} changes of them",
        corpus.len()
    );
}

#[test]
fn frames_withstand_a_short_run() {
    try_out("frames", frames::run);
}

#[test]
fn the_session_withstands_a_short_run() {
    try_out("session", session::run);
}

#[test]
fn the_log_withstands_a_short_run() {
    try_out("log", log::run);
}
