//! A worker dies at every step that it takes, on the simulator, and the next one goes on: every byte comes back
//! once.
#![allow(missing_docs)]
#![cfg(debug_assertions)]

extern crate vk_core as vk;

mod streams;

use std::cell::RefCell;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use streams::{Client, echo, forwarder, rest, upper};
use vk_core::{Child, Descriptor, Entry, HeapBytes, Io, LastWords, Line, Sink, Source};
use vk_heap::failpoint::{self, Death as Failpoint};
use vk_heap::{Arena, Config, Guard};
use vk_poll::{Faults, Peer, Sim};
use vk_proc::ledger::{Ledger, Phase};
use vk_proc::transfer::Successor;
use vk_proc::{Death, Settings, Worker};

const GUARDS: [Guard; 3] = [Guard::Strict, Guard::Epoch(2), Guard::Off];

/// What a worker leaves.
struct Place {
    ledger: &'static Ledger,
    arena: BorrowedFd<'static>,
}

impl Place {
    fn new(config: &Config) -> Place {
        let arena: &'static OwnedFd = Box::leak(Box::new(Arena::memfd(config).unwrap()));
        Place { ledger: Box::leak(Box::new(Ledger::alone().unwrap())), arena: arena.as_fd() }
    }

    fn worker(&self, sim: &Sim, config: &Config) -> Worker<Sim> {
        let arena = Arena::attach(self.arena, config).unwrap();
        let settings = Settings { max_procs: 32, ledger: self.ledger, holder: None, resolves: true };
        Worker::new(arena, sim.clone(), None, settings).unwrap()
    }
}

/// Starts workers, and what outlives them.
struct Keeper {
    sim: Sim,
    place: Place,
    /// The worker of the build before, until it has handed over.
    former: Option<(Place, u32)>,
    config: Config,
    listener: RawFd,
    handler: &'static Entry,
    deaths: u32,
    /// Whether the first one dies by its own fault.
    is_fault: bool,
}

impl Keeper {
    fn new(seed: u64, faults: Faults, guard: Guard, handler: &'static Entry) -> Keeper {
        let config = Config { heaps: 32, heap_size: 8192, pool_blocks: 64, guard };
        let sim = Sim::new(seed, faults);
        let listener = sim.listen();
        let place = Place::new(&config);
        Keeper { sim, place, former: None, config, listener, handler, deaths: 0, is_fault: false }
    }

    /// The worker of this build goes on where the one before it died, and stops between two dispatches: in the next life a
    /// build takes over that is the same.
    fn follow(&mut self) {
        let mut worker = self.place.worker(&self.sim, &self.config);
        worker.resume(self.death(), &[self.listener]);
        mem::forget(worker);
        self.sweep();
        self.sim.forget_all();
        let place = mem::replace(&mut self.place, Place::new(&self.config));
        self.former = Some((place, 0));
    }

    /// Begins an attempt to take over: on what an attempt before it has copied, once that is committed.
    fn attempt(&mut self) {
        let Some((former, attempt)) = &mut self.former else { return };
        let seat = former.ledger.seat();
        match seat.phase().0 {
            Phase::Released => self.former = None,
            Phase::Committed => {}
            _ => {
                self.place = Place::new(&self.config);
                *attempt += 1;
                seat.ask(*attempt, Successor { pid: 0, address: 0 });
                assert!(seat.go(*attempt, Phase::Asked, Phase::Stopped));
            }
        }
    }

    fn death(&self) -> Death {
        if self.deaths == 1 && self.is_fault { Death::Own } else { Death::Outside }
    }

    /// Closes what is in no row, as a holder does.
    fn sweep(&self) {
        let former = self.former.as_ref().map(|(former, _)| former.ledger);
        let ledgers: Vec<&Ledger> = former.into_iter().chain([self.place.ledger]).collect();
        if !ledgers.iter().any(|ledger| ledger.is_opening()) {
            let is_kept = |number| number == self.listener || ledgers.iter().any(|ledger| ledger.has(number));
            self.sim.close_all_but(is_kept);
        }
    }

