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
//! - A connection that was accepted, is open and in no row, was accepted by a worker that is between two steps, which
//!   its [`taking`](Seat::taking) says: odd. So it is with one that is about to be closed.
//! - While the ledger is [frozen](Ledger::freeze), no worker opens or closes what is in a row: the table stays as it
//!   is, to be handed over to the next build.
#![allow(unsafe_code)]

mod seat;
mod snapshot;
mod tools;

pub use seat::{Phase, Seat};
pub use snapshot::{Seen, Snapshot};

use crate::shared::{Cell, Shared};
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use vk_core::Descriptor;
use vk_heap::HeapId;

/// Changes with the meaning of what is in a ledger: builds of different formats can't follow one another.
pub const FORMAT: u32 = 2;

/// What is noted of all.
#[repr(C)]
struct Head {
    format: AtomicU32,
    /// Places of workers.
    places: AtomicU32,
    /// Processes of this build, and those before it, must leave the table of descriptors as it is.
    frozen: AtomicU32,
    /// Above the largest number that was ever in a row.
    high: AtomicU32,
    /// Builds that have followed one another, and those that were refused.
    reloads: AtomicU32,
    refused: AtomicU32,
    /// Builds that were ever begun.
    builds: AtomicU32,
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

/// Workers likewise: with their seats, 24 bits of a row's state.
pub const WORKERS: usize = 1 << 10;

/// Seats for each place: of a build that serves, and of those before it that still drain.
pub const BUILDS: usize = 64;

/// The shared table.
#[derive(Debug)]
pub struct Ledger {
    shared: Shared,
    /// As it was when this process looked first.
    places: usize,
    /// Of this process's build.
    build: u32,
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
        let seats = workers.max(1) * BUILDS * size_of::<Seat>();
        Ledger::of(Shared::new(c"vk-ledger", Ledger::SEATS + seats + rows * size_of::<Row>())?, workers)
    }

    /// The ledger of a worker that serves for itself, with nobody to follow it.
    ///
    /// # Errors
    /// As [`new`](Ledger::new).
    pub(crate) fn of_one() -> io::Result<Ledger> {
        let rows = descriptors_at_most().min(MOST) as usize;
        let size = Ledger::SEATS + BUILDS * size_of::<Seat>() + rows * size_of::<Row>();
        Ledger::of(Shared::new(c"vk-drain", size)?, 1)
    }

    fn of(shared: Shared, workers: usize) -> io::Result<Ledger> {
        let ledger = Ledger { shared, places: workers.max(1), build: 1 };
        ledger.head().format.store(FORMAT, Relaxed);
        ledger.head().builds.store(ledger.build, Relaxed);
        ledger.head().places.store(workers.max(1) as u32, Relaxed);
        Ok(ledger)
    }

    /// The ledger that the build before this one has left.
    ///
    /// # Errors
    /// Those of mmap(2); `InvalidData` if it is none, or of another format.
    pub fn adopt(memfd: OwnedFd) -> io::Result<Ledger> {
        let mut ledger = Ledger { shared: Shared::map(memfd)?, places: 0, build: 0 };
        let places = ledger.head().places.load(Relaxed) as usize;
        let sound = ledger.head().format.load(Relaxed) == FORMAT
            && (1..=WORKERS).contains(&places)
            && ledger.shared.size() >= Ledger::SEATS + places * BUILDS * size_of::<Seat>();
        if !sound {
            return Err(io::ErrorKind::InvalidData.into());
        }
        ledger.places = places;
        ledger.build = ledger.head().builds.fetch_add(1, Relaxed) + 1;
        Ok(ledger)
    }

    /// How many workers there are.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Gives a worker a free seat; none if there are too many builds that still drain.
    pub fn sit(&self, place: usize, arena: OwnedFd) -> Option<usize> {
        let free = self.seats().iter().position(Seat::is_free)?;
        self.seats()[free].take(place, arena.into_raw_fd());
        Some(free)
    }

    /// Whether each place can have one more seat.
    pub(crate) fn has_seats(&self) -> bool {
        self.seats().iter().filter(|seat| seat.is_free()).count() >= self.places()
    }

