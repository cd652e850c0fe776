//! How far a cluster carries: the real hub and its tables, fed by a model of clients and of NATS, in
//! model time. `docs/scaling.md` explains what it prints.
//!
//! ```sh
//! cargo run --release --features ssr --example capacity                  # every table
//! cargo run --release --features ssr --example capacity -- nodes=40 rate=5000 write_us=3
//! ```
//!
//! * `chance`: random numbers and skewed choices, the same in every run.
//! * `model`: what a cluster is like, and what each act costs.
//! * `subjects`: which nodes hear a topic.
//! * `traffic`: what is published, when.
//! * `node`: one gateway: the real hub, its clients and its turns.
//! * `cluster`: all gateways, or as many of them as are enough.
//! * `memory`: what a subscription costs, measured.
//! * `tables`: what is printed.

#![allow(clippy::print_stdout)] // printing is what it is for
#![allow(unreachable_pub)] // a program: nothing is reached from outside

mod chance;
mod cluster;
mod memory;
mod model;
mod node;
mod subjects;
mod tables;
#[cfg(test)]
mod tests;
mod traffic;

use std::process::ExitCode;

use model::{Costs, Model};

fn main() -> ExitCode {
    let (mut model, mut costs) = (Model::default(), Costs::default());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut one = false;
    for argument in &arguments {
        let set = argument.split_once('=').is_some_and(|(name, value)| {
            let in_model = model.set(name, value);
            one |= in_model;
            in_model || costs.set(name, value)
        });
        if !set {
            eprintln!("capacity: {argument:?} is none of these:\n\n{model:#?}\n{costs:#?}");
            return ExitCode::FAILURE;
        }
    }
    let bytes = memory::measure();
    if one {
        tables::one(&model, &costs, bytes);
    } else {
        tables::all(&costs, bytes);
    }
    ExitCode::SUCCESS
}
