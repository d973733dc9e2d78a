//! Which micro-process has which descriptor, in memory that outlives the worker.
//!
//! ```text
//! one table of descriptors (clone3's CLONE_FILES) │ holder, and its worker
//! ledger   | state of the worker | base: arena, ledger, listeners | row 0 … m: of descriptor 0 … m: owner, generation, state |
//! ```
//!
//! When a worker dies none of its descriptors closes: the table is the holder's, too. The holder closes what is in no row,
//! and the next worker takes over what is in one. What a row says is never more than a step away from the truth.
//!
//! ```text
//!  state    Free ──accept──► Taken ──its owner knows of it──► Owned ──► Free ──► close(2)
//! ```
//!
//! Invariants:
//! - the worker writes its own ledger; a worker of the next build writes the [phase](Seat::phase) in the ledger that it
//!   takes over from;
//! - a row is free before its descriptor is closed, so an open descriptor in no row is to be closed, unless the worker died
//!   between opening it and writing the row, which [`taking`](Seat::taking) says: odd;
//! - what a holder reads here is a claim of its worker, and is compared with what the kernel says.
#![allow(unsafe_code)]

mod seat;

pub use seat::{Phase, Seat};

use crate::board::Record;
use crate::control::FORMAT;
use crate::shared::{Cell, Shared};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use vk_core::Descriptor;
use vk_heap::HeapId;

/// What is noted of one descriptor.
#[repr(C)]
struct Row {
    owner: AtomicU64,
    generation: AtomicU32,
    state: AtomicU32,
}

// SAFETY: atomics.
unsafe impl Cell for Row {}

/// Where the listeners begin among the descriptors that a worker starts with.
pub(crate) const FIRST_LISTENER: usize = 2;

/// The number of a descriptor; 0 for none.
#[repr(transparent)]
struct Number(AtomicU32);

// SAFETY: an atomic.
unsafe impl Cell for Number {}

/// How far a descriptor has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// No micro-process has it.
    Free,
    /// It was opened for a micro-process that may not know of it yet.
    Taken,
    /// It is a micro-process's.
    Owned,
}

/// Descriptors that a ledger has rows for at most.
const MOST: u64 = 1 << 20;

/// One worker's ledger.
#[derive(Debug)]
pub struct Ledger {
    shared: Shared,
    /// What the worker shows.
    pub record: &'static Record,
}

impl Ledger {
    pub(crate) const SEAT: usize = 0;
    const BASE: usize = 512;
    const ROWS: usize = 4096;
    /// Listeners of a worker at most.
    pub const LISTENERS: usize = (Ledger::ROWS - Ledger::BASE) / size_of::<Number>() - FIRST_LISTENER - 1;

    /// The memory of a new ledger.
    ///
    /// # Errors
    /// Those of memfd_create(2).
    pub(crate) fn memfd() -> io::Result<OwnedFd> {
        let rows = limit().min(MOST) as usize;
        vk_heap::memfd(c"vk-ledger", Ledger::ROWS + rows * size_of::<Row>())
    }

    /// The ledger of a worker that serves without a keeper.
    ///
    /// # Errors
    /// Those of memfd_create(2) and mmap(2).
    pub fn alone() -> io::Result<Ledger> {
        Ok(Ledger { shared: Shared::map(Ledger::memfd()?)?, record: Record::alone() })
    }

    /// The ledger in a memfd.
    ///
    /// # Errors
    /// Those of mmap(2); `InvalidData` if it is too small to be one.
    pub(crate) fn map(memfd: BorrowedFd<'_>, record: &'static Record) -> io::Result<Ledger> {
        let shared = Shared::map_borrowed(memfd)?;
        match shared.size() >= Ledger::ROWS {
            true => Ok(Ledger { shared, record }),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The ledger in a memfd of a worker that another keeper has started.
    ///
    /// # Errors
    /// As [`map`](Ledger::map).
    pub(crate) fn map_alone(memfd: BorrowedFd<'_>) -> io::Result<Ledger> {
        Ledger::map(memfd, Record::alone())
    }

    /// Notes which application's it is.
    pub(crate) fn belongs_to(&self, application: u64) {
        self.seat().application.store(application, Relaxed);
        self.seat().format.store(FORMAT, Relaxed);
    }

    /// Whether it is of this format, and the application's.
    pub(crate) fn is_of(&self, application: u64) -> bool {
        let seat = self.seat();
        (seat.format.load(Relaxed), seat.application.load(Relaxed)) == (FORMAT, application)
    }

    /// Takes the ledger away from this process.
    ///
    /// # Safety
    /// No reference into it may be used afterwards.
    pub(crate) unsafe fn unmap(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.shared.unmap() }
    }

    /// What is noted of the worker.
    pub fn seat(&self) -> &Seat {
        &self.shared.slice(Ledger::SEAT, 1)[0]
    }

    /// Children of this process, as fork(2) makes them, have none of it.
    ///
    /// # Errors
    /// Those of madvise(2).
    pub(crate) fn keep_from_children(&self) -> io::Result<()> {
        self.shared.keep_from_children()
    }

    /// Whether the worker died, or was about to, while it opened a descriptor.
    pub fn is_opening(&self) -> bool {
        self.seat().taking.load(SeqCst) % 2 == 1
    }

    /// Whether the worker has handed over to another one, and drains at most.
    pub fn has_handed_over(&self) -> bool {
        !self.seat().hands_over()
    }

    /// The worker ends, and its holder does not start another one.
    pub fn end_in_order(&self) {
        self.seat().ended.store(1, Release);
    }

    fn base(&self) -> &[Number] {
        self.shared.slice(Ledger::BASE, FIRST_LISTENER + Ledger::LISTENERS + 1)
    }

    /// Notes the numbers of the descriptors that each worker starts with: its arena, its ledger, and its listeners.
    ///
    /// # Panics
    /// If there are more than [`LISTENERS`](Ledger::LISTENERS).
    pub fn set_base(&self, numbers: &[RawFd]) {
        let base = self.base();
        assert!(numbers.len() < base.len(), "{} listeners", numbers.len());
        base[numbers.len()].0.store(0, Relaxed);
        for (place, number) in base.iter().zip(numbers) {
            place.0.store(*number as u32, Release);
        }
    }

    /// See [`set_base`](Ledger::set_base).
    pub fn numbers_of_base(&self) -> Vec<RawFd> {
        let numbers = self.base().iter().map(|number| number.0.load(Acquire) as RawFd);
        numbers.take_while(|number| *number > 0).take(FIRST_LISTENER + Ledger::LISTENERS).collect()
    }

    /// The numbers of the listeners.
    pub fn listeners(&self) -> Vec<RawFd> {
        self.numbers_of_base().split_off(FIRST_LISTENER.min(self.numbers_of_base().len()))
    }

    /// The arena's memfd: the first of the base.
    pub fn arena(&self) -> BorrowedFd<'static> {
        let number = self.numbers_of_base().first().copied().unwrap_or(RawFd::MAX);
        // SAFETY: the worker is started with it and never closes it; a handler that does makes its uses fail, or find another
        // inode.
        unsafe { BorrowedFd::borrow_raw(number) }
    }

