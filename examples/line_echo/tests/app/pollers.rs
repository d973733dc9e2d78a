//! Where io_uring is refused.

use crate::{Client, serving};
use vk_try::{App, SIGTERM, refuse_uring};

#[test]
fn auto_falls_back_to_epoll_and_says_so_once() {
    for workers in ["0", "2"] {
        for poller in [["--poller", "auto"].as_slice(), &[]] {
            let mut command = serving(&[&["--workers", workers], poller].concat());
            refuse_uring(&mut command);
            let mut app = App::start(&mut command);
            Client::of(&app).check("served\n");
            app.process().signal(SIGTERM);
            assert!(app.wait().success());
            let said: Vec<_> =
                app.log().lines().filter(|line| line.contains("epoll")).map(str::to_owned).collect();
            assert!(
                said.len() == 1 && said[0].contains("io_uring") && said[0].contains("not permitted"),
                "{}",
                app.log()
            );
        }
    }
}

#[test]
fn who_insists_on_io_uring_is_told_why_not() {
    let mut command = serving(&["--workers", "0", "--poller", "uring"]);
    refuse_uring(&mut command);
    let mut app = App::start(&mut command);
    assert_eq!(app.wait().code(), Some(1));
    assert!(app.log().contains("io_uring"), "{}", app.log());
}

/// Nothing to say where nothing was lacking.
#[test]
fn epoll_by_choice_is_not_worth_a_line() {
    let mut app = App::start(&mut serving(&["--poller", "epoll"]));
    Client::of(&app).check("served\n");
    app.process().signal(SIGTERM);
    assert!(app.wait().success());
    assert!(!app.log().contains("epoll"), "{}", app.log());
}
