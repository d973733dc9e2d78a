//! A process is killed between a system call and the next, wherever that is; a holder of a worker that serves, where it waits.
//!
//! A few places at random are part of every run; a long trial takes one after the other, as many as are asked for.

use crate::TRIAL;
use crate::builds::reloads;
use vk_trials::{Crowd, Load, Probe, Setup, Traced, Trial, is_long, kills, seed};
use vk_try::{Process, Random, SIGHUP, SIGKILL, eventually, pollers};

/// Places that are tried in every run, and below which number of stops.
const FEW: u64 = 10;
const STOPS: u64 = 600;

/// Kills one process for each place, while a load and a crowd notice nothing. `kill` is told after how many stops, and tells whether
/// it came so far; none where nothing can be traced.
fn at_each_step(kill: impl Fn(&Trial, u64) -> Option<bool>) {
    for &poller in pollers() {
        let mut random = Random(seed());
        // Who is not root traces only what leaves core dumps.
        let setup = Setup { workers: 1, poller, ..Setup::LONG };
        let trial = Trial::start_with(TRIAL, &setup, 5, |command| _ = command.args(["--confine", "off"]));
        let before = trial.descriptors();
        let mut crowd = Crowd::gather(&trial, 30, random.number());
        let load = Load::start(trial.addresses(), 10, random.number());
        let most = if is_long() { kills() } else { FEW };
        let (mut stops, mut tried) = (0, 0);
        loop {
            (stops, tried) = (if is_long() { stops + 1 } else { 1 + random.below(STOPS) }, tried + 1);
            let Some(came) = kill(&trial, stops) else { return };
            eventually("it serves", || {
                trial.workers().len() == 1
                    && Probe::try_to(trial.http()).is_ok_and(|mut probe| probe.try_check().is_ok())
            });
            assert!(!load.has_failed(), "killed after {stops} stops: {:?}", load.conclude());
            if tried % 20 == 0 {
                // Who is half-way in a body for half a minute is ended.
                std::mem::replace(&mut crowd, Crowd::gather(&trial, 30, random.number())).finish();
            }
            if tried == most || is_long() && !came {
                break;
            }
        }
        eprintln!("{tried} kills, the last one after {stops} stops");
        load.finish();
        crowd.finish();
        trial.settles_at(before);
        trial.end();
    }
}

/// How often the keeper has decided on a reload.
fn decisions(keeper: Process) -> u32 {
    let (done, refused) = reloads(keeper);
    done + refused
}

/// Kills a process amid a reload, and waits until the reload is over.
fn amid_a_reload(trial: &Trial, kill: impl FnOnce() -> Option<bool>) -> Option<bool> {
    let before = decisions(trial.keeper());
    trial.keeper().signal(SIGHUP);
    let came = kill()?;
    eventually("the reload is over", || decisions(trial.keeper()) > before);
    Some(came)
}

#[test]
fn a_worker_that_serves() {
    at_each_step(|trial, stops| Some(Traced::seize(trial.workers()[0])?.kill_after(stops)));
}

#[test]
fn a_worker_that_starts() {
    at_each_step(|trial, stops| {
        let (holder, worker) = (trial.holders()[0], trial.workers()[0]);
        let holder = Traced::seize(holder)?;
        worker.signal(SIGKILL);
        Some(holder.child().kill_after(stops))
    });
}

#[test]
fn a_worker_that_hands_over() {
    at_each_step(|trial, stops| {
        let worker = Traced::seize(trial.workers()[0])?;
        amid_a_reload(trial, || Some(worker.kill_after(stops)))
    });
}

#[test]
fn a_worker_that_takes_over() {
    at_each_step(|trial, stops| {
        let keeper = Traced::seize(trial.keeper())?;
        amid_a_reload(trial, || Some(keeper.child().child().kill_after(stops)))
    });
}

#[test]
fn a_holder_whose_worker_takes_over() {
    at_each_step(|trial, stops| {
        let keeper = Traced::seize(trial.keeper())?;
        amid_a_reload(trial, || Some(keeper.child().kill_after(stops)))
    });
}

/// The holder of a worker that serves on.
#[test]
fn a_holder() {
    at_each_step(|trial, stops| {
        let (holder, keeper) = (trial.holders()[0], trial.keeper());
        let before = trial.workers();
        Traced::seize(holder)?.kill_after(stops % 4);
        eventually("another holder", || keeper.workers() != before && !keeper.workers().is_empty());
        Some(true)
    });
}