    /// Runs workers, each for as long as `life` says, in steps, and the last until there is nothing left to do; the
    /// last one.
    fn run(&mut self, mut life: impl FnMut() -> Life, drain: bool) -> Worker<Sim> {
        loop {
            let Life { steps, follows } = life();
            if follows && self.former.is_none() {
                self.follow();
            }
            self.attempt();
            failpoint::arm(steps);
            let mut worker = None;
            let result = panic::catch_unwind(AssertUnwindSafe(|| {
                let worker = worker.insert(self.place.worker(&self.sim, &self.config));
                if let Some((former, attempt)) = &self.former {
                    let mut arena = Arena::attach(former.arena, &self.config).unwrap();
                    match former.ledger.seat().phase().0 {
                        Phase::Committed => _ = worker.finish_take_over(former.ledger, &mut arena),
                        _ => {
                            let listeners = [(self.listener, self.handler)];
                            let taken =
                                worker.take_over(former.ledger, &mut arena, *attempt, &[], &listeners);
                            taken.unwrap();
                        }
                    }
                }
                let was_opening = self.place.ledger.is_opening();
                worker.resume(self.death(), &[self.listener]);
                if was_opening {
                    self.sweep();
                }
                match (worker.is_listening(self.listener), drain) {
                    (false, false) => worker.listen(self.listener, self.handler).unwrap(),
                    (_, false) => {}
                    (_, true) => worker.drain(),
                }
                match worker.run() {
                    Ok(()) => {}
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EDEADLK), "{error}"),
                }
            }));
            failpoint::arm(None);
            match result {
                Ok(()) => return worker.unwrap(),
                Err(payload) if payload.is::<Failpoint>() => {
                    if std::env::var("VK_PLACES").is_ok() {
                        eprintln!("died at {:?}", payload.downcast_ref::<Failpoint>());
                    }
                    self.deaths += 1;
                }
                Err(payload) => panic::resume_unwind(payload),
            }
            // A process that is killed runs no destructor; what its poller watched nobody watches now.
            mem::forget(worker);
            self.sweep();
            self.sim.forget_all();
        }
    }
}

/// What becomes of a worker.
#[derive(Clone, Copy)]
struct Life {
    /// It dies after so many steps; with none it lives.
    steps: Option<u32>,
    /// Whether it is of another build than the one before.
    follows: bool,
}

impl Life {
    const LONG: Life = Life { steps: None, follows: false };

    fn of(steps: u32) -> Life {
        Life { steps: Some(steps), follows: false }
    }
}

/// Numbers below a bound, from a seed.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) % below
    }
}

/// Serves clients with `handler` while workers die; what each gets back has to be `expected` of what it sent.
fn trial(
    handler: &'static Entry,
    (seed, faults, guard): (u64, Faults, Guard),
    clients: Vec<Vec<u8>>,
    expected: fn(&[u8]) -> Vec<u8>,
    life: impl FnMut() -> Life,
) -> u32 {
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    let mut keeper = Keeper::new(seed, faults, guard, handler);
    let connect = |data| Client::new(keeper.sim.connect(keeper.listener), data);
    let clients: Rc<RefCell<Vec<Client>>> = Rc::new(RefCell::new(clients.into_iter().map(connect).collect()));
    let (theirs, mut pieces) = (clients.clone(), dice(seed));
    keeper.sim.drive(move |_| {
        let mut busy = false;
        for client in theirs.borrow_mut().iter_mut() {
            busy |= client.act(1 + pieces(3000) as usize);
        }
        busy
    });
    let worker = keeper.run(life, false);
    let context = format!("seed {seed}, guard {guard}, {} deaths", keeper.deaths);
    assert_eq!(worker.stats().live, 1, "{context}: only the listener is left");
    drop(worker);
    keeper.sim.forget_all();
    let worker = keeper.run(|| Life::LONG, true);
    worker.check_conservation().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(keeper.sim.descriptors(), 0, "{context}: every descriptor is closed");
    for (at, client) in clients.borrow().iter().enumerate() {
        let expected = expected(&client.data);
        let wrong = client.received.iter().zip(&expected).position(|(a, b)| a != b);
        assert_eq!((client.received.len(), wrong), (expected.len(), None), "{context}, client {at}");
        assert!(!client.peer.was_reset(), "{context}, client {at}");
    }
    keeper.deaths
}

