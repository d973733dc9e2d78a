//! The whole worker on the simulator: one thread, no kernel, a virtual clock, and faults by seed.
#![allow(missing_docs)]

extern crate vk_core as vk;

mod streams;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use streams::{Client, echo, forwarder, rest, upper};
use vk_core::rt::Coroutine;
use vk_core::{Child, Descriptor, Entry, HeapBytes, Io, LastWords, Line, Sink, Source};
use vk_heap::{Arena, Config, Guard};
use vk_poll::{Faults, Peer, Sim};
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

const GUARDS: [Guard; 4] = [Guard::Strict, Guard::Epoch(2), Guard::Epoch(1024), Guard::Off];

fn worker(sim: &Sim, guard: Guard, max_procs: u32) -> Worker<Sim> {
    let ledger = Box::leak(Box::new(Ledger::alone().unwrap()));
    let config = Config { heaps: max_procs, heap_size: 4096, pool_blocks: 64, guard };
    let settings = Settings { max_procs, ledger, holder: None, resolves: true };
    Worker::new(Arena::new(&config).unwrap(), sim.clone(), None, settings).unwrap()
}

/// Runs until nothing is left to do.
fn settle(worker: &mut Worker<Sim>) {
    if let Err(error) = worker.run() {
        assert_eq!(error.raw_os_error(), Some(libc::EDEADLK), "{error}");
    }
}

/// Runs one handler on one stream, which is given `input` and its end; returns what it answers.
fn answer<C: Coroutine<Args = (), Output = io::Result<()>>>(input: &[u8]) -> Vec<u8> {
    let sim = Sim::new(1, Faults::NONE);
    let mut worker = worker(&sim, Guard::Strict, 4);
    let (stream, peer) = sim.stream();
    worker.start_on(Entry::handler::<C>(), stream, stream).unwrap();
    peer.send(input);
    peer.shutdown();
    settle(&mut worker);
    assert_eq!(worker.stats().live, 0, "it is done");
    worker.check_conservation().unwrap();
    peer.recv()
}

/// Bytes that look random, from a seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// Serves `clients` clients with `handler`, on a world with `faults`; returns what each got back.
fn serve(
    handler: &'static Entry,
    seed: u64,
    faults: Faults,
    (guard, max_procs): (Guard, u32),
    clients: Vec<Vec<u8>>,
) -> Vec<Vec<u8>> {
    let sim = Sim::new(seed, faults);
    let mut worker = worker(&sim, guard, max_procs);
    let listener = sim.listen();
    worker.listen(listener, handler).unwrap();
    let count = clients.len() as u64;
    let clients: Vec<_> = clients.into_iter().map(|data| Client::new(sim.connect(listener), data)).collect();
    let clients = Rc::new(RefCell::new(clients));
    let theirs = clients.clone();
    let mut pieces = noise(seed, 4096).into_iter().cycle();
    sim.drive(move |_| {
        let mut busy = false;
        for client in theirs.borrow_mut().iter_mut() {
            busy |= client.act(usize::from(pieces.next().unwrap()) * 8 + 1);
        }
        busy
    });
    settle(&mut worker);
    assert_eq!(worker.stats().started, count + 1, "each client had its micro-process");
    assert_eq!(worker.stats().live, 1, "only the listener is left");
    worker.drain();
    settle(&mut worker);
    worker.check_conservation().unwrap();
    assert_eq!(sim.descriptors(), 0, "every descriptor is closed");
    let clients = clients.borrow();
    clients.iter().map(|client| client.received.clone()).collect()
}

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("VK_SEEDS").map_or(12, |count| count.parse().expect("VK_SEEDS is a number"));
    0..count
}

#[test]
fn lines_come_back_whatever_goes_wrong() {
    for seed in seeds() {
        for guard in GUARDS {
            let data: Vec<Vec<u8>> = (0..20)
                .map(|client| {
                    (0..50).flat_map(|n| format!("{client}: line {n} of {seed}\n").into_bytes()).collect()
                })
                .collect();
            let faults = if seed % 4 == 0 { Faults::NONE } else { Faults::ALL };
            let back = serve(Entry::handler::<echo>(), seed, faults, (guard, 64), data.clone());
            assert_eq!(back, data, "seed {seed}, guard {guard}");
        }
    }
}

#[test]
fn streams_come_back_through_lent_rings() {
    for seed in seeds() {
        let data: Vec<Vec<u8>> = (0..8).map(|client| noise(seed * 8 + client, 150_000)).collect();
        let back =
            serve(Entry::handler::<forwarder>(), seed, Faults::ALL, (Guard::Epoch(4), 64), data.clone());
        for (client, (back, data)) in back.iter().zip(&data).enumerate() {
            let wrong = back.iter().zip(data).position(|(a, b)| a != b);
            assert_eq!((back.len(), wrong), (data.len(), None), "seed {seed}, client {client}");
        }
    }
}

