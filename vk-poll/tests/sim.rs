//! The simulator: each fault as it is meant, nothing lost under all of them, the same seed the same run.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::RawFd;
use std::rc::Rc;

use proptest::prelude::*;
use vk_poll::{Backend, Event, Faults, Nanos, Peer, Sim, Token};

const MILLISECOND: Nanos = 1_000_000;
/// When an accept failed for want of descriptors, it is tried again after so long.
const PAUSE: Nanos = 100 * MILLISECOND;

/// Serves echo until `connections` have come and gone, in the way the contract allows. Returns what happened.
fn echo(sim: &mut Sim, listener: RawFd, connections: usize) -> Vec<(Nanos, Event)> {
    struct Connection {
        fd: RawFd,
        unsent: Vec<u8>,
        closed: bool,
        ended: bool,
    }
    const LISTENER: Token = Token(0);
    let (mut live, mut trace, mut events) = (HashMap::<u64, Connection>::new(), Vec::new(), Vec::new());
    let (mut next, mut gone, mut retry) = (1, 0, None);
    while let Err(error) = sim.add(listener, LISTENER) {
        assert_ne!(error.kind(), ErrorKind::AlreadyExists);
    }
    while gone < connections {
        let timeout = retry.map(|at: Nanos| at.saturating_sub(sim.now()));
        match sim.wait(timeout, &mut events) {
            Err(error) if error.kind() != ErrorKind::Deadlock => continue,
            result => result.unwrap(),
        }
        trace.extend(events.iter().map(|&event| (sim.now(), event)));
        if retry.is_some_and(|at| at <= sim.now()) {
            retry = None;
            events.push(Event {
                token: LISTENER,
                readable: true,
                writable: false,
                closed: false,
                urgent: false,
                error: false,
            });
        }
        let mut died = Vec::new();
        for event in events.drain(..) {
            if event.token == LISTENER {
                loop {
                    match sim.accept(listener) {
                        Ok(fd) => {
                            if sim.add(fd, Token(next)).is_err() {
                                sim.close(fd);
                                gone += 1;
                                continue;
                            }
                            live.insert(
                                next,
                                Connection { fd, unsent: Vec::new(), closed: false, ended: false },
                            );
                            next += 1;
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(_) => break retry = Some(sim.now() + PAUSE),
                    }
                }
                continue;
            }
            let Some(connection) = live.get_mut(&event.token.0) else {
                assert!(died.contains(&event.token), "an event of the dead: {event:?}");
                continue;
            };
            connection.closed |= event.closed;
            let fd = connection.fd;
            let result: io::Result<()> = (|| {
                loop {
                    while !connection.unsent.is_empty() {
                        let (front, back) = connection.unsent.split_at(connection.unsent.len() / 2);
                        let sent = sim.write(fd, &[IoSlice::new(front), IoSlice::new(back)])?;
                        connection.unsent.drain(..sent);
                    }
                    if connection.ended {
                        return Ok(());
                    }
                    let (mut one, mut two) = ([0; 700], [0; 300]);
                    let read = sim.read(fd, &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)])?;
                    connection.unsent.extend(one.iter().chain(&two).take(read));
                    connection.ended = read == 0;
                    // Rule 3: a short read needs no second one, but for the end.
                    if read > 0 && read < 1000 && !connection.closed && connection.unsent.is_empty() {
                        return Err(ErrorKind::WouldBlock.into());
                    }
                }
            })();
            match result {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => {
                    live.remove(&event.token.0);
                    died.push(event.token);
                    sim.close(fd);
                    gone += 1;
                }
            }
        }
    }
    sim.close(listener);
    assert!(live.is_empty());
    // Until the clients have taken what is still under way.
    for _ in 0..10 {
        // One that fails does no harm.
        let _ = sim.wait(Some(0), &mut events);
    }
    trace
}

/// What a client has got back so far.
type Answer = Rc<RefCell<Vec<u8>>>;

/// Clients that send all of `message` and want it back.
fn clients(sim: &Sim, listener: RawFd, count: usize, message: &[u8]) -> Vec<Answer> {
    let answers: Vec<Answer> = (0..count).map(|_| Answer::default()).collect();
    let mut states: Vec<(Peer, usize)> = Vec::new();
    let (message, results) = (message.to_vec(), answers.clone());
    sim.drive(move |sim| {
        if states.len() < count {
            states.push((sim.connect(listener), 0));
            return true;
        }
        let mut busy = false;
        for ((peer, sent), answer) in states.iter_mut().zip(&results) {
            let chunk = &message[*sent..message.len().min(*sent + 3000)];
            let taken = peer.send(chunk);
            *sent += taken;
            let received = peer.recv();
            busy |= taken > 0 || !received.is_empty();
            answer.borrow_mut().extend(received);
            if taken > 0 && *sent == message.len() {
                peer.shutdown();
            }
        }
        busy
    });
    answers
}

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|index| ((index * 31) >> 3) as u8).collect()
}