/// Dies once at each step in turn, until there are no more.
fn once_at_each_step(handler: &'static Entry, clients: &[Vec<u8>], expected: fn(&[u8]) -> Vec<u8>) {
    for (at, guard) in GUARDS.into_iter().enumerate() {
        let stride = 3;
        for step in (at as u32..).step_by(stride) {
            let mut lives = [Life::of(step), Life::LONG].into_iter();
            let life = move || lives.next().unwrap();
            let deaths = trial(handler, (7, Faults::NONE, guard), clients.to_vec(), expected, life);
            if deaths == 0 {
                assert!(step > 50, "only {step} steps");
                break;
            }
        }
    }
}

/// Dies again and again, on a bad day.
fn again_and_again(handler: &'static Entry, clients: &[Vec<u8>], expected: fn(&[u8]) -> Vec<u8>) {
    let seeds = std::env::var("VK_SEEDS").map_or(6, |count| count.parse().expect("VK_SEEDS is a number"));
    for seed in 1..=seeds {
        for guard in GUARDS {
            let mut dice = dice(seed);
            let mut left = 60;
            let life = move || {
                left -= 1;
                let steps = (left > 0).then(|| dice(if left % 4 == 0 { 40 } else { 400 }) as u32);
                // Seats that are not handed over yet are not free.
                Life { steps, follows: left % 5 == 0 && seed % 2 == 0 }
            };
            trial(handler, (seed, Faults::ALL, guard), clients.to_vec(), expected, life);
        }
    }
}

fn text(clients: usize, lines: usize) -> Vec<Vec<u8>> {
    let line = |client: usize, n: usize| format!("{client}: line {n} of many\n").into_bytes();
    (0..clients).map(|client| (0..lines).flat_map(|n| line(client, n)).collect()).collect()
}

fn stream(len: usize) -> Vec<u8> {
    (0..len).map(byte).collect()
}

fn byte(at: usize) -> u8 {
    (at * 7 + at / 251) as u8
}

#[test]
fn lines() {
    once_at_each_step(Entry::handler::<echo>(), &text(3, 4), <[u8]>::to_vec);
    again_and_again(Entry::handler::<echo>(), &text(8, 60), <[u8]>::to_vec);
}

/// The keeper tells by it that a worker has served before it died.
#[test]
fn dispatches_are_counted_on() {
    let mut keeper = Keeper::new(1, Faults::NONE, Guard::Off, Entry::handler::<echo>());
    let peer = keeper.sim.connect(keeper.listener);
    let mut before = 0;
    for line in [b"one\n", b"two\n", b"ten\n"] {
        peer.send(line);
        let worker = keeper.run(|| Life::LONG, false);
        assert_eq!(peer.recv(), line);
        // It is killed, before it has shown its counters.
        mem::forget(worker);
        keeper.sim.forget_all();
        let (seat, record) = (keeper.place.ledger.seat(), keeper.place.ledger.record);
        record.clear();
        let dispatches = seat.dispatches.load(Relaxed);
        assert!(dispatches > before, "{dispatches} dispatches after {before}");
        before = dispatches;
    }
}

#[test]
fn streams_through_lent_rings() {
    once_at_each_step(Entry::handler::<forwarder>(), &[stream(20_000), stream(3)], <[u8]>::to_vec);
    again_and_again(Entry::handler::<forwarder>(), &[stream(150_000), stream(70_000)], <[u8]>::to_vec);
}

