//! What takes long: clients that the server gives up, and files that change under way.

mod harness;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;
use std::thread;
use std::time::Instant;
use vk::prelude::*;
use vk_http::{self as http, Limits, Request};

const LIMITS: Limits =
    Limits { idle_secs: 1, head_secs: 1, body_secs: 1, body_rate: 1000, ..Limits::DEFAULT };

#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request_within(io, &mut request, &LIMITS)? {
        if request.path() == "/patient" {
            request.limits.body_secs = 60;
        }
        http::read_whole_body(io, &mut request, 10_000)?;
        http::respond(io, &request, 200, "", b"")?;
    }
    Ok(())
}

/// Sends `begin`, then `piece` each 100 ms for as long as `seconds`; returns the answer's first line and after how
/// many milliseconds it came.
fn drip(begin: &str, piece: &[u8], seconds: f64) -> (String, u128) {
    let (mut client, worker) = harness::serve::<serve>(|| ());
    let start = Instant::now();
    client.write_all(begin.as_bytes()).unwrap();
    let mut writer = client.try_clone().unwrap();
    let piece = piece.to_vec();
    let dripping = thread::spawn(move || {
        while !piece.is_empty() && start.elapsed().as_secs_f64() < seconds && writer.write_all(&piece).is_ok()
        {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let mut answer = vec![0; 4096];
    let count = client.read(&mut answer).unwrap();
    let elapsed = start.elapsed().as_millis();
    client.shutdown(std::net::Shutdown::Both).unwrap();
    dripping.join().unwrap();
    worker.join().unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    (answer.lines().next().unwrap_or("").to_owned(), elapsed)
}

fn post(target: &str, length: usize) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn who_sends_nothing_is_given_up() {
    for (begin, answer) in [
        ("", ""),
        ("GET / HT", "HTTP/1.1 408 Request Timeout"),
        (&post("/", 10), "HTTP/1.1 408 Request Timeout"),
        (&format!("{}half", post("/", 10)), "HTTP/1.1 408 Request Timeout"),
    ] {
        let (found, elapsed) = drip(begin, b"", 0.0);
        assert!(found == answer && (900..4000).contains(&elapsed), "{begin}: {found} after {elapsed} ms");
    }
}

#[test]
fn who_sends_slowly_is_given_up() {
    let (answer, elapsed) = drip(&post("/", 5000), &[b'x'; 20], 10.0);
    assert!(answer.contains(" 408 ") && (1100..5000).contains(&elapsed), "{answer} after {elapsed} ms");
}

#[test]
fn who_sends_fast_enough_is_not() {
    let (answer, elapsed) = drip(&post("/", 5000), &[b'x'; 200], 10.0);
    assert!(answer.contains(" 200 ") && elapsed > 2000, "{answer} after {elapsed} ms");
    // A handler may be more patient than the application.
    let (answer, elapsed) = drip(&post("/patient", 400), &[b'x'; 20], 10.0);
    assert!(answer.contains(" 200 ") && elapsed > 1800, "{answer} after {elapsed} ms");
}

static ROOT: LazyLock<String> = LazyLock::new(|| {
    let root = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("vk-http-slow");
    std::fs::create_dir_all(&root).unwrap();
    root.to_str().unwrap().to_owned()
});

#[vk::coroutine]
fn serve_files(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        http::file(io, &request, &ROOT, request.path())?;
    }
    Ok(())
}

#[test]
fn a_file_that_changes_ends_the_connection() {
    const SIZE: usize = 20_000_000;
    let large = format!("{}/large", *ROOT);
    let fetch = |meanwhile: &dyn Fn(&mut UnixStream)| {
        std::fs::write(&large, vec![b'x'; SIZE]).unwrap();
        let (mut client, worker) = harness::serve::<serve_files>(|| ());
        client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        meanwhile(&mut client);
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        (rest.len(), worker.join().unwrap())
    };
    let (length, fine) = fetch(&|_| ());
    assert!(length > SIZE && fine);
    let (length, fine) = fetch(&|client| {
        client.read_exact(&mut [0; 1000]).unwrap();
        std::fs::write(&large, vec![b'y'; SIZE]).unwrap();
    });
    assert!(length < SIZE && !fine, "{length} bytes came");
    std::fs::remove_dir_all(&*ROOT).unwrap();
}
