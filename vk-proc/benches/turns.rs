//! What it costs when a coroutine yields and is resumed in the same micro-heap, and when bytes go through an
//! in-heap pipe. No kernel: the worker runs on the simulator.
#![allow(missing_docs)]

extern crate vk_core as vk;

use criterion::{Criterion, criterion_group, criterion_main};
use std::io;
use std::time::Instant;
use vk_core::{Child, Entry, Io, Sink, Source};
use vk_heap::{Arena, Config, Guard};
use vk_poll::{Faults, Sim};
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

/// Yields as often as the eight bytes of its input say.
#[vk::coroutine]
fn yielding(io: &mut Io) -> io::Result<()> {
    let mut count: [u8; 8] = [0; 8];
    io.read_exact(&mut count)?;
    let mut left: u64 = u64::from_le_bytes(count);
    while left > 0 {
        io.yield_now()?;
        left -= 1;
    }
    Ok(())
}

/// Calls a coroutine that is ready at once as often as the input says.
#[vk::coroutine]
fn calling(io: &mut Io) -> io::Result<()> {
    let mut count: [u8; 8] = [0; 8];
    io.read_exact(&mut count)?;
    let mut left: u64 = u64::from_le_bytes(count);
    while left > 0 {
        left = one_less(io, left)?;
    }
    Ok(())
}

#[vk::coroutine]
fn one_less(io: &mut Io, left: u64) -> io::Result<u64> {
    io.checkpoint("called")?;
    Ok(left - 1)
}

/// Sends single bytes to another coroutine and waits for each to be acknowledged.
#[vk::coroutine]
fn ping(io: &mut Io) -> io::Result<()> {
    let mut count: [u8; 8] = [0; 8];
    io.read_exact(&mut count)?;
    let mut left: u64 = u64::from_le_bytes(count);
    let mut child: Child = io.spawn::<pong>((), Source::Parent, Sink::Nothing)?;
    while left > 0 {
        io.write_all(b"x")?;
        io.hangup()?;
        left -= 1;
    }
    io.shutdown()?;
    io.join(&mut child)
}

#[vk::coroutine]
fn pong(io: &mut Io) -> io::Result<()> {
    let mut byte: [u8; 1] = [0];
    loop {
        if io.read(&mut byte)? == 0 {
            return Ok(());
        }
        io.read_hangup()?;
    }
}

fn run(handler: &'static Entry, count: u64) {
    let sim = Sim::new(1, Faults::NONE);
    let config = Config { heaps: 2, heap_size: 16384, pool_blocks: 2, guard: Guard::Off };
    let settings = Settings {
        max_procs: 2,
        ledger: Box::leak(Box::new(Ledger::alone().unwrap())),
        holder: None,
        resolves: true,
    };
    let mut worker = Worker::new(Arena::new(&config).unwrap(), sim.clone(), None, settings).unwrap();
    let (stream, peer) = sim.stream();
    worker.start_on(handler, stream, stream).unwrap();
    peer.send(&count.to_le_bytes());
    peer.shutdown();
    worker.run().unwrap();
}

fn turns(c: &mut Criterion) {
    for (name, handler) in [
        ("yield and resume", Entry::handler::<yielding>()),
        ("call of a ready coroutine", Entry::handler::<calling>()),
        ("hangup and acknowledgement", Entry::handler::<ping>()),
    ] {
        c.bench_function(name, |b| {
            b.iter_custom(|count| {
                let start = Instant::now();
                run(handler, count);
                start.elapsed()
            });
        });
    }
}

criterion_group!(benches, turns);
criterion_main!(benches);
