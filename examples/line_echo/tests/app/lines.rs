//! Lines come back, whatever the poller and the guard, and however they are cut.

use crate::{Client, serve};
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;
use vk_try::{App, PATIENCE, Random, eventually, pollers};

/// Runs `test` under each poller and guard.
fn each(test: impl Fn(&App)) {
    for poller in pollers() {
        for guard in ["strict", "epoch:1024", "epoch:1", "off"] {
            eprintln!("--poller {poller} --guard {guard}");
            test(&serve(&["--poller", poller, "--guard", guard]));
        }
    }
}

#[test]
fn lines_come_back() {
    each(|app| {
        let mut clients: Vec<_> = (0..3).map(|_| Client::of(app)).collect();
        for round in 0..10 {
            for (number, client) in clients.iter_mut().enumerate() {
                client.check(&format!("line {round} of client {number}\n"));
            }
        }
        // Empty ones, bytes that are no text, and the longest: 1024 bytes with their end.
        let mut all = b"\n\r\n\0\xff\xfe\n".to_vec();
        all.resize(all.len() + 1023, b'x');
        all.push(b'\n');
        clients[0].send(&all);
        clients[0].end();
        assert!(clients[0].rest() == all);
        clients[1].check("the others stay\n");
    });
}

#[test]
fn one_byte_at_a_time() {
    each(|app| {
        let mut client = Client::of(app);
        for byte in b"slow\n" {
            client.send([*byte]);
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(client.line(), "slow\n");
    });
}

#[test]
fn many_lines_in_odd_pieces() {
    let line = |number: usize| format!("{number}{}\n", "-".repeat(number % 200));
    let all: String = (0..20_000).map(line).collect();
    each(|app| {
        let mut client = Client::of(app);
        let mut writer = client.0.get_ref().try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut random, mut rest) = (Random(3), all.as_bytes());
                while !rest.is_empty() {
                    let (piece, more) = rest.split_at(random.chunk().min(rest.len()));
                    writer.write_all(piece).unwrap();
                    rest = more;
                }
            });
            let mut back = vec![0; all.len()];
            client.0.read_exact(&mut back).unwrap();
            assert!(back == all.as_bytes());
        });
        client.end();
        assert_eq!(client.rest(), b"");
    });
}

#[test]
fn a_line_that_is_too_long_ends_its_own_connection_only() {
    each(|app| {
        let (mut other, mut client) = (Client::of(app), Client::of(app));
        other.send("half a ");
        client.check("good\n");
        client.send([b'x'; 1025]);
        assert!(client.is_over());
        // The end of the line comes one byte too late.
        let mut client = Client::of(app);
        client.send([[b'x'; 1024].as_slice(), b"\n"].concat());
        assert!(client.is_over());
        other.send("line\n");
        assert_eq!(other.line(), "half a line\n");
    });
}

#[test]
fn the_last_line_needs_no_end() {
    each(|app| {
        for all in ["", "abc", "a\nbc", "a\n"] {
            let mut client = Client::of(app);
            client.send(all);
            client.end();
            assert_eq!(client.rest(), all.as_bytes());
        }
    });
}

/// The client's end comes while most of the answer is still on its way.
#[test]
fn a_client_that_has_ended_its_side_gets_everything() {
    let all = b"0123456789abcde\n".repeat(40_000);
    each(|app| {
        let mut client = Client::of(app);
        let mut writer = client.0.get_ref().try_clone().unwrap();
        thread::scope(|scope| {
            let all = &all;
            scope.spawn(move || {
                writer.write_all(all).unwrap();
                writer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            thread::sleep(Duration::from_millis(20));
            assert!(client.rest() == *all);
        });
    });
}

/// A server that neither waits for it at full speed nor takes bytes without end.
#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    for poller in pollers() {
        let app = serve(&["--poller", poller]);
        let (mut client, mut other) = (Client::of(&app), Client::of(&app));
        let line = [[b'y'; 1000].as_slice(), b"\n"].concat();
        let stream = client.0.get_ref();
        // What it takes is what the kernel's buffers and two rings of 64 KiB hold.
        stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut sent = 0;
        while let Ok(count) = (&*stream).write(&line[sent % line.len()..]) {
            sent += count;
            assert!(sent < 64 << 20, "the server takes everything");
        }
        let before = app.process().cpu();
        thread::sleep(Duration::from_millis(300));
        let spent = app.process().cpu() - before;
        assert!(spent < Duration::from_millis(100), "{spent:?} for nothing");
        other.check("served in between\n");
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut writer = stream.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&line[sent % line.len()..]).unwrap();
                writer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let back = client.rest();
            assert_eq!(back.len(), sent.next_multiple_of(line.len()));
            assert!(back.chunks(line.len()).all(|piece| piece == line));
        });
    }
}

/// Clients that go away without a word, in the middle of whatever they did.
#[test]
fn clients_that_vanish_leave_nothing_behind() {
    for poller in pollers() {
        let app = serve(&["--poller", poller]);
        Client::of(&app).check("warm\n");
        let holders = || app.process().holders();
        let connections = || {
            holders().iter().flat_map(|holder| holder.open()).filter(|open| open.contains("socket:")).count()
        };
        // Each worker has its listener.
        eventually("the first client is gone", || connections() == holders().len());
        for round in 0..200 {
            let mut client = Client::of(&app);
            client.send(&"a line and\nhalf of another"[..round % 26]);
            if round % 3 == 0 {
                vk_try::reset_on_close(client.0.get_ref());
            }
        }
        Client::of(&app).check("served\n");
        eventually("all descriptors are closed", || connections() == holders().len());
    }
}
