//! The real machinery: a worker with one micro-process, on the simulator.

use crate::dice::Dice;
use crate::observed::{Observed, Outcome, Script};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;
use vk_core::Entry;
use vk_heap::{Arena, Config, Guard};
use vk_poll::{Faults, Sim};
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

/// Bytes of the micro-heap: room for the frames of deep nests of calls.
const HEAP: u32 = 64 << 10;

thread_local! {
    static REPORTED: RefCell<Option<Outcome>> = const { RefCell::new(None) };
}

/// Called by each body's handler with what the body returned.
pub fn report(outcome: Outcome) {
    REPORTED.set(Some(outcome));
}

/// Runs `handler` on a stream of the simulator, whose other end follows `script`.
pub fn run(handler: &'static Entry, script: &Script) -> Observed {
    static LEDGER: OnceLock<Ledger> = OnceLock::new();
    let ledger = LEDGER.get_or_init(|| Ledger::alone().expect("a page"));
    let mut dice = Dice::new(script.seed);
    let calm = script.seed == 0 || dice.one_in(4);
    let faults = if calm { Faults::NONE } else { Faults::ALL };
    // Without a block to lend, rings stay small and writes have to wait.
    let pool_blocks = *dice.pick(&[0, 8]);
    let guard = *dice.pick(&[Guard::Strict, Guard::Epoch(1), Guard::Off]);
    let config = Config { heaps: 2, heap_size: HEAP, pool_blocks, guard };
    let sim = Sim::new(script.seed, faults);
    let settings = Settings { max_procs: 2, ledger, holder: None, resolves: true };
    let mut worker =
        Worker::new(Arena::new(&config).expect("memory"), sim.clone(), None, settings).expect("a worker");

    let (stream, peer) = sim.stream();
    worker.start_on(handler, stream, stream).expect("a micro-process");
    let output = Rc::new(RefCell::new(Vec::new()));
    let (script, theirs, other) = (script.clone(), output.clone(), peer.clone());
    let (mut sent, mut shut) = (0, false);
    sim.drive(move |_| {
        let got = other.recv();
        theirs.borrow_mut().extend_from_slice(&got);
        let mut busy = !got.is_empty();
        // Now and then nothing, mostly one piece, sometimes several or the end with the last one.
        while !shut && !dice.one_in(if calm { 9 } else { 3 }) {
            busy = true;
            if sent == script.input.len() {
                other.shutdown();
                shut = true;
                break;
            }
            let end = sent.saturating_add(1 + dice.below(script.piece)).min(script.input.len());
            match other.send(&script.input[sent..end]) {
                0 => return !got.is_empty(),
                count => sent += count,
            }
            if !dice.one_in(4) {
                break;
            }
        }
        busy || !shut
    });
    REPORTED.take();
    let ran = worker.run();
    let reported = REPORTED.take();
    output.borrow_mut().extend_from_slice(&peer.recv());
    let outcome = match (ran, reported) {
        _ if worker.stats().panics > 0 => Outcome::Panicked,
        (Err(error), _) => Outcome::Stuck(error.to_string()),
        (Ok(()), None) => Outcome::Stuck("it ended without a result".into()),
        (Ok(()), Some(outcome)) => match worker.check_conservation() {
            Ok(()) => outcome,
            Err(problem) => Outcome::Stuck(problem),
        },
    };
    let output = output.take();
    Observed { output, outcome }
}
