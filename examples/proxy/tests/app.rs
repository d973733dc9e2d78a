//! The application as its users run it, before a server of plain threads.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;
use vk_try::App;

/// A server that sends each body back while it comes.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).unwrap() == 0 {
                    return;
                }
            }
            assert!(head.contains("\r\nForwarded: for=127.0.0.1;host=\"a\";proto=http\r\n"), "{head}");
            let length: u64 =
                head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok()).unwrap();
            write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").unwrap();
            let mut to = stream.get_ref().try_clone().unwrap();
            io::copy(&mut stream.take(length), &mut to).unwrap();
        }
    });
    address
}

#[test]
fn a_large_body_goes_both_ways_in_constant_memory() {
    const LENGTH: usize = 200_000_000;
    let base = format!("http://localhost:{}", echo().port());
    let app = App::start(Command::new(env!("CARGO_BIN_EXE_proxy")).args([
        "--listen",
        "127.0.0.1:0",
        "--workers",
        "0",
        &base,
    ]));
    let mut stream = app.connect();
    let before = app.process().peak();
    let mut writer = stream.try_clone().unwrap();
    let piece: Vec<u8> = (0..100_003).map(|at| (at * 7 + at / 251) as u8).collect();
    let sent = piece.clone();
    let writing = thread::spawn(move || {
        write!(writer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
        let mut left = LENGTH;
        while left > 0 {
            let count = left.min(sent.len());
            writer.write_all(&sent[..count]).unwrap();
            left -= count;
        }
    });
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    let mut left = LENGTH;
    let mut came = vec![0; piece.len()];
    while left > 0 {
        let count = left.min(piece.len());
        stream.read_exact(&mut came[..count]).unwrap();
        assert!(came[..count] == piece[..count]);
        left -= count;
    }
    writing.join().unwrap();
    let grown = app.process().peak() - before;
    assert!(grown < 4 << 20, "{grown} bytes more");
}
