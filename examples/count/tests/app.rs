//! The built application, at the end of a pipe.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::{env, process, thread};
use vk_try::{App, command, pollers, send};

/// The application, with each poller.
fn each(test: impl Fn(Command)) {
    for poller in pollers() {
        test(command(env!("CARGO_BIN_EXE_count"), &["--poller", poller]));
    }
}

fn counts(command: &mut Command, bytes: u64) {
    let mut app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut answer = String::new();
    thread::scope(|scope| {
        let mut input = app.stdin();
        scope.spawn(move || send(&mut input, bytes, bytes).expect("it takes everything"));
        app.stdout().read_to_string(&mut answer).unwrap();
    });
    assert_eq!(answer, format!("{bytes}\n"));
    assert_eq!(app.wait().code(), Some(0));
}

#[test]
fn counts_what_comes() {
    each(|mut command| {
        for bytes in [0, 1, 1023, 1024, 1025, 2049, 65_535, 65_536, 65_537, 50_000_003] {
            counts(&mut command, bytes);
        }
    });
}

#[test]
fn counts_files() {
    let path = env::temp_dir().join(format!("count-{}", process::id()));
    File::create(&path).unwrap().write_all(&vec![7; 300_001]).unwrap();
    each(|mut command| {
        for (input, answer) in [(path.as_path(), "300001\n"), ("/dev/null".as_ref(), "0\n")] {
            let mut app = App::start(command.stdin(File::open(input).unwrap()).stdout(Stdio::piped()));
            let mut output = String::new();
            app.stdout().read_to_string(&mut output).unwrap();
            assert_eq!((output.as_str(), app.wait().code()), (answer, Some(0)));
        }
    });
    fs::remove_file(path).unwrap();
}

/// The answer is all that it writes, after everything else: lost, it is a failure.
#[test]
fn an_answer_that_is_lost_is_a_failure() {
    each(|mut command| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut app = App::start(command.stdin(Stdio::null()).stdout(full));
        assert_eq!(app.wait().code(), Some(1));
        let mut app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        drop(app.stdout());
        drop(app.stdin());
        assert_eq!(app.wait().code(), Some(1));
    });
}

#[test]
fn an_application_that_does_not_listen_takes_no_address() {
    each(|mut command| {
        let mut app = App::start(command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null()));
        assert_eq!(app.wait().code(), Some(1));
        assert!(app.log().lines().next().is_some_and(|line| line.contains("--listen")), "{}", app.log());
    });
}
