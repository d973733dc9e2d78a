//! A worker makes way for one of the next build: it stops between two dispatches, and goes on with what is left to
//! it.
//!
//! ```text
//! Serving ──(the successor)──► Asked ──► Stopped ──(the successor)──► Released: it ends
//!    ▲                                      │                     └─► Draining: it serves the rest, for 60 s
//!    └─────(the keeper is gone)─────────────┘
//! ```
//!
//! While it is stopped its arena and its rows of the ledger are the successor's. What is left to it is served with
//! a table of descriptors of its own, as exec has parted it from the keeper's: the ledger is not its any more.
#![allow(unsafe_code)]

use crate::ledger::{Ledger, Phase};
use crate::worker::{Known, Worker};
use std::time::Duration;
use vk_core::Nanos;
use vk_poll::Backend;

/// How long what is left to the old build may go on.
const DRAIN: Nanos = 60_000_000_000;

/// How often a worker that is stopped looks whether it may go on.
const LOOK: Duration = Duration::from_micros(200);

impl<B: Backend> Worker<B> {
    /// Stops until the successor, or the keeper, has said how to go on.
    pub(crate) fn make_way(&mut self) {
        self.asked = false;
        // SAFETY: getppid has no conditions.
        let keeper = unsafe { libc::getppid() };
        // The successor has another pool.
        self.close_all_parked();
        self.seat.set_phase(Phase::Stopped);
        loop {
            // SAFETY: as above.
            let abandoned = unsafe { libc::getppid() } != keeper;
            match self.seat.phase() {
                Phase::Stopped if !abandoned => std::thread::sleep(LOOK),
                Phase::Serving | Phase::Asked | Phase::Stopped => return self.seat.set_phase(Phase::Serving),
                Phase::Released => {
                    // Other workers of this build may live on, and their table with them: nothing of it may stay open.
                    self.part_with_what_moved();
                    return self.released = true;
                }
                Phase::Draining => return self.serve_the_rest(),
            }
        }
    }

    /// Forgets what was taken over, and goes on with the rest for a while.
    fn serve_the_rest(&mut self) {
        let Ok(ledger) = Ledger::of_one() else { return self.released = true };
        self.settings.ledger = Box::leak(Box::new(ledger));
        self.settings.worker = 0;
        self.part_with_what_moved();
        // New connections are for the new build.
        let listeners: Vec<_> =
            self.known.iter().filter(|known| known.live && known.listener).map(|k| k.id).collect();
        listeners.into_iter().for_each(|id| self.end(id));
        (self.world.ending, self.parted) = (true, true);
        self.drain_end = self.world.now + DRAIN;
        tracing::info!(connections = self.stats.live, "what can't go on in the new build is drained");
    }

    /// Closes, in this table, what the successor has.
    fn part_with_what_moved(&mut self) {
        for index in 0..self.known.len() {
            let Known { id, live, .. } = self.known[index];
            if live && !self.world.arena.is_live(id) {
                self.part_with(id);
            }
        }
        std::mem::take(&mut self.graveyard).into_iter().for_each(|number| self.poller.close(number));
    }

    /// The micro-process is another worker's: its descriptors close here, and stay open there.
    fn part_with(&mut self, id: vk_heap::HeapId) {
        let known = &mut self.known[id.index() as usize];
        known.live = false;
        let mut at = std::mem::replace(&mut known.descriptors, crate::descriptors::NONE);
        while at != crate::descriptors::NONE {
            let descriptor = self.descriptors.by_number(at);
            descriptor.owner = None;
            let next = descriptor.next;
            self.poller.close(at);
            at = next;
        }
        self.stats.live -= 1;
        self.stats.started -= 1;
    }
}