/// Changes lent bytes in place: done twice it would show.
#[vk::coroutine]
fn inverter(io: &mut Io) -> io::Result<()> {
    let mut bytes: HeapBytes = io.alloc(10_000)?;
    let mut count: u64 = 0;
    loop {
        let there: usize = io.read(&mut bytes)?;
        if there == 0 {
            return Ok(());
        }
        io.sleep(Duration::from_millis(1))?;
        for byte in &mut bytes[..there] {
            *byte ^= 0x5a ^ count as u8;
            count += 1;
        }
        io.sleep(Duration::from_millis(1))?;
        let mut more: HeapBytes = io.alloc(100)?;
        io.write_all(&bytes[..there])?;
        io.free(&mut more)?;
    }
}

fn inverted(data: &[u8]) -> Vec<u8> {
    data.iter().enumerate().map(|(at, byte)| byte ^ 0x5a ^ at as u8).collect()
}

#[test]
fn bytes_changed_in_place() {
    once_at_each_step(Entry::handler::<inverter>(), &text(2, 3), inverted);
    again_and_again(Entry::handler::<inverter>(), &text(4, 400), inverted);
}

/// A filter before and one behind, by in-heap pipes.
#[vk::coroutine]
fn filtered(io: &mut Io) -> io::Result<()> {
    let mut before: Child = io.spawn::<upper>((), Source::Inherit, Sink::Parent)?;
    let mut behind: Child = io.spawn::<forwarder>((), Source::Parent, Sink::Inherit)?;
    let mut line: Line<64> = Line::new();
    while io.read_line(&mut line)? {
        io.write_all(b"<")?;
        io.write_all(&line)?;
    }
    io.shutdown()?;
    io.join(&mut before)?;
    io.join(&mut behind)
}

fn in_brackets(data: &[u8]) -> Vec<u8> {
    data.to_ascii_uppercase()
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(|line| [b"<", line].concat())
        .collect()
}

#[test]
fn pipes_between_coroutines() {
    once_at_each_step(Entry::handler::<filtered>(), &text(2, 3), in_brackets);
    again_and_again(Entry::handler::<filtered>(), &text(4, 100), in_brackets);
}

/// Through a pipe whose rings are lent, and are emptied and filled again all the time.
#[vk::coroutine]
fn piped(io: &mut Io) -> io::Result<()> {
    let mut behind: Child = io.spawn::<forwarder>((), Source::Parent, Sink::Inherit)?;
    let mut bytes: [u8; 700] = [0; 700];
    loop {
        let count: usize = io.read(&mut bytes)?;
        if count == 0 {
            break;
        }
        io.write_all(&bytes[..count])?;
    }
    io.shutdown()?;
    io.join(&mut behind)
}

#[test]
fn pipes_with_lent_rings() {
    once_at_each_step(Entry::handler::<piped>(), &[stream(9_000)], <[u8]>::to_vec);
    again_and_again(Entry::handler::<piped>(), &[stream(200_000), stream(150_000)], <[u8]>::to_vec);
}

/// Writes as fast as it is read.
#[vk::coroutine]
fn tape(io: &mut Io) -> io::Result<()> {
    for at in 0usize..TAPE / 100 {
        let piece: [u8; 100] = std::array::from_fn(|n| byte(at * 100 + n));
        io.write_all(&piece)?;
    }
    Ok(())
}

const TAPE: usize = 120_000;

/// Reads a part of what its pipe holds, and sleeps while that is filled again, in the same turn.
#[vk::coroutine]
fn player(io: &mut Io) -> io::Result<()> {
    let mut tape: Child = io.spawn::<tape>((), Source::Nothing, Sink::Parent)?;
    let mut bytes: [u8; 700] = [0; 700];
    while io.fill(40_000)? > 0 {
        for _ in 0..50u32 {
            let count: usize = io.read(&mut bytes)?;
            io.write_all(&bytes[..count])?;
        }
        io.sleep(Duration::from_millis(1))?;
    }
    io.join(&mut tape)
}

/// Lent rings are not kept by a transaction: were a whole turn one, what is undone would find other bytes in them.
#[test]
fn pipes_that_are_read_and_filled_in_one_turn() {
    once_at_each_step(Entry::handler::<player>(), &[Vec::new()], |_| stream(TAPE));
}

