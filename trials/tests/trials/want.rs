//! What is wanting while something happens: each cell of the README's table, as it says there.
//!
//! ```text
//! start ─► connections, each in the middle of a request ─► want ─► event ─► the rest of each request ─► plenty ─► the end
//! ```

use crate::builds::{Installation, OTHER_TEXT, reloads};
use crate::free_address;
use crate::group::Group;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use vk_trials::{Injection, Probe, Wrong};
use vk_try::{App, Orphans, SIGHUP, SIGKILL, SIGTERM, eventually, has_uring};

const README: &str = include_str!("../../../README.md");

const WORKERS: usize = 2;

/// Connections in the middle of a request.
const CONNECTIONS: usize = 20;

/// Connections that come in addition, more than there are descriptors.
const MORE: usize = 150;

const BODY: &str = "0123456789";

/// Bytes of memory that are in use besides, so that the limit is one of a small container.
const FILLED: u64 = 64 << 20;

/// Bytes of memory that are left: enough to start workers, and less than a handler that leaks wants.
const LEFT: u64 = 8 << 20;

/// How long it is looked whether a connection has to wait.
const WHILE: Duration = Duration::from_millis(200);

const DAY: i64 = 24 * 60 * 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Descriptors,
    Memory,
    Processes,
    Uring,
    Log,
    Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Nothing,
    Death,
    Deaths,
    Term,
    Reload,
    BadReload,
    Keeper,
}

/// In the order of the table's columns.
const EVENTS: [Event; 7] = [
    Event::Nothing,
    Event::Death,
    Event::Deaths,
    Event::Term,
    Event::Reload,
    Event::BadReload,
    Event::Keeper,
];

/// The row of the table that begins with `label`.
fn claims(label: &str) -> Vec<&'static str> {
    let row = README.lines().find_map(|line| line.strip_prefix(&format!("| {label} | ")));
    let row = row.unwrap_or_else(|| panic!("the README has no row {label:?}"));
    row.trim_end_matches('|').split('|').map(str::trim).collect()
}

fn row(label: &str, want: Want) {
    let claims = claims(label);
    assert_eq!(claims.len(), EVENTS.len());
    for poller in ["epoll", "auto"].into_iter().take(if has_uring() { 2 } else { 1 }) {
        for (event, claim) in EVENTS.into_iter().zip(&claims) {
            eprintln!("{want:?}, {event:?}, {poller}: {claim}");
            cell(want, event, poller, claim);
        }
    }
}

#[test]
fn descriptors() {
    row("descriptors", Want::Descriptors);
}

#[test]
fn memory() {
    row("memory", Want::Memory);
}

#[test]
fn processes() {
    row("processes", Want::Processes);
}

#[test]
fn uring() {
    row("io_uring", Want::Uring);
}

#[test]
fn room_for_the_log() {
    row("room on the log's disk", Want::Log);
}

#[test]
fn a_steady_clock() {
    row("a clock that does not step", Want::Clock);
}

/// One cell's application.
struct Cell {
    want: Want,
    poller: &'static str,
    installation: Installation,
    injection: Injection,
    /// Its control group, where memory is wanting.
    group: Option<Group>,
    address: SocketAddr,
}

impl Cell {
    /// Starts the application, or another keeper for its workers.
    fn start(&self) -> App {
        let Cell { want, poller, installation, group, address, .. } = self;
        let limit = match (want, group) {
            (Want::Descriptors, _) => "ulimit -n 64; ".to_owned(),
            (_, Some(group)) => format!("echo $$ > {}; ", group.processes().display()),
            _ => String::new(),
        };
        let log = if *want == Want::Log { "2>/dev/full" } else { "" };
        let program = installation.path();
        let arguments = format!("--workers {WORKERS} --poller {poller} --listen {address} {log}");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit}exec {} {arguments}", program.display())]);
        self.injection.prepare(&mut command);
        App::start(&mut command)
    }

    fn is_served(&self) -> bool {
        Probe::try_to(self.address).is_ok_and(|mut probe| probe.try_check().is_ok())
    }

    /// Connections with half a request each, whose handlers are at work: who is idle makes room for others.
    fn halves(&self, count: usize) -> Vec<Probe> {
        let mut probes: Vec<_> = (0..count).map(|_| Probe::to(self.address)).collect();
        let half = head(BODY.len()) + &BODY[..BODY.len() / 2];
        probes.iter_mut().for_each(|probe| probe.outgoing.send(half.as_bytes()).expect("a connection"));
        probes
    }
}

/// The head of a request whose body is given back.
fn head(length: usize) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

