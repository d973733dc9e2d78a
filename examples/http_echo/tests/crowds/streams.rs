//! Large bodies: what streams through a worker is not in its memory.

use crate::{MIB, alone, peaks, start};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;
use vk_try::{PATIENCE, expect, send};

const CLIENTS: usize = 64;

/// What each of them sends, and gets back: 1 GiB together.
const EACH: u64 = 16 * MIB;

/// What a worker may occupy, with its program.
const MOST: u64 = 32 * MIB;

/// Sends a body and compares what comes back, while it sends.
fn echo(address: SocketAddr, seed: u64, together: &Barrier) {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a connected socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a connected socket");
    together.wait();
    thread::scope(|scope| {
        let mut to = &stream;
        scope.spawn(move || {
            let fields = format!("Host: localhost\r\nConnection: close\r\nContent-Length: {EACH}");
            write!(to, "POST /echo HTTP/1.1\r\n{fields}\r\n\r\n")?;
            send(&mut to, EACH, seed)
        });
        let mut from = BufReader::new(&stream);
        let mut line = String::new();
        from.read_line(&mut line).expect("an answer");
        assert_eq!(line, "HTTP/1.1 200 OK\r\n");
        while line != "\r\n" {
            line.clear();
            from.read_line(&mut line).expect("a head");
        }
        expect(&mut from, EACH, seed);
    });
}

#[test]
fn a_gibibyte_goes_up_and_down_in_little_memory() {
    let _alone = alone();
    let trial = start();
    let (together, begin) = (Barrier::new(CLIENTS), Instant::now());
    thread::scope(|scope| {
        for seed in 0..CLIENTS as u64 {
            let (together, address) = (&together, trial.http());
            scope.spawn(move || echo(address, seed, together));
        }
    });
    let peaks = peaks(&trial);
    eprintln!("1 GiB up and down in {:.1?}; peaks of the workers: {peaks:?} bytes", begin.elapsed());
    assert!(peaks.iter().all(|peak| *peak < MOST), "{peaks:?} bytes");
    trial.end();
}
