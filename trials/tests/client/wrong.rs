//! Servers with one mistake each.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use vk_trials::Load;
use vk_try::{PATIENCE, reset_on_close};

/// Bytes that are given back before the mistake.
const RIGHT: usize = 50_000;

/// Bytes of a chunk that has room for it.
const ROOM: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    Flips,
    Repeats,
    Loses,
    Ends,
    Resets,
    FallsSilent,
    AddsAtTheEnd,
}

/// Gives back what comes.
fn answer(mistake: Mistake, mut stream: TcpStream) {
    let (mut right, mut made, mut buffer) = (0, false, [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let mut chunk = buffer[..count].to_vec();
        if right > RIGHT && !made && count > ROOM {
            made = true;
            match mistake {
                Mistake::None | Mistake::AddsAtTheEnd => {}
                Mistake::Flips => chunk[20] ^= 1,
                Mistake::Repeats => {
                    chunk.splice(40..40, buffer[20..40].iter().copied());
                }
                Mistake::Loses => drop(chunk.drain(20..40)),
                Mistake::Ends => {
                    // What has come meanwhile would turn a plain end into a reset.
                    let _ = stream.shutdown(Shutdown::Write);
                    return drop(io::copy(&mut stream, &mut io::sink()));
                }
                Mistake::Resets => return reset_on_close(&stream),
                Mistake::FallsSilent => return thread::sleep(2 * PATIENCE),
            }
        }
        right += count;
        if stream.write_all(&chunk).is_err() {
            return;
        }
    }
    if mistake == Mistake::AddsAtTheEnd {
        let _ = stream.write_all(b"!");
    }
}

fn serve(mistake: Mistake) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(mistake, stream));
        }
    });
    address
}

/// What the client says of a server with this mistake. The seed makes a client that waits for each answer.
fn complaint(mistake: Mistake) -> Option<String> {
    let load = Load::start(&[serve(mistake)], 1, SEED);
    let begin = Instant::now();
    let patience = if mistake == Mistake::FallsSilent { 2 * PATIENCE } else { Duration::from_secs(2) };
    while !load.has_failed() && begin.elapsed() < patience {
        thread::sleep(Duration::from_millis(5));
    }
    load.conclude().err()
}

const SEED: u64 = 7;

#[test]
fn each_mistake_is_told() {
    thread::scope(|scope| {
        for (mistake, expected) in [
            (Mistake::Flips, "wrong bytes"),
            (Mistake::Repeats, "20 bytes have come twice"),
            (Mistake::Loses, "20 bytes are lost"),
            (Mistake::Ends, "has ended"),
            (Mistake::Resets, "reset"),
            (Mistake::FallsSilent, "nothing has come"),
            (Mistake::AddsAtTheEnd, "1 bytes too many"),
        ] {
            scope.spawn(move || {
                let complaint = complaint(mistake).unwrap_or_else(|| panic!("{mistake:?} is not noticed"));
                eprintln!("{mistake:?}: {complaint}");
                assert!(complaint.contains(expected), "{mistake:?}: {complaint}");
                assert!(complaint.contains("seed 7, connection 0 (Raw)"), "{complaint}");
            });
        }
    });
}

#[test]
fn no_mistake_is_no_failure() {
    assert_eq!(complaint(Mistake::None), None);
}

/// HTTP, changed bytes and lines from a server that gives back each byte, and so is right for lines only.
#[test]
fn another_kind_of_answer_is_no_answer() {
    let load = Load::start(&[serve(Mistake::None); 4], 4, SEED);
    thread::sleep(Duration::from_secs(1));
    let complaint = load.conclude().expect_err("a mistake that is noticed");
    for (connection, wrong) in [("(Raw)", false), ("(Http)", true), ("(Changed)", true), ("(Lines)", false)] {
        assert_eq!(complaint.contains(connection), wrong, "{connection}: {complaint}");
    }
}
