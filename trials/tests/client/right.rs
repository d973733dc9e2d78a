//! Without kills everything must come, whatever is asked, on each setup.

use std::thread;
use std::time::Duration;
use vk_trials::{Crowd, Load, Probe, Setup, Trial, seed, setups};
use vk_try::Random;

const TRIAL: &str = env!("CARGO_BIN_EXE_trial_app");

#[test]
fn a_load_is_served() {
    let mut random = Random(seed());
    for setup in setups() {
        let trial = Trial::start(TRIAL, &setup);
        let idle: Vec<_> = (0..4).map(|_| Probe::to(trial.http())).collect();
        let load = Load::start(trial.addresses(), 64, random.number());
        thread::sleep(Duration::from_secs(2));
        let summary = load.finish();
        assert!(summary.answered > 200 && summary.cut == 0, "{summary:?}");
        drop(idle);
        trial.end();
    }
}

#[test]
fn a_crowd_is_served() {
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let crowd = Crowd::gather(&trial, 200, seed());
    // A panic is survived by one process, too.
    Probe::fire(trial.http(), "/panic");
    crowd.finish();
    trial.end();
}