/// A ring grows with bytes in it: more are waited for than it holds.
#[vk::coroutine]
fn blocks(io: &mut Io) -> io::Result<()> {
    loop {
        if io.fill(1)? == 0 {
            return Ok(());
        }
        io.sleep(Duration::from_millis(1))?;
        let there: usize = io.fill(3000)?;
        io.forward(there as u64)?;
    }
}

#[test]
fn rings_that_grow() {
    once_at_each_step(Entry::handler::<blocks>(), &text(2, 300), <[u8]>::to_vec);
    again_and_again(Entry::handler::<blocks>(), &text(4, 700), <[u8]>::to_vec);
}

/// Waits between lines, with a deadline around.
#[vk::coroutine]
fn sleeper(io: &mut Io) -> io::Result<()> {
    io.deadline(Duration::from_secs(1000))?;
    let mut line: Line<100> = Line::new();
    while io.read_line(&mut line)? {
        io.sleep(Duration::from_millis(3))?;
        io.write_all(&line)?;
        io.flush()?;
    }
    Ok(())
}

#[test]
fn timers() {
    once_at_each_step(Entry::handler::<sleeper>(), &text(2, 3), <[u8]>::to_vec);
    again_and_again(Entry::handler::<sleeper>(), &text(4, 20), <[u8]>::to_vec);
}

/// Each step of taking over in turn is the last of a worker, of one build after the other.
#[test]
fn builds_that_follow() {
    for step in 0..400 {
        let mut lives = [
            Life::of(150),
            Life { steps: Some(step), follows: true },
            Life::of(step / 2),
            Life { steps: None, follows: step % 2 == 0 },
        ]
        .into_iter();
        let life = move || lives.next().unwrap();
        trial(
            Entry::handler::<echo>(),
            (7, Faults::NONE, Guard::Epoch(2)),
            text(3, 20),
            <[u8]>::to_vec,
            life,
        );
    }
}

const BACKEND: &str = "10.0.0.1:7";

/// Passes everything on to somebody outside, and back what he answers.
#[vk::coroutine]
fn proxy(io: &mut Io) -> io::Result<()> {
    let address: std::net::SocketAddr = BACKEND.parse().map_err(io::Error::other)?;
    let peer: Descriptor = io.connect(address)?;
    let mut up: Child = io.spawn::<forwarder>((), Source::Inherit, Sink::Descriptor(peer))?;
    let mut down: Child = io.spawn::<forwarder>((), Source::Descriptor(peer), Sink::Inherit)?;
    io.join(&mut up)?;
    io.join(&mut down)
}

/// Asks somebody outside about each line, on a connection of its own.
#[vk::coroutine]
fn asker(io: &mut Io) -> io::Result<()> {
    let address: std::net::SocketAddr = BACKEND.parse().map_err(io::Error::other)?;
    let mut line: Line<100> = Line::new();
    while io.read_line(&mut line)? {
        let peer: Descriptor = io.connect(address)?;
        let mut far: Child = io.spawn::<rest>((), Source::Descriptor(peer), Sink::Descriptor(peer))?;
        io.swap(&mut far)?;
        io.write_all(&line)?;
        io.swap(&mut far)?;
        io.cross(&mut far)?;
        io.forward(line.len() as u64)?;
        io.cross(&mut far)?;
        io.close(&mut far)?;
    }
    Ok(())
}

/// A connection that is being made when the worker dies is made once.
#[test]
fn connections_outwards() {
    outwards(Entry::handler::<proxy>(), b"hello");
    outwards(Entry::handler::<asker>(), b"hello\nsomebody\n");
}

/// Ends with the first byte as its error.
#[vk::coroutine]
fn taster(io: &mut Io) -> io::Result<()> {
    let mut byte: [u8; 1] = [0];
    io.read_exact(&mut byte)?;
    Err(io::Error::from_raw_os_error(byte[0].into()))
}