#[test]
fn more_clients_than_micro_processes_are_served_in_turn() {
    let data: Vec<Vec<u8>> = (0..100).map(|client| format!("{client}\n").into_bytes()).collect();
    for faults in [Faults::NONE, Faults::ALL] {
        let back = serve(Entry::handler::<echo>(), 7, faults, (Guard::Strict, 5), data.clone());
        assert_eq!(back, data);
    }
}

#[test]
fn running_out_of_descriptors_delays_connections_only() {
    let faults = Faults { no_descriptor: 60, ..Faults::NONE };
    let data: Vec<Vec<u8>> = (0..100).map(|client| format!("{client}\n").into_bytes()).collect();
    let back = serve(Entry::handler::<echo>(), 3, faults, (Guard::Strict, 500), data.clone());
    assert_eq!(back, data);
}

/// An operation that fails, whichever it is, may cost one connection and never the worker.
#[test]
fn any_operation_may_fail() {
    for operation in 1..120 {
        for errno in [libc::EIO, libc::ECONNRESET, libc::ENOMEM] {
            let sim = Sim::new(operation, Faults::NONE);
            let mut worker = worker(&sim, Guard::Strict, 16);
            let listener = sim.listen();
            worker.listen(listener, Entry::handler::<echo>()).unwrap();
            let peers: Vec<_> = (0..10).map(|_| sim.connect(listener)).collect();
            for peer in &peers {
                peer.send(b"one\ntwo\n");
                peer.shutdown();
            }
            sim.fail_at(sim.operations() + operation, errno);
            match worker.run() {
                Err(error) if error.raw_os_error() == Some(libc::EDEADLK) => {}
                // A poller that fails to wait is the one thing that a worker can't work without.
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(errno));
                    continue;
                }
                Ok(()) => panic!("operation {operation}, errno {errno}: the listener has ended"),
            }
            let served = peers.iter().filter(|peer| peer.recv() == b"one\ntwo\n").count();
            assert!(served >= 9, "operation {operation}, errno {errno}: {served} served");
            assert_eq!(worker.stats().live, 1, "operation {operation}, errno {errno}");
        }
    }
}

#[vk::coroutine]
fn bomb(io: &mut Io) -> io::Result<()> {
    let mut line: Line<100> = Line::new();
    while io.read_line(&mut line)? {
        assert!(line.trim_end() != b"boom", "asked to");
        io.write_all(&line)?;
    }
    Ok(())
}

#[test]
fn a_panic_ends_its_micro_process_only() {
    let data: Vec<Vec<u8>> = (0..20)
        .map(|client| if client % 5 == 0 { b"a\nboom\nb\n".to_vec() } else { b"a\nb\n".to_vec() })
        .collect();
    let back = serve(Entry::handler::<bomb>(), 5, Faults::NONE, (Guard::Epoch(8), 64), data);
    for (client, back) in back.iter().enumerate() {
        let expected: &[u8] = if client % 5 == 0 { b"" } else { b"a\nb\n" };
        assert!(back.starts_with(expected), "client {client}: {back:?}");
        assert!(!back.ends_with(b"boom\n"));
    }
}

const SORRY: LastWords = LastWords::of::<sorry>();

#[vk::coroutine]
fn sorry(io: &mut Io) -> io::Result<()> {
    io.write_all(b"sorry\n")?;
    let mut line: Line<100> = Line::new();
    while io.read_line(&mut line)? {
        io.write_all(b"unread: ")?;
        io.write_all(&line)?;
        assert!(line.trim_end() != b"boom again", "asked to");
    }
    Ok(())
}

/// Answers lines until one says how to fail.
#[vk::coroutine]
fn apologetic(io: &mut Io) -> io::Result<()> {
    let mut line: Line<100> = Line::new();
    io.last_words(SORRY)?;
    loop {
        io.checkpoint("idle")?;
        if !io.read_line(&mut line)? {
            io.write_all(b"end\n")?;
            panic!("asked to");
        }
        match line.trim_end() {
            b"boom" => panic!("asked to"),
            b"wait, boom" => {
                io.sleep(Duration::from_millis(1))?;
                panic!("asked to");
            }
            b"error" => return Err(io::ErrorKind::Other.into()),
            b"mute" => {
                io.last_words(LastWords::NONE)?;
                io.write_all(b"half a ")?;
                io.flush()?;
                panic!("asked to");
            }
            _ => io.write_all(&line)?,
        }
    }
}

#[test]
fn who_fails_has_last_words() {
    let ask = |lines: &str| String::from_utf8(answer::<apologetic>(lines.as_bytes())).unwrap();
    // What was done since the last time that it blocked is undone, and what was not read is there to be read.
    assert_eq!(ask("a\nboom\nb\n"), "sorry\nunread: a\nunread: boom\nunread: b\n");
    assert_eq!(ask("a\nwait, boom\nb\n"), "a\nsorry\nunread: b\n");
    // An error undoes nothing.
    assert_eq!(ask("a\nerror\nb\n"), "a\nsorry\nunread: b\n");
    assert_eq!(ask("mute\n"), "half a ");
    // At a checkpoint, with nothing received, nobody has asked.
    assert_eq!(ask(""), "");
    // Last words have none, and are undone like anything else.
    assert_eq!(ask("wait, boom\nboom again\n"), "");
}

