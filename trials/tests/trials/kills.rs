//! `kill -9` at any moment.

use crate::TRIAL;
use std::thread;
use std::time::{Duration, Instant};
use vk_trials::{Chaos, Crowd, Load, Probe, Setup, Trial, kills, seed, setups};
use vk_try::{Random, SIGKILL};

/// Connections that are open while descriptors are counted.
const IDLE: usize = 10;

fn trial_of(setup: &Setup, seed: u64) {
    let mut random = Random(seed);
    let trial = Trial::start(TRIAL, setup);
    let mut idle: Vec<_> = (0..IDLE).map(|_| Probe::to(trial.http())).collect();
    idle.iter_mut().for_each(Probe::check);
    let before = trial.descriptors();
    let load = Load::start(trial.addresses(), 64, random.number());
    Chaos::new(trial.keeper(), random.number()).run(kills(), || load.has_failed());
    let summary = load.finish();
    assert!(summary.answered > 100, "{summary:?}");
    assert!(summary.cut <= 2 * kills(), "more newcomers are cut than one for each kill: {summary:?}");
    idle.iter_mut().for_each(Probe::check);
    trial.settles_at(before);
    trial.end();
}

#[test]
fn a_load_goes_on() {
    let mut random = Random(seed());
    for setup in setups() {
        trial_of(&setup, random.number());
    }
}

/// All workers at once, while nothing happens and connections stand half-way.
#[test]
fn a_crowd_stays_when_all_workers_die_at_once() {
    let seed = seed();
    for guard in ["strict", "epoch:1024", "off"] {
        let setup = Setup { guard, ..Setup::DEFAULT };
        let trial = Trial::start(TRIAL, &setup);
        let crowd = Crowd::gather(&trial, 200, seed);
        let workers = trial.workers();
        workers.iter().for_each(|worker| worker.signal(SIGKILL));
        // Whoever comes now waits for a moment.
        Probe::to(trial.http()).check();
        workers.iter().for_each(|worker| trial.is_replaced(*worker, setup.workers));
        crowd.finish();
        trial.end();
    }
}

/// One worker, three times in a row, as soon as it is there again.
#[test]
fn a_crowd_stays_when_successors_die() {
    let setup = Setup { workers: 1, ..Setup::DEFAULT };
    let trial = Trial::start(TRIAL, &setup);
    let crowd = Crowd::gather(&trial, 200, seed());
    for _ in 0..4 {
        let [worker] = trial.workers()[..] else { panic!("one worker") };
        worker.signal(SIGKILL);
        trial.is_replaced(worker, setup.workers);
    }
    crowd.finish();
    trial.end();
}

/// A sleep is over when it was to be, and not later by what the worker's life was.
#[test]
fn time_goes_on() {
    const SLEEP: Duration = Duration::from_millis(3000);
    const LATE: Duration = Duration::from_millis(500);
    let setup = Setup { workers: 1, ..Setup::DEFAULT };
    let trial = Trial::start(TRIAL, &setup);
    let begin = Instant::now();
    let mut sleepers: Vec<_> = (0..20).map(|_| Probe::to(trial.http())).collect();
    for sleeper in &mut sleepers {
        sleeper.get(&format!("/sleep?ms={}", SLEEP.as_millis())).expect("it is taken in");
    }
    for _ in 0..4 {
        thread::sleep(SLEEP / 6);
        trial.workers().iter().for_each(|worker| worker.signal(SIGKILL));
    }
    for sleeper in &mut sleepers {
        let length = sleeper.incoming.head(200).expect("it wakes");
        assert!((SLEEP..SLEEP + LATE).contains(&begin.elapsed()), "it slept {:?}", begin.elapsed());
        sleeper.incoming.body(length, b"slept").expect("it answers");
    }
    trial.end();
}
