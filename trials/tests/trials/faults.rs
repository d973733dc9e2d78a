//! A handler's own fault: it costs its connection, and nobody else's.

use crate::TRIAL;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use vk_trials::{Crowd, Probe, Setup, Trial, seed, setups};
use vk_try::{descriptors, eventually};

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
