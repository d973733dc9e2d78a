//! How many descriptors a worker may have open, and how many are set aside for its successor.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;

/// Descriptors that a serving worker leaves free: poller, signals, landlock and seccomp of the worker that is started when
/// this one has died with a full table, and the socket by which descriptors are handed over.
const RESERVE: u64 = 12;

/// Raises the soft limit to the hard one: the table is the only limit that connections have.
pub fn raise() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, hard, "the limit of descriptors can't be raised");
    }
}

/// Sets descriptors aside: this worker can't open the last ones until it [raises](raise) its limit again.
///
/// # Errors
/// Those of setrlimit(2).
pub fn reserve() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let soft = hard.saturating_sub(RESERVE).max(hard / 2);
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?)
}
