//! A worker in a simulated world, with one connection: the same input gives the same answers, however it is cut.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::OnceLock;
use vk_core::Entry;
use vk_core::rt::Coroutine;
use vk_heap::{Arena, Config, Guard};
use vk_poll::{Faults, Sim};
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

/// What `C` answers to `input`, which comes cut at `cuts` and then ends; without dates.
pub fn answers<C: Coroutine<Args = (), Output = io::Result<()>>>(input: &[u8], cuts: &[usize]) -> Vec<u8> {
    static LEDGER: OnceLock<Ledger> = OnceLock::new();
    let ledger = LEDGER.get_or_init(|| Ledger::alone().unwrap());
    let sim = Sim::new(1, Faults::NONE);
    let config = Config { heaps: 1, heap_size: 4096, pool_blocks: 64, guard: Guard::Off };
    let settings = Settings { max_procs: 1, ledger, holder: None, resolves: true };
    let mut worker = Worker::new(Arena::new(&config).unwrap(), sim.clone(), None, settings).unwrap();
    let (stream, peer) = sim.stream();
    worker.start_on(Entry::handler::<C>(), stream, stream).unwrap();
    let input = input.to_vec();
    let mut ends = cuts.iter().copied().chain([input.len()]).collect::<Vec<_>>().into_iter().peekable();
    let (mut sent, mut over) = (0, false);
    let heard = Rc::new(RefCell::new(Vec::new()));
    let (answers, last) = (heard.clone(), peer.clone());
    sim.drive(move |_| {
        heard.borrow_mut().extend(peer.recv());
        while let Some(end) = ends.peek() {
            let taken = peer.send(&input[sent..*end]);
            sent += taken;
            if sent == *end {
                ends.next();
            }
            if taken > 0 {
                return true;
            }
            if ends.peek().is_some_and(|end| sent < *end) {
                return false;
            }
        }
        if !over {
            peer.shutdown();
        }
        !std::mem::replace(&mut over, true)
    });
    worker.run().expect("the worker goes on until the connection is done");
    assert_eq!(worker.stats().panics, 0);
    worker.check_conservation().unwrap();
    answers.borrow_mut().extend(last.recv());
    // The second may have changed in between.
    let answers = answers.borrow();
    let lines = answers.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"Date: "));
    lines.flatten().copied().collect()
}