/// Takes the connection along with its last words, and fails while it talks to somebody else.
#[vk::coroutine]
fn distracted(io: &mut Io) -> io::Result<()> {
    let mut line: Line<100> = Line::new();
    io.last_words(SORRY)?;
    let address: std::net::SocketAddr = "127.0.0.1:9".parse().unwrap();
    let server: Descriptor = io.connect(address)?;
    let mut other: Child = io.spawn::<rest>((), Source::Descriptor(server), Sink::Descriptor(server))?;
    io.read_line(&mut line)?;
    let crosses: bool = line.trim_end() == b"cross";
    io.swap(&mut other)?;
    if crosses {
        io.cross(&mut other)?;
    }
    io.write_all(b"question\n")?;
    io.sleep(Duration::from_millis(1))?;
    panic!("asked to");
}

#[test]
fn last_words_go_where_the_output_goes() {
    for kind in ["swap", "cross"] {
        let sim = Sim::new(1, Faults::NONE);
        let mut worker = worker(&sim, Guard::Strict, 4);
        let server = sim.serve("127.0.0.1:9".parse().unwrap());
        let (stream, peer) = sim.stream();
        worker.start_on(Entry::handler::<distracted>(), stream, stream).unwrap();
        peer.send(format!("{kind}\nmore\n").as_bytes());
        peer.shutdown();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (mut far, hears) = (None, heard.clone());
        sim.drive(move |_| {
            far = far.take().or_else(|| server.accept());
            let Some(far) = &far else { return false };
            let more: Vec<u8> = far.recv();
            hears.borrow_mut().extend_from_slice(&more);
            !more.is_empty()
        });
        settle(&mut worker);
        assert_eq!(String::from_utf8_lossy(&peer.recv()), "sorry\nunread: more\n", "{kind}");
        assert_eq!(*heard.borrow(), b"question\n", "{kind}");
        assert_eq!((worker.stats().live, worker.stats().panics), (0, 1));
        worker.check_conservation().unwrap();
    }
}

#[vk::coroutine]
fn long_line(io: &mut Io) -> io::Result<()> {
    let mut line: Line<16> = Line::new();
    loop {
        let kind: Option<io::ErrorKind> = io.read_line(&mut line).err().map(|error| error.kind());
        if kind.is_some() || line.is_empty() {
            writeln!(io, "{kind:?} after {}", line.len())?;
            return Ok(());
        }
    }
}

#[test]
fn a_line_that_is_too_long_is_an_error() {
    assert_eq!(answer::<long_line>(b"short\n0123456789abcdef\n"), b"Some(InvalidData) after 16\n");
    assert_eq!(answer::<long_line>(b"0123456789abcde\n"), b"None after 0\n");
}

#[vk::coroutine]
fn pieces(io: &mut Io) -> io::Result<()> {
    let mut word: [u8; 4] = [0; 4];
    io.read_exact(&mut word)?;
    let seen: usize = io.peek(&mut word)?;
    io.skip(2)?;
    let there: usize = io.fill(3)?;
    let first: u8 = io.buffered()?[0];
    writeln!(io, "{} {there} {}", seen, first as char)?;
    let all: u64 = io.forward(2)?;
    let end: bool = io.eof()?;
    io.skip(1)?;
    let after: bool = io.eof()?;
    let short: Option<io::ErrorKind> = io.read_exact(&mut word).err().map(|error| error.kind());
    write!(io, " {all} {end} {after} {short:?}")
}

#[test]
fn the_receiving_operations_agree_on_where_the_stream_stands() {
    assert_eq!(answer::<pieces>(b"abcdefGHI"), b"4 3 G\nGH 2 false true Some(UnexpectedEof)");
}

#[vk::coroutine]
fn filler(io: &mut Io) -> io::Result<()> {
    let there: usize = io.fill(8)?;
    write!(io, "{there}")
}

/// The end came together with the last bytes, fewer than were waited for; no event tells of it.
#[test]
fn a_fill_ends_where_the_stream_does() {
    assert_eq!(answer::<filler>(b"abc"), b"3");
}

#[vk::coroutine]
fn reversed(io: &mut Io) -> io::Result<()> {
    let mut line: Line<64> = Line::new();
    while io.read_line(&mut line)? {
        line.reverse();
        io.write_all(&line)?;
    }
    Ok(())
}

/// A filter before, a filter behind, and the handler between them.
#[vk::coroutine]
fn filtered(io: &mut Io) -> io::Result<()> {
    let mut before: Child = io.spawn::<upper>((), Source::Inherit, Sink::Parent)?;
    let mut behind: Child = io.spawn::<reversed>((), Source::Parent, Sink::Inherit)?;
    let mut line: Line<64> = Line::new();
    while io.read_line(&mut line)? {
        io.write_all(b"<")?;
        io.write_all(line.trim_end())?;
        io.write_all(b">\n")?;
    }
    io.join(&mut before)?;
    io.shutdown()?;
    io.join(&mut behind)
}

