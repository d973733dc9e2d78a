//! Many clients at once, and what a worker takes for them: memory, and the time of others.

mod slow;
mod streams;

use std::sync::{Mutex, MutexGuard, PoisonError};
use vk_trials::{Setup, Trial};

const MIB: u64 = 1 << 20;

/// The server.
fn start() -> Trial {
    Trial::start_with(env!("CARGO_BIN_EXE_http_echo"), &Setup::DEFAULT, 1, |_| ())
}

/// One crowd after the other: they need the machine.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most memory that each worker has occupied so far, in bytes.
fn peaks(trial: &Trial) -> Vec<u64> {
    trial.workers().iter().map(|worker| worker.peak()).collect()
}
