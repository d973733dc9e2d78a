//! Who runs where: the server on one CPU, its clients on others, so that each measures only itself.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// The CPUs of the server and of its clients.
pub struct Cpus {
    pub server: Vec<usize>,
    pub clients: Vec<usize>,
}

impl Cpus {
    /// The first CPU we may use is the server's; the clients get the last one, or the last two of four or more.
    ///
    /// # Errors
    /// Fewer than two CPUs.
    pub fn choose() -> Result<Self, Failure> {
        let ours = sched_getaffinity(None).map_err(|error| format!("sched_getaffinity: {error}"))?;
        let mut all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| ours.is_set(cpu)).collect();
        if all.len() < 2 {
            return Err("two CPUs are needed: one for the server, one for its clients".into());
        }
        let clients = all.split_off(all.len() - if all.len() < 4 { 1 } else { 2 });
        all.truncate(1);
        Ok(Self { server: all, clients })
    }
}

/// Runs `start` on these CPUs: the processes it starts stay there.
///
/// # Errors
/// The affinity can't be set, or what `start` returns.
pub fn on<T>(cpus: &[usize], start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let before = sched_getaffinity(None)?;
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    sched_setaffinity(None, &set)?;
    let started = start();
    sched_setaffinity(None, &before)?;
    started
}