#[test]
fn coroutines_are_filters_in_each_others_streams() {
    assert_eq!(answer::<filtered>(b"abc\nde\n"), b"\n>CBA<\n>ED<");
}

#[vk::coroutine]
fn messages(io: &mut Io) -> io::Result<()> {
    let mut child: Child = io.spawn::<reader>((), Source::Parent, Sink::Inherit)?;
    for n in 1..=3u8 {
        let n: u8 = n;
        for _ in 0..n {
            io.write_all(b"x")?;
        }
        io.hangup()?;
    }
    io.shutdown()?;
    io.join(&mut child)
}

#[vk::coroutine]
fn reader(io: &mut Io) -> io::Result<()> {
    let mut bytes: [u8; 8] = [0; 8];
    for _ in 0..3u8 {
        let count: u64 = io.forward(u64::MAX)?;
        let more: usize = io.read(&mut bytes)?;
        io.read_hangup()?;
        write!(io, "({count}+{more})")?;
    }
    let end: bool = io.eof()?;
    write!(io, "{end}")
}

#[test]
fn a_hangup_is_the_end_of_a_message_that_the_reader_acknowledges() {
    assert_eq!(answer::<messages>(b""), b"x(1+0)xx(2+0)xxx(3+0)true");
}

#[vk::coroutine]
fn failing(io: &mut Io) -> io::Result<()> {
    io.yield_now()?;
    Err(io::ErrorKind::Other.into())
}

#[vk::coroutine]
fn counter(io: &mut Io, upto: u32) -> io::Result<()> {
    for n in 0..upto {
        let n: u32 = n;
        write!(io, "{n} ")?;
        io.yield_now()?;
    }
    Ok(())
}

#[vk::coroutine]
fn parent(io: &mut Io) -> io::Result<()> {
    let mut child: Child = io.spawn::<failing>((), Source::Nothing, Sink::Nothing)?;
    let failed: bool = io.join(&mut child).is_err();
    let again: bool = io.join(&mut child).is_ok();
    let mut counting: Child = io.spawn::<counter>((3,), Source::Nothing, Sink::Parent)?;
    let counted: u64 = io.forward(u64::MAX)?;
    io.join(&mut counting)?;
    write!(io, "{failed} {again} {counted}")
}

#[test]
fn a_join_tells_how_the_child_ended_and_frees_it() {
    assert_eq!(answer::<parent>(b""), b"0 1 2 true true 6");
}

#[vk::coroutine]
fn clock(io: &mut Io) -> io::Result<()> {
    io.sleep(Duration::from_millis(300))?;
    let limited: Option<io::ErrorKind> = limited(io).err().map(|error| error.kind());
    // The limit ended with the coroutine that set it.
    io.sleep(Duration::from_secs(3600))?;
    write!(io, "{limited:?}")
}

#[vk::coroutine]
fn limited(io: &mut Io) -> io::Result<()> {
    io.deadline(Duration::from_secs(2))?;
    let mut byte: [u8; 1] = [0];
    io.read_exact(&mut byte)?;
    Ok(())
}

#[test]
fn deadlines_and_sleeps_come_in_virtual_time() {
    let sim = Sim::new(1, Faults::ALL);
    let mut worker = worker(&sim, Guard::Strict, 4);
    let (stream, peer) = sim.stream();
    worker.start_on(Entry::handler::<clock>(), stream, stream).unwrap();
    settle(&mut worker);
    assert_eq!(peer.recv(), b"Some(TimedOut)");
    assert_eq!(worker.stats().live, 0);
}

#[vk::coroutine]
fn extending(io: &mut Io) -> io::Result<()> {
    for n in 0..5u8 {
        let _n: u8 = n;
        io.deadline(Duration::from_secs(2))?;
        io.sleep(Duration::from_millis(1500))?;
        let nested: bool = limited(io).is_err();
        assert!(nested);
        io.write_all(b"x")?;
    }
    Ok(())
}

#[vk::coroutine]
fn bounded(io: &mut Io) -> io::Result<()> {
    io.deadline(Duration::from_secs(5))?;
    let kind: Option<io::ErrorKind> = extending(io).err().map(|error| error.kind());
    io.deadline(Duration::from_secs(60))?;
    write!(io, "{kind:?}")
}

/// A further call moves a coroutine's own limit on, whatever it called in between, but not beyond its
/// caller's.
#[test]
fn a_deadline_is_replaced_within_the_callers() {
    let sim = Sim::new(1, Faults::NONE);
    let mut worker = worker(&sim, Guard::Strict, 4);
    let (stream, peer) = sim.stream();
    worker.start_on(Entry::handler::<bounded>(), stream, stream).unwrap();
    settle(&mut worker);
    assert_eq!(peer.recv(), b"xxSome(TimedOut)");
}

#[vk::coroutine]
fn hasty_line(io: &mut Io, line: &mut Line<64>) -> io::Result<bool> {
    io.deadline(Duration::from_secs(1))?;
    io.read_line(line)
}

