//! What clients see when a worker is killed, and when the next build follows.
//!
//! ```text
//! resume   N idle connections: kill -9 ─► a request on one, or on each ─► the last answer
//! gaps     64 connections in a closed loop: nothing, kill -9 or SIGHUP ─► the longest time between two answers
//! ```
//!
//! Servers run on the first CPU and the one thread of the clients on the last, as everywhere here. Nothing is
//! signalled but children of the servers that were started, and these.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use crate::cpus::{self, Cpus};
use crate::crowd::{Crowd, Seen};
use crate::nginx::Nginx;
use crate::processes::family;
use crate::server::{self, Server};
use crate::target::Target;
use crate::{Failure, report, target};

/// Connections of which a worker is killed that has nothing to do.
const IDLE: [usize; 3] = [64, 1_000, 10_000];
/// Connections of the closed loop.
const BUSY: usize = 64;
/// How long a closed loop goes on before what it is to see, and after it.
const BEFORE: Duration = Duration::from_millis(100);
const AFTER: Duration = Duration::from_millis(500);
/// How long workers may take to be replaced.
const REPLACED: Duration = Duration::from_secs(10);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Then everything gets this long to come to rest.
const REST: Duration = Duration::from_millis(50);

#[derive(Args)]
pub struct Options {
    /// How often each is measured
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only the servers whose names begin so: http_echo/POLLER/WORKERS, nginx/WORKERS
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
}

/// Who is measured.
#[derive(Clone, Copy)]
enum Who {
    Ours { poller: &'static str, workers: usize },
    Nginx { workers: usize },
}

const ALL: [Who; 6] = [
    Who::Ours { poller: "epoll", workers: 1 },
    Who::Ours { poller: "uring", workers: 1 },
    Who::Ours { poller: "epoll", workers: 2 },
    Who::Ours { poller: "uring", workers: 2 },
    Who::Nginx { workers: 1 },
    Who::Nginx { workers: 2 },
];

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours { poller, workers } => write!(f, "http_echo/{poller}/{workers}"),
            Self::Nginx { workers } => write!(f, "nginx/{workers}"),
        }
    }
}

/// What happens to a server.
#[derive(Clone, Copy, PartialEq)]
enum Event {
    /// Nothing: what the machine does by itself.
    Nothing,
    /// SIGKILL to one worker.
    Kill,
    /// SIGHUP to the first process.
    Reload,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Kill => "kill -9",
            Self::Reload => "reload",
        })
    }
}

/// One server, whoever's.
enum Running {
    Ours(Server),
    Nginx(Nginx),
}

impl Running {
    fn start(who: Who, ours: &Target, cpus: &Cpus) -> Result<Self, Failure> {
        match who {
            Who::Ours { poller, workers } => {
                let workers = workers.to_string();
                // It says of each death that it happened.
                let more =
                    ["--workers", &workers, "--poller", poller, "--max-procs", "20000", "--log", "off"];
                Server::start(ours, &more, cpus).map(Self::Ours)
            }
            Who::Nginx { workers } => Nginx::start(workers, cpus).map(Self::Nginx),
        }
    }

    fn server(&self) -> &Server {
        match self {
            Self::Ours(server) => server,
            Self::Nginx(nginx) => &nginx.server,
        }
    }

    fn workers(&self) -> Vec<u32> {
        // Between a keeper and its workers stand holders.
        let is_holder = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.starts_with("vk-holder-"))
        };
        let mut workers = family(self.server().pid()).split_off(1);
        workers.retain(|pid| !is_holder(pid));
        workers
    }

    /// Waits until `gone` have ended and there are `count` workers, for some time already.
    fn settle(&self, gone: &[u32], count: usize) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            let now = self.workers();
            if now.len() == count && !gone.iter().any(|pid| now.contains(pid)) {
                thread::sleep(REST);
                return Ok(());
            }
            if began.elapsed() > REPLACED {
                return Err(format!(
                    "workers {gone:?} were not replaced within {REPLACED:?}: there are {now:?}"
                ));
            }
            thread::sleep(LOOK);
        }
    }
}

fn signal(pid: u32, signal: Signal) -> Result<(), Failure> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no such process")?;
    kill_process(pid, signal).map_err(|error| format!("kill: {error}"))
}

/// What `resume` has seen of one round.
#[derive(Clone, Copy)]
struct Resumed {
    /// From the worker's death to the answer on one connection.
    first: Duration,
    /// From another one's death until all connections have been answered.
    all: Duration,
    /// The same with nobody killed.
    alive: Duration,
}

fn resume(running: &Running, crowd: &mut Crowd) -> Result<Resumed, Failure> {
    let all = crowd.len();
    let mut after_death = |count: usize| {
        let workers = running.workers();
        let began = Instant::now();
        signal(workers[0], Signal::KILL)?;
        crowd.ask(0..count)?;
        let took = began.elapsed();
        running.settle(&workers[..1], workers.len())?;
        Ok::<_, Failure>(took)
    };
    let (first, all_after) = (after_death(1)?, after_death(all)?);
    let began = Instant::now();
    crowd.ask(0..all)?;
    Ok(Resumed { first, all: all_after, alive: began.elapsed() })
}

