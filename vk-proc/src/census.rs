//! Who lives in the worker: micro-processes begin and end here, and with them their descriptors.

use crate::descriptors::{NONE, token};
use crate::process::Process;
use crate::worker::{Known, RETRY, TRIM, Worker};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;
use vk_core::task::NEVER;
use vk_core::{Descriptor, Entry, Port};
use vk_heap::{HeapId, failpoint};
use vk_poll::Backend;

impl<B: Backend> Worker<B> {
    /// A new micro-process without tasks, its micro-heap entered.
    pub(crate) fn create(&mut self, entry: &'static Entry) -> io::Result<HeapId> {
        let id = self.world.arena.create().ok_or(io::ErrorKind::OutOfMemory)?;
        let heap = self.world.arena.open(id).map_err(io::Error::other)?;
        self.world.enter(heap);
        let index = id.index() as usize;
        let known = Known {
            id,
            live: true,
            queued: false,
            listener: false,
            name: entry.name(),
            descriptors: NONE,
            next: NEVER,
            armed: self.known.get(index).map_or(NEVER, |former| former.armed),
            idle: NEVER,
        };
        match self.known.get_mut(index) {
            Some(former) => *former = known,
            None => {
                debug_assert_eq!(index, self.known.len(), "micro-heaps are taken from the lowest up");
                self.known.push(known);
            }
        }
        self.stats.live += 1;
        self.stats.started += 1;
        self.make_room();
        Ok(id)
    }

    /// Makes the new micro-process `id` run `handler`; on failure it is ended.
    pub(crate) fn begin(
        &mut self,
        id: HeapId,
        handler: &'static Entry,
        source: Port,
        sink: Port,
    ) -> Option<()> {
        match Process::create(&mut self.world, handler, source, sink) {
            Some(_) => {
                self.enqueue(id);
                self.world.arena.close(id);
                Some(())
            }
            None => {
                let needed = handler.frame_size();
                tracing::error!(
                    handler = handler.name(),
                    needed,
                    "the micro-heap is too small for the frame"
                );
                self.stats.faults += 1;
                self.end(id);
                None
            }
        }
    }

    /// Opens a descriptor for a micro-process, which has to be told of it before it is
    /// [confirmed](Worker::confirm).
    pub(crate) fn take(
        &mut self,
        id: HeapId,
        mut open: impl FnMut(&mut B) -> io::Result<RawFd>,
    ) -> io::Result<Descriptor> {
        let ledger = self.settings.ledger;
        let mut once = |this: &mut Worker<B>| {
            ledger.take(|| {
                let number = open(&mut this.poller)?;
                failpoint!("opened");
                let descriptor = this.descriptors.next(number);
                match ledger.enter(descriptor, id) {
                    Ok(()) => Ok(descriptor),
                    Err(error) => {
                        this.poller.close(number);
                        Err(error)
                    }
                }
            })
        };
        let descriptor = match once(self) {
            // What nobody has makes room for it.
            Err(error) if is_full(&error) && self.close_all_parked() => once(self),
            result => result,
        }?;
        failpoint!("taken");
        self.watch(descriptor, id, false)?;
        Ok(descriptor)
    }

    /// Makes a descriptor that is open already one of a micro-process's; on failure it is closed.
    pub(crate) fn adopt(&mut self, number: RawFd, id: HeapId, borrowed: bool) -> io::Result<Descriptor> {
        let descriptor = self.descriptors.next(number);
        if !borrowed {
            self.settings.ledger.enter(descriptor, id)?;
            self.confirm(descriptor);
        }
        self.watch(descriptor, id, borrowed)?;
        Ok(descriptor)
    }

    /// The micro-process knows of the descriptor.
    pub(crate) fn confirm(&self, descriptor: Descriptor) {
        self.settings.ledger.confirm(descriptor.number);
    }