/// Says what a child has found in the input that it inherited.
#[vk::coroutine]
fn testator(io: &mut Io) -> io::Result<()> {
    io.fill(2)?;
    let mut heir: Child = io.spawn::<taster>((), Source::Inherit, Sink::Nothing)?;
    let found: i32 = match io.join(&mut heir) {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(0),
    };
    let mut elsewhere: HeapBytes = io.alloc(1000)?;
    elsewhere.fill(b'!');
    writeln!(io, "{found}")
}

/// A ring that is inherited and freed in one turn is there again when that is undone.
#[test]
fn rings_freed_in_one_turn() {
    for step in 0..1000 {
        let mut keeper = Keeper::new(3, Faults::NONE, Guard::Epoch(2), Entry::handler::<testator>());
        let client = keeper.sim.connect(keeper.listener);
        client.send(b"A\n");
        let mut lives = [Life::of(step), Life::LONG].into_iter();
        drop(keeper.run(move || lives.next().unwrap(), false));
        assert_eq!(client.recv(), b"65\n", "step {step}");
        if keeper.deaths == 0 {
            assert!(step > 20, "only {step} steps");
            return;
        }
    }
}

fn outwards(handler: &'static Entry, text: &[u8]) {
    for step in (0..2000).step_by(3) {
        let mut keeper = Keeper::new(3, Faults::NONE, Guard::Epoch(2), handler);
        let server = keeper.sim.serve(BACKEND.parse().unwrap());
        let client = keeper.sim.connect(keeper.listener);
        client.send(text);
        client.shutdown();
        let received = Rc::new(RefCell::new(Vec::new()));
        let (theirs, peer) = (received.clone(), client.clone());
        let mut served: Vec<Peer> = Vec::new();
        keeper.sim.drive(move |_| {
            served.extend(server.accept());
            let mut busy = false;
            for backend in &served {
                let bytes = backend.recv();
                busy |= !bytes.is_empty();
                backend.send(&bytes);
                if backend.ended() && bytes.is_empty() {
                    backend.shutdown();
                }
            }
            theirs.borrow_mut().extend(peer.recv());
            busy
        });
        let mut lives = [Life::of(step), Life::LONG].into_iter();
        let worker = keeper.run(move || lives.next().unwrap(), false);
        assert_eq!(*received.borrow(), text, "step {step}");
        assert!(client.ended() && !client.was_reset(), "step {step}");
        drop(worker);
        keeper.sim.forget_all();
        keeper.run(|| Life::LONG, true);
        assert_eq!(keeper.sim.descriptors(), 0, "step {step}: every descriptor is closed");
        if keeper.deaths == 0 {
            assert!(step > 50);
            return;
        }
    }
}

const SORRY: LastWords = LastWords::of::<sorry>();

/// Says sorry where the stream stands, and reads to its end.
#[vk::coroutine]
fn sorry(io: &mut Io) -> io::Result<()> {
    io.write_all(b"sorry\n")?;
    io.skip(u64::MAX)?;
    Ok(())
}

#[vk::coroutine]
fn apologetic(io: &mut Io) -> io::Result<()> {
    let mut line: Line<100> = Line::new();
    io.last_words(SORRY)?;
    while io.read_line(&mut line)? {
        io.write_all(&line)?;
    }
    io.last_words(LastWords::NONE)
}

