//! The keeper's own death: nothing is left behind.

use crate::TRIAL;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use vk_trials::{Crowd, Probe, Setup, Trial, seed};
use vk_try::{Orphans, SIGKILL};

/// Workers may finish what is under way, for the time of a drain and some seconds.
const DRAIN: Duration = Duration::from_secs(35);

#[test]
fn workers_end_after_their_keeper() {
    let mut trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let (addresses, workers) = (trial.addresses().to_vec(), Orphans(trial.workers()));
    // Half of them stand in the middle of something, and stay there.
    let crowd = Crowd::gather(&trial, 100, seed());
    trial.keeper().signal(SIGKILL);
    let end = Instant::now() + DRAIN;
    while workers.0.iter().any(|worker| worker.is_alive()) {
        assert!(Instant::now() < end, "a worker has outlived its keeper for {DRAIN:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    trial.wait();
    drop(crowd);
    for address in addresses {
        TcpListener::bind(address).unwrap_or_else(|error| panic!("{address} is not free: {error}"));
    }
}

/// The keeper dies while its workers are dying.
#[test]
fn nothing_is_left_when_all_die_together() {
    let mut trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let (addresses, workers) = (trial.addresses().to_vec(), Orphans(trial.workers()));
    let mut idle = Probe::to(trial.http());
    idle.check();
    workers.0.iter().for_each(|worker| worker.signal(SIGKILL));
    trial.keeper().signal(SIGKILL);
    trial.wait();
    idle.incoming.is_over().expect("nobody holds the connection");
    for address in addresses {
        TcpListener::bind(address).unwrap_or_else(|error| panic!("{address} is not free: {error}"));
    }
}
