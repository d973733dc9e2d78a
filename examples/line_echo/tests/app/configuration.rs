//! The command line and the environment.

use crate::{Client, LINE_ECHO, serving};
use std::net::TcpListener;
use std::process::Stdio;
use vk_try::{App, command};

/// What an application that can't begin says.
fn complaint(args: &[&str], variables: &[(&str, &str)]) -> String {
    let mut app = App::start(serving(args).envs(variables.iter().copied()).stdout(Stdio::null()));
    assert_eq!(app.wait().code(), Some(1), "{args:?}: {}", app.log());
    app.log()
}

#[test]
fn mistakes_are_named_in_the_first_line() {
    let mistakes: [(&[&str], &str); 16] = [
        (&["--guard", "nonsense"], "nonsense"),
        (&["--guard", "epoch:0"], "epoch:0"),
        (&["--poller", "kqueue"], "kqueue"),
        (&["--listen", "nonsense"], "nonsense"),
        (&["--listen", "127.0.0.1:65536"], "127.0.0.1:65536"),
        (&["--admin", "nonsense"], "nonsense"),
        (&["--heap", "0"], "--heap"),
        (&["--heap", "1g"], "1g"),
        (&["--max-procs", "1"], "--max-procs"),
        (&["--workers", "many"], "many"),
        (&["--confine", "nonsense"], "nonsense"),
        (&["--confine", "strict", "--poller", "uring"], "--confine strict"),
        (&["--user", "no-such-user"], "no-such-user"),
        (&["--log", "==="], "--log"),
        (&["--frobnicate"], "--frobnicate"),
        (&["argument"], "argument"),
    ];
    for (args, named) in mistakes {
        let said = complaint(args, &[]);
        assert!(said.lines().next().is_some_and(|line| line.contains(named)), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// What only turns out when it begins to work is one line, too, and not one per worker.
#[test]
fn what_can_not_work_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let mistakes: [(&[&str], &str); 4] = [
        (&["--listen", &taken], "Address already in use"),
        // TEST-NET-1 is nobody's address (RFC 5737).
        (&["--listen", "192.0.2.1:0"], "Cannot assign requested address"),
        (&["--heap", "17m"], "16 MiB"),
        (&["--heap", "16m", "--max-procs", "4000000000"], "64 GiB"),
    ];
    for (args, named) in mistakes {
        for workers in ["0", "2"] {
            let said = complaint(&[&["--workers", workers], args].concat(), &[]);
            let complaints: Vec<_> =
                said.lines().filter(|line| !line.starts_with("listening on 127.0.0.1:")).collect();
            assert!(complaints.len() == 1 && complaints[0].contains(named), "{args:?}: {said}");
        }
    }
}

#[test]
fn the_environment_is_as_good_as_the_command_line() {
    for (variable, value) in [
        ("VK_GUARD", "nonsense"),
        ("VK_POLLER", "kqueue"),
        ("VK_HEAP", "0"),
        ("VK_MAX_PROCS", "1"),
        ("VK_ADMIN", "nonsense"),
    ] {
        let said = complaint(&[], &[(variable, value)]);
        assert!(said.lines().next().is_some_and(|line| line.contains(value)), "{variable}={value}: {said}");
    }
    let variables = [
        ("VK_LISTEN", "127.0.0.1:0,127.0.0.1:0"),
        ("VK_WORKERS", "0"),
        ("VK_GUARD", "strict"),
        ("VK_POLLER", "epoll"),
        ("VK_HEAP", "8k"),
        ("VK_MAX_PROCS", "20"),
        ("VK_ADMIN", "127.0.0.1:0"),
        ("VK_LOG", "debug"),
    ];
    let app = App::start(command(LINE_ECHO, &[]).envs(variables));
    let mut client = Client::of(&app);
    client.check("served\n");
    assert_ne!(app.address(0), app.address(1));
    // The admin's listener comes last.
    assert_eq!(crate::workers::counter(app.address(2), "vk_heaps", 0), Some(20));
    assert!(app.process().children().is_empty(), "--workers 0 has no worker processes");
}

#[test]
fn the_command_line_comes_first() {
    let app =
        App::start(serving(&["--guard", "off"]).env("VK_GUARD", "nonsense").env("VK_LISTEN", "nonsense"));
    Client::of(&app).check("served\n");
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (option, parts) in [
        ("--help", ["--listen", "--workers", "--guard", "--poller", "--max-procs", "VK_LISTEN"].as_slice()),
        ("--version", ["line_echo", env!("CARGO_PKG_VERSION")].as_slice()),
    ] {
        let app = App::start(command(LINE_ECHO, &[option]).stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (output, status) = app.filter(b"");
        let output = String::from_utf8(output).unwrap();
        assert_eq!(status.code(), Some(0));
        assert!(parts.iter().all(|part| output.contains(part)), "{option}: {output}");
    }
}
