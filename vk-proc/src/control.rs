//! The control page: what the keeper and its holders know of one another, in memory that outlives each of them.
//!
//! ```text
//! memfd   | head: keeper, builds, whether it ends | slot 0 … n-1: holder, worker, arena, ledger, exits |
//! ```
//!
//! A *slot* is one worker with its holder: there is one for each place that serves, and one for each worker of an earlier
//! build that still drains.
//!
//! Invariants:
//! - no worker has it: a holder closes the descriptor before its first worker starts, and a worker unmaps the page;
//! - the keeper writes the head and gives out slots; a holder writes the pids and exits of its own slot.
#![allow(unsafe_code)]

mod snapshot;

pub use snapshot::{Seen, Snapshot};

use crate::board::Board;
use crate::ledger::Ledger;
use crate::shared::{Cell, Shared};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Changes with the meaning of what is in the control page, a ledger or an arena: builds of different formats can't
/// follow one another.
pub const FORMAT: u32 = 5;

/// Places of workers at most.
pub const PLACES: usize = 1 << 10;

/// Slots for each place: for the build that serves, and those before it that still drain.
pub const BUILDS: usize = 64;

/// The build of a worker that another keeper has started: none.
const ADOPTED: u32 = 0;

/// What is noted of all.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Head {
    pub(crate) format: AtomicU32,
    /// Places of workers.
    pub(crate) places: AtomicU32,
    /// The keeper's process, and its descriptor of the board.
    keeper: AtomicU32,
    pub(crate) board: AtomicU32,
    /// Whether everything ends: a worker that dies is started again only to drain.
    ending: AtomicU32,
    /// Builds that have followed one another, and those that were refused.
    pub(crate) reloads: AtomicU32,
    pub(crate) refused: AtomicU32,
    /// Builds that were ever begun.
    builds: AtomicU32,
}

/// What is noted of one worker and its holder.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Slot {
    /// The keeper's descriptors of the worker's arena and ledger; 0 while the slot is free.
    arena: AtomicU32,
    pub(crate) ledger: AtomicU32,
    /// Which of the workers it is.
    pub place: AtomicU32,
    /// The build that it runs.
    pub build: AtomicU32,
    /// The holder's process; 0 while there is none.
    pub holder: AtomicU32,
    /// The worker's process; 0 while there is none.
    pub worker: AtomicU32,
    /// Whether a worker of the slot has served.
    pub served: AtomicU32,
    /// Attempts to start a worker for which there was no process.
    pub refusals: AtomicU32,
    /// Workers of the slot that have died.
    pub exits: AtomicU32,
    /// The pid and the wait status of the last one, and in how many milliseconds the next one starts.
    pub exited: AtomicU32,
    /// See [`exited`](Slot::exited).
    pub status: AtomicU32,
    /// See [`exited`](Slot::exited).
    pub delay: AtomicU32,
}

// SAFETY: atomics.
unsafe impl Cell for Head {}
// SAFETY: atomics.
unsafe impl Cell for Slot {}

impl Slot {
    /// Whether no worker has it.
    pub fn is_free(&self) -> bool {
        self.arena.load(Acquire) == 0
    }

    /// The number of the arena's memfd in the keeper's table.
    pub(crate) fn arena_number(&self) -> RawFd {
        self.arena.load(Acquire) as RawFd
    }

    /// The number of the ledger's memfd in the keeper's table.
    pub(crate) fn ledger_number(&self) -> RawFd {
        self.ledger.load(Acquire) as RawFd
    }

    /// The memfd of the arena, in the keeper's table.
    pub fn arena(&self) -> BorrowedFd<'static> {
        // SAFETY: the keeper opened it, and only `Control::vacate` closes it, once no process uses the slot.
        unsafe { BorrowedFd::borrow_raw(self.arena_number()) }
    }
}

/// The control page, and what it leads to.
#[derive(Debug)]
pub struct Control {
    shared: Shared,
    /// What workers show. It stays mapped for ever: workers use it.
    pub board: &'static Board,
    places: usize,
    /// This process's build.
    build: u32,
    /// By slot: the ledger, mapped when it is first asked for.
    ledgers: Vec<OnceLock<&'static Ledger>>,
}

impl Control {
    pub(crate) const SLOTS: usize = 64;

    /// The page of as many workers, with every slot free.
    ///
    /// # Errors
    /// Those of memfd_create(2) and mmap(2).
    ///
    /// # Panics
    /// If there are more than [`PLACES`] workers.
    pub fn new(workers: usize) -> io::Result<Control> {
        assert!(workers <= PLACES, "{workers} workers");
        let places = workers.max(1);
        let size = Control::SLOTS + places * BUILDS * size_of::<Slot>();
        let control = Control::of(Shared::new(c"vk-control", size)?, Board::new(places * BUILDS)?, places, 1);
        control.head().format.store(FORMAT, Relaxed);
        control.head().places.store(places as u32, Relaxed);
        control.head().builds.store(1, Relaxed);
        control.keep();
        Ok(control)
    }

