//! Many connections at once, each with a writer and a reader.
//!
//! ```text
//!  writer ── request ──────────► server ── answer ──► reader
//!     └── what must come back, as many ahead as are pipelined ──┘
//! ```

use crate::{Dialogue, Exchange, Incoming, Kind, Outgoing, Probe, Wrong, connect};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vk_try::Random;

/// Threads that connect anew for each request.
const NEWCOMERS: u64 = 2;

/// Failures that are told; what fails later is mostly a consequence.
const TOLD: usize = 10;

/// How much was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests that were answered as they had to be.
    pub answered: u64,
    /// Connections that were made for one request.
    pub newcomers: u64,
    /// Those of them that were cut before the first byte of the answer: allowed where the worker dies between
    /// accepting a connection and the record of it.
    pub cut: u64,
}

/// What all threads share.
#[derive(Debug)]
struct Shared {
    seed: u64,
    begin: Instant,
    stop: AtomicBool,
    failures: Mutex<Vec<String>>,
    answered: AtomicU64,
    newcomers: AtomicU64,
    cut: AtomicU64,
}

impl Shared {
    fn fail(&self, who: &str, request: u64, wrong: &Wrong) {
        let Wrong { offset, what } = wrong;
        let (seed, after) = (self.seed, self.begin.elapsed());
        let text = format!(
            "after {after:.3?}, seed {seed}, {who}, request {request}, byte {offset} of the answer: {what}"
        );
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

/// A load that goes on until it is [finished](Load::finish).
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Opens `connections`, in turn of each kind that has an address, and begins to talk.
    ///
    /// # Panics
    /// If one can't be opened.
    #[track_caller]
    pub fn start(addresses: &[SocketAddr], connections: usize, seed: u64) -> Load {
        let shared = Arc::new(Shared {
            seed,
            begin: Instant::now(),
            stop: AtomicBool::new(false),
            failures: Mutex::default(),
            answered: AtomicU64::new(0),
            newcomers: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        });
        let mut random = Random(seed);
        let mut threads = Vec::new();
        for number in 0..connections {
            let (kind, address) = (Kind::ALL[number % addresses.len()], addresses[number % addresses.len()]);
            let slow = (random.below(8) == 0).then(|| random.number());
            let name = format!("connection {number} ({kind:?})") + if slow.is_some() { ", slow" } else { "" };
            let (outgoing, incoming) =
                connect(address, slow).unwrap_or_else(|error| panic!("{name}: {error}"));
            let line = Arc::new(Line { name, failed: AtomicBool::new(false) });
            let (ahead, due) = sync_channel([0, 0, 1, 8][random.below(4) as usize]);
            let dialogue = Dialogue::new(kind, random.number());
            let (writing, reading) = ((Arc::clone(&shared), Arc::clone(&line)), (Arc::clone(&shared), line));
            let pace = Random(random.number());
            threads
                .push(thread::spawn(move || write(&writing.0, &writing.1, outgoing, dialogue, pace, &ahead)));
            threads.push(thread::spawn(move || read(&reading.0, &reading.1, incoming, &due)));
        }
        if let Some(&address) = addresses.get(Kind::Http as usize) {
            threads.extend((0..NEWCOMERS).map(|number| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || arrive(&shared, number, address))
            }));
        }
        Load { shared, threads }
    }

    /// Whether something has failed already.
    pub fn has_failed(&self) -> bool {
        !self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Lets what is under way end, and each connection with it.
    ///
    /// # Errors
    /// What has failed.
    pub fn conclude(self) -> Result<Summary, String> {
        self.shared.stop.store(true, Relaxed);
        for thread in self.threads {
            thread.join().expect("a thread of the load reports instead of panicking");
        }
        let failures = self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if !failures.is_empty() {
            let told = failures[..failures.len().min(TOLD)].join("\n  ");
            return Err(format!("{} connections have failed, the first ones:\n  {told}", failures.len()));
        }
        let count = |number: &AtomicU64| number.load(Relaxed);
        let Shared { answered, newcomers, cut, .. } = &*self.shared;
        Ok(Summary { answered: count(answered), newcomers: count(newcomers), cut: count(cut) })
    }

    /// As [`conclude`](Load::conclude), for a load that must not have failed.
    ///
    /// # Panics
    /// If it has.
    #[track_caller]
    pub fn finish(self) -> Summary {
        let summary = self.conclude().unwrap_or_else(|failures| panic!("{failures}"));
        eprintln!("{summary:?}");
        summary
    }
}

/// A connection, as its two threads know it.
#[derive(Debug)]
struct Line {
    name: String,
    /// Whether a failure was told: the other thread's would be a consequence.
    failed: AtomicBool,
}

impl Line {
    fn fail(&self, shared: &Shared, request: u64, wrong: &Wrong) {
        if !self.failed.swap(true, Relaxed) {
            shared.fail(&self.name, request, wrong);
        }
    }
}

fn write(
    shared: &Shared,
    line: &Line,
    mut outgoing: Outgoing,
    mut dialogue: Dialogue,
    mut pace: Random,
    ahead: &SyncSender<Exchange>,
) {
    loop {
        let goes_on = !shared.stop.load(Relaxed);
        let exchange = if goes_on { Some(dialogue.exchange()) } else { dialogue.last() };
        let Some(exchange) = exchange else { break };
        let (number, request) = (exchange.number, exchange.request.clone());
        // Only a reader that has failed is gone.
        if ahead.send(exchange).is_err() {
            return;
        }
        if let Err(Wrong { what, .. }) = outgoing.send_cut(&request, &mut pace) {
            return line.fail(
                shared,
                number,
                &Wrong { offset: 0, what: format!("it is not taken in: {what}") },
            );
        }
        if !goes_on {
            break;
        }
        if pace.below(10) == 0 {
            thread::sleep(Duration::from_millis(pace.below(50)));
        }
    }
    outgoing.hang_up();
}

fn read(shared: &Shared, line: &Line, mut incoming: Incoming, due: &Receiver<Exchange>) {
    let mut last = 0;
    let mut result = Ok(());
    while let Ok(exchange) = due.recv() {
        last = exchange.number;
        result = exchange.answer.expect(&mut incoming);
        if result.is_err() {
            break;
        }
        shared.answered.fetch_add(1, Relaxed);
    }
    // Nobody has said that there is more, unless the writer has failed.
    if let Err(wrong) = result.and_then(|()| incoming.end()) {
        line.fail(shared, last, &wrong);
        incoming.abandon();
    }
}

fn arrive(shared: &Shared, number: u64, address: SocketAddr) {
    let mut random = Random(shared.seed ^ number);
    let mut count = 0;
    while !shared.stop.load(Relaxed) {
        let refused = |error: io::Error| Wrong { offset: 0, what: error.to_string() };
        match Probe::try_to(address).map_err(refused).and_then(|mut probe| probe.try_check()) {
            Ok(()) => {}
            Err(wrong) if wrong.offset == 0 && wrong.is_cut() => {
                shared.cut.fetch_add(1, Relaxed);
            }
            Err(wrong) => return shared.fail(&format!("newcomer {number}"), count, &wrong),
        }
        count += 1;
        shared.newcomers.fetch_add(1, Relaxed);
        thread::sleep(Duration::from_millis(random.below(20)));
    }
}
