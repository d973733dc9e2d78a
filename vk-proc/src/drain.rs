//! The end: signals, and what is still at work when one comes.

use crate::signals;
use crate::worker::{Known, Worker};
use vk_core::Nanos;
use vk_poll::Backend;

/// How long the micro-processes that are at work when a drain begins may go on.
const DRAIN: Nanos = 30_000_000_000;

impl<B: Backend> Worker<B> {
    /// Acts on the signals that have come.
    pub(crate) fn signalled(&mut self) {
        while let Some((signal, sender)) = self.signals.as_ref().and_then(signals::next_from) {
            match signal {
                // `kill PID` of one worker: its holder starts another one, which goes on with everything.
                libc::SIGTERM if self.is_held() && self.settings.holder != Some(sender) => {
                    std::process::exit(0)
                }
                libc::SIGTERM | libc::SIGINT if self.draining => self.end_all(),
                libc::SIGTERM | libc::SIGINT => self.drain(),
                // A worker that was asked looks at its phase after each round.
                _ => {}
            }
        }
    }

    /// Whether the holder lives: then it is the parent.
    fn is_held(&self) -> bool {
        self.settings.holder == Some(std::os::unix::process::parent_id())
    }

    /// Stops listening, ends what stands at a checkpoint, and lets the rest finish, for 30 s.
    pub fn drain(&mut self) {
        (self.draining, self.world.ending) = (true, true);
        self.close_all_parked();
        self.drain_end = self.world.now + DRAIN;
        let listeners = self.known.iter().filter(|known| known.live && known.listener).count() as u64;
        tracing::info!(connections = self.stats.live - listeners, "draining");
        for index in 0..self.known.len() {
            let Known { id, live, listener, .. } = self.known[index];
            match (live, listener) {
                (true, true) => self.end(id),
                (true, false) => self.enqueue(id),
                (false, _) => {}
            }
        }
    }

    /// Ends every micro-process, done or not.
    pub(crate) fn end_all(&mut self) {
        if self.stats.live > 0 {
            tracing::warn!(connections = self.stats.live, "ended before they were done");
        }
        for index in 0..self.known.len() {
            let Known { id, live, .. } = self.known[index];
            if live {
                self.failed |= self.is_borrower(index);
                self.end(id);
            }
        }
    }
}