/// Sends the rest of a request, and reads the answer.
fn go_on(probe: &mut Probe) -> Result<(), Wrong> {
    probe.send(&BODY.as_bytes()[BODY.len() / 2..])?;
    let length = probe.incoming.head(200)?;
    probe.incoming.body(length, BODY.as_bytes())
}

fn cell(want: Want, event: Event, poller: &'static str, claim: &str) {
    let installation = Installation::new(&format!("{want:?}-{event:?}-{poller}"));
    let injection = Injection::new(installation.directory());
    let group = if want == Want::Memory { Group::new() } else { None };
    if want == Want::Memory && group.is_none() {
        return;
    }
    let cell = Cell { want, poller, installation, injection, group, address: free_address() };
    let mut app = cell.start();
    eventually("it serves", || cell.is_served());
    let keeper = app.process();
    eventually("all workers", || keeper.workers().len() == WORKERS);
    let mut innocent = cell.halves(CONNECTIONS);

    let mut in_addition = Vec::new();
    match want {
        Want::Descriptors => {
            in_addition = cell.halves(MORE);
            thread::sleep(WHILE);
        }
        Want::Memory => {
            let before = keeper.workers();
            cell.group.iter().for_each(|group| {
                group.fill(FILLED);
                group.leave(LEFT);
            });
            let mut hog = Probe::to(cell.address);
            hog.get("/leak").expect("it is taken in");
            in_addition.push(hog);
            eventually("a worker is out of memory", || keeper.workers() != before);
        }
        Want::Processes => cell.injection.refuse_processes(true),
        Want::Uring => cell.injection.refuse_uring(true),
        Want::Log => {}
        Want::Clock => cell.injection.step_clock(DAY),
    }

    let workers = keeper.workers();
    let mut orphans = Orphans(Vec::new());
    match event {
        Event::Nothing => {}
        Event::Death => workers.iter().take(1).for_each(|worker| worker.signal(SIGKILL)),
        Event::Deaths => workers.iter().for_each(|worker| worker.signal(SIGKILL)),
        Event::Term => workers.iter().take(1).for_each(|worker| worker.signal(SIGTERM)),
        Event::Reload => {
            cell.installation.install(OTHER_TEXT);
            keeper.signal(SIGHUP);
        }
        Event::BadReload => {
            cell.installation.install_text("#!/bin/sh\nexit 1\n");
            keeper.signal(SIGHUP);
        }
        Event::Keeper => {
            orphans = Orphans([keeper.holders(), keeper.workers()].concat());
            keeper.signal(SIGKILL);
            eventually("the keeper is gone", || !keeper.is_alive());
            app = cell.start();
            if want == Want::Processes {
                // It says so, for its service manager to start it again.
                assert_eq!(app.wait().code(), Some(1));
                assert!(app.log().contains("no thread"), "{}", app.log());
            }
        }
    }

    if want == Want::Clock {
        cell.injection.step_clock(-DAY);
    }
    match claim {
        "done" => eventually("the reload is done", || reloads(keeper) == (1, 0)),
        "refused" => eventually("the reload is refused", || reloads(keeper) == (0, 1)),
        "done or refused" => eventually("the reload is over", || reloads(keeper) != (0, 0)),
        _ => {}
    }
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for probe in &mut innocent {
            let answered = &answered;
            scope.spawn(move || {
                go_on(probe).unwrap_or_else(|wrong| panic!("{want:?}, {event:?}: {wrong:?}"));
                answered.fetch_add(1, Relaxed);
            });
        }
        match claim {
            "wait" => {
                thread::sleep(WHILE);
                assert!(answered.load(Relaxed) < CONNECTIONS, "nobody waits");
            }
            "go on" | "done" | "refused" | "done or refused" => {
                eventually("all are answered", || answered.load(Relaxed) == CONNECTIONS);
            }
            _ => panic!("{claim:?} is no outcome"),
        }
        cell.injection.refuse_processes(false);
        cell.injection.refuse_uring(false);
        cell.group.iter().for_each(Group::lift);
        in_addition.clear();
    });
    assert_eq!(answered.load(Relaxed), CONNECTIONS);

    if event == Event::Keeper && want == Want::Processes {
        app = cell.start();
    }
    eventually("newcomers are served", || cell.is_served());
    eventually("all workers", || app.process().workers().len() == WORKERS);
    eventually("the former holders and workers end", || !orphans.0.iter().any(|process| process.is_alive()));
    let processes = [app.process().holders(), app.process().workers()].concat();
    app.process().signal(SIGTERM);
    assert_eq!(app.wait().code(), Some(0), "{want:?}, {event:?}");
    assert!(!processes.iter().any(|process| process.is_alive()), "a process is left behind");
}