#[vk::coroutine]
fn hasty_bytes(io: &mut Io, bytes: &mut HeapBytes) -> io::Result<()> {
    io.deadline(Duration::from_secs(1))?;
    io.read_exact(bytes)
}

/// Reads a line, and as many bytes as a large buffer holds, twice each: first in haste.
#[vk::coroutine]
fn retrying(io: &mut Io) -> io::Result<()> {
    let mut line: Line<64> = Line::new();
    let hasty: Option<io::ErrorKind> = hasty_line(io, &mut line).err().map(|error| error.kind());
    write!(io, "{hasty:?}, {} bytes\n", line.len())?;
    io.read_line(&mut line)?;
    io.write_all(&line)?;
    let mut bytes: HeapBytes = io.alloc(LARGE)?;
    let hasty: Option<io::ErrorKind> = hasty_bytes(io, &mut bytes).err().map(|error| error.kind());
    write!(io, "{hasty:?}\n")?;
    io.read_exact(&mut bytes)?;
    io.write_all(&bytes)?;
    io.free(&mut bytes)
}

/// More than a block.
const LARGE: usize = 150_000;

/// What has come before a time-out is found by the next call, however much it is.
#[test]
fn a_time_out_loses_nothing() {
    for faults in [Faults::NONE, Faults::ALL] {
        let sim = Sim::new(5, faults);
        let mut worker = worker(&sim, Guard::Strict, 4);
        let (stream, peer) = sim.stream();
        worker.start_on(Entry::handler::<retrying>(), stream, stream).unwrap();
        let mut back = Vec::new();
        let bytes: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
        for part in [b"hel", &b"lo there\n"[..], &bytes[..LARGE - 100], &bytes[LARGE - 100..]] {
            let mut part = part;
            while !part.is_empty() {
                part = &part[peer.send(part)..];
                settle(&mut worker);
                back.extend(peer.recv());
            }
        }
        while worker.stats().live > 0 {
            settle(&mut worker);
            back.extend(peer.recv());
        }
        let expected = [b"Some(TimedOut), 0 bytes\nhello there\nSome(TimedOut)\n", &bytes[..]].concat();
        assert_eq!(back.len(), expected.len());
        assert!(back == expected);
    }
}

#[vk::coroutine]
fn memory(io: &mut Io) -> io::Result<()> {
    let mut small: HeapBytes = io.alloc(100)?;
    let mut large: HeapBytes = io.alloc(200_000)?;
    small.fill(1);
    large.fill(2);
    let sum: usize = small.iter().chain(large.iter()).map(|byte| usize::from(*byte)).sum();
    let sizes: usize = small.len() + large.len();
    io.free(&mut small)?;
    io.free(&mut large)?;
    let refused: Option<io::ErrorKind> = io.alloc(100 << 20).err().map(|error| error.kind());
    write!(io, "{sizes} {sum} {refused:?}")
}

#[test]
fn memory_comes_from_the_micro_heap_or_the_pool() {
    assert_eq!(answer::<memory>(b""), b"200100 400100 Some(OutOfMemory)");
}

#[vk::coroutine]
fn dialler(io: &mut Io) -> io::Result<()> {
    let address: std::net::SocketAddr = "127.0.0.1:80".parse().unwrap();
    let peer: Descriptor = io.connect(address)?;
    io.spawn::<forwarder>((), Source::Inherit, Sink::Descriptor(peer))?;
    let mut down: Child = io.spawn::<forwarder>((), Source::Descriptor(peer), Sink::Inherit)?;
    io.join(&mut down)
}

#[test]
fn a_connection_is_made_and_serves_two_coroutines() {
    for faults in [Faults::NONE, Faults::ALL] {
        let sim = Sim::new(11, faults);
        let mut worker = worker(&sim, Guard::Strict, 4);
        let server = sim.serve("127.0.0.1:80".parse().unwrap());
        let (stream, peer) = sim.stream();
        worker.start_on(Entry::handler::<dialler>(), stream, stream).unwrap();
        peer.send(b"question");
        let mut heard = Vec::new();
        let mut far = None;
        sim.drive(move |_| {
            far = far.take().or_else(|| server.accept());
            let Some(far) = &far else { return false };
            let more = far.recv();
            heard.extend_from_slice(&more);
            if heard == b"question" {
                heard.clear();
                far.send(b"answer");
                far.shutdown();
                return true;
            }
            !more.is_empty()
        });
        settle(&mut worker);
        assert_eq!(peer.recv(), b"answer");
    }
}

