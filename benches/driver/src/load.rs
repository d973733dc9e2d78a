//! CPU time per request under wrk.

use std::fs;
use std::io;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::client::PATH;
use crate::cpus::{self, Cpus};
use crate::processes::Usage;
use crate::scenario::Load;
use crate::server::Server;
use crate::target::Target;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/wrk.lua");

/// What one run has shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// µs of CPU time per request. The sum is exact, its parts are sampled by the kernel.
    pub user: f64,
    pub sys: f64,
    /// Requests per second.
    pub rate: f64,
    /// Latency in µs; none where requests are pipelined, for which wrk's correction of it has no meaning.
    pub latency: Option<Latency>,
    /// All of wrk's errors: connections, reads, writes, statuses, timeouts.
    pub errors: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    pub p50: u64,
    pub p99: u64,
}

impl Run {
    pub fn cpu(&self) -> f64 {
        self.user + self.sys
    }
}

/// # Errors
/// wrk is missing; says how to get it.
pub fn check_wrk() -> Result<(), Failure> {
    match Command::new("wrk").arg("-v").output() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("wrk is missing: install the package wrk (apt install wrk)".into())
        }
        Err(error) => Err(format!("wrk: {error}")),
    }
}

/// Starts the target, loads it for `seconds`, and divides what it used by the requests it answered.
///
/// # Errors
/// The server or wrk failed, or nothing was answered.
pub fn run(target: &Target, load: Load, seconds: u32, cpus: &Cpus) -> Result<Run, Failure> {
    if load.close {
        wait_for_ports();
    }
    let more: &[&str] = if load.close && target.is_null() { &["--close"] } else { &[] };
    let server = Server::start(target, more, cpus)?;
    let before = Usage::of(server.pid())?;
    let output = wrk(&server, load, seconds, cpus).map_err(|error| format!("wrk: {error}"))?;
    let cpu = Usage::of(server.pid())?.since(&before);
    let said = String::from_utf8_lossy(&output.stdout);
    let measured = Measured::parse(&said)
        .ok_or_else(|| format!("wrk said {said} {}", String::from_utf8_lossy(&output.stderr)))?;
    if measured.requests == 0 {
        return Err("no request was answered".into());
    }
    let per_request = |ns: f64| ns / 1e3 / measured.requests as f64;
    Ok(Run {
        user: per_request(cpu.user),
        sys: per_request(cpu.sys),
        rate: measured.requests as f64 / (measured.duration as f64 / 1e6),
        latency: (load.depth == 1).then_some(measured.latency),
        errors: measured.errors,
    })
}

fn wrk(server: &Server, load: Load, seconds: u32, cpus: &Cpus) -> io::Result<Output> {
    let mut command = Command::new("wrk");
    command
        .args(["--latency", "--script", SCRIPT])
        .args(["--threads", &cpus.clients.len().to_string()])
        .args(["--connections", &load.connections.to_string()])
        .args(["--duration", &seconds.to_string()]);
    if load.close {
        command.args(["--header", "Connection: close"]);
    }
    command.arg(format!("http://{}{PATH}", server.address)).arg(load.depth.to_string());
    cpus::on(&cpus.clients, || command.output())
}

/// The line of `wrk.lua`.
#[derive(Debug, PartialEq)]
struct Measured {
    requests: u64,
    /// µs.
    duration: u64,
    latency: Latency,
    errors: u64,
}

impl Measured {
    fn parse(said: &str) -> Option<Self> {
        let line = said.lines().find_map(|line| line.strip_prefix("measured "))?;
        let field = |name: &str| -> Option<u64> {
            line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))?.parse().ok()
        };
        let errors = ["connect", "read", "write", "status", "timeout"].into_iter().map(field);
        Some(Self {
            requests: field("requests")?,
            duration: field("duration")?,
            latency: Latency { p50: field("p50")?, p99: field("p99")? },
            errors: errors.sum::<Option<u64>>()?,
        })
    }
}

/// Closed connections keep their pair of ports for a minute (TIME_WAIT). A fresh server has a fresh port, so
/// only the kernel's bound on all of them can be met: waits, at most that minute, until half of it is free.
fn wait_for_ports() {
    const MINUTE: Duration = Duration::from_secs(60);
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limit = number("/proc/sys/net/ipv4/tcp_max_tw_buckets").unwrap_or(u64::MAX);
    let started = Instant::now();
    while time_waits() > limit / 2 && started.elapsed() < MINUTE {
        eprintln!("waiting: {} connections are in TIME_WAIT", time_waits());
        thread::sleep(Duration::from_secs(5));
    }
}

/// The `tw` of `/proc/net/sockstat`.
fn time_waits() -> u64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let after = text.split_whitespace().skip_while(|&word| word != "tw").nth(1);
    after.and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_line_is_read() {
        let said = "Running 1s test\nmeasured requests=100 duration=1000000 p50=7 p99=9 connect=1 read=2 write=3 \
                    status=4 timeout=5\n";
        let latency = Latency { p50: 7, p99: 9 };
        let expected = Measured { requests: 100, duration: 1_000_000, latency, errors: 15 };
        assert_eq!(Measured::parse(said), Some(expected));
        assert_eq!(Measured::parse("unable to connect"), None);
    }
}
