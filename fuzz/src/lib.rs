//! What the targets of `vk-http` share: one connection in a simulated world.
//!
//! ```text
//!  input ── in pieces ──► Sim ──► Worker ──► handler ──► answer
//! ```
//!
//! Invariants: a world is as empty after a connection as it was before, so it is used again, since the addresses of an
//! arena are kept for ever; it is given up now and then, since the simulator forgets no connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::OnceLock;
use vk_core::Entry;
use vk_core::rt::Coroutine;
use vk_heap::{Arena, Config, Guard};
use vk_poll::{Backend, Faults, Sim};
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

/// Connections after which a world is given up.
const LIFE: u32 = 1000;

/// A worker, and the world that it lives in.
struct House {
    sim: Sim,
    worker: Worker<Sim>,
    connections: u32,
}

impl House {
    fn new() -> House {
        static LEDGER: OnceLock<Ledger> = OnceLock::new();
        let ledger = LEDGER.get_or_init(|| Ledger::alone().unwrap());
        let sim = Sim::new(1, Faults::NONE);
        let config = Config { heaps: 1, heap_size: 4096, pool_blocks: 64, guard: Guard::Off };
        let settings = Settings { max_procs: 1, ledger, holder: None, resolves: true };
        let worker = Worker::new(Arena::new(&config).unwrap(), sim.clone(), None, settings).unwrap();
        House { sim, worker, connections: 0 }
    }

    /// What is answered to bytes that come in these pieces, and then end.
    fn answer(&mut self, handler: &'static Entry, pieces: &[&[u8]]) -> Vec<u8> {
        self.connections += 1;
        let (stream, peer) = self.sim.stream();
        self.worker.start_on(handler, stream, stream).unwrap();
        let pieces = pieces.iter().filter(|piece| !piece.is_empty());
        let mut pieces: VecDeque<Vec<u8>> = pieces.map(|piece| piece.to_vec()).collect();
        let mut over = false;
        let (answers, client) = (Rc::new(RefCell::new(Vec::new())), peer.clone());
        let heard = answers.clone();
        self.sim.drive(move |_| {
            heard.borrow_mut().extend(client.recv());
            if let Some(piece) = pieces.front_mut() {
                let taken = client.send(piece);
                piece.drain(..taken);
                if piece.is_empty() {
                    pieces.pop_front();
                }
                return taken > 0;
            }
            if !over {
                client.shutdown();
            }
            !std::mem::replace(&mut over, true)
        });
        let at_abort = abort_action(None);
        self.worker.run().expect("the worker goes on until the connection is done");
        // libFuzzer's, which writes down the input: the worker has installed its own.
        abort_action(Some(at_abort));
        self.sim.close(stream);
        assert_eq!(self.worker.stats().panics, 0);
        self.worker.check_conservation().unwrap();
        answers.borrow_mut().extend(peer.recv());
        answers.take()
    }
}

/// Sets what happens at a SIGABRT, and returns what it was.
fn abort_action(action: Option<libc::sigaction>) -> libc::sigaction {
    let action = action.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the new action is none, or one that sigaction(2) has returned; a zeroed one is valid.
    unsafe {
        let mut before = std::mem::zeroed();
        libc::sigaction(libc::SIGABRT, action, &mut before);
        before
    }
}

/// What `C` answers to `input` behind a `beginning`, sent whole, then cut in other ways.
pub fn answers<C>(beginning: &[u8], input: &[u8]) -> Vec<Vec<u8>>
where
    C: Coroutine<Args = (), Output = io::Result<()>>,
{
    thread_local! {
        static HOUSE: RefCell<House> = RefCell::new(House::new());
    }
    // In two, at another place for each input.
    let place = input.iter().fold(7, |hash: usize, byte| hash.wrapping_mul(31) ^ usize::from(*byte));
    let (first, second) = input.split_at(place % (input.len() + 1));
    let mut cuts = vec![vec![input], vec![first, second]];
    let sizes = [1, 2, 7, 100].into_iter().filter(|size| *size < input.len());
    cuts.extend(sizes.map(|size| input.chunks(size).collect()));
    HOUSE.with_borrow_mut(|house| {
        if house.connections > LIFE {
            *house = House::new();
        }
        let cuts = cuts.iter().map(|pieces| [&[beginning], &pieces[..]].concat());
        cuts.map(|pieces| house.answer(Entry::handler::<C>(), &pieces)).collect()
    })
}

/// As [`answers`]: the one answer there is, without dates.
///
/// # Panics
/// If it depends on the cuts.
pub fn answer<C>(beginning: &[u8], input: &[u8]) -> Vec<u8>
where
    C: Coroutine<Args = (), Output = io::Result<()>>,
{
    let mut answers = answers::<C>(beginning, input).into_iter().map(|answer| undated(&answer));
    let whole = answers.next().expect("the input is sent whole, too");
    for (number, answer) in answers.enumerate() {
        assert!(
            answer == whole,
            "cut in way {number}: {}\nwhole: {}",
            answer.escape_ascii(),
            whole.escape_ascii()
        );
    }
    whole
}

/// Without the lines that tell the time: the second may have changed in between.
fn undated(answer: &[u8]) -> Vec<u8> {
    let lines = answer.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"Date: "));
    lines.flatten().copied().collect()
}