/// Asks a server, one line on each of three connections, and streams what comes back, both ways at once.
#[vk::coroutine]
fn asker(io: &mut Io) -> io::Result<()> {
    let address: std::net::SocketAddr = "127.0.0.1:80".parse().unwrap();
    let mut line: Line<100> = Line::new();
    for n in 0..3u8 {
        if !io.read_line(&mut line)? {
            return Ok(());
        }
        let peer: Descriptor = io.connect(address)?;
        let mut far: Child = io.spawn::<rest>((), Source::Descriptor(peer), Sink::Descriptor(peer))?;
        io.swap(&mut far)?;
        // Unsent when it swaps back.
        write!(io, "{n} ")?;
        io.write_all(&line)?;
        io.swap(&mut far)?;
        io.cross(&mut far)?;
        io.read_line(&mut line)?;
        io.write_all(&line)?;
        io.cross(&mut far)?;
        io.close(&mut far)?;
        io.close(&mut far)?;
        let gone: bool = io.swap(&mut far).is_err();
        assert!(gone);
    }
    Ok(())
}

#[test]
fn a_coroutine_talks_to_several_peers() {
    for seed in seeds() {
        let faults = if seed == 0 { Faults::NONE } else { Faults::ALL };
        let sim = Sim::new(seed, faults);
        let mut worker = worker(&sim, Guard::Strict, 4);
        let server = sim.serve("127.0.0.1:80".parse().unwrap());
        let (stream, peer) = sim.stream();
        worker.start_on(Entry::handler::<asker>(), stream, stream).unwrap();
        peer.send(b"one\ntwo\nthree\nfour\n");
        let mut far: Vec<(Peer, Vec<u8>)> = Vec::new();
        let closed = Rc::new(RefCell::new(0));
        let count = closed.clone();
        sim.drive(move |_| {
            let mut busy = false;
            if let Some(peer) = server.accept() {
                far.push((peer, Vec::new()));
                busy = true;
            }
            for (peer, heard) in &mut far {
                let more = peer.recv();
                busy |= !more.is_empty();
                heard.extend_from_slice(&more);
                if heard.ends_with(b"\n") {
                    peer.send(&heard.to_ascii_uppercase());
                    heard.clear();
                    *count.borrow_mut() += 1;
                }
            }
            busy
        });
        settle(&mut worker);
        assert_eq!(String::from_utf8_lossy(&peer.recv()), "0 ONE\n1 TWO\n2 THREE\n", "seed {seed}");
        assert_eq!(*closed.borrow(), 3);
        assert_eq!(worker.stats().live, 0);
    }
}

/// Endless, until it is closed.
#[vk::coroutine]
fn spinning(io: &mut Io) -> io::Result<()> {
    loop {
        io.yield_now()?;
    }
}

#[vk::coroutine]
fn closer(io: &mut Io) -> io::Result<()> {
    let mut child: Child = io.spawn::<spinning>((), Source::Parent, Sink::Parent)?;
    let piped: bool = io.swap(&mut child).is_err();
    let mut other: Child = io.spawn::<failing>((), Source::Nothing, Sink::Nothing)?;
    io.yield_now()?;
    let child_ended: bool = io.has_ended(&child)?;
    let other_ended: bool = io.has_ended(&other)?;
    assert!(!child_ended && other_ended);
    io.close(&mut other)?;
    io.deadline(Duration::ZERO)?;
    io.close(&mut child)?;
    let ended: bool = io.eof()?;
    assert!(piped && ended);
    Ok(())
}

/// Swaps a pipe's end away and back.
#[vk::coroutine]
fn piper(io: &mut Io) -> io::Result<()> {
    let mut aside: Child = io.spawn::<rest>((), Source::Nothing, Sink::Nothing)?;
    io.spawn::<upper>((), Source::Inherit, Sink::Parent)?;
    io.swap(&mut aside)?;
    let ended: bool = io.eof()?;
    assert!(ended);
    io.swap(&mut aside)?;
    io.forward(u64::MAX)?;
    io.close(&mut aside)
}

/// Tells of a server that ends a connection while nobody reads from it.
#[vk::coroutine]
fn watcher(io: &mut Io) -> io::Result<()> {
    let address: std::net::SocketAddr = "127.0.0.1:80".parse().unwrap();
    let peer: Descriptor = io.connect(address)?;
    let mut far: Child = io.spawn::<rest>((), Source::Descriptor(peer), Sink::Descriptor(peer))?;
    io.sleep(Duration::from_secs(1))?;
    let rests: bool = io.rests(&far)?;
    io.swap(&mut far)?;
    io.deadline(Duration::ZERO)?;
    let over: Option<bool> = io.eof().ok();
    io.swap(&mut far)?;
    write!(io, "{rests} {over:?}")
}

#[test]
fn a_connection_at_rest_is_seen_to_end() {
    for (ends, expected) in [(true, "true Some(true)"), (false, "true None")] {
        let sim = Sim::new(1, Faults::NONE);
        let mut worker = worker(&sim, Guard::Strict, 4);
        let server = sim.serve("127.0.0.1:80".parse().unwrap());
        let (stream, peer) = sim.stream();
        worker.start_on(Entry::handler::<watcher>(), stream, stream).unwrap();
        let mut far = None;
        sim.drive(move |_| {
            let new = if far.is_none() { server.accept() } else { None };
            if let Some(new) = new {
                if ends {
                    new.shutdown();
                }
                far = Some(new);
                return true;
            }
            false
        });
        settle(&mut worker);
        assert_eq!(String::from_utf8_lossy(&peer.recv()), expected);
    }
}

