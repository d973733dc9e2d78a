//! Who has which descriptor, in memory that outlives the workers.
//!
//! ```text
//! one table of descriptors (clone3's CLONE_FILES) │ keeper, worker 0 … n-1
//! ledger   | head | worker 0 … n-1: who runs, what it is about to open | descriptor 0 … m: owner, generation, state |
//! ```
//!
//! When a worker dies none of its descriptors closes, so each has to be found again: the next worker takes over
//! what its row says, and what the row says is never more than a step away from the truth.
//!
//! ```text
//!  state    Free ──accept──► Taken ──its owner knows of it──► Owned ──► Closing ──close(2)──► Free
//! ```
//!
//! Invariants:
//! - A row is written by the worker that has the descriptor, and by the keeper for the dead.
//! - A descriptor that is open and in no row was opened by a worker that is between two steps, which its
//!   [`taking`](Seat::taking) says: odd.
//! - While the ledger is [frozen](Ledger::freeze), nobody opens or closes: the table stays as it is, to be
//!   handed over to the next build.
#![allow(unsafe_code)]

mod snapshot;

pub use snapshot::{Seen, Snapshot};

use crate::board::COLUMNS;
use crate::shared::{Cell, Shared};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use vk_core::Descriptor;
use vk_heap::HeapId;

/// What is noted of all.
#[repr(C)]
struct Head {
    workers: AtomicU32,
    frozen: AtomicU32,
    /// Above the largest number that was ever in a row.
    high: AtomicU32,
    /// How often the keeper has gone on with another build.
    reloads: AtomicU32,
    /// How often it was to, and the other build was refused.
    refused: AtomicU32,
}

/// What is noted of one worker.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Seat {
    /// The micro-process that is being dispatched, as bits of its id; 0 while none is.
    pub running: AtomicU64,
    /// Dispatches so far: a watchdog sees whether it is still the same one.
    pub dispatches: AtomicU64,
    /// Odd while a descriptor is being opened.
    pub taking: AtomicU32,
    /// The generation of the descriptor that was entered last.
    pub generation: AtomicU32,
    /// Whom the deaths of workers are attributed to, and how many in a row.
    pub suspect: AtomicU64,
    /// See [`suspect`](Seat::suspect).
    pub strikes: AtomicU32,
    /// Workers that have begun to take over since one has finished doing so.
    pub recoveries: AtomicU32,
    /// The signal of the fault that the worker died of, 0 if it died of none; the address of the fault, and of the
    /// instruction.
    pub fault: AtomicU32,
    /// See [`fault`](Seat::fault).
    pub address: AtomicU64,
    /// See [`fault`](Seat::fault).
    pub instruction: AtomicU64,
    /// What the worker [shows](crate::board::show).
    pub counters: [AtomicU64; COLUMNS.len()],
}

/// What is noted of one descriptor.
#[repr(C)]
pub struct Row {
    owner: AtomicU64,
    generation: AtomicU32,
    /// The state, and above it the worker.
    state: AtomicU32,
}

// SAFETY: atomics.
unsafe impl Cell for Head {}
// SAFETY: atomics.
unsafe impl Cell for Seat {}
// SAFETY: atomics.
unsafe impl Cell for Row {}

/// How far a descriptor has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// It is in no worker's hands.
    Free,
    /// It was opened for a micro-process that may not know of it yet.
    Taken,
    /// It is a micro-process's.
    Owned,
    /// It is about to be closed, or closed already.
    Closing,
    /// It serves the worker itself: its poller, its signals.
    Tool,
}

impl State {
    fn of(word: u32) -> State {
        match word & 0xff {
            1 => State::Taken,
            2 => State::Owned,
            3 => State::Closing,
            4 => State::Tool,
            _ => State::Free,
        }
    }

    fn word(self, worker: usize) -> u32 {
        (worker as u32) << 8 | self as u32
    }
}

/// Descriptors that a ledger has rows for at most.
const MOST: u64 = 1 << 20;

/// Workers likewise: 24 bits of a row's state.
pub const WORKERS: usize = 1 << 10;

/// The shared table.
#[derive(Debug)]
pub struct Ledger {
    shared: Shared,
}

impl Ledger {
    const SEATS: usize = 128;

