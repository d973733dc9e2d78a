//! A handler's own fault: it costs its connection, and nobody else's.

use crate::TRIAL;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use vk_trials::{Crowd, Probe, Setup, Trial, seed, setups};
use vk_try::{PATIENCE, SIGKILL, descriptors, eventually, pollers};

/// Connections beside the faulty one.
const INNOCENT: usize = 1000;

/// So many connections are one trial's at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Commits one fault among many connections, and expects a line of the log with each of these words.
fn trial_of(path: &str, setup: &Setup, words: &[&str]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(descriptors() > 2 * INNOCENT, "too few descriptors are allowed");
    let trial = Trial::start(TRIAL, setup);
    let crowd = Crowd::gather(&trial, INNOCENT, seed());
    let took = Probe::fire(trial.http(), path);
    eprintln!("{path}: the offender's connection has ended after {took:?}");
    crowd.finish();
    eventually(&format!("a line of the log with {words:?}"), || {
        trial.log().lines().any(|line| words.iter().all(|word| line.contains(word)))
    });
    trial.end();
}

/// The name of the handler, as the log has it.
const HANDLER: &str = "pages::serve";

#[test]
fn null() {
    for setup in setups() {
        trial_of("/null", &setup, &["SIGSEGV", HANDLER]);
    }
}

#[test]
fn stack_overflow() {
    trial_of("/stack", &Setup::DEFAULT, &["SIGSEGV", HANDLER]);
}

#[test]
fn division() {
    let signal = if cfg!(target_arch = "x86_64") { "SIGFPE" } else { "SIGILL" };
    trial_of("/div", &Setup::DEFAULT, &[signal, HANDLER]);
}

#[test]
fn illegal_instruction() {
    trial_of("/ill", &Setup::DEFAULT, &["SIGILL", HANDLER]);
}

#[test]
fn abort() {
    trial_of("/abort", &Setup::DEFAULT, &["SIGABRT", HANDLER]);
}

#[test]
fn double_panic() {
    trial_of("/double-panic", &Setup::DEFAULT, &["SIGABRT", HANDLER]);
}

#[test]
fn panic() {
    trial_of("/panic", &Setup::DEFAULT, &["panicked", HANDLER]);
}

/// The neighbour is closed for certain where each micro-heap is, as soon as its dispatch has ended.
#[test]
fn a_write_into_a_neighbour() {
    trial_of("/poke", &Setup { guard: "strict", ..Setup::DEFAULT }, &["SIGSEGV", HANDLER]);
}

#[test]
fn a_loop_without_end() {
    trial_of("/spin", &Setup { dispatch_limit: Some("1"), ..Setup::DEFAULT }, &[HANDLER]);
}

/// No fault, as long as the handler takes the error for an answer.
#[test]
fn memory_is_used_up() {
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let crowd = Crowd::gather(&trial, 200, seed());
    let mut greedy = Probe::to(trial.http());
    greedy.get("/heap").expect("it is taken in");
    greedy.incoming.head(503).expect("it is told that there is no memory");
    drop(greedy);
    crowd.finish();
    trial.end();
}

/// A client that comes again and again with what kills a worker.
#[test]
fn poison() {
    let setup = Setup { life: Duration::from_secs(300), ..Setup::DEFAULT };
    let trial = Trial::start(TRIAL, &setup);
    let before = trial.descriptors();
    let crowd = Crowd::gather(&trial, 200, seed());
    for _ in 0..30 {
        Probe::fire(trial.http(), "/null");
        Probe::to(trial.http()).check();
    }
    crowd.finish();
    trial.settles_at(before);
    trial.end();
}

/// Many handlers panic at the same time: each has its own answer.
#[test]
fn ten_thousand_panics_at_once() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let count = 10_000.min(descriptors().saturating_sub(4 * INNOCENT));
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let crowd = Crowd::gather(&trial, INNOCENT, seed());
    let connect = |_| TcpStream::connect(trial.http()).expect("it listens");
    let mut panicking: Vec<TcpStream> = (0..count).map(connect).collect();
    for stream in &mut panicking {
        stream.set_read_timeout(Some(PATIENCE)).expect("a connected socket");
        stream.write_all(b"GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it stands");
    }
    for (number, mut stream) in panicking.into_iter().enumerate() {
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        read.unwrap_or_else(|error| panic!("the answer to panic {number} of {count}: {error}"));
        assert!(answer.starts_with(b"HTTP/1.1 500 "), "{}", String::from_utf8_lossy(&answer));
    }
    crowd.finish();
    trial.end();
}

/// What a handler does to its process, not to itself: its answer comes, and nobody else notices.
fn harmless(path: &str, setup: &Setup, words: &[&str]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let trial = Trial::start(TRIAL, setup);
    let crowd = Crowd::gather(&trial, INNOCENT, seed());
    let mut probe = Probe::to(trial.http());
    probe.get(path).expect("it is taken in");
    let length = probe.incoming.head(404).expect("it is answered");
    probe.incoming.body(length, b"Not Found\n").expect("all of it");
    probe.check();
    crowd.finish();
    eventually(&format!("a line of the log with {words:?}"), || {
        words.is_empty() || trial.log().lines().any(|line| words.iter().all(|word| line.contains(word)))
    });
    trial.end();
}