#[test]
fn a_child_is_closed_wherever_it_stands() {
    assert_eq!(answer::<closer>(b""), b"");
}

#[test]
fn ends_of_pipes_are_swapped_too() {
    assert_eq!(answer::<piper>(b"abc\n"), b"ABC\n");
}

#[vk::coroutine]
fn patient(io: &mut Io) -> io::Result<()> {
    let mut line: Line<16> = Line::new();
    loop {
        io.checkpoint("between two pairs")?;
        if !io.read_line(&mut line)? {
            return Ok(());
        }
        io.write_all(&line)?;
        // At work: a drain waits for this.
        if !io.read_line(&mut line)? {
            return Ok(());
        }
        io.write_all(&line)?;
    }
}

#[test]
fn a_drain_ends_what_is_idle_and_waits_for_what_is_at_work() {
    let sim = Sim::new(1, Faults::NONE);
    let mut worker = worker(&sim, Guard::Strict, 8);
    let listener = sim.listen();
    worker.listen(listener, Entry::handler::<patient>()).unwrap();
    let [idle, busy, stuck] = [(); 3].map(|()| sim.connect(listener));
    busy.send(b"one\n");
    stuck.send(b"one\n");
    settle(&mut worker);
    worker.drain();
    assert_eq!(worker.stats().live, 3, "the listener has ended");
    let mut sent = false;
    let theirs = Rc::new(busy);
    let busy = theirs.clone();
    sim.drive(move |_| {
        !std::mem::replace(&mut sent, true) && {
            theirs.send(b"two\n");
            true
        }
    });
    let before = std::time::Instant::now();
    worker.run().unwrap();
    assert_eq!(worker.stats().live, 0, "the one that is stuck is ended after a time, a virtual one");
    assert!(before.elapsed() < Duration::from_secs(5));
    assert_eq!(busy.recv(), b"one\ntwo\n");
    assert_eq!(stuck.recv(), b"one\n");
    assert!(idle.ended() && stuck.ended());
}

#[vk::coroutine]
fn idler(io: &mut Io) -> io::Result<()> {
    let mut line: Line<16> = Line::new();
    loop {
        io.idle()?;
        if !io.read_line(&mut line)? {
            return Ok(());
        }
        io.write_all(&line)?;
    }
}

/// Lets `count` clients be served one after the other, each with a line; they stay.
fn guests(sim: &Sim, handler: &'static Entry, max_procs: u32, count: usize) -> (Worker<Sim>, i32, Vec<Peer>) {
    let mut worker = worker(sim, Guard::Strict, max_procs);
    let listener = sim.listen();
    worker.listen(listener, handler).unwrap();
    let come = |_| {
        let guest = sim.connect(listener);
        guest.send(b"hello\n");
        settle(&mut worker);
        guest
    };
    let guests = (0..count).map(come).collect();
    (worker, listener, guests)
}

#[test]
fn who_is_idle_for_longest_makes_way() {
    let sim = Sim::new(1, Faults::NONE);
    // With the listener everything is taken.
    let (mut worker, listener, guests) = guests(&sim, Entry::handler::<idler>(), 10, 8);
    let last = sim.connect(listener);
    last.send(b"half");
    let newcomer = sim.connect(listener);
    newcomer.send(b"me, too\n");
    settle(&mut worker);
    assert_eq!(newcomer.recv(), b"me, too\n");
    assert_eq!(guests[0].recv(), b"hello\n");
    assert!(guests[0].ended() && !last.ended(), "the first one has waited for longest");
    assert_eq!(worker.stats().shed, 2, "and some seconds later one more, so that a tenth is free");
    worker.drain();
    settle(&mut worker);
    worker.check_conservation().unwrap();
}

#[test]
fn a_tenth_of_the_room_is_kept_free_of_who_is_idle() {
    let sim = Sim::new(1, Faults::NONE);
    let (mut worker, _, guests) = guests(&sim, Entry::handler::<idler>(), 20, 18);
    settle(&mut worker);
    assert_eq!(guests[0].recv(), b"hello\n");
    assert!(guests[0].ended());
    assert_eq!(worker.stats().shed, 1);
}

/// Echoes messages of six bytes, which it leaves in the ring until they are whole.
#[vk::coroutine]
fn sixes(io: &mut Io) -> io::Result<()> {
    loop {
        io.idle()?;
        if io.fill(6)? < 6 {
            return Ok(());
        }
        io.forward(6)?;
    }
}

#[test]
fn half_a_message_makes_way_too() {
    let sim = Sim::new(1, Faults::NONE);
    let (mut worker, listener, guests) = guests(&sim, Entry::handler::<sixes>(), 10, 8);
    for guest in &guests {
        guest.send(b"half");
        settle(&mut worker);
    }
    let newcomers = [(); 2].map(|()| sim.connect(listener));
    for newcomer in &newcomers {
        newcomer.send(b"whole\n");
    }
    settle(&mut worker);
    assert!(newcomers.iter().all(|newcomer| newcomer.recv() == b"whole\n"));
    assert!(guests[0].recv() == b"hello\n" && guests[0].ended());
    assert_eq!(worker.stats().shed, 2, "and once more, so that a tenth is free");
}