    /// The page that the build before this one has left, by the memfds of page and board.
    ///
    /// # Errors
    /// Those of mmap(2); `InvalidData` if it is none, or of another format.
    pub fn adopt(page: OwnedFd, board: OwnedFd) -> io::Result<Control> {
        let shared = Shared::map(page)?;
        let head = &shared.slice::<Head>(0, 1)[0];
        let places = head.places.load(Relaxed) as usize;
        let sound = head.format.load(Relaxed) == FORMAT
            && (1..=PLACES).contains(&places)
            && shared.size() >= Control::SLOTS + places * BUILDS * size_of::<Slot>();
        if !sound {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let build = head.builds.fetch_add(1, Relaxed) + 1;
        Ok(Control::of(shared, Board::map(board, places * BUILDS)?, places, build))
    }

    fn of(shared: Shared, board: Board, places: usize, build: u32) -> Control {
        let ledgers = (0..places * BUILDS).map(|_| OnceLock::new()).collect();
        Control { shared, board: Box::leak(Box::new(board)), places, build, ledgers }
    }

    pub(crate) fn head(&self) -> &Head {
        &self.shared.slice(0, 1)[0]
    }

    /// How many workers serve.
    pub fn places(&self) -> usize {
        self.places
    }

    /// This process's build.
    pub fn build(&self) -> u32 {
        self.build
    }

    /// All slots, free ones included.
    pub fn slots(&self) -> &[Slot] {
        self.shared.slice(Control::SLOTS, self.places * BUILDS)
    }

    /// The slots that are in use, with their numbers.
    pub fn used(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots().iter().enumerate().filter(|(_, slot)| !slot.is_free())
    }

    /// One slot.
    pub fn slot(&self, number: usize) -> &Slot {
        &self.slots()[number]
    }

    /// Gives a worker a slot with a ledger of its own.
    ///
    /// # Errors
    /// Those of memfd_create(2) and mmap(2); `QuotaExceeded` if too many builds still drain.
    pub fn occupy(&self, place: usize, arena: OwnedFd) -> io::Result<usize> {
        let free = self.slots().iter().position(Slot::is_free).ok_or(io::ErrorKind::QuotaExceeded)?;
        let memfd = Ledger::memfd()?;
        let slot = self.slot(free);
        for word in [&slot.holder, &slot.worker, &slot.served, &slot.refusals, &slot.exits] {
            word.store(0, Relaxed);
        }
        slot.place.store(place as u32, Relaxed);
        slot.build.store(self.build, Relaxed);
        slot.ledger.store(memfd.into_raw_fd() as u32, Relaxed);
        self.board.occupy(free, place);
        slot.arena.store(arena.into_raw_fd() as u32, Release);
        self.ledger(free)?;
        Ok(free)
    }

    /// Gives a slot to a worker that has lost its keeper, until this build has taken over from it.
    ///
    /// # Errors
    /// Those of mmap(2); `QuotaExceeded` if no slot is free.
    pub fn adopt_worker(&mut self, place: usize, arena: OwnedFd, ledger: OwnedFd) -> io::Result<()> {
        let free = self.slots().iter().position(Slot::is_free).ok_or(io::ErrorKind::QuotaExceeded)?;
        let slot = self.slot(free);
        slot.place.store(place as u32, Relaxed);
        slot.build.store(ADOPTED, Relaxed);
        slot.ledger.store(ledger.into_raw_fd() as u32, Relaxed);
        slot.arena.store(arena.into_raw_fd() as u32, Release);
        self.ledger(free).map(|_| ())
    }

    /// Whether the worker in a slot was started by another keeper.
    pub(crate) fn is_adopted(&self, number: usize) -> bool {
        self.slot(number).build.load(Relaxed) == ADOPTED
    }

    /// The ledger of the worker in a slot.
    ///
    /// # Errors
    /// Those of mmap(2); `InvalidData` if the descriptor leads to something else.
    pub fn ledger(&self, number: usize) -> io::Result<&'static Ledger> {
        if let Some(ledger) = self.ledgers[number].get() {
            return Ok(ledger);
        }
        // SAFETY: the keeper's own descriptor, open until `vacate`.
        let memfd = unsafe { BorrowedFd::borrow_raw(self.slot(number).ledger.load(Relaxed) as RawFd) };
        let ledger = Ledger::map(memfd, self.board.record(number))?;
        Ok(self.ledgers[number].get_or_init(|| Box::leak(Box::new(ledger))))
    }

