//! What concerns a whole process, and so is tested in one of its own: this test's program, run again.

// System calls, and signals.
#![allow(unsafe_code)]

mod activation;
mod confine;
mod notify;

use std::process::{Command, ExitStatus, Stdio};

/// Set in the process that runs one test alone.
const ALONE: &str = "TEST_ALONE";

/// The status of a test that came to its end; 0 would be that of a program that has found no such test.
const PASSED: i32 = 42;

/// In seconds.
const LIFE: u32 = 30;

/// Whether this is the process that runs one test alone. It ends in time then, whatever the test does.
fn is_alone() -> bool {
    let alone = std::env::var_os(ALONE).is_some();
    if alone {
        // SAFETY: a signal that nobody handles, so it ends this process.
        unsafe { libc::alarm(LIFE) };
    }
    alone
}

/// Runs `test` in a process of its own. To be called by the test of that name, which is the one that runs
/// there.
#[track_caller]
fn alone(name: &str, test: impl FnOnce()) {
    assert_eq!(ends(name, test).code(), Some(PASSED), "in a process of its own");
}

/// As [`alone`]; returns how that process has ended.
fn ends(name: &str, test: impl FnOnce()) -> ExitStatus {
    if is_alone() {
        test();
        std::process::exit(PASSED);
    }
    again(name).status().expect("the test's program starts")
}

/// The command that runs the test of that name.
fn again(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ALONE, "1").stdin(Stdio::null());
    command
}