    /// Makes a seat free that nobody uses any more.
    pub fn vacate(&self, seat: usize) {
        self.seat(seat).taking.store(0, SeqCst);
        let arena = self.seat(seat).arena.swap(0, SeqCst);
        if arena != 0 {
            // SAFETY: the number was the seat's own, from `sit`.
            drop(unsafe { OwnedFd::from_raw_fd(arena as RawFd) });
        }
    }

    /// A build has followed another; it was refused.
    pub fn count_reload(&self) {
        self.head().reloads.fetch_add(1, Release);
    }

    /// See [`count_reload`](Ledger::count_reload).
    pub fn count_refused(&self) {
        self.head().refused.fetch_add(1, Release);
    }

    /// Builds that have followed one another so far.
    pub fn reloads(&self) -> u32 {
        self.head().reloads.load(Acquire)
    }

    /// Builds that were refused so far.
    pub fn refused(&self) -> u32 {
        self.head().refused.load(Acquire)
    }

    /// The memfd's number.
    pub fn memfd(&self) -> RawFd {
        self.shared.memfd()
    }

    fn head(&self) -> &Head {
        &self.shared.slice(0, 1)[0]
    }

    /// The seats of all workers, free ones included.
    pub fn seats(&self) -> &[Seat] {
        self.shared.slice(Ledger::SEATS, self.places() * BUILDS)
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

    /// Runs `open`, which opens a descriptor and [enters](Ledger::enter) it, or closes one and says so.
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

    /// Enters a descriptor that is open and in no row; false if somebody else has, meanwhile.
    pub fn claim(&self, worker: usize, descriptor: Descriptor, owner: HeapId) -> bool {
        let Some(row) = self.row(descriptor.number) else { return false };
        let claimed = State::Closing.word(worker);
        let free = row.state.compare_exchange(State::Free as u32, claimed, SeqCst, Relaxed).is_ok();
        free && self.enter(worker, descriptor, owner).is_ok()
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

    /// The descriptor has another owner from now on; with [`HeapId::NONE`] none, and who comes after this worker closes it.
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

    /// The descriptor is another worker's from now on.
    pub fn pass(&self, worker: usize, number: RawFd) {
        if let Some(row) = self.row(number) {
            let state = State::of(row.state.load(Acquire));
            row.state.store(state.word(worker), Release);
        }
    }

    /// Whether the next build is to have the descriptor: all but what serves a worker itself.
    pub(crate) fn is_handed_over(&self, number: RawFd) -> bool {
        !matches!(self.read(number).0, State::Free | State::Tool)
    }

    /// The row is nobody's.
    pub fn forget(&self, number: RawFd) {
        if let Some(row) = self.row(number) {
            row.state.store(State::Free as u32, Release);
        }
    }

    /// If the row says that its descriptor is about to be closed, it is.
    pub(crate) fn forget_closing(&self, number: RawFd) {
        let (state, worker, ..) = self.read(number);
        if state == State::Closing {
            self.closed(worker, number);
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

    /// Waits until each worker but `worker` has finished what it was opening when this was called, for at most
    /// 100 ms; false if one has not. What is open and in no row after it is nobody's.
    pub fn wait_for_others(&self, worker: usize) -> bool {
        let others =
            || self.seats().iter().enumerate().filter(|(other, seat)| *other != worker && !seat.is_free());
        let before: Vec<u32> = others().map(|(_, seat)| seat.taking.load(SeqCst)).collect();
        wait(|| {
            others()
                .zip(&before)
                .all(|((_, seat), before)| before % 2 == 0 || seat.taking.load(SeqCst) != *before)
        })
    }

    /// From now on nobody of this build opens or closes a descriptor. Those who are opening one just now are waited for.
    pub fn freeze(&self) -> bool {
        self.head().frozen.store(self.build, SeqCst);
        self.wait_for_others(usize::MAX)
    }

    /// Descriptors come and go again.
    pub fn thaw(&self) {
        // Those of builds before this one have another table by now, and still must not touch it.
        self.head().frozen.store(self.build - 1, SeqCst);
    }

    /// Whether descriptors stay as they are.
    #[inline]
    pub fn is_frozen(&self) -> bool {
        self.head().frozen.load(SeqCst) >= self.build
    }
}

/// Waits until `is_done`, for at most 100 ms; false if it is not.
fn wait(is_done: impl Fn() -> bool) -> bool {
    for _ in 0..1000 {
        if is_done() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
    false
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
