use crate::{example, run, vk};
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use vk_try::{App, SIGHUP, SIGTERM, eventually};

/// The binary under watch, in a directory of its own that ends with the test.
struct Target(PathBuf);

impl Target {
    fn new(test: &str) -> Target {
        let target =
            Target(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id())));
        fs::create_dir(&target.0).expect("a directory for this test");
        target
    }

    fn binary(&self) -> String {
        self.0.join("app").into_os_string().into_string().expect("a path in UTF-8")
    }

    /// Puts a binary in place, as a build does.
    fn build(&self) {
        // Not by this process: a child of another test that is just being started would have it open to write,
        // and what is open to write can't be run (ETXTBSY).
        let new = self.0.join("new");
        let copied = Command::new("cp").args([&example("stand_in").into(), &new]).status();
        assert!(copied.expect("cp is there").success());
        fs::rename(new, self.binary()).expect("a file of ours");
    }

    /// Watches it, and gives it these arguments.
    fn watch(&self, args: &[&str]) -> App {
        vk(&[&["watch", "--", &self.binary()], args].concat())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn says(app: &App, what: &str, times: usize) {
    eventually(what, || app.log().matches(what).count() == times);
}

#[test]
fn each_build_is_tried_once() {
    let target = Target::new("each");
    target.build();
    let mut vk = target.watch(&["reload", "refuse", "reload"]);
    says(&vk, "ready", 1);
    fs::write(target.0.join("app.d"), "app: main.rs").expect("a file beside it");
    sleep(Duration::from_millis(500));
    assert!(!vk.log().contains("vk:"), "{}", vk.log());
    target.build();
    says(&vk, "vk: reloaded\n", 1);
    target.build();
    says(&vk, "has refused the new build", 1);
    target.build();
    says(&vk, "vk: reloaded\n", 2);
    vk.process().signal(SIGTERM);
    assert_eq!(vk.wait().code(), Some(40 + 15));
    assert_eq!(vk.log().matches("vk:").count(), 3, "{}", vk.log());
}

/// Whether it was seen that a binary which is being written is waited for; not if this machine made the writer
/// pause, as it may when it is busy.
fn waits_for_what_is_being_written(attempt: u32) -> bool {
    let target = Target::new(&format!("written-{attempt}"));
    target.build();
    let vk = target.watch(&["reload", "reload"]);
    says(&vk, "ready", 1);
    fs::remove_file(target.binary()).expect("a file of ours");
    let mut file = File::create(target.binary()).expect("a file of ours");
    file.set_permissions(Permissions::from_mode(0o755)).expect("a file of ours");
    for _ in 0..10 {
        let begun = Instant::now();
        file.write_all(b"#!/bin/sh\n").expect("room");
        sleep(Duration::from_millis(50));
        if begun.elapsed() > Duration::from_millis(150) {
            return false;
        }
    }
    assert!(!vk.log().contains("vk:"), "{}", vk.log());
    drop(file);
    says(&vk, "vk: reloaded\n", 1);
    sleep(Duration::from_millis(500));
    assert_eq!(vk.log().matches("vk:").count(), 1, "{}", vk.log());
    true
}

#[test]
fn a_binary_that_is_being_written_is_waited_for() {
    assert!((0..10).any(waits_for_what_is_being_written), "this machine is too busy to see it");
}

#[test]
fn a_directory_that_was_removed_comes_back() {
    let target = Target::new("removed");
    target.build();
    let vk = target.watch(&["reload"]);
    says(&vk, "ready", 1);
    fs::remove_dir_all(&target.0).expect("a directory of ours");
    sleep(Duration::from_millis(300));
    fs::create_dir(&target.0).expect("a directory for this test");
    target.build();
    says(&vk, "vk: reloaded\n", 1);
}

#[test]
fn an_application_that_fails_is_started_again_once_it_was_built() {
    let target = Target::new("fails");
    let mut vk = target.watch(&["end:3"]);
    says(&vk, "can't be started", 1);
    target.build();
    says(&vk, "has failed (exit status: 3); it is started again once it was built", 1);
    target.build();
    says(&vk, "has failed (exit status: 3)", 2);
    vk.process().signal(SIGTERM);
    assert_eq!(vk.wait().code(), Some(3));
}

#[test]
fn the_exit_status_is_the_applications() {
    let target = Target::new("status");
    target.build();
    assert_eq!(target.watch(&["end:0"]).wait().code(), Some(0));
    // A terminal that was closed is no wish for another build.
    let mut vk = target.watch(&["reload"]);
    says(&vk, "ready", 1);
    vk.process().signal(SIGHUP);
    assert_eq!(vk.wait().code(), Some(40 + 15));
    assert!(!vk.log().contains("reloaded"));
}

#[test]
fn what_is_nowhere_is_not_waited_for() {
    let said = "vk: there is no program no-such-program-at-all\n".to_owned();
    assert_eq!(run(&["watch", "no-such-program-at-all"]), (Some(1), said));
    let (status, said) = run(&["watch", "/no/such/directory/app"]);
    assert_eq!((status, said.lines().count()), (Some(1), 1), "{said}");
}
