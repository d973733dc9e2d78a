//! A server answers any bytes, and the same bytes the same way however they are cut: it never panics, hangs,
//! or leaves anything behind.
#![no_main]

extern crate vk_core as vk;

use libfuzzer_sys::fuzz_target;
use std::io;
use std::sync::OnceLock;
use vk_core::{Entry, Io};
use vk_heap::{Arena, Config, Guard};
use vk_http::{self as http, Request};
use vk_poll::{Faults, Sim};
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

/// Answers with the body: streamed for `/echo` if its length is known (chunks would be cut as they come),
/// otherwise whole.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        let length: Option<u64> = request.body_length();
        if request.path() == "/echo" && length.is_some() {
            http::begin(io, &request, 200, "", length)?;
            http::forward_body(io, &mut request)?;
            http::end(io, &request)?;
        } else {
            http::read_whole_body(io, &mut request, 1 << 16)?;
            http::respond(io, &request, 200, "", &request.body)?;
        }
    }
    Ok(())
}

/// What the server answers to `input`, which comes in pieces of `piece` bytes.
fn answer(input: &[u8], piece: usize) -> Vec<u8> {
    static LEDGER: OnceLock<Ledger> = OnceLock::new();
    let ledger = LEDGER.get_or_init(|| Ledger::new(1).unwrap());
    let sim = Sim::new(1, Faults::NONE);
    let config = Config { heaps: 1, heap_size: 4096, pool_blocks: 64, guard: Guard::Off };
    let settings = Settings { max_procs: 1, ledger, worker: 0 };
    let mut worker = Worker::new(Arena::new(&config).unwrap(), sim.clone(), None, settings).unwrap();
    let (stream, peer) = sim.stream();
    worker.start_on(Entry::handler::<serve>(), stream, stream).unwrap();
    let (input, mut sent) = (input.to_vec(), 0);
    let answers = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let (heard, last) = (answers.clone(), peer.clone());
    sim.drive(move |_| {
        heard.borrow_mut().extend(peer.recv());
        if sent < input.len() {
            let taken = peer.send(&input[sent..input.len().min(sent + piece)]);
            sent += taken;
            return taken > 0;
        }
        sent += 1;
        if sent == input.len() + 1 {
            peer.shutdown();
        }
        sent == input.len() + 1
    });
    worker.run().expect("the worker goes on until the connection is done");
    assert_eq!(worker.stats().panics, 0);
    worker.check_conservation().unwrap();
    answers.borrow_mut().extend(last.recv());
    let answers = String::from_utf8_lossy(&answers.borrow()).into_owned();
    // The second may have changed in between.
    answers.lines().filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\n").into_bytes()
}

fuzz_target!(|input: &[u8]| {
    let whole = answer(input, usize::MAX - input.len());
    for piece in [1, 2, 7, 100] {
        assert_eq!(answer(input, piece), whole, "in pieces of {piece}");
    }
});
