//! Runs our server and its peers side by side, in interleaved rounds, and prints what a request costs.
//!
//! ```text
//! cargo (builds) ─> targets × scenarios ─> rounds: server on its CPU, wrk on another ─> report (markdown)
//! ```
//!
//! What counts is the ratio of CPU time per request to that of `null_epoll` within the same round: it
//! depends least on the machine and on what else runs on it. Each run has a fresh server process.
#![forbid(unsafe_code)]

mod cargo;
mod client;
mod cpus;
mod crowd;
mod idle;
mod load;
mod memory;
mod nginx;
mod pauses;
mod processes;
mod report;
mod scenario;
mod server;
mod target;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};

use crate::cpus::Cpus;
use crate::scenario::{Scenario, Work};

/// Why something could not be measured, in one line.
type Failure = String;

#[derive(Parser)]
#[command(about = "Runs our server and its peers side by side and prints what a request costs")]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Rounds per scenario; each runs every server once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of load per server and round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Only the servers whose names begin so
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these scenarios
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    scenario: Vec<Scenario>,
    /// Rotates the order of the servers [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
}

/// What else can be measured.
#[derive(Subcommand)]
enum Other {
    /// What clients see when a worker is killed, and when the next build follows; beside nginx
    Pauses(pauses::Options),
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.other {
        Some(Other::Pauses(options)) => pauses::run(options),
        None => run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("vk-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    load::check_wrk()?;
    let cpus = Cpus::choose()?;
    server::raise_descriptor_limit()?;
    let targets = target::built(target::chosen(&options.only)?);
    if targets.is_empty() {
        return Err("nothing to measure: nothing was built".into());
    }
    let seed = options.seed.unwrap_or_else(clock_seed);
    let how = format!("{} rounds of {} s, seed {seed}", options.rounds, options.seconds);
    report::machine("Side by side", &cpus, &how);
    for &scenario in scenario::chosen(&options.scenario) {
        match scenario.work() {
            Work::Load(load) => {
                let mut runs = vec![Vec::new(); targets.len()];
                for round in 0..options.rounds {
                    for index in order(targets.len(), seed, round) {
                        let target = &targets[index];
                        eprintln!("{scenario} {}/{}: {}", round + 1, options.rounds, target.name);
                        let run = load::run(target, load, options.seconds, &cpus);
                        runs[index].push(run.inspect_err(|why| eprintln!("{}: {why}", target.name)).ok());
                    }
                }
                report::load(scenario, &targets, &runs);
            }
            Work::Idle { connections } => {
                let mut runs = vec![None; targets.len()];
                for index in order(targets.len(), seed, 0) {
                    let target = &targets[index];
                    eprintln!("{scenario}: {}", target.name);
                    let run = idle::run(target, connections, &cpus);
                    runs[index] = run.inspect_err(|why| eprintln!("{}: {why}", target.name)).ok();
                }
                report::idle(scenario, &targets, &runs);
            }
        }
    }
    Ok(())
}

/// The order of a round: rotated by the seed and by one more in each round, so that no server always
/// runs first, or always at the same moment.
fn order(targets: usize, seed: u64, round: u32) -> impl Iterator<Item = usize> {
    let first = ((seed % targets as u64) as usize + round as usize) % targets;
    (first..targets).chain(0..first)
}

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_round_runs_every_server_once() {
        for round in 0..10 {
            let mut order: Vec<usize> = super::order(4, u64::MAX, round).collect();
            assert_eq!(order[0], (3 + round as usize) % 4);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3]);
        }
    }
}