#[test]
fn exit() {
    for status in [0, 1, 7] {
        let exited = format!("exited with status {status}");
        trial_of(&format!("/exit-{status}"), &Setup::DEFAULT, &[&exited]);
    }
}

#[test]
fn exit_in_a_thread() {
    for status in [0, 1] {
        let exited = format!("exited with status {status}");
        trial_of(&format!("/thread-exit-{status}"), &Setup::DEFAULT, &[&exited]);
    }
}

#[test]
fn a_panic_in_drop() {
    trial_of("/drop-panic", &Setup::DEFAULT, &["panicked", HANDLER]);
}

#[test]
fn an_error_is_said_with_its_place() {
    trial_of("/error", &Setup::DEFAULT, &["asked for", HANDLER, "pages.rs:", "peer=127.0.0.1"]);
}

#[test]
fn a_handler_that_blocks_its_worker_is_named() {
    harmless("/block", &Setup::DEFAULT, &["without blocking", HANDLER, "peer=127.0.0.1"]);
}

/// A sleep begins when it is called, whatever its handler has done before.
#[test]
fn a_sleep_after_work_is_as_long() {
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let mut probe = Probe::to(trial.http());
    let begun = Instant::now();
    probe.asks("/work-and-sleep", b"slept").expect("it is answered");
    assert!(begun.elapsed() >= Duration::from_millis(600));
    trial.end();
}

#[test]
fn a_fork() {
    harmless("/fork", &Setup::DEFAULT, &["a handler has forked"]);
}

#[test]
fn signals_at_itself() {
    harmless("/term", &Setup::DEFAULT, &["exited with status 0"]);
    harmless("/stop", &Setup::DEFAULT, &[]);
    harmless("/hup", &Setup::DEFAULT, &[]);
}

/// Asks for `path` on a connection of its own, whatever comes of it.
fn provoke(trial: &Trial, path: &str) {
    let mut probe = Probe::to(trial.http());
    // The connection may be the one that is closed.
    let _ = probe.get(path).and_then(|()| probe.incoming.head(404));
}

/// A stray close costs the connection that it closes, and what the worker needs for itself comes back.
#[test]
fn each_descriptor_is_closed() {
    for poller in pollers() {
        let trial = Trial::start(TRIAL, &Setup { workers: 1, poller, ..Setup::DEFAULT });
        for number in 0..30 {
            let mut innocent: Vec<Probe> = (0..8).map(|_| Probe::to(trial.http())).collect();
            innocent.iter_mut().for_each(Probe::check);
            eprintln!("closing {number} of {:#?}", trial.holders()[0].open());
            provoke(&trial, &format!("/close={number}"));
            thread::sleep(Duration::from_millis(1100));
            let lost = innocent.iter_mut().map(Probe::try_check).filter(Result::is_err).count();
            assert!(lost <= 1, "{lost} connections are lost by closing {number}");
            Probe::to(trial.http()).check();
        }
        trial.end();
    }
}

/// All descriptors of a worker are its connections, too; the other worker's are not.
#[test]
fn all_descriptors_are_closed() {
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let mut innocent: Vec<Probe> = (0..100).map(|_| Probe::to(trial.http())).collect();
    innocent.iter_mut().for_each(Probe::check);
    provoke(&trial, "/close-all");
    let lost = innocent.iter_mut().map(Probe::try_check).filter(Result::is_err).count();
    assert!((1..100).contains(&lost), "{lost} of 100 are lost, on two workers");
    eventually("it serves again", || {
        Probe::try_to(trial.http()).is_ok_and(|mut probe| probe.try_check().is_ok())
    });
    trial.end();
}

/// What is always writable may be overwritten: connections that it describes are lost, and the next worker starts.
#[test]
fn what_is_always_writable_is_overwritten() {
    for path in [
        "/ledger=0",
        "/ledger=1",
        "/arena=0",
        "/arena=256",
        "/arena=300",
        "/arena=390",
        "/arena=400",
        "/arena=500",
    ] {
        let trial = Trial::start(TRIAL, &Setup { workers: 2, ..Setup::DEFAULT });
        let mut all = 0;
        let mut innocent: Vec<Probe> = (0..40).map(|_| Probe::to(trial.http())).collect();
        innocent.iter_mut().for_each(Probe::check);
        provoke(&trial, path);
        for round in 0..3 {
            let lost = innocent.iter_mut().map(Probe::try_check).filter(Result::is_err).count();
            eprintln!("{path}, {round} deaths later: {lost} of 40 are lost");
            assert!(lost < 40, "the other worker's are lost, too");
            all = all.max(lost);
            for worker in trial.workers() {
                worker.signal(SIGKILL);
                trial.is_replaced(worker, 2);
            }
            for _ in 0..20 {
                Probe::to(trial.http()).check();
            }
        }
        let is_said = ["connections are lost", "is damaged", "is not where its micro-process left it"];
        assert!(
            all == 0 || is_said.iter().any(|line| trial.log().contains(line)),
            "{all} are lost without a line"
        );
        trial.end();
    }
}
