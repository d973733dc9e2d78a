//! Room for newcomers: when there is little left, the connections that were idle for longest make way.
//!
//! Idle is who waits for input where it [said so](vk_core::Io::idle), between two requests say, or for the rest of one: it
//! finds the end of its input, as in a drain, or that the connection was aborted.

use crate::descriptors::NONE;
use crate::worker::Worker;
use vk_core::task::{IDLE, NEVER};
use vk_core::{Nanos, Port, Task, Wait};
use vk_heap::HeapId;
use vk_poll::Backend;

/// How long one may be idle while a tenth of the room or less is left.
const PATIENCE: Nanos = 5_000_000_000;

/// How long while somebody waits for room.
const HASTE: Nanos = 100_000_000;

/// How long at least from one look at all to the next.
const PAUSE: Nanos = 25_000_000;

/// Whether the task waits where it may be ended for want of room.
fn is_idle(task: &Task) -> bool {
    let waits = task.checkpoint == IDLE && task.wait == Wait::Received && task.tx.is_empty();
    waits && matches!(task.source, Port::Descriptor(_))
}

impl<B: Backend> Worker<B> {
    /// How long one may be idle just now.
    fn patience(&self) -> Nanos {
        let is_crowded = self.stats.live > u64::from(self.settings.max_procs) * 9 / 10;
        match self.starved.is_empty() {
            // There are no newcomers.
            _ if self.world.ending => NEVER,
            false => HASTE,
            true if is_crowded => PATIENCE,
            true => NEVER,
        }
    }

    /// Looks for who is to make way, now that there is less room.
    pub(crate) fn make_room(&mut self) {
        if self.patience() != NEVER {
            self.shed = self.shed.min(self.world.now.max(self.shed_again));
        }
    }

    /// Notes whether a micro-process is idle from now on.
    pub(crate) fn note_idle(&mut self, index: usize, main: &Task) {
        let (now, is_idle) = (self.world.now, is_idle(main));
        self.known[index].idle = if is_idle { now } else { NEVER };
        if is_idle {
            self.shed = self.shed.min(now.saturating_add(self.patience()));
        }
    }

    /// Ends who was idle for longest, a tenth of all at most.
    pub(crate) fn shed(&mut self) {
        let (now, patience) = (self.world.now, self.patience());
        (self.shed, self.shed_again) = (NEVER, now + PAUSE);
        let idle = self.known.iter().filter(|known| known.live && known.idle != NEVER);
        let mut idle: Vec<(Nanos, HeapId)> = idle.map(|known| (known.idle, known.id)).collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        let tenth = (self.stats.live / 10).max(1) as usize;
        let many = idle.iter().take(tenth).take_while(|(since, _)| now - since >= patience).count();
        for (_, id) in idle.drain(..many) {
            self.stats.shed += 1;
            self.tell_end(id);
            self.enqueue(id);
        }
        if let Some((since, _)) = idle.first() {
            self.shed = since.saturating_add(patience).max(self.shed_again);
        }
    }

    /// Lets a micro-process find that its input is over, unless there is some after all.
    fn tell_end(&mut self, id: HeapId) {
        let mut at = self.known[id.index() as usize].descriptors;
        while at != NONE {
            let known = self.descriptors.by_number(at);
            known.shed = true;
            at = known.next;
        }
    }
}
