//! The state of a worker: what its holder and its successor have to know.
#![allow(unsafe_code)]

use crate::shared::Cell;
use crate::transfer::Successor;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// How far a worker has come with handing over to one of the next build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// It serves.
    Serving,
    /// Its successor asks it to stop between two dispatches.
    Asked,
    /// It has stopped, and sends its descriptors to the successor.
    Stopped,
    /// What can go on in the successor is the successor's.
    Committed,
    /// Nothing is left to it.
    Released,
    /// It serves what was left to it.
    Draining,
}

/// What is noted of a worker.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Seat {
    /// The format of the ledger and the arena, and the [application](crate::adopt) that they belong to.
    pub(super) format: AtomicU32,
    /// The worker's process.
    pub pid: AtomicU32,
    /// See [`format`](Seat::format).
    pub(super) application: AtomicU64,
    /// The phase, and above it the number of the attempt to take over.
    phase: AtomicU32,
    /// Attempts to take over from the worker, so far.
    attempts: AtomicU32,
    /// The descriptor of the arena of the worker that this one takes over from; 0 once that is done.
    pub former: AtomicU32,
    /// The process that takes over, and the address at which it waits for the worker's descriptors.
    successor: [AtomicU32; 2],
    /// Whether the worker has ended in order: its holder does not start another one.
    pub ended: AtomicU32,
    /// Whether the worker wants to be taken over: it has lost a descriptor that only the keeper has, too.
    pub crippled: AtomicU32,
    /// The micro-process that is being dispatched, as bits of its id; 0 while none is.
    pub running: AtomicU64,
    /// The micro-process that was ended last, as bits of its id: it may still be in rows.
    pub ending: AtomicU64,
    /// Dispatches so far: a watchdog sees whether it is still the same one.
    pub dispatches: AtomicU64,
    /// 1 until a worker serves.
    pub starting: AtomicU32,
    /// Odd while a descriptor is being opened.
    pub taking: AtomicU32,
    /// Above the largest number that was ever in a row.
    pub high: AtomicU32,
    /// The generation of the descriptor that was entered last.
    pub generation: AtomicU32,
    /// The micro-process that the deaths of workers are attributed to, and how many in a row.
    pub suspect: AtomicU64,
    /// See [`suspect`](Seat::suspect).
    pub strikes: AtomicU32,
    /// Workers that have begun to resume since one has finished doing so.
    pub recoveries: AtomicU32,
    /// The signal of the fault that the worker died of, 0 if it died of none; the address of the fault, and of the
    /// instruction.
    pub fault: AtomicU32,
    /// See [`fault`](Seat::fault).
    pub address: AtomicU64,
    /// See [`fault`](Seat::fault).
    pub instruction: AtomicU64,
}
// SAFETY: atomics.
unsafe impl Cell for Seat {}

/// Bits of a phase.
const BITS: u32 = 8;

impl Seat {
    /// The phase, and the attempt that it belongs to.
    pub fn phase(&self) -> (Phase, u32) {
        let word = self.phase.load(Acquire);
        let phase = match word & ((1 << BITS) - 1) {
            1 => Phase::Asked,
            2 => Phase::Stopped,
            3 => Phase::Committed,
            4 => Phase::Released,
            5 => Phase::Draining,
            _ => Phase::Serving,
        };
        (phase, word >> BITS)
    }

    /// Whether nobody has taken over from the worker.
    pub fn serves(&self) -> bool {
        matches!(self.phase().0, Phase::Serving | Phase::Asked | Phase::Stopped)
    }

    /// Whether there is something to take over, or to finish taking over.
    pub fn hands_over(&self) -> bool {
        !matches!(self.phase().0, Phase::Released | Phase::Draining)
    }

    /// The number of one more attempt to take over.
    pub(crate) fn next_attempt(&self) -> u32 {
        self.attempts.fetch_add(1, SeqCst).wrapping_add(1) & (u32::MAX >> BITS)
    }

    /// Who takes over, as it was said with the last attempt.
    pub fn successor(&self) -> Successor {
        let [pid, address] = [0, 1].map(|word| self.successor[word].load(Relaxed));
        Successor { pid, address }
    }

    /// Asks the worker to stop for an attempt of `successor`.
    pub fn ask(&self, attempt: u32, successor: Successor) {
        for (word, value) in self.successor.iter().zip([successor.pid, successor.address]) {
            word.store(value, Relaxed);
        }
        self.phase.store(word(Phase::Asked, attempt), SeqCst);
    }

    /// Goes from one phase of an attempt to another; false if it is no longer in the first.
    #[must_use]
    pub fn go(&self, attempt: u32, from: Phase, to: Phase) -> bool {
        let (from, to) = (word(from, attempt), word(to, attempt));
        self.phase.compare_exchange(from, to, SeqCst, Relaxed).is_ok()
    }

    /// The worker serves on, unless the successor's attempt is committed.
    pub(crate) fn serve_on(&self) {
        let (phase, attempt) = self.phase();
        if matches!(phase, Phase::Asked | Phase::Stopped) {
            // Where it fails, the successor was faster.
            let _ = self.go(attempt, phase, Phase::Serving);
        }
    }

    /// Ends an attempt that is committed, or was never needed.
    pub(crate) fn finish(&self, phase: Phase) {
        self.phase.store(word(phase, self.phase().1), SeqCst);
    }
}

fn word(phase: Phase, attempt: u32) -> u32 {
    attempt << BITS | phase as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn a_late_attempt_is_not_committed() {
        let ledger = Ledger::alone().unwrap();
        let seat = ledger.seat();
        let first = seat.next_attempt();
        seat.ask(first, Successor { pid: 1, address: 1 });
        assert!(seat.go(first, Phase::Asked, Phase::Stopped));
        seat.serve_on();
        assert_eq!(seat.phase().0, Phase::Serving);
        let second = seat.next_attempt();
        seat.ask(second, Successor { pid: 2, address: 2 });
        assert!(seat.go(second, Phase::Asked, Phase::Stopped));
        assert!(!seat.go(first, Phase::Stopped, Phase::Committed));
        assert!(seat.go(second, Phase::Stopped, Phase::Committed));
        seat.serve_on();
        assert_eq!(seat.phase(), (Phase::Committed, second));
        assert!(seat.hands_over());
        seat.finish(Phase::Draining);
        assert!(!seat.hands_over());
    }
}