    fn rows(&self) -> &[Row] {
        self.shared.slice(Ledger::ROWS, (self.shared.size() - Ledger::ROWS) / size_of::<Row>())
    }

    fn row(&self, number: RawFd) -> Option<&Row> {
        self.rows().get(usize::try_from(number).ok()?)
    }

    /// Runs `open`, which opens a descriptor and [enters](Ledger::enter) it.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn take<T>(&self, open: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let taking = &self.seat().taking;
        taking.fetch_add(1, SeqCst);
        let result = open();
        taking.fetch_add(1, Release);
        result
    }

    /// Enters a descriptor that was just opened.
    ///
    /// # Errors
    /// EMFILE if the ledger has no row for it.
    pub fn enter(&self, descriptor: Descriptor, owner: HeapId) -> io::Result<()> {
        let Some(row) = self.row(descriptor.number) else {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        };
        self.seat().high.fetch_max(descriptor.number as u32 + 1, Relaxed);
        self.seat().generation.store(descriptor.generation, Relaxed);
        row.owner.store(owner.to_bits(), Relaxed);
        row.generation.store(descriptor.generation, Relaxed);
        row.state.store(State::Taken as u32, Release);
        Ok(())
    }

    /// The descriptor's owner knows of it.
    pub fn confirm(&self, number: RawFd) {
        if let Some(row) = self.row(number) {
            row.state.store(State::Owned as u32, Release);
        }
    }

    /// The descriptor has another owner from now on; with [`HeapId::NONE`] none, and the next worker closes it.
    pub fn hand_over(&self, number: RawFd, owner: HeapId) {
        if let Some(row) = self.row(number) {
            row.owner.store(owner.to_bits(), Release);
        }
    }

    /// Frees the row of a descriptor that is about to be closed.
    pub fn forget(&self, number: RawFd) {
        if let Some(row) = self.row(number) {
            row.state.store(State::Free as u32, Release);
        }
    }

    /// What is in a row: state, descriptor, owner.
    pub fn read(&self, number: RawFd) -> (State, Descriptor, HeapId) {
        let Some(row) = self.row(number) else {
            return (State::Free, Descriptor { number, generation: 0 }, HeapId::NONE);
        };
        let state = match row.state.load(Acquire) {
            1 => State::Taken,
            2 => State::Owned,
            _ => State::Free,
        };
        let generation = row.generation.load(Relaxed);
        (state, Descriptor { number, generation }, HeapId::from_bits(row.owner.load(Relaxed)))
    }

    /// Whether the descriptor is in a row.
    pub fn has(&self, number: RawFd) -> bool {
        self.read(number).0 != State::Free
    }

    /// All numbers that may be in a row.
    pub fn numbers(&self) -> std::ops::Range<RawFd> {
        0..self.seat().high.load(Acquire).min(self.rows().len() as u32) as RawFd
    }

    /// The numbers that are in a row, ascending.
    pub fn entered(&self) -> impl Iterator<Item = RawFd> {
        self.numbers().filter(|number| self.has(*number))
    }
}

/// The hard limit of descriptors: it may be raised up to there while the process runs.
fn limit() -> u64 {
    nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(MOST, |(_, hard)| hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_found_until_it_is_closed() {
        let ledger = Ledger::alone().unwrap();
        let owner = HeapId::from_bits(7 << 32 | 5);
        let descriptor = Descriptor { number: 9, generation: 4 };
        ledger.take(|| ledger.enter(descriptor, owner)).unwrap();
        assert_eq!(ledger.read(9), (State::Taken, descriptor, owner));
        ledger.confirm(9);
        ledger.hand_over(9, HeapId::NONE);
        assert_eq!(ledger.read(9), (State::Owned, descriptor, HeapId::NONE));
        assert_eq!(ledger.entered().collect::<Vec<_>>(), [9]);
        ledger.forget(9);
        assert!(!ledger.has(9));
        assert_eq!(ledger.numbers(), 0..10);
        assert_eq!(ledger.seat().taking.load(Relaxed) % 2, 0);
    }

    #[test]
    fn a_number_without_a_row_is_refused() {
        let ledger = Ledger::alone().unwrap();
        let far = Descriptor { number: RawFd::MAX, generation: 1 };
        assert!(ledger.enter(far, HeapId::NONE).is_err());
        assert!(!ledger.has(RawFd::MAX));
    }
}
