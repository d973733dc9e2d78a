//! What handlers do: messages in pieces, closes, deadlines, mistakes.

use crate::frames::{HELLO, WELCOME, close, masked, plain};
use crate::talk;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use vk::prelude::*;
use vk_core::Entry;
use vk_core::rt::Coroutine;
use vk_heap::{Arena, Config, Guard};
use vk_http::{self as http, Request, ws};
use vk_poll::{Faults, Peer, Sim};
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

/// What `C` answers behind the handshake.
fn answers<C: Coroutine<Args = (), Output = io::Result<()>>>(input: &[u8]) -> Vec<u8> {
    let answers = talk::answers::<C>(&[HELLO.as_bytes(), input].concat(), &[]);
    answers.strip_prefix(WELCOME.as_bytes()).expect("the handshake is answered").to_vec()
}

/// The handshake, in front of every handler here.
#[vk::coroutine]
fn connect(io: &mut Io, socket: &mut ws::Socket) -> io::Result<()> {
    let mut request: Request = Request::new();
    let there: bool = http::read_request(io, &mut request)? && ws::accept(io, &request, socket, &[])?;
    assert!(there);
    Ok(())
}

#[vk::coroutine]
fn pieces(io: &mut Io) -> io::Result<()> {
    let mut socket: ws::Socket = ws::Socket::new();
    connect(io, &mut socket)?;
    ws::begin(io, &socket, ws::Kind::Text)?;
    ws::write(io, &socket, b"\xc2")?;
    ws::write(io, &socket, b"\xb5")?;
    ws::end(io, &socket)?;
    ws::begin(io, &socket, ws::Kind::Binary)?;
    ws::end(io, &socket)?;
    ws::close(io, &mut socket, 1000, "that is all")?;
    ws::close(io, &mut socket, 1000, "twice is once")?;
    assert_eq!(socket.code(), Some(1000));
    let over: bool = ws::recv(io, &mut socket)?.is_none();
    assert!(over);
    Ok(())
}

#[test]
fn messages_go_out_in_pieces() {
    let expected = [
        plain(0x01, b"\xc2"),
        plain(0x00, b"\xb5"),
        plain(0x80, b""),
        plain(0x82, b""),
        plain(0x88, b"\x03\xe8that is all"),
    ];
    assert_eq!(answers::<pieces>(&masked(0x88, b"\x03\xe8")), expected.concat());
}

/// Each mistake is an error, and nothing of it is sent.
#[vk::coroutine]
fn mistaken(io: &mut Io) -> io::Result<()> {
    let mut socket: ws::Socket = ws::Socket::new();
    let error: Option<io::ErrorKind> =
        ws::send(io, &socket, ws::Kind::Text, b"").err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::BrokenPipe));
    let over: bool = ws::recv(io, &mut socket)?.is_none();
    assert!(over);
    socket = ws::Socket::new();
    connect(io, &mut socket)?;
    let error: Option<io::ErrorKind> = ws::end(io, &socket).err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::InvalidInput));
    let error: Option<io::ErrorKind> = ws::write(io, &socket, b"").err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::InvalidInput));
    let error: Option<io::ErrorKind> =
        ws::send(io, &socket, ws::Kind::Text, b"\xff").err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::InvalidInput));
    let error: Option<io::ErrorKind> = ws::close(io, &mut socket, 1005, "").err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::InvalidInput));
    ws::begin(io, &socket, ws::Kind::Text)?;
    let error: Option<io::ErrorKind> =
        ws::send(io, &socket, ws::Kind::Text, b"").err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::InvalidInput));
    let error: Option<io::ErrorKind> = ws::write(io, &socket, b"\xff").err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::InvalidInput));
    ws::write(io, &socket, b"\xc2")?;
    let error: Option<io::ErrorKind> = ws::end(io, &socket).err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::InvalidInput));
    ws::close(io, &mut socket, 4000, "")?;
    let error: Option<io::ErrorKind> =
        ws::send(io, &socket, ws::Kind::Text, b"").err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::BrokenPipe));
    Ok(())
}

#[test]
fn mistakes_are_errors() {
    assert_eq!(answers::<mistaken>(b""), [plain(0x01, b"\xc2"), close(4000)].concat());
}

/// Messages, for a while.
#[vk::coroutine]
fn hear(io: &mut Io, socket: &mut ws::Socket) -> io::Result<Option<ws::Kind>> {
    io.deadline(Duration::from_millis(50))?;
    ws::recv(io, socket)
}

/// Says `.` whenever nothing was heard for a while.
#[vk::coroutine]
fn impatient(io: &mut Io) -> io::Result<()> {
    let mut socket: ws::Socket = ws::Socket::new();
    connect(io, &mut socket)?;
    let mut turns: u32 = 0;
    while turns < 3 {
        match hear(io, &mut socket) {
            Ok(Some(kind)) => {
                let kind: ws::Kind = kind;
                ws::send(io, &socket, kind, &socket.message)?;
            }
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                turns += 1;
                assert!(socket.message.is_empty());
                ws::send(io, &socket, ws::Kind::Text, b".")?;
            }
            Err(error) => return Err(error),
        }
    }
    ws::close(io, &mut socket, 1001, "")
}

