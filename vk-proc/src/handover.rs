//! A worker makes way for one of the next build: it stops between two dispatches, sends its descriptors, and goes on with what
//! is left to it.
//!
//! ```text
//! Serving ──(the successor)──► Asked ──► Stopped ──(the successor)──► Committed ─┬─► Released: it ends
//!    ▲                           │          │                                    └─► Draining: it serves the rest, for 60 s
//!    └───(it can't, or too late)─┴──────────┘
//! ```
//!
//! While it is stopped the successor reads its arena and its ledger, and changes nothing there. One exchange of the phase
//! decides: until it is committed the worker can go on with everything, and a successor that has died never was.

use crate::descriptors::NONE;
use crate::ledger::Phase;
use crate::limits;
use crate::transfer;
use crate::worker::{Known, Worker};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use vk_core::Nanos;
use vk_heap::HeapId;
use vk_poll::Backend;

/// How long what is left to the old build may go on.
const DRAIN: Nanos = 60_000_000_000;

/// How often a worker that is stopped looks whether it may go on.
const LOOK: Duration = Duration::from_micros(200);

/// How long a successor may take to commit, and to say what is left afterwards.
const PATIENCE: Duration = Duration::from_secs(10);

impl<B: Backend> Worker<B> {
    /// Whether a successor asks this worker to make way, or has taken over from the one before it.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self.seat.phase().0, Phase::Asked | Phase::Stopped | Phase::Committed)
    }

    /// Stops until the successor has said how to go on, or is too late.
    pub(crate) fn make_way(&mut self) {
        let (phase, attempt) = self.seat.phase();
        match phase {
            Phase::Asked => {}
            // The worker before this one was stopped when it died: the successor tries again.
            Phase::Stopped => return self.seat.serve_on(),
            Phase::Committed => return self.wait_for_rest(),
            Phase::Serving | Phase::Released | Phase::Draining => return,
        }
        // The successor has another pool.
        self.close_all_parked();
        if !self.seat.go(attempt, Phase::Asked, Phase::Stopped) {
            return;
        }
        if let Err(error) = self.send_descriptors() {
            tracing::warn!(%error, "the descriptors can't be handed over to the next build; this worker serves on");
            self.seat.serve_on();
        }
        let until = Instant::now() + PATIENCE;
        while self.seat.phase() == (Phase::Stopped, attempt) {
            if Instant::now() >= until {
                tracing::warn!(
                    "the next build does not take over within {PATIENCE:?}; this worker serves on"
                );
                self.seat.serve_on();
            }
            std::thread::sleep(LOOK);
        }
        if self.seat.phase().0 != Phase::Serving {
            self.wait_for_rest();
        }
    }

    fn send_descriptors(&self) -> io::Result<()> {
        let numbers: Vec<RawFd> = self.settings.ledger.entered().collect();
        // The table may be full but for what is set aside for this.
        limits::raise();
        let sent = transfer::send(self.seat.successor(), &numbers);
        sent.and(limits::reserve())
    }

    /// Waits until the successor has marked what is its own.
    fn wait_for_rest(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.seat.phase().0 {
                Phase::Draining => return self.serve_the_rest(),
                Phase::Committed if Instant::now() < until => std::thread::sleep(LOOK),
                // Asked anew, by a successor that gave up the attempt before: the loop of the worker comes back here.
                Phase::Asked | Phase::Stopped | Phase::Serving => return,
                // What the successor has can't be told from what it left: nothing may be served twice.
                Phase::Committed | Phase::Released => {
                    self.part_with_what_moved();
                    return self.released = true;
                }
            }
        }
    }

    /// Forgets what was taken over, and goes on with the rest for a while.
    pub(crate) fn serve_the_rest(&mut self) {
        self.part_with_what_moved();
        // New connections are for the new build.
        let listeners: Vec<_> =
            self.known.iter().filter(|known| known.live && known.listener).map(|k| k.id).collect();
        listeners.into_iter().for_each(|id| self.end(id));
        (self.world.ending, self.parted) = (true, true);
        self.drain_end = self.world.now + DRAIN;
        self.settings.ledger.record.drains.store(1, Relaxed);
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
    }

    /// The micro-process is another worker's: its descriptors close here, and stay open there.
    fn part_with(&mut self, id: HeapId) {
        let known = &mut self.known[id.index() as usize];
        known.live = false;
        let mut at = std::mem::replace(&mut known.descriptors, NONE);
        while at != NONE {
            let next = self.descriptors.by_number(at).next;
            self.release(at);
            at = next;
        }
        self.stats.live -= 1;
        self.stats.started -= 1;
    }
}