/// A worker dies of a fault of who runs, and its successors are killed while they find that out: who ran says sorry, once
/// and on a line of its own; everybody else goes on.
#[test]
fn last_words_after_a_fault() {
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    let mut sorry = 0;
    for seed in 1..=400 {
        let mut keeper =
            Keeper::new(seed, Faults::NONE, GUARDS[seed as usize % 3], Entry::handler::<apologetic>());
        let connect = |data| Client::new(keeper.sim.connect(keeper.listener), data);
        let clients: Rc<RefCell<Vec<Client>>> =
            Rc::new(RefCell::new(text(3, 20).into_iter().map(connect).collect()));
        let (theirs, mut pieces) = (clients.clone(), dice(seed));
        keeper.sim.drive(move |_| {
            theirs
                .borrow_mut()
                .iter_mut()
                .fold(false, |busy, client| client.act(1 + pieces(100) as usize) | busy)
        });
        keeper.is_fault = true;
        let mut steps = dice(seed + 1000);
        let mut lives = [
            Life::of(20 + steps(600) as u32),
            Life::of(steps(60) as u32),
            Life::of(steps(60) as u32),
            Life::LONG,
        ]
        .into_iter();
        keeper.run(|| lives.next().unwrap(), false);
        let (mut failed, mut said) = (0, 0);
        for client in clients.borrow().iter() {
            let got = str::from_utf8(&client.received).unwrap();
            let all = str::from_utf8(&client.data).unwrap();
            match got.strip_suffix("sorry\n") {
                // Before its first turn it had no last words.
                None if got.is_empty() => failed += 1,
                None => assert_eq!(got, all, "seed {seed}"),
                Some(before) => {
                    assert!(all.starts_with(before) && !before.contains("sorry"), "seed {seed}: {got}");
                    assert!(before.is_empty() || before.ends_with('\n'), "seed {seed}: {got}");
                    (failed, said) = (failed + 1, said + 1);
                }
            }
        }
        assert!(failed <= 1, "seed {seed}: {failed} of one fault");
        sorry += said;
    }
    assert!(sorry > 100, "{sorry}");
}

/// Asks somebody outside about each line, on a connection that anybody may have left.
#[vk::coroutine]
fn sharer(io: &mut Io) -> io::Result<()> {
    let address: std::net::SocketAddr = BACKEND.parse().map_err(io::Error::other)?;
    let mut line: Line<100> = Line::new();
    while io.read_line(&mut line)? {
        let peer: Descriptor = match io.unpark(BACKEND.as_bytes())? {
            Some(peer) => peer,
            None => io.connect(address)?,
        };
        let mut far: Child = io.spawn::<rest>((), Source::Descriptor(peer), Sink::Descriptor(peer))?;
        io.swap(&mut far)?;
        io.write_all(&line)?;
        io.swap(&mut far)?;
        io.cross(&mut far)?;
        io.forward(line.len() as u64)?;
        io.cross(&mut far)?;
        io.park(&mut far, BACKEND.as_bytes())?;
        // Others are given it meanwhile.
        io.sleep(Duration::from_millis(1))?;
    }
    Ok(())
}

/// Clients whose handlers share the connections that lead to one server; how many that were.
fn shared(keeper: &mut Keeper, clients: usize, life: impl FnMut() -> Life, context: &str) -> usize {
    let server = keeper.sim.serve(BACKEND.parse().unwrap());
    let text = |n: usize| format!("{n}: one\n{n}: two\n{n}: three\n").into_bytes();
    let peers: Vec<Peer> = (0..clients).map(|_| keeper.sim.connect(keeper.listener)).collect();
    for (n, peer) in peers.iter().enumerate() {
        peer.send(&text(n));
    }
    let served: Rc<RefCell<Vec<Peer>>> = Rc::default();
    let theirs = served.clone();
    keeper.sim.drive(move |_| {
        let mut served = theirs.borrow_mut();
        served.extend(server.accept());
        let mut busy = false;
        for backend in served.iter() {
            let bytes = backend.recv();
            if !bytes.is_empty() {
                busy = true;
                backend.send(&bytes);
            }
        }
        busy
    });
    drop(keeper.run(life, false));
    // Everything is answered, and what was parked has been idle for too long.
    assert_eq!(keeper.sim.descriptors(), 1 + clients, "{context}: the listener's, and the clients'");
    peers.iter().for_each(Peer::shutdown);
    keeper.sim.forget_all();
    let worker = keeper.run(|| Life::LONG, false);
    assert_eq!(worker.stats().live, 1, "{context}: only the listener is left");
    drop(worker);
    for (n, peer) in peers.iter().enumerate() {
        let mut received = Vec::new();
        received.extend(peer.recv());
        assert_eq!(String::from_utf8(received), String::from_utf8(text(n)), "{context}, client {n}");
        assert!(peer.ended() && !peer.was_reset(), "{context}, client {n}");
    }
    keeper.sim.forget_all();
    let worker = keeper.run(|| Life::LONG, true);
    worker.check_conservation().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(keeper.sim.descriptors(), 0, "{context}: every descriptor is closed");
    served.borrow().len()
}

