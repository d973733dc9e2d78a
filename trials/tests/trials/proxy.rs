//! A reverse proxy whose workers die: who asks through it notices nothing.

use crate::TRIAL;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use vk_trials::{Chaos, Probe, Setup, Trial, Wrong, kills, seed, setups};
use vk_try::{Random, SIGKILL};

const PROXY: &str = env!("CARGO_BIN_EXE_trial_proxy");

/// Connections that ask, one request after the other.
const CLIENTS: usize = 24;

/// Bytes of a body, at most: more than rings hold.
const BODY: u64 = 20_000;

/// Asks for a page, or for what was sent to come back.
fn ask(probe: &mut Probe, random: &mut Random) -> Result<(), Wrong> {
    if random.below(3) > 0 {
        return probe.try_check();
    }
    let data: Vec<u8> = (0..random.below(BODY)).map(|_| random.number() as u8).collect();
    probe.send(
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", data.len()).as_bytes(),
    )?;
    probe.outgoing.send(&data)?;
    let length = probe.incoming.head(200)?;
    probe.incoming.body(length, &data)
}

/// Kills the workers while everybody asks; each answer has to be the right one.
fn trial_of(server: &Trial, setup: &Setup, seed: u64) {
    let mut random = Random(seed);
    // By name: who asks for its address waits for a thread, which dies with its worker.
    let base = format!("http://localhost:{}", server.http().port());
    let trial = Trial::start_with(PROXY, setup, 1, |command| _ = command.arg(&base));
    let mut probes: Vec<Probe> = (0..CLIENTS).map(|_| Probe::to(trial.http())).collect();
    let before = trial.descriptors();
    let (over, failed, answered) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for probe in &mut probes {
            let mut random = Random(random.number());
            let (over, failed, answered) = (&over, &failed, &answered);
            scope.spawn(move || {
                while !over.load(SeqCst) {
                    if let Err(wrong) = ask(probe, &mut random) {
                        failed.store(true, SeqCst);
                        panic!("seed {seed}: {wrong:?}");
                    }
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        Chaos::new(trial.keeper(), random.number()).run(kills(), || failed.load(SeqCst));
        over.store(true, SeqCst);
    });
    assert!(answered.load(SeqCst) > 100, "{} answers", answered.load(SeqCst));
    // What is parked ends with the workers, and nothing else is left of all that.
    trial.workers().iter().for_each(|worker| {
        worker.signal(SIGKILL);
        trial.is_replaced(*worker, setup.workers);
    });
    trial.settles_at(before);
    trial.end();
}

#[test]
fn who_asks_notices_nothing() {
    let mut random = Random(seed());
    let server = Trial::start(TRIAL, &Setup { workers: 1, ..Setup::DEFAULT });
    for setup in setups() {
        trial_of(&server, &setup, random.number());
    }
    server.end();
}
