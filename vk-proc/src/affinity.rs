//! Workers on cores of their own.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Lets this process run on the core at `place` only, if there are as many cores that it may run on as there are
/// `workers`: with fewer, the kernel knows better.
pub fn pin(place: usize, workers: usize) {
    let this = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(this) else { return };
    let cores: Vec<usize> =
        (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect();
    if workers < 2 || cores.len() != workers {
        return;
    }
    let mut own = CpuSet::new();
    // Where it can't be done it would have been faster, and is no worse.
    let _ = own.set(cores[place % cores.len()]).and_then(|()| sched_setaffinity(this, &own));
}
