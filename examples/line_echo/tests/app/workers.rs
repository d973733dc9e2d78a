//! The keeper and its workers.

use crate::{Client, serve};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use vk_try::{App, PATIENCE, Process, SIGKILL, eventually};

/// Two workers, and the admin's listener as second.
fn two() -> App {
    serve(&["--workers", "2", "--admin", "127.0.0.1:0"])
}

/// What the admin's listener answers to a GET.
fn report(admin: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(admin).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A counter of a worker, as the admin's listener shows it.
pub fn counter(admin: SocketAddr, name: &str, worker: usize) -> Option<u64> {
    let report = report(admin)?;
    let line = format!("{name}{{worker=\"{worker}\"}} ");
    report.lines().find_map(|found| found.strip_prefix(&line))?.parse().ok()
}

/// The workers' processes, once both show themselves.
fn pids(app: &App) -> [Process; 2] {
    let mut pids = [Process(0); 2];
    eventually("two workers of the keeper's holders", || {
        let shown = |worker| counter(app.address(1), "vk_pid", worker).map_or(0, |pid| pid as u32);
        pids = [Process(shown(0)), Process(shown(1))];
        let shown: BTreeSet<_> = pids.into_iter().collect();
        shown == app.process().workers().into_iter().collect() && shown.len() == 2
    });
    pids
}

/// Connections, until each worker has served some: the kernel spreads them.
fn on_both(app: &App) -> Vec<Client> {
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let mut client = Client::of(app);
            client.check("served\n");
            client
        })
        .collect();
    eventually("both workers have connections", || {
        (0..2).all(|worker| counter(app.address(1), "vk_live", worker).is_some_and(|live| live > 2))
    });
    clients
}

#[test]
fn the_report_is_in_the_text_format() {
    let app = two();
    pids(&app);
    let report = report(app.address(1)).unwrap();
    let (head, body) = report.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/plain; version=0.0.4"), "{head}");
    let mut samples = 0;
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            assert!(comment.starts_with("HELP vk_") || comment.starts_with("TYPE vk_"), "{line}");
        } else {
            let (name, number) = line.split_once("{worker=\"").expect(line);
            assert!(name.starts_with("vk_") && number[1..].starts_with("\"} "), "{line}");
            number[4..].parse::<u64>().expect(line);
            samples += 1;
        }
    }
    assert!(samples >= 2 * 10, "{body}");
}

#[test]
fn both_workers_serve() {
    let app = two();
    let mut clients = on_both(&app);
    clients.iter_mut().for_each(|client| client.check("and again\n"));
    let received = |worker| counter(app.address(1), "vk_received_bytes_total", worker);
    let all = 40 * ("served\n".len() + "and again\n".len()) as u64;
    // The admin's own requests are counted, too.
    eventually("what came is counted", || received(0).zip(received(1)).is_some_and(|(a, b)| a + b >= all));
}

#[test]
fn a_worker_that_is_killed_is_started_again() {
    let app = two();
    let [first, second] = pids(&app);
    let mut clients = on_both(&app);
    first.signal(SIGKILL);
    // All connections go on, its own as well.
    clients.iter_mut().for_each(|client| client.check("still\n"));
    // New ones are served at once, on whichever socket the kernel puts them.
    for _ in 0..40 {
        Client::of(&app).check("new\n");
    }
    let restarts = |worker| counter(app.address(1), "vk_restarts_total", worker);
    assert_eq!((restarts(0), restarts(1)), (Some(1), Some(0)));
    let [again, same] = pids(&app);
    assert_ne!(again, first);
    assert_eq!(same, second);
    assert!(app.log().lines().any(|line| line.contains("a worker was killed by SIGKILL")));
    on_both(&app);
}
