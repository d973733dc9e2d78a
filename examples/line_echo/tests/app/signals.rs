//! The operator's signals.

use crate::{Client, serve};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use vk_try::{App, SIGHUP, SIGINT, SIGTERM, eventually, pollers};

/// Starts it in one process on each poller, and with two workers, and runs `test`.
fn each(test: impl Fn(App)) {
    for poller in pollers() {
        test(serve(&["--poller", poller]));
    }
    test(serve(&["--workers", "2"]));
}

/// A client whose connection waits at the checkpoint, between two lines.
fn idle(app: &App) -> Client {
    let mut client = Client::of(app);
    client.check("served\n");
    client
}

/// A client in the middle of a line, which the handler has begun to read: both came in one piece.
fn at_work(app: &App) -> Client {
    let mut client = Client::of(app);
    client.send("before\nhalf ");
    assert_eq!(client.line(), "before\n");
    client
}

fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[test]
fn sigterm_drains() {
    each(|mut app| {
        let mut idle: Vec<_> = (0..4).map(|_| idle(&app)).collect();
        let mut at_work: Vec<_> = (0..4).map(|_| at_work(&app)).collect();
        app.process().signal(SIGTERM);
        for client in &mut idle {
            assert_eq!(client.rest(), b"");
        }
        eventually("no new connections", || refuses(app.address(0)));
        for client in &mut at_work {
            client.send("a line\n");
            assert_eq!(client.line(), "half a line\n");
            assert_eq!(client.rest(), b"");
        }
        assert_eq!(app.wait().code(), Some(0));
        assert!(refuses(app.address(0)));
        assert!(app.log().contains("draining"), "{}", app.log());
    });
}

/// What clients did wrong is no failure of the server.
#[test]
fn sigint_drains_too() {
    each(|mut app| {
        let mut wrong = Client::of(&app);
        wrong.send([b'x'; 2000]);
        assert!(wrong.is_over());
        let mut client = idle(&app);
        app.process().signal(SIGINT);
        assert_eq!(client.rest(), b"");
        assert_eq!(app.wait().code(), Some(0));
    });
}

#[test]
fn without_clients_it_ends_at_once() {
    each(|mut app| {
        app.address(0);
        app.process().signal(SIGTERM);
        assert_eq!(app.wait().code(), Some(0));
    });
}

#[test]
fn a_second_sigterm_ends_at_once() {
    each(|mut app| {
        let (mut idle, mut at_work) = (idle(&app), at_work(&app));
        app.process().signal(SIGTERM);
        assert_eq!(idle.rest(), b"");
        // The first one has been taken note of, and the second does not merge with it.
        eventually("no new connections", || refuses(app.address(0)));
        app.process().signal(SIGTERM);
        let second = Instant::now();
        assert!(at_work.is_over());
        assert_eq!(app.wait().code(), Some(0));
        assert!(second.elapsed() < Duration::from_secs(3));
    });
}

#[test]
fn sighup_ends_nothing() {
    each(|app| {
        let mut client = idle(&app);
        app.process().signal(SIGHUP);
        thread::sleep(Duration::from_millis(50));
        client.check("as before\n");
        idle(&app);
    });
}