#[test]
fn who_is_not_idle_stays() {
    let sim = Sim::new(1, Faults::NONE);
    let (mut worker, listener, guests) = guests(&sim, Entry::handler::<patient>(), 10, 8);
    guests[0].send(b"one\n");
    settle(&mut worker);
    let newcomer = sim.connect(listener);
    sim.connect(listener).shutdown();
    settle(&mut worker);
    assert_eq!(worker.stats().shed, 0);
    assert!(!newcomer.ended() && !guests.iter().any(Peer::ended));
}

/// The child's record lies in a lent block, for the page is full; it is freed while the parent joins it.
#[vk::coroutine]
fn crowded(io: &mut Io) -> io::Result<()> {
    let mut child: Child = io.spawn::<letter>((7,), Source::Nothing, Sink::Inherit)?;
    io.join(&mut child)
}

#[vk::coroutine]
fn letter(io: &mut Io, n: u8) -> io::Result<()> {
    let room: [u8; 1500] = [n; 1500];
    io.yield_now()?;
    io.write_all(&room)
}

#[test]
fn a_child_that_is_joined_while_its_bytes_leave_is_not_touched_again() {
    assert_eq!(answer::<crowded>(b""), vec![7; 1500]);
}

#[vk::coroutine]
fn numbered<const N: u8>(io: &mut Io) -> io::Result<()> {
    let n: u8 = N;
    write!(io, "{n}")
}

#[vk::coroutine]
fn two_of_a_name(io: &mut Io) -> io::Result<()> {
    let mut one: Child = io.spawn::<numbered<1>>((), Source::Nothing, Sink::Parent)?;
    io.forward(u64::MAX)?;
    let mut two: Child = io.spawn::<numbered<2>>((), Source::Nothing, Sink::Parent)?;
    io.forward(u64::MAX)?;
    io.join(&mut one)?;
    io.join(&mut two)
}

/// One name, two coroutines; and the first child, not joined yet, has no say in what comes from the second.
#[test]
fn generic_coroutines_are_told_apart() {
    assert_eq!(answer::<two_of_a_name>(b""), b"12");
}

#[vk::coroutine]
fn large_fill(io: &mut Io) -> io::Result<()> {
    let mut child: Child = io.spawn::<filling>((), Source::Parent, Sink::Inherit)?;
    io.yield_now()?;
    io.forward(u64::MAX)?;
    io.shutdown()?;
    io.join(&mut child)
}

#[vk::coroutine]
fn filling(io: &mut Io) -> io::Result<()> {
    let there: usize = io.fill(4096)?;
    let enough: bool = there >= 4096;
    write!(io, "{enough}")
}

/// The ring that a fill has grown stays large while it waits, though it is empty.
#[test]
fn a_large_fill_works_on_a_pipe() {
    let sim = Sim::new(1, Faults::NONE);
    let mut worker = worker(&sim, Guard::Strict, 4);
    let (stream, peer) = sim.stream();
    worker.start_on(Entry::handler::<large_fill>(), stream, stream).unwrap();
    settle(&mut worker);
    peer.send(&[7; 5000]);
    peer.shutdown();
    settle(&mut worker);
    assert_eq!(peer.recv(), b"true");
}

#[vk::coroutine]
fn said_before(io: &mut Io) -> io::Result<()> {
    io.write_all(b"for the client;")?;
    let mut child: Child = io.spawn::<swallow>((), Source::Parent, Sink::Nothing)?;
    io.write_all(b"for the child")?;
    io.shutdown()?;
    io.join(&mut child)
}

#[vk::coroutine]
fn swallow(io: &mut Io) -> io::Result<()> {
    let there: usize = io.fill(100)?;
    assert_eq!(there, b"for the child".len());
    Ok(())
}

#[test]
fn what_was_written_before_a_spawn_goes_where_it_was_meant_for() {
    assert_eq!(answer::<said_before>(b""), b"for the client;");
}

#[vk::coroutine]
fn chatty(io: &mut Io) -> io::Result<()> {
    let block: [u8; 4000] = [b'.'; 4000];
    for n in 0..5u8 {
        let _n: u8 = n;
        io.write_all(&block)?;
    }
    let mut byte: [u8; 1] = [0];
    io.read_exact(&mut byte)
}

/// A client that doesn't read what was written costs a timer, and not a core.
#[test]
fn a_client_that_never_reads_is_left_alone() {
    let sim = Sim::new(1, Faults::NONE);
    let mut worker = worker(&sim, Guard::Strict, 4);
    let (stream, _peer) = sim.stream();
    worker.start_on(Entry::handler::<chatty>(), stream, stream).unwrap();
    settle(&mut worker);
    assert_eq!(worker.stats().live, 1, "it waits for input");
    assert!(worker.stats().dispatches < 20, "{:?}", worker.stats());
}
