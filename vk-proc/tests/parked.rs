//! Connections that nobody has, on the simulator: how long they are kept, and when they are closed.
#![allow(missing_docs)]

extern crate vk_core as vk;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use vk_core::{Child, Descriptor, Entry, Io, Line, Sink, Source};
use vk_heap::{Arena, Config, Guard};
use vk_poll::{Backend, Faults, Peer, Sim};
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

const SERVER: &str = "10.0.0.1:7";

#[vk::coroutine]
fn keep(io: &mut Io) -> io::Result<()> {
    io.rest()
}

/// For each line: `new` makes a connection and parks it; `ask` and `leave` take one that is parked, or make one, and say
/// which; `ask` parks it again, when it has got an answer, and `leave` when it has not. `wait` waits for 59 s.
#[vk::coroutine]
fn courier(io: &mut Io) -> io::Result<()> {
    let mut line: Line<16> = Line::new();
    while io.read_line(&mut line)? {
        if *line == *b"wait\n" {
            io.sleep(Duration::from_secs(59))?;
            continue;
        }
        let address: SocketAddr = SERVER.parse().expect("an address");
        let mut is_new: bool = *line == *b"new\n";
        let mut found: Option<Descriptor> = None;
        if !is_new {
            found = io.unpark(SERVER.as_bytes())?;
            is_new = found.is_none();
        }
        let peer: Descriptor = match found {
            Some(peer) => peer,
            None => io.connect(address)?,
        };
        let mut far: Child = io.spawn::<keep>((), Source::Descriptor(peer), Sink::Descriptor(peer))?;
        if *line != *b"new\n" {
            io.swap(&mut far)?;
            io.write_all(b"?")?;
            io.flush()?;
            if *line == *b"ask\n" {
                let mut answer: [u8; 1] = [0];
                io.read_exact(&mut answer)?;
            } else {
                // It comes, and nobody reads it.
                io.sleep(Duration::from_secs(1))?;
            }
            io.swap(&mut far)?;
        }
        io.park(&mut far, SERVER.as_bytes())?;
        let said: u8 = if is_new { b'n' } else { b'o' };
        io.write_all(&[said])?;
    }
    Ok(())
}

/// What the server does once its connections are parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// Nothing.
    Waits,
    /// It ends them.
    HangsUp,
    /// It sends what nobody has asked for.
    Talks,
}

/// What was seen of a run.
#[derive(Debug, Default)]
struct Seen {
    /// What the handler said.
    said: String,
    /// Connections that were made.
    made: usize,
    /// Connections that were open at a time: at most, and after half a minute.
    most: usize,
    left: usize,
}

/// Has a handler do what the lines say, until nothing is left to do.
fn run(lines: &str, does: Server) -> Seen {
    let sim = Sim::new(1, Faults::NONE);
    let ledger = Box::leak(Box::new(Ledger::alone().unwrap()));
    let config = Config { heaps: 4, heap_size: 16384, pool_blocks: 4, guard: Guard::Strict };
    let settings = Settings { max_procs: 4, ledger, holder: None, resolves: true };
    let mut worker = Worker::new(Arena::new(&config).unwrap(), sim.clone(), None, settings).unwrap();
    let listener = sim.listen();
    worker.listen(listener, Entry::handler::<courier>()).unwrap();
    let (client, server) = (sim.connect(listener), sim.serve(SERVER.parse().unwrap()));
    assert_eq!(client.send(lines.as_bytes()), lines.len());
    client.shutdown();
    let seen: Rc<RefCell<Seen>> = Rc::default();
    let (theirs, mut served, mut acts) = (seen.clone(), Vec::<Peer>::new(), false);
    sim.drive(move |sim| {
        let mut busy = false;
        while let Some(peer) = server.accept() {
            served.push(peer);
            busy = true;
        }
        for peer in &served {
            let bytes = peer.recv();
            if !bytes.is_empty() {
                peer.send(&bytes);
                busy = true;
            }
        }
        let mut seen = theirs.borrow_mut();
        seen.made = served.len();
        // But for the listener's and the client's.
        let open = sim.descriptors().saturating_sub(2);
        seen.most = seen.most.max(open);
        if sim.now() < 30_000_000_000 {
            seen.left = open;
        }
        seen.said += str::from_utf8(&client.recv()).unwrap();
        if !busy && !acts && seen.said == "n" {
            match does {
                Server::Waits => {}
                Server::HangsUp => served.drain(..).for_each(|peer| peer.close()),
                Server::Talks => served.drain(..).for_each(|peer| _ = peer.send(b"!")),
            }
            (acts, busy) = (true, true);
        }
        busy
    });
    let Err(error) = worker.run() else { panic!("the listener is left") };
    assert_eq!(error.raw_os_error(), Some(libc::EDEADLK), "{error}");
    drop(sim);
    seen.take()
}

#[test]
fn what_is_parked_is_used_again() {
    let seen = run("ask\nask\nnew\nask\nwait\nask\n", Server::Waits);
    assert_eq!((seen.said.as_str(), seen.made), ("nonoo", 2));
}

#[test]
fn what_is_idle_is_closed() {
    let seen = run("ask\nwait\nask\nwait\nwait\nask\n", Server::Waits);
    assert_eq!(seen.said, "non");
}

#[test]
fn what_the_other_end_has_ended_is_closed_at_once() {
    let seen = run("ask\nwait\n", Server::HangsUp);
    assert_eq!((seen.said.as_str(), seen.left), ("n", 0));
    assert_eq!(run("ask\nwait\nask\n", Server::HangsUp).said, "nn");
}

#[test]
fn what_nobody_asked_for_ends_it() {
    assert_eq!(run("ask\nwait\nask\n", Server::Talks).said, "nn");
    assert_eq!(run("leave\nask\n", Server::Waits).said, "nn");
}

/// The one that was parked first goes when there are too many.
#[test]
fn there_is_a_bound() {
    let seen = run(&"new\n".repeat(300), Server::Waits);
    assert_eq!(seen.made, 300);
    // One more is in somebody's hands.
    assert!((256..=257).contains(&seen.most), "{seen:?}");
}