/// What `C` answers in a world whose clock jumps to the next time that somebody waits for: each part is sent when a
/// message, or so, has come after the former one; then the client is silent.
fn slowly<C: Coroutine<Args = (), Output = io::Result<()>>>(parts: &[&[u8]]) -> Vec<u8> {
    let mut parts: VecDeque<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
    let mut begun = false;
    talks::<C>(move |peer, heard| {
        let answer = peer.recv();
        heard.extend(&answer);
        if peer.ended() {
            peer.close();
        }
        if answer.is_empty() && std::mem::replace(&mut begun, true) {
            return false;
        }
        parts.pop_front().is_some_and(|part| peer.send(&part) > 0)
    })
}

/// What `C` answers to a client that does what `drive` does whenever nothing happens: it returns whether it did
/// anything, and adds to what was heard.
fn talks<C: Coroutine<Args = (), Output = io::Result<()>>>(
    mut drive: impl FnMut(&Peer, &mut Vec<u8>) -> bool + 'static,
) -> Vec<u8> {
    let sim = Sim::new(1, Faults::NONE);
    let config = Config { heaps: 1, heap_size: 4096, pool_blocks: 4, guard: Guard::Off };
    let ledger = Box::leak(Box::new(Ledger::alone().unwrap()));
    let settings = Settings { max_procs: 1, ledger, holder: None, resolves: true };
    let mut worker = Worker::new(Arena::new(&config).unwrap(), sim.clone(), None, settings).unwrap();
    let (stream, peer) = sim.stream();
    worker.start_on(Entry::handler::<C>(), stream, stream).unwrap();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let (answers, last) = (heard.clone(), peer.clone());
    sim.drive(move |_| drive(&peer, &mut heard.borrow_mut()));
    worker.run().expect("the worker goes on until the connection is done");
    assert_eq!(worker.stats().panics, 0);
    answers.borrow_mut().extend(last.recv());
    let answers = answers.borrow();
    let head = answers.windows(4).position(|end| end == b"\r\n\r\n").expect("the handshake is answered");
    answers[head + 4..].to_vec()
}

/// A frame whose second part comes later is none the worse for it.
#[test]
fn receiving_is_taken_up_again() {
    let message = masked(0x81, b"slow");
    let dot = plain(0x81, b".");
    for cut in 0..message.len() {
        let first = [HELLO.as_bytes(), &message[..cut]].concat();
        let answers = slowly::<impatient>(&[&first, b"", &message[cut..]]);
        let expected = [dot.clone(), plain(0x81, b"slow"), dot.repeat(2), close(1001)].concat();
        assert_eq!(answers.escape_ascii().to_string(), expected.escape_ascii().to_string(), "cut at {cut}");
    }
}

/// Receives messages, and asserts how it ended.
#[vk::coroutine]
fn patient(io: &mut Io) -> io::Result<()> {
    let mut socket: ws::Socket = ws::Socket::new();
    connect(io, &mut socket)?;
    socket.limits.ping_secs = 5;
    while ws::recv(io, &mut socket)?.is_some() {}
    assert_eq!(socket.code(), Some(1006));
    Ok(())
}

#[test]
fn silence_is_asked_and_then_given_up() {
    let ping = plain(0x89, b"");
    assert_eq!(slowly::<patient>(&[HELLO.as_bytes()]), ping);
    // Who answers is asked again, also between the halves of a frame.
    let pong = masked(0x8a, b"");
    let parts = [HELLO.as_bytes(), b"", &pong, &pong[..3], &pong[3..]];
    assert_eq!(slowly::<patient>(&parts), ping.repeat(4));
}

/// Who sends pings and takes no answer gets no ping in the middle of one.
#[test]
fn who_takes_nothing_is_given_up() {
    let payload = [b'?'; 125];
    let mut input = [HELLO.as_bytes(), &masked(0x89, &payload).repeat(2000)].concat();
    let mut turns = 0;
    let answers = talks::<patient>(move |peer, heard| {
        if turns == 0 {
            let taken = peer.send(&input);
            input.drain(..taken);
            if taken > 0 {
                return true;
            }
        }
        turns += 1;
        // By now a sign of life was missed.
        if turns >= 4 {
            heard.extend(peer.recv());
        }
        turns == 4
    });
    let (pong, ping) = (plain(0x8a, &payload), plain(0x89, b""));
    let mut rest = &answers[..];
    while let Some(next) = rest.strip_prefix(&pong[..]).or(rest.strip_prefix(&ping[..])) {
        rest = next;
    }
    assert!(pong.starts_with(rest), "{}", rest[..rest.len().min(200)].escape_ascii());
    assert!(answers.len() > 10_000);
}
