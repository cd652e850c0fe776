//! Measures the gateway beside its peers: `make bench`.
//!
//! The program is the load generator, on one thread and one core; each server is a process of its own
//! on the other core, started afresh for every turn. The peers take turns within a round, and only
//! ratios within a round are compared: the machine's speed drifts.
//!
//! * [`rows`]: what is measured. [`fanout`]: rows with messages. [`idle`]: rows without.
//! * [`plan`]: how much of what. [`traffic`]: publishes it. [`check`]: checks every byte that comes. [`nats`]: the same in another dialect.
//! * [`swarm`]: the connections. [`wire`], [`text`]: what goes over them.
//! * [`peer`]: the servers. [`floor`]: the bare loop among them.
//! * [`report`]: the tables.
#![expect(clippy::print_stdout, reason = "the tables are the program's answer")]
#![expect(
    unreachable_pub,
    reason = "a program: nothing leaves it, and `pub` says what a file offers"
)]

mod check;
mod fanout;
mod floor;
mod growth;
mod histogram;
mod idle;
mod machine;
mod nats;
mod options;
mod peer;
mod plan;
mod process;
mod report;
mod rows;
mod swarm;
mod text;
mod traffic;
mod wire;

use std::env;
use std::error::Error;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use options::Options;
use report::Results;

/// What a reader of the numbers must know.
const METHOD: &str = include_str!("method.md");

/// A result, or why there is none.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The first argument of the program once it runs on its own core.
const PINNED: &str = "pinned";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("--help" | "-h") => {
            println!("{}", options::HELP);
            Ok(true)
        }
        Some("floor") => serve_floor(&arguments[1..]),
        Some(PINNED) => run_pinned(&arguments[1..]),
        _ => pin(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_floor(arguments: &[String]) -> Outcome<bool> {
    let [port, most] = arguments else {
        return Err("floor PORT FRAMES".into());
    };
    floor::serve(port.parse()?, most.parse()?)?;
    Ok(true)
}

/// Becomes the same program on a core of its own, and leaves another one to the servers.
fn pin(arguments: &[String]) -> Outcome<bool> {
    let Some([server, load]) = machine::two_cores() else {
        eprintln!("bench: one core only: server and load share it, the numbers mean little");
        return run(arguments, None);
    };
    let error = Command::new("taskset")
        .args(["-c", &load.to_string()])
        .arg(env::current_exe()?)
        .args([PINNED, &server.to_string(), &load.to_string()])
        .args(arguments)
        .exec();
    eprintln!("bench: nothing is pinned to a core: taskset: {error}");
    run(arguments, None)
}

fn run_pinned(arguments: &[String]) -> Outcome<bool> {
    let [server, load, rest @ ..] = arguments else {
        return Err("pinned SERVER LOAD".into());
    };
    run(rest, Some([server.parse()?, load.parse()?]))
}

/// Measures and prints; the cores are the server's and the load's. False when a message was lost, out of order or wrong.
fn run(arguments: &[String], cores: Option<[usize; 2]>) -> Outcome<bool> {
    let options = Options::read(arguments, cores)?;
    check::proves_itself()?;
    let mut results = Results::default();
    let mut versions = Vec::new();
    for row in &options.rows {
        let mut peers = options.peers_of(row)?;
        peers.retain(|peer| {
            let is_there = peer.is_there();
            if !is_there {
                let note = format!("{} is not there", peer.name);
                if !results.notes.contains(&note) {
                    results.notes.push(note);
                }
            }
            is_there
        });
        for version in peers.iter().filter_map(peer::Peer::version) {
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        for turn in 0..options.rounds * row.steps() {
            for peer in &peers {
                let step = turn % row.steps();
                if let Err(error) = row.measure(step, peer, &options, &mut results) {
                    results.failed(row.name, &peer.name, &error.to_string());
                }
            }
        }
    }
    if options.smoke {
        println!(
            "{}note: {} messages checked",
            results.verdict(),
            results.checked()
        );
        return Ok(results.is_clean());
    }
    let names: Vec<String> = options
        .gateways
        .iter()
        .map(|peer| peer.name.clone())
        .collect();
    let text = format!(
        "{}; {}.\n{} rounds of {} s; median (least..most).\n\n{}\n{}\n{}",
        machine::describe(),
        versions.join(", "),
        options.rounds,
        options.seconds,
        results.table(),
        results.ratios(&names),
        results.verdict(),
    );
    println!("{text}");
    if let Some(path) = &options.output {
        let page = format!("<!-- made by `make bench` -->\n# Benchmarks\n\n{text}\n{METHOD}");
        fs::write(path, page)?;
    }
    Ok(results.is_clean())
}
