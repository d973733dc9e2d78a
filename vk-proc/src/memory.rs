//! Memory that the allocator of the C library keeps, and who is killed when there is none.
#![allow(unsafe_code)]

use std::{fs, io};

/// Gives free memory back to the kernel, so that a burst of connections is not remembered for ever.
pub fn release() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What is added to a worker's `oom_score_adj`, of 1000. A worker that is killed costs nobody a byte, a keeper its reloads, and
/// any neighbour of ours probably more; so a worker comes first.
const VICTIM: i32 = 500;

/// Makes the kernel pick this process before its holder and its keeper, when memory runs out: proc_pid_oom_score_adj(5). To
/// raise it needs no privilege.
pub fn prefer_as_victim() {
    const FILE: &str = "/proc/self/oom_score_adj";
    let raise = |now: String| {
        let now: i32 = now.trim().parse().map_err(io::Error::other)?;
        fs::write(FILE, (now + VICTIM).min(1000).to_string())
    };
    if let Err(error) = fs::read_to_string(FILE).and_then(raise) {
        tracing::debug!(%error, "the kernel may pick the keeper when memory runs out");
    }
}
