//! Routes that contradict each other end a program at its start, and its build is refused by the one before.

use std::fs;
use std::path::{Path, PathBuf};
use vk_try::{App, SIGHUP, command, eventually};

/// One of this package's examples, which `cargo test` builds.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().with_file_name("examples").join(name)
}

/// What the contradiction is called.
const WHY: &str =
    "contradiction: the routes contradiction::inner: the paths /b/{name} and /b/{id} can't be told apart";

#[test]
fn a_contradiction_is_found_at_start() {
    for args in [&["--listen", "127.0.0.1:0", "--workers", "2"][..], &["--workers", "0"], &["--stdio"]] {
        let mut app = App::start(&mut command(example("contradiction").to_str().unwrap(), args));
        assert_eq!(app.wait().code(), Some(1));
        let log = app.log();
        assert!(log.starts_with(WHY) && log.lines().count() == 1, "{log}");
    }
}

#[test]
fn a_build_with_a_contradiction_never_follows() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("vk-http-start-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    let (path, next) = (place.join("app"), place.join("next"));
    fs::hard_link(example("ws_echo"), &path).unwrap();
    fs::hard_link(example("contradiction"), &next).unwrap();
    let app =
        App::start(&mut command(path.to_str().unwrap(), &["--listen", "127.0.0.1:0", "--workers", "1"]));
    app.address(0);
    fs::rename(&next, &path).unwrap();
    eventually("a worker", || app.process().workers().len() == 1);
    let before = app.process().workers();
    app.process().signal(SIGHUP);
    eventually("the build is refused", || app.log().contains("reload refused, this build serves on"));
    assert!(app.log().contains(WHY), "{}", app.log());
    assert_eq!(app.process().workers(), before);
    app.connect();
    fs::remove_dir_all(&place).unwrap();
}
