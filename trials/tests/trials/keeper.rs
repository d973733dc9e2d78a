//! The keeper's own death: holders and workers serve on, and a keeper that is started again takes over from them.

use crate::TRIAL;
use std::net::{SocketAddr, TcpListener};
use vk_trials::{Crowd, Load, Probe, Setup, Trial, seed, setups};
use vk_try::{Orphans, Process, Random, SIGKILL, SIGTERM, eventually};

/// Kills the keeper alone; its holders and workers, which end with the test.
fn orphan(trial: &Trial) -> Orphans {
    let orphans = Orphans([trial.holders(), trial.workers()].concat());
    trial.keeper().signal(SIGKILL);
    eventually("the keeper is gone", || !trial.keeper().is_alive());
    orphans
}

fn have_ended(processes: &[Process]) {
    eventually("they have ended", || !processes.iter().any(|process| process.is_alive()));
}

fn are_free(addresses: &[SocketAddr]) {
    for address in addresses {
        TcpListener::bind(address).unwrap_or_else(|error| panic!("{address} is not free: {error}"));
    }
}

/// Nobody notices that the keeper dies, that workers die without it, and that another keeper is started.
#[test]
fn another_keeper_takes_over() {
    for setup in setups() {
        let mut random = Random(seed());
        let first = Trial::start(TRIAL, &setup);
        let crowd = Crowd::gather(&first, 100, random.number());
        let load = Load::start(first.addresses(), 32, random.number());
        let orphans = orphan(&first);
        let workers: Vec<Process> = orphans.0[setup.workers..].to_vec();
        workers[0].signal(SIGKILL);
        eventually("its holder has started another worker", || orphans.0[0].children().len() == 1);
        let second = Trial::start_at(TRIAL, &setup, first.addresses(), |_| ());
        have_ended(&orphans.0);
        second.workers()[0].signal(SIGKILL);
        load.finish();
        crowd.finish();
        second.end();
        are_free(first.addresses());
    }
}

/// Without a keeper, SIGTERM ends a holder after what is under way.
#[test]
fn holders_drain_without_a_keeper() {
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let mut idle = Probe::to(trial.http());
    idle.check();
    let orphans = orphan(&trial);
    idle.check();
    orphans.0[..Setup::DEFAULT.workers].iter().for_each(|holder| holder.signal(SIGTERM));
    idle.incoming.end().expect("an idle connection ends in order");
    have_ended(&orphans.0);
    are_free(trial.addresses());
}

/// All die at once: nothing is left, and the application can be started again.
#[test]
fn nothing_is_left_when_all_die_together() {
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let mut idle = Probe::to(trial.http());
    idle.check();
    trial.keeper().kill_tree();
    idle.incoming.is_over().expect("no process holds the connection");
    eventually("the keeper is gone", || !trial.keeper().is_alive());
    let again = Trial::start_at(TRIAL, &Setup::DEFAULT, trial.addresses(), |_| ());
    again.end();
}

/// The worker of a holder that dies goes on, taken over by another holder's.
#[test]
fn a_holder_that_dies_is_replaced() {
    for setup in setups() {
        let mut random = Random(seed());
        let trial = Trial::start(TRIAL, &setup);
        let before = trial.descriptors();
        let crowd = Crowd::gather(&trial, 100, random.number());
        let load = Load::start(trial.addresses(), 32, random.number());
        for round in 0..6 {
            let (holders, workers) = (trial.holders(), trial.workers());
            if round % 2 == 0 {
                holders[0].signal(SIGKILL);
            } else {
                // A person's `kill` of a holder or a worker is one more restart.
                [holders[0], workers[0]][round / 2 % 2].signal(SIGTERM);
            }
            eventually("there are as many workers again", || {
                let now = trial.workers();
                now.len() == setup.workers && now != workers
            });
        }
        load.finish();
        crowd.finish();
        trial.settles_at(before);
        trial.end();
    }
}