    /// The ledger of as many workers, with nobody in it.
    ///
    /// # Errors
    /// Those of memfd_create(2) and mmap(2).
    pub fn new(workers: usize) -> io::Result<Ledger> {
        assert!(workers <= WORKERS, "{workers} workers");
        let rows = descriptors_at_most().min(MOST) as usize;
        let seats = workers.max(1) * size_of::<Seat>();
        let shared = Shared::new(c"vk-ledger", Ledger::SEATS + seats + rows * size_of::<Row>())?;
        let ledger = Ledger { shared };
        ledger.head().workers.store(workers.max(1) as u32, Relaxed);
        Ok(ledger)
    }

    /// The ledger that the build before this one has left.
    ///
    /// # Errors
    /// Those of mmap(2); `InvalidData` if it is none.
    pub fn adopt(memfd: OwnedFd) -> io::Result<Ledger> {
        let ledger = Ledger { shared: Shared::map(memfd)? };
        let workers = ledger.head().workers.load(Relaxed) as usize;
        let sound = (1..=WORKERS).contains(&workers)
            && ledger.shared.size() >= Ledger::SEATS + workers * size_of::<Seat>();
        if sound { Ok(ledger) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// The memfd's number.
    pub fn memfd(&self) -> RawFd {
        self.shared.memfd()
    }

    fn head(&self) -> &Head {
        &self.shared.slice(0, 1)[0]
    }

    /// What is noted of the workers.
    pub fn seats(&self) -> &[Seat] {
        self.shared.slice(Ledger::SEATS, self.head().workers.load(Relaxed) as usize)
    }

    /// What is noted of a worker.
    pub fn seat(&self, worker: usize) -> &Seat {
        &self.seats()[worker]
    }

    fn rows(&self) -> &[Row] {
        let at = Ledger::SEATS + size_of_val(self.seats());
        self.shared.slice(at, (self.shared.size() - at) / size_of::<Row>())
    }

    fn row(&self, number: RawFd) -> Option<&Row> {
        self.rows().get(usize::try_from(number).ok()?)
    }

    /// Runs `open`, which opens a descriptor and [enters](Ledger::enter) it.
    ///
    /// # Errors
    /// `WouldBlock` while the ledger is frozen; those of `open`.
    pub fn take<T>(&self, worker: usize, open: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let taking = &self.seat(worker).taking;
        taking.fetch_add(1, SeqCst);
        let result = if self.is_frozen() { Err(io::ErrorKind::WouldBlock.into()) } else { open() };
        taking.fetch_add(1, Release);
        result
    }

    /// Enters a descriptor that was just opened.
    ///
    /// # Errors
    /// EMFILE if the ledger has no row for it.
    pub fn enter(&self, worker: usize, descriptor: Descriptor, owner: HeapId) -> io::Result<()> {
        let Some(row) = self.row(descriptor.number) else {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        };
        self.raise(descriptor.number);
        self.seat(worker).generation.store(descriptor.generation, Relaxed);
        row.owner.store(owner.to_bits(), Relaxed);
        row.generation.store(descriptor.generation, Relaxed);
        row.state.store(State::Taken.word(worker), Release);
        Ok(())
    }

    fn raise(&self, number: RawFd) {
        let high = &self.head().high;
        if high.load(Relaxed) <= number as u32 {
            high.fetch_max(number as u32 + 1, Relaxed);
        }
    }

    /// Enters a descriptor of the worker itself.
    pub fn enter_tool(&self, worker: usize, number: RawFd) {
        if let Some(row) = self.row(number) {
            self.raise(number);
            row.state.store(State::Tool.word(worker), Release);
        }
    }

    /// The descriptor's owner knows of it.
    pub fn confirm(&self, worker: usize, number: RawFd) {
        if let Some(row) = self.row(number) {
            row.state.store(State::Owned.word(worker), Release);
        }
    }

    /// The descriptor has another owner from now on.
    pub fn hand_over(&self, number: RawFd, owner: HeapId) {
        if let Some(row) = self.row(number) {
            row.owner.store(owner.to_bits(), Release);
        }
    }

    /// The descriptor is about to be closed.
    pub fn closing(&self, worker: usize, number: RawFd) {
        if let Some(row) = self.row(number) {
            row.state.store(State::Closing.word(worker), Release);
        }
    }

    /// It is closed. Its number may be somebody else's already, and in his row.
    pub fn closed(&self, worker: usize, number: RawFd) {
        if let Some(row) = self.row(number) {
            let closing = State::Closing.word(worker);
            // Where it fails, the row has been written by the next one.
            let _ = row.state.compare_exchange(closing, State::Free as u32, Release, Relaxed);
        }
    }

    /// What is in a row: state, worker, descriptor, owner.
    pub fn read(&self, number: RawFd) -> (State, usize, Descriptor, HeapId) {
        let Some(row) = self.row(number) else {
            return (State::Free, 0, Descriptor { number, generation: 0 }, HeapId::NONE);
        };
        let word = row.state.load(Acquire);
        let generation = row.generation.load(Relaxed);
        let owner = HeapId::from_bits(row.owner.load(Relaxed));
        (State::of(word), (word >> 8) as usize, Descriptor { number, generation }, owner)
    }

    /// All numbers that may be in a row.
    pub fn numbers(&self) -> std::ops::Range<RawFd> {
        0..self.head().high.load(Acquire).min(self.rows().len() as u32) as RawFd
    }

    /// Closes what a dead worker had for itself.
    pub fn close_tools(&self, worker: usize) {
        for number in self.numbers() {
            let (state, holder, ..) = self.read(number);
            if state == State::Tool && holder == worker {
                self.closing(worker, number);
                // SAFETY: the worker that had it is dead, and nobody else is to close it.
                unsafe { libc::close(number) };
                self.closed(worker, number);
            }
        }
    }

    /// Waits until each worker but `worker` has finished what it was opening when this was called, for at most
    /// 100 ms; false if one has not. What is open and in no row after it is nobody's.
    pub fn wait_for_others(&self, worker: usize) -> bool {
        let others = || self.seats().iter().enumerate().filter(|(other, _)| *other != worker);
        let before: Vec<u32> = others().map(|(_, seat)| seat.taking.load(SeqCst)).collect();
        let is_done = || {
            others()
                .zip(&before)
                .all(|((_, seat), before)| before % 2 == 0 || seat.taking.load(SeqCst) != *before)
        };
        for _ in 0..1000 {
            if is_done() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        false
    }

    /// How often the keeper has gone on with another build.
    pub fn reloads(&self) -> u32 {
        self.head().reloads.load(Relaxed)
    }

    /// Counts a build that serves now.
    pub fn count_reload(&self) {
        self.head().reloads.fetch_add(1, Relaxed);
    }

    /// How often another build was refused.
    pub fn refused(&self) -> u32 {
        self.head().refused.load(Relaxed)
    }

    /// Counts a build that was refused.
    pub fn count_refused(&self) {
        self.head().refused.fetch_add(1, Relaxed);
    }

    /// From now on nobody opens or closes a descriptor. Those who are opening one just now are waited for.
    pub fn freeze(&self) -> bool {
        self.head().frozen.store(1, SeqCst);
        self.wait_for_others(usize::MAX)
    }

    /// Descriptors come and go again.
    pub fn thaw(&self) {
        self.head().frozen.store(0, SeqCst);
    }

    /// Whether descriptors stay as they are.
    #[inline]
    pub fn is_frozen(&self) -> bool {
        self.head().frozen.load(SeqCst) != 0
    }
}

/// The hard limit of descriptors: it may be raised up to there while the process runs.
fn descriptors_at_most() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is an rlimit to be written.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => limit.rlim_max,
        _ => MOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_taken_again_is_not_freed() {
        let ledger = Ledger::new(2).unwrap();
        let (first, second) = (HeapId::from_bits(1), HeapId::from_bits(3));
        ledger.enter(0, Descriptor { number: 9, generation: 1 }, first).unwrap();
        ledger.confirm(0, 9);
        ledger.closing(0, 9);
        ledger.enter(1, Descriptor { number: 9, generation: 5 }, second).unwrap();
        ledger.closed(0, 9);
        let row = (State::Taken, 1, Descriptor { number: 9, generation: 5 }, second);
        assert_eq!(ledger.read(9), row);
        ledger.closing(1, 9);
        ledger.closed(1, 9);
        assert_eq!(ledger.read(9).0, State::Free);
        assert_eq!(ledger.numbers(), 0..10);
    }

    #[test]
    fn frozen_nobody_takes() {
        let ledger = Ledger::new(1).unwrap();
        assert!(ledger.freeze());
        let error = ledger.take(0, || Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        ledger.thaw();
        ledger.take(0, || Ok(())).unwrap();
        assert!(ledger.wait_for_others(usize::MAX));
    }

    #[test]
    fn a_number_without_a_row_is_refused() {
        let ledger = Ledger::new(1).unwrap();
        let far = Descriptor { number: RawFd::MAX, generation: 1 };
        assert!(ledger.enter(0, far, HeapId::NONE).is_err());
        assert_eq!(ledger.read(RawFd::MAX).0, State::Free);
    }
}
