//! The kernel's own `kill -9`: a worker that is out of memory.

use crate::TRIAL;
use crate::group::Group;
use std::time::{Duration, Instant};
use std::{fs, thread};
use vk_trials::{Crowd, Load, Setup, Trial, seed};
use vk_try::{Process, Random};

/// What a worker may take from now on: less than a few requests need.
const LEFT: u64 = 1 << 20;

#[test]
fn a_worker_that_is_out_of_memory_is_replaced() {
    let Some(group) = Group::new() else { return };
    let mut random = Random(seed());
    let setup = Setup { workers: 1, ..Setup::DEFAULT };
    let trial = Trial::start(TRIAL, &setup);
    let crowd = Crowd::gather(&trial, 200, random.number());
    let [worker] = trial.workers()[..] else { panic!("one worker") };
    fs::write(group.processes(), worker.0.to_string()).expect("the group takes it");
    group.leave(LEFT);
    // What each of its connections does is right; it is the sum that is too much.
    let load = Load::start(trial.addresses(), 64, random.number());
    let end = Instant::now() + Duration::from_secs(20);
    while worker.is_alive() && !load.has_failed() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    let killed = !worker.is_alive();
    load.finish();
    assert!(killed, "the limit is not reached");
    crowd.finish();
    trial.end();
}

/// The kernel picks workers before their holders and their keeper.
#[test]
fn workers_are_the_first_victims() {
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let score = |process: Process| {
        let text =
            fs::read_to_string(format!("/proc/{}/oom_score_adj", process.0)).expect("a living process");
        text.trim().parse::<i32>().expect("a number")
    };
    let own = score(trial.keeper());
    assert!(trial.holders().into_iter().all(|holder| score(holder) == own));
    assert!(trial.workers().into_iter().all(|worker| score(worker) == (own + 500).min(1000)));
    trial.end();
}
