//! SIGSTOP: a worker that does nothing, and comes back at the wrong moment.

use crate::TRIAL;
use std::thread;
use std::time::Duration;
use vk_trials::{Crowd, Load, Setup, Trial, seed};
use vk_try::{Random, SIGCONT, SIGKILL, SIGSTOP};

const LIMITED: Setup = Setup { dispatch_limit: Some("1"), ..Setup::DEFAULT };

/// A worker that was stopped, by a handler or by mistake, is continued.
#[test]
fn a_stopped_worker_goes_on() {
    let mut random = Random(seed());
    let trial = Trial::start(TRIAL, &LIMITED);
    let crowd = Crowd::gather(&trial, 100, random.number());
    let load = Load::start(trial.addresses(), 32, random.number());
    let workers = trial.workers();
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(random.below(300)));
        workers[random.below(2) as usize].signal(SIGSTOP);
    }
    load.finish();
    assert_eq!(trial.workers(), workers);
    crowd.finish();
    trial.end();
}

/// Stopped together with its holder, it is waited for; and killed, it is replaced once the holder goes on.
#[test]
fn a_stopped_holder_is_no_matter() {
    let mut random = Random(seed());
    let trial = Trial::start(TRIAL, &LIMITED);
    let crowd = Crowd::gather(&trial, 100, random.number());
    let load = Load::start(trial.addresses(), 32, random.number());
    for holder in trial.holders() {
        let [worker] = holder.children()[..] else { panic!("one worker") };
        [holder, worker].iter().for_each(|process| process.signal(SIGSTOP));
        thread::sleep(Duration::from_millis(random.below(700)));
        worker.signal(SIGKILL);
        holder.signal(SIGCONT);
        trial.is_replaced(worker, LIMITED.workers);
    }
    load.finish();
    crowd.finish();
    trial.end();
}

/// Shorter than the limit: it goes on, or is replaced; nobody sees which.
#[test]
fn a_worker_that_is_stopped_for_a_moment_is_no_matter() {
    let mut random = Random(seed());
    let trial = Trial::start(TRIAL, &LIMITED);
    let load = Load::start(trial.addresses(), 32, random.number());
    for _ in 0..10 {
        let stopped = trial.workers()[random.below(2) as usize];
        stopped.signal(SIGSTOP);
        thread::sleep(Duration::from_millis(random.below(700)));
        stopped.signal(SIGCONT);
        thread::sleep(Duration::from_millis(random.below(100)));
    }
    load.finish();
    trial.end();
}

/// An idle worker is no hanging one.
#[test]
fn who_has_nothing_to_do_is_left_alone() {
    let trial = Trial::start(TRIAL, &LIMITED);
    let crowd = Crowd::gather(&trial, 100, seed());
    let workers = trial.workers();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(trial.workers(), workers);
    crowd.finish();
    trial.end();
}

/// Workers serve without their keeper, and those that die meanwhile are replaced once it goes on.
#[test]
fn a_stopped_keeper_is_no_matter() {
    let mut random = Random(seed());
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let crowd = Crowd::gather(&trial, 100, random.number());
    let load = Load::start(trial.addresses(), 32, random.number());
    let [dies, _] = trial.workers()[..] else { panic!("two workers") };
    trial.keeper().signal(SIGSTOP);
    thread::sleep(Duration::from_millis(500));
    dies.signal(SIGKILL);
    thread::sleep(Duration::from_millis(500));
    trial.keeper().signal(SIGCONT);
    trial.is_replaced(dies, Setup::DEFAULT.workers);
    load.finish();
    crowd.finish();
    trial.end();
}