fn run(seed: u64, faults: Faults) -> Vec<(Nanos, Event)> {
    let mut sim = Sim::new(seed, faults);
    let listener = sim.listen();
    let answers = clients(&sim, listener, 5, &message(50_000));
    let trace = echo(&mut sim, listener, 5);
    assert!(answers.iter().all(|answer| *answer.borrow() == message(50_000)), "seed {seed}");
    assert_eq!(sim.descriptors(), 0);
    trace
}

#[test]
fn nothing_is_lost_under_all_faults() {
    for seed in 0..50 {
        run(seed, Faults::ALL);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for faults in [Faults::NONE, Faults::ALL] {
        assert_eq!(run(7, faults), run(7, faults));
        assert_ne!(run(7, faults), run(8, faults));
    }
}

/// Whatever operation fails: the others are served, nothing leaks, nothing hangs.
#[test]
fn an_error_at_each_operation() {
    let operations = |fail| {
        let mut sim = Sim::new(3, Faults::NONE);
        let listener = sim.listen();
        let answers = clients(&sim, listener, 3, &message(5_000));
        if let Some((at, errno)) = fail {
            sim.fail_at(at, errno);
        }
        echo(&mut sim, listener, 3);
        assert_eq!(sim.descriptors(), 0);
        let whole = answers.iter().filter(|answer| *answer.borrow() == message(5_000)).count();
        (sim.operations(), whole)
    };
    let (count, _) = operations(None);
    for errno in [libc::EAGAIN, libc::EINTR, libc::ECONNRESET, libc::ENOMEM] {
        let mut hurt = 0;
        for at in 1..=count {
            let (_, whole) = operations(Some((at, errno)));
            assert!(whole >= 2, "operation {at}, {errno}: {whole} of 3");
            hurt += 3 - whole;
        }
        match errno {
            // An add that says EAGAIN is one that failed.
            libc::EAGAIN => assert_eq!(hurt, 3),
            libc::EINTR => assert_eq!(hurt, 0),
            _ => assert!(hurt > 10),
        }
    }
}

/// A stream that is added, and its peer.
fn stream(faults: Faults) -> (Sim, RawFd, Peer) {
    let mut sim = Sim::new(1, faults);
    let (fd, peer) = sim.stream();
    sim.add(fd, Token(1)).unwrap();
    (sim, fd, peer)
}

fn wait(sim: &mut Sim) -> Vec<Event> {
    let mut events = Vec::new();
    sim.wait(Some(0), &mut events).unwrap();
    events
}

fn read(sim: &mut Sim, fd: RawFd, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let count = sim.read(fd, &mut [IoSliceMut::new(&mut bytes)])?;
    bytes.truncate(count);
    Ok(bytes)
}

#[test]
fn a_short_read_is_followed_by_an_event() {
    let (mut sim, fd, peer) = stream(Faults { short_reads: 100, ..Faults::NONE });
    peer.send(b"hello");
    let mut received = Vec::new();
    while received.len() < 5 {
        assert!(wait(&mut sim)[0].readable);
        received.extend(read(&mut sim, fd, 64).unwrap());
        assert!(received.len() < 5 || received == b"hello");
    }
}

#[test]
fn a_short_write_is_followed_by_an_event() {
    let (mut sim, fd, peer) = stream(Faults { short_writes: 100, ..Faults::NONE });
    let message = message(1000);
    let (mut sent, mut writes) = (0, 0);
    while sent < 999 {
        assert!(wait(&mut sim)[0].writable);
        let count = sim.write(fd, &[IoSlice::new(&message[sent..])]).unwrap();
        assert!(count >= 1 && count < 1000 - sent);
        (sent, writes) = (sent + count, writes + 1);
    }
    assert!(writes > 2 && peer.recv() == message[..999]);
}

#[test]
fn blocking_for_nothing_is_followed_by_an_event() {
    let (mut sim, fd, peer) = stream(Faults { would_block: 50, ..Faults::NONE });
    let (mut balked, mut served) = (0, 0);
    for _ in 0..100 {
        peer.send(b"x");
        assert!(wait(&mut sim)[0].readable);
        while let Err(error) = read(&mut sim, fd, 64) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            balked += 1;
            assert!(wait(&mut sim)[0].readable);
        }
        served += 1;
    }
    assert!(balked > 50 && served == 100);
}