fn gap(running: &Running, crowd: &mut Crowd, event: Event) -> Result<Seen, Failure> {
    let workers = running.workers();
    let first = running.server().pid();
    let (target, gone) = match event {
        Event::Nothing => (None, &[][..]),
        Event::Kill => (Some((workers[0], Signal::KILL)), &workers[..1]),
        Event::Reload => (Some((first, Signal::HUP)), &workers[..]),
    };
    let happen = || target.map_or(Ok(()), |(pid, which)| signal(pid, which));
    let seen = crowd.ask_on(BEFORE, happen, AFTER)?;
    running.settle(gone, workers.len())?;
    Ok(seen)
}

/// Measures, and prints the tables.
///
/// # Errors
/// Nothing can be measured here. What fails for one server only is said, and left out.
pub fn run(options: &Options) -> Result<(), Failure> {
    let cpus = Cpus::choose()?;
    server::raise_descriptor_limit()?;
    let chosen = |who: &Who| {
        let name = who.to_string();
        options.only.is_empty() || options.only.iter().any(|only| name.starts_with(only))
    };
    let chosen: Vec<Who> = ALL.into_iter().filter(chosen).collect();
    let ours = target::ours().ok_or("http_echo did not build")?;
    report::machine("Pauses", &cpus, &format!("{} times each", options.rounds));
    let measured = cpus::on(&cpus.clients, || {
        resume_all(&chosen, options.rounds, &ours, &cpus);
        gap_all(&chosen, options.rounds, &ours, &cpus);
        Ok(())
    });
    measured.map_err(|error| format!("sched_setaffinity: {error}"))
}

fn resume_all(chosen: &[Who], rounds: u32, ours: &Target, cpus: &Cpus) {
    println!("\n## Resume\n");
    println!(
        "ms from `kill -9` of the worker to the answer on one connection, and on all; median (worst).\n"
    );
    println!("| server | connections | one | all | all, nobody killed |");
    println!("|---|--:|--:|--:|--:|");
    for who in chosen.iter().filter(|who| matches!(who, Who::Ours { workers: 1, .. })) {
        for count in IDLE {
            eprintln!("resume {who}: {count} connections");
            let runs = Running::start(*who, ours, cpus).and_then(|running| {
                let mut crowd = Crowd::connect(running.server().address, count)?;
                (0..rounds).map(|_| resume(&running, &mut crowd)).collect::<Result<Vec<_>, _>>()
            });
            match runs {
                Ok(runs) => println!(
                    "| {who} | {count} | {} | {} | {} |",
                    spread(runs.iter().map(|run| run.first)),
                    spread(runs.iter().map(|run| run.all)),
                    spread(runs.iter().map(|run| run.alive)),
                ),
                Err(why) => println!("| {who} | {count} | failed: {why} |"),
            }
        }
    }
}

fn gap_all(chosen: &[Who], rounds: u32, ours: &Target, cpus: &Cpus) {
    println!("\n## Gaps\n");
    println!(
        "ms between two answers on one of {BUSY} connections, the longest of each round; median (worst)."
    );
    println!("Connections that the server said it closes, and requests without an answer, per round.\n");
    println!("| server | what happens | longest gap | closed | failed |");
    println!("|---|---|--:|--:|--:|");
    for who in chosen {
        for event in [Event::Nothing, Event::Kill, Event::Reload] {
            eprintln!("gap {who}: {event}");
            let runs = Running::start(*who, ours, cpus).and_then(|running| {
                let mut crowd = Crowd::connect(running.server().address, BUSY)?;
                (0..rounds).map(|_| gap(&running, &mut crowd, event)).collect::<Result<Vec<_>, _>>()
            });
            match runs {
                Ok(runs) => println!(
                    "| {who} | {event} | {} | {} | {} |",
                    spread(runs.iter().map(|run| run.gap)),
                    each(runs.iter().map(|run| run.closed)),
                    each(runs.iter().map(|run| run.failed)),
                ),
                Err(why) => println!("| {who} | {event} | failed: {why} |"),
            }
        }
    }
}

/// `median (worst)`, ms.
fn spread(values: impl Iterator<Item = Duration>) -> String {
    let values: Vec<f64> = values.map(|value| value.as_secs_f64() * 1e3).collect();
    let worst = values.iter().copied().fold(0.0, f64::max);
    report::median(values).map_or("–".into(), |median| format!("{median:.1} ({worst:.1})"))
}

/// The mean.
fn each(values: impl ExactSizeIterator<Item = u32>) -> String {
    let rounds = values.len() as f64;
    format!("{:.1}", f64::from(values.sum::<u32>()) / rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_ms_and_means_per_round() {
        let ms = [3, 1, 20].map(Duration::from_millis);
        assert_eq!(spread(ms.into_iter()), "3.0 (20.0)");
        assert_eq!(each([1, 0, 0, 0].into_iter()), "0.2");
    }
}