/// Wherever a worker dies, a connection that is parked or taken has one owner, or none and is closed.
#[test]
fn connections_parked() {
    let handler = Entry::handler::<sharer>();
    for guard in GUARDS {
        let mut keeper = Keeper::new(5, Faults::NONE, guard, handler);
        let connections = shared(&mut keeper, 3, || Life::LONG, "nobody dies");
        assert!(connections <= 3, "{connections} connections for 9 lines of 3 clients");
    }
    for step in (0..5000).step_by(2) {
        let mut keeper = Keeper::new(5, Faults::NONE, Guard::Epoch(2), handler);
        let mut lives = [Life::of(step), Life::LONG].into_iter();
        shared(&mut keeper, 3, move || lives.next().unwrap(), &format!("step {step}"));
        if keeper.deaths == 0 {
            assert!(step > 100, "only {step} steps");
            break;
        }
    }
    for seed in 1..=20 {
        let mut keeper = Keeper::new(seed, Faults::ALL, GUARDS[seed as usize % 3], handler);
        let (mut dice, mut left) = (dice(seed), 40);
        let life = move || {
            left -= 1;
            let steps = (left > 0).then(|| dice(if left % 4 == 0 { 40 } else { 200 }) as u32);
            Life { steps, follows: left % 5 == 0 && seed % 2 == 0 }
        };
        shared(&mut keeper, 6, life, &format!("seed {seed}"));
    }
}

const NOBODY: &str = "10.0.0.2:7";

/// Connects to whom it can, and rests with the connection.
#[vk::coroutine]
fn attempt(io: &mut Io, address: std::net::SocketAddr) -> io::Result<()> {
    let connection: Descriptor = io.connect(address)?;
    io.attach(connection)?;
    io.rest()
}

/// Asks who answers first, of several, about each line.
#[vk::coroutine]
fn racer(io: &mut Io) -> io::Result<()> {
    let places: [std::net::SocketAddr; 4] =
        [NOBODY, BACKEND, BACKEND, NOBODY].map(|place| place.parse().expect("an address"));
    let mut line: Line<100> = Line::new();
    while io.read_line(&mut line)? {
        let mut attempts: [Child; 4] = [const { Child::NONE }; 4];
        for n in 0..places.len() {
            let n: usize = n;
            let place: std::net::SocketAddr = places[n];
            attempts[n] = io.spawn::<attempt>((place,), Source::Nothing, Sink::Nothing)?;
        }
        let mut far: Child = Child::NONE;
        while far.is_none() {
            let first: usize = io.select(&attempts)?;
            if io.rests(&attempts[first])? {
                std::mem::swap(&mut far, &mut attempts[first]);
            } else if io.join(&mut attempts[first]).is_ok() {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        for n in 0..places.len() {
            let n: usize = n;
            io.close(&mut attempts[n])?;
        }
        io.swap(&mut far)?;
        io.write_all(&line)?;
        io.swap(&mut far)?;
        io.cross(&mut far)?;
        io.forward(line.len() as u64)?;
        io.cross(&mut far)?;
        io.close(&mut far)?;
    }
    Ok(())
}

/// Wherever a worker dies while several connections are being made, one is used and none is left.
#[test]
fn connections_that_race() {
    for step in (0..5000).step_by(3) {
        let mut keeper = Keeper::new(9, Faults::NONE, Guard::Epoch(2), Entry::handler::<racer>());
        let mut lives = [Life::of(step), Life::LONG].into_iter();
        shared(&mut keeper, 2, move || lives.next().unwrap(), &format!("step {step}"));
        if keeper.deaths == 0 {
            assert!(step > 100, "only {step} steps");
            break;
        }
    }
}
