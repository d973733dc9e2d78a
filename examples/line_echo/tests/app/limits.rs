//! Many connections, and fewer descriptors or micro-processes than clients.

use crate::{Client, LINE_ECHO, serve};
use std::thread;
use std::time::Duration;
use vk_try::{App, command, descriptors, eventually, pollers};

/// A burst of connections, and hyper's users report memory that never comes back after one.
#[test]
fn memory_comes_back_after_a_burst() {
    // Both this process and the server have a descriptor for each.
    let clients = descriptors().saturating_sub(200).min(2000);
    thread::scope(|scope| {
        for poller in pollers() {
            scope.spawn(move || {
                let app = serve(&["--poller", poller]);
                let mut busy = Client::of(&app);
                busy.check("warm\n");
                let before = app.process().resident();
                // Half of the clients each, since the two servers run side by side.
                let mut idle: Vec<_> = (0..clients / 2).map(|_| Client::of(&app)).collect();
                for client in &mut idle {
                    client.send("hello\n");
                }
                for (number, client) in idle.iter_mut().enumerate() {
                    assert_eq!(client.line(), "hello\n");
                    busy.check(&format!("busy {number}\n"));
                }
                let during = app.process().resident();
                let each = during.saturating_sub(before) / idle.len() as u64;
                assert!((2048..16_384).contains(&each), "{each} bytes per connection");
                drop(idle);
                eventually("the memory comes back", || app.process().resident() < before + (1 << 20));
                busy.check("still there\n");
            });
        }
    });
}

/// More clients than the server has room for: they wait, at no cost, and all are served in the end.
fn crowd(app: &App, clients: usize) {
    let mut clients: Vec<_> = (0..clients).map(|_| Client::of(app)).collect();
    for client in &mut clients {
        client.send("let me in\n");
    }
    assert_eq!(clients[0].line(), "let me in\n");
    thread::sleep(Duration::from_millis(100));
    let before = app.process().cpu();
    thread::sleep(Duration::from_millis(700));
    let spent = app.process().cpu() - before;
    assert!(spent < Duration::from_millis(150), "{spent:?} of work while everybody waits");
    // The first is inside and can go on; each that ends lets another in.
    clients[0].send("let me in\n");
    for mut client in clients {
        client.end();
        assert_eq!(client.rest(), b"let me in\n");
    }
    Client::of(app).check("room again\n");
}

/// With `ulimit -n`.
fn few_descriptors(limit: u32, more: &[&str]) -> App {
    let limited = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
    let args = ["-c", &limited, LINE_ECHO, "--listen", "127.0.0.1:0", "--workers", "0"];
    App::start(&mut command("sh", &[&args, more].concat()))
}

#[test]
fn more_clients_than_descriptors() {
    for poller in pollers() {
        crowd(&few_descriptors(64, &["--poller", poller]), 200);
    }
}

#[test]
fn more_clients_than_micro_processes() {
    for poller in pollers() {
        let app = serve(&["--poller", poller, "--max-procs", "8"]);
        crowd(&app, 50);
        // The listener is one of the eight.
        let mut inside: Vec<_> = (0..7).map(|_| Client::of(&app)).collect();
        for client in &mut inside {
            client.check("in\n");
        }
        let mut outside = Client::of(&app);
        outside.send("out\n");
        let stream = outside.0.get_ref();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(stream.peek(&mut [0]).is_err(), "an eighth connection is served");
        stream.set_read_timeout(Some(vk_try::PATIENCE)).unwrap();
        inside.pop();
        assert_eq!(outside.line(), "out\n");
    }
}