    /// Enters a micro-process's descriptor into the table, watched by the poller; on failure it is closed.
    pub(crate) fn watch(&mut self, descriptor: Descriptor, id: HeapId, borrowed: bool) -> io::Result<()> {
        self.detach_stray(descriptor.number);
        let next = std::mem::replace(&mut self.known[id.index() as usize].descriptors, descriptor.number);
        self.descriptors.insert(descriptor, id, next, borrowed);
        match self.poller.add(descriptor.number, token(descriptor)) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.close(descriptor.number, id);
                Err(error)
            }
        }
    }

    /// Takes a number from the owner that it had: a handler has closed the descriptor, or the kernel would not have given its
    /// number again. What the owner closes later must not be the new one.
    fn detach_stray(&mut self, number: RawFd) {
        let Some(owner) = self.descriptors.owner(number) else { return };
        tracing::warn!(number, "a handler has closed a descriptor that is not its own");
        self.poller.forget(number);
        match owner {
            HeapId::NONE => self.pool.lose(number),
            owner => self.unlink(number, owner),
        }
    }

    /// Hands a descriptor from one micro-process to another, or to nobody, or from nobody.
    pub(crate) fn hand_over(&mut self, number: RawFd, from: HeapId, to: HeapId) {
        self.settings.ledger.hand_over(number, to);
        failpoint!("handed over");
        if from != HeapId::NONE {
            self.unlink(number, from);
        }
        let next = match to {
            HeapId::NONE => NONE,
            to => std::mem::replace(&mut self.known[to.index() as usize].descriptors, number),
        };
        let known = self.descriptors.by_number(number);
        (known.owner, known.next, known.shed) = (Some(to), next, false);
    }

    /// Closes a descriptor of a micro-process.
    pub(crate) fn close(&mut self, number: RawFd, owner: HeapId) {
        self.unlink(number, owner);
        self.release(number);
    }

    /// Closes a descriptor that is in no micro-process's list.
    pub(crate) fn release(&mut self, number: RawFd) {
        let known = self.descriptors.by_number(number);
        known.owner = None;
        if known.borrowed {
            return self.poller.forget(number);
        }
        self.settings.ledger.forget(number);
        failpoint!("closing");
        self.poller.close(number);
        failpoint!("closed");
    }

    fn unlink(&mut self, number: RawFd, owner: HeapId) {
        let after = self.descriptors.by_number(number).next;
        let known = &mut self.known[owner.index() as usize];
        if known.descriptors == number {
            known.descriptors = after;
            return;
        }
        let mut at = known.descriptors;
        while at != NONE {
            let link = &mut self.descriptors.by_number(at).next;
            if *link == number {
                *link = after;
                return;
            }
            at = *link;
        }
    }

    /// Ends a micro-process: closes its descriptors, frees its micro-heap, and lets in who waits for room.
    pub(crate) fn end(&mut self, id: HeapId) {
        let known = &mut self.known[id.index() as usize];
        known.live = false;
        self.seat.ending.store(id.to_bits(), Relaxed);
        // First, with one store: whatever else was its own is nobody's then.
        self.world.arena.destroy(id);
        let known = &mut self.known[id.index() as usize];
        let mut at = std::mem::replace(&mut known.descriptors, NONE);
        while at != NONE {
            let next = self.descriptors.by_number(at).next;
            self.release(at);
            at = next;
        }
        failpoint!("ended");
        if let Some(resolver) = &mut self.resolver {
            resolver.forget(id);
        }
        self.stats.live -= 1;
        self.stats.ended += 1;
        self.trim = self.trim.min(self.world.now + TRIM);
        if !self.starved.is_empty() {
            self.feed();
        }
    }

    /// Lets a micro-process wait for room.
    pub(crate) fn starve(&mut self, id: HeapId, retry: bool) {
        if !self.starved.contains(&id) {
            self.starved.push(id);
            self.stats.starved += 1;
            self.make_room();
        }
        if retry {
            self.retry = self.retry.min(self.world.now + RETRY);
        }
    }

    /// Lets those who wait for room try again.
    pub(crate) fn feed(&mut self) {
        self.retry = NEVER;
        while let Some(id) = self.starved.pop() {
            self.enqueue(id);
        }
    }

    /// Whether there is room for one more micro-process.
    pub(crate) fn has_room(&self) -> bool {
        self.stats.live < u64::from(self.settings.max_procs)
    }

    pub(crate) fn is_live(&self, id: HeapId) -> bool {
        self.known.get(id.index() as usize).is_some_and(|known| known.live && known.id == id)
    }

    pub(crate) fn is_borrower(&mut self, index: usize) -> bool {
        let mut at = self.known[index].descriptors;
        while at != NONE && !self.descriptors.by_number(at).borrowed {
            at = self.descriptors.by_number(at).next;
        }
        at != NONE
    }

    pub(crate) fn enqueue(&mut self, id: HeapId) {
        if self.is_live(id) {
            let known = &mut self.known[id.index() as usize];
            if !known.queued {
                known.queued = true;
                self.runnable.push_back(id);
            }
        }
    }
}

/// Whether a descriptor can't be had as there are too many.
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
