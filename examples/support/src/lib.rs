//! Runs the examples' binaries in their tests, as their users do.
//!
//! ```text
//! command(EXE) ──► App::start ──► address, connect, stdin, stdout, log, signal ──► wait, or drop
//! ```
//!
//! Invariants: every wait is bounded by [`PATIENCE`]; an application and its workers are ended, by pid, when
//! its [`App`] is dropped, and after [`LIFE`] (or the life it was given) in any case, so a pipe to it can't be waited for for ever.

mod app;
mod browser;
mod bytes;
mod clients;
mod process;
mod sys;

pub use app::App;
pub use browser::{Browser, Page};
pub use bytes::{Random, expect, send};
pub use clients::{left_out, program};
pub use libc::{SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGSTOP, SIGTERM};
pub use process::{Orphans, Process};
pub use sys::{descriptors, has_uring, is_nonblocking, refuse_uring, reset_on_close, set_nonblocking};

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// No wait of a test is longer.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// No application of a test runs longer, unless the test says so.
pub const LIFE: Duration = Duration::from_secs(45);

/// A command without the variables by which the surroundings could configure an application.
pub fn command(executable: &str, args: &[&str]) -> Command {
    let mut command = Command::new(executable);
    command.args(args);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VK_")) {
        command.env_remove(name);
    }
    command
}

/// The pollers that this machine has: sandboxes refuse io_uring.
pub fn pollers() -> &'static [&'static str] {
    if has_uring() { &["epoll", "uring"] } else { &["epoll"] }
}

/// Waits until `condition` holds.
///
/// # Panics
/// With `what`, if it does not within [`PATIENCE`].
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