#[test]
fn events_for_nothing() {
    let (mut sim, fd, _peer) = stream(Faults { spurious_events: 100, ..Faults::NONE });
    for _ in 0..3 {
        let event = wait(&mut sim).pop().unwrap();
        assert!(event.readable && !event.closed && !event.error);
        assert_eq!(read(&mut sim, fd, 64).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    sim.forget(fd);
    assert!(wait(&mut sim).is_empty());
}

#[test]
fn batches_in_part() {
    let mut sim = Sim::new(1, Faults { partial_batches: 100, ..Faults::NONE });
    let streams: Vec<_> = (0..10).map(|_| sim.stream()).collect();
    for (token, (fd, _)) in streams.iter().enumerate() {
        sim.add(*fd, Token(token as u64)).unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 10 {
        let events = wait(&mut sim);
        assert!(!events.is_empty() && events.len() < 10);
        seen.extend(events.iter().map(|event| event.token.0));
    }
    assert!(!seen.is_sorted());
    seen.sort();
    assert_eq!(seen, Vec::from_iter(0..10));
}

#[test]
fn interrupted_waits() {
    let (mut sim, _fd, _peer) = stream(Faults { interrupts: 100, ..Faults::NONE });
    let before = sim.now();
    let mut events = Vec::new();
    sim.wait(None, &mut events).unwrap();
    assert!(events.is_empty() && sim.now() == before);
}

/// As in a kernel: the connection waits on, and nobody says so again.
#[test]
fn no_descriptor_left() {
    let mut sim = Sim::new(1, Faults { no_descriptor: 100, ..Faults::NONE });
    let listener = sim.listen();
    sim.add(listener, Token(1)).unwrap();
    let _peer = sim.connect(listener);
    assert!(wait(&mut sim)[0].readable);
    assert_eq!(sim.accept(listener).unwrap_err().raw_os_error(), Some(libc::EMFILE));
    assert!(wait(&mut sim).is_empty());
}

#[test]
fn time_jumps_when_nothing_is_ready() {
    let (mut sim, _fd, peer) = stream(Faults::NONE);
    wait(&mut sim);
    let (before, mut events) = (sim.now(), Vec::new());
    sim.wait(Some(3_600_000 * MILLISECOND), &mut events).unwrap();
    assert!(events.is_empty() && sim.now() == before + 3_600_000 * MILLISECOND);
    peer.send(b"x");
    sim.wait(Some(3_600_000 * MILLISECOND), &mut events).unwrap();
    assert!(events.len() == 1 && sim.now() < before + 3_600_001 * MILLISECOND);
}

#[test]
fn waiting_for_nothing_is_an_error() {
    let (mut sim, _fd, _peer) = stream(Faults::NONE);
    wait(&mut sim);
    assert_eq!(sim.wait(None, &mut Vec::new()).unwrap_err().kind(), ErrorKind::Deadlock);
}

#[test]
fn closing_with_bytes_unread_is_a_reset() {
    let (mut sim, fd, peer) = stream(Faults::NONE);
    sim.write(fd, &[IoSlice::new(b"an answer")]).unwrap();
    peer.send(b"unread");
    sim.close(fd);
    assert!(peer.was_reset() && peer.recv().is_empty());
}

#[test]
#[should_panic(expected = "closed, but not open")]
fn closing_twice_is_found() {
    let (mut sim, fd, _peer) = stream(Faults::NONE);
    sim.close(fd);
    sim.close(fd);
}

proptest! {
    /// Whatever is sent and read in whatever pieces: the bytes are the same.
    #[test]
    fn a_stream_is_a_stream(seed: u64, steps in prop::collection::vec((any::<bool>(), 1usize..9000), 1..60)) {
        let (mut sim, fd, peer) = stream(Faults { no_descriptor: 0, ..Faults::ALL });
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        let mut next = seed;
        for (send, len) in steps {
            if send {
                let bytes: Vec<u8> = (0..len).map(|_| { next = next.wrapping_mul(25).wrapping_add(7); (next >> 56) as u8 }).collect();
                let taken = peer.send(&bytes);
                sent.extend_from_slice(&bytes[..taken]);
            } else if let Ok(bytes) = read(&mut sim, fd, len) {
                received.extend(bytes);
            }
        }
        peer.shutdown();
        loop {
            match read(&mut sim, fd, 4096) {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => received.extend(bytes),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        prop_assert!(sent == received);
    }
}
