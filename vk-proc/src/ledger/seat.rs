//! Where a worker sits: what is noted of it.
#![allow(unsafe_code)]

use crate::board::COLUMNS;
use crate::shared::Cell;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// How far a worker has come with handing over to one of the next build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// It serves.
    Serving,
    /// Its successor asks it to stop between two dispatches.
    Asked,
    /// It has stopped, and waits for what its successor leaves to it.
    Stopped,
    /// Nothing is left to it.
    Released,
    /// It serves what was left to it.
    Draining,
}

/// What is noted of one worker.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Seat {
    /// The worker's process; 0 while the seat is free.
    pub pid: AtomicU32,
    /// Which of the workers it is: there are several seats, for each build that still serves.
    pub place: AtomicU32,
    pub(super) phase: AtomicU32,
    /// The number of the memfd that its arena is in; 0 for none.
    pub(super) arena: AtomicU32,
    /// The micro-process that is being dispatched, as bits of its id; 0 while none is.
    pub running: AtomicU64,
    /// Dispatches so far: a watchdog sees whether it is still the same one.
    pub dispatches: AtomicU64,
    /// 1 until a worker serves: what it opens for itself may be in no row yet.
    pub starting: AtomicU32,
    /// Odd while a descriptor is being opened or closed.
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
// SAFETY: atomics.
unsafe impl Cell for Seat {}

impl Seat {
    /// See [`Phase`].
    pub fn phase(&self) -> Phase {
        match self.phase.load(Acquire) {
            1 => Phase::Asked,
            2 => Phase::Stopped,
            3 => Phase::Released,
            4 => Phase::Draining,
            _ => Phase::Serving,
        }
    }

    /// See [`Phase`].
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u32, Release);
    }

    /// Makes it the seat of the worker at `place`, with nothing of who sat there before.
    pub(super) fn take(&self, place: usize, arena: RawFd) {
        let words = [&self.suspect, &self.running, &self.dispatches];
        words.into_iter().for_each(|word| word.store(0, Relaxed));
        let halves = [
            &self.pid,
            &self.starting,
            &self.taking,
            &self.strikes,
            &self.recoveries,
            &self.fault,
            &self.phase,
        ];
        halves.into_iter().for_each(|half| half.store(0, Relaxed));
        self.counters.iter().for_each(|counter| counter.store(0, Relaxed));
        self.place.store(place as u32, Relaxed);
        self.arena.store(arena as u32, Release);
    }

    /// Whether nobody sits there.
    pub fn is_free(&self) -> bool {
        self.arena.load(Acquire) == 0
    }

    /// The memfd of its arena.
    pub fn arena(&self) -> BorrowedFd<'static> {
        // SAFETY: the keeper opened it, and it is closed by `Ledger::vacate` only, when nobody is to use the seat.
        unsafe { BorrowedFd::borrow_raw(self.arena.load(Acquire) as RawFd) }
    }
}