    /// Frees a slot that no process uses any more.
    pub fn vacate(&mut self, number: usize) {
        let slot = &self.shared.slice::<Slot>(Control::SLOTS, self.places * BUILDS)[number];
        let descriptors = [&slot.arena, &slot.ledger].map(|word| word.swap(0, Release));
        for number in descriptors.into_iter().filter(|number| *number != 0) {
            // SAFETY: the keeper's own descriptor, from `occupy`; nothing else closes it.
            drop(unsafe { OwnedFd::from_raw_fd(number as RawFd) });
        }
        self.board.vacate(number);
        if let Some(ledger) = self.ledgers[number].take() {
            // SAFETY: `ledger` lends it for the time that its slot is in use: no caller of this process, the keeper, has it.
            unsafe { ledger.unmap() };
        }
    }

    /// Unmaps all ledgers but those of the slots `kept`, in a process that is to have nothing of other workers.
    ///
    /// # Safety
    /// This process uses no reference to another ledger from now on.
    pub(crate) unsafe fn forget_others(&mut self, kept: &[Option<usize>]) {
        let others = self.ledgers.iter_mut().enumerate().filter(|(number, _)| !kept.contains(&Some(*number)));
        for ledger in others.filter_map(|(_, ledger)| ledger.take()) {
            // SAFETY: the caller's promise.
            unsafe { ledger.unmap() };
        }
    }

    /// The memfds of page and board.
    pub fn memfds(&self) -> [RawFd; 2] {
        [self.shared.memfd(), self.board.memfd()]
    }

    /// All descriptors that the next build is given.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        let slots =
            self.used().flat_map(|(_, slot)| [slot.arena().as_raw_fd(), slot.ledger.load(Relaxed) as RawFd]);
        slots.chain(self.memfds()).collect()
    }

    /// Goes back to an earlier build, whose workers this process keeps.
    pub(crate) fn go_back_to(&mut self, build: u32) {
        self.build = build;
    }

    /// Whether each place can have one more slot.
    pub(crate) fn has_slots(&self) -> bool {
        self.slots().iter().filter(|slot| slot.is_free()).count() >= self.places
    }

    /// This process is the keeper.
    pub(crate) fn keep(&self) {
        self.head().board.store(self.board.memfd() as u32, Relaxed);
        self.head().keeper.store(std::process::id(), Release);
    }

    /// The keeper's process.
    pub(crate) fn keeper(&self) -> u32 {
        self.head().keeper.load(Acquire)
    }

    /// Everything ends from now on.
    pub(crate) fn end(&self) {
        self.head().ending.store(1, Release);
    }

    /// Whether everything ends.
    pub(crate) fn is_ending(&self) -> bool {
        self.head().ending.load(Acquire) != 0
    }

    /// Takes the page away from this process, which is a worker.
    ///
    /// # Safety
    /// No reference into the page may be used afterwards.
    pub(crate) unsafe fn unmap(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.shared.unmap() }
    }

    /// Counts a build that has followed another.
    pub fn count_reload(&self) {
        self.head().reloads.fetch_add(1, Release);
    }

    /// Counts a build that was refused.
    pub fn count_refused(&self) {
        self.head().refused.fetch_add(1, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn arena() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn slots_are_given_and_taken_back() {
        let mut control = Control::new(2).unwrap();
        assert!(control.has_slots());
        let slots: Vec<usize> = (0..2).map(|place| control.occupy(place, arena()).unwrap()).collect();
        assert_eq!(slots, [0, 1]);
        assert_eq!(control.used().count(), 2);
        control.slot(0).exits.store(7, Relaxed);
        control.vacate(0);
        assert!(control.slot(0).is_free());
        assert_eq!(control.occupy(1, arena()).unwrap(), 0);
        assert_eq!(control.slot(0).exits.load(Relaxed), 0, "nothing of the slot's last worker is left");
        for _ in 2..2 * BUILDS {
            control.occupy(0, arena()).unwrap();
        }
        assert_eq!(control.occupy(0, arena()).unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        assert!(!control.has_slots());
    }

    #[test]
    fn the_next_build_finds_what_this_one_left() {
        let control = Control::new(1).unwrap();
        let slot = control.occupy(0, arena()).unwrap();
        let copies = control.memfds().map(|memfd| {
            // SAFETY: open, and borrowed for the time of the call.
            unsafe { BorrowedFd::borrow_raw(memfd) }.try_clone_to_owned().unwrap()
        });
        let [page, board] = copies;
        let next = Control::adopt(page, board).unwrap();
        assert_eq!((next.places(), next.build()), (1, 2));
        assert_eq!(next.slot(slot).build.load(Relaxed), 1);
        let [page, board] = [(); 2].map(|()| vk_heap::memfd(c"other", 1 << 20).unwrap());
        assert_eq!(Control::adopt(page, board).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
