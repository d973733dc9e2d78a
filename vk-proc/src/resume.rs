//! Taking over from a worker that died: its micro-processes go on as if it had not.
//!
//! ```text
//! arena    attach has undone what was not committed
//!   │
//!   ▼ each micro-heap: a claim ─► known, or ended
//! ledger   each descriptor: watched again; closed if its owner is gone
//!   │
//!   ▼ the one that was being dispatched: what the kernel did for it and nobody wrote down
//! queue    who has something to do; readiness comes anew from the poller
//! ```
//!
//! Between two steps of a dispatch, one micro-process at most is ahead of its record, and the
//! [seat](crate::ledger::Seat) says which. For a connection the kernel's counters tell how far; whatever else it
//! was in the middle of can be told from the ledger, and is done once more or taken as done. Each step here can
//! be the last of this worker, too: done again by the next one, it gives the same.

use crate::descriptors::NONE;
use crate::faults;
use crate::ledger::State;
use crate::listener;
use crate::process::Process;
use crate::worker::{Known, TRIM, Worker};
use std::io::ErrorKind;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use vk_core::task::{NEVER, Outcome, Request};
use vk_core::{Descriptor, Entry, Port, Task, Wait};
use vk_heap::{HeapId, failpoint};
use vk_poll::Backend;

/// How the worker before this one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It never lived, or was killed from outside: nobody's fault.
    Outside,
    /// By its own fault, or by a dispatch that took too long: the micro-process that ran has to answer for it.
    Own,
}

/// Deaths from outside in a row, each in the same turn of the same micro-process (a transaction, or many where pipes are),
/// that are still taken for a coincidence: whoever kills workers every few milliseconds hits a long one several times. A
/// handler that gets its worker killed each time, for want of memory say, is found out after them.
const COINCIDENCES: u32 = 7;

/// Numbers above the largest known one among which an unknown descriptor is looked for: the kernel gives the lowest free
/// one, and what a worker opens for itself lies below or between.
const UNKNOWN: RawFd = 64;

impl<B: Backend> Worker<B> {
    /// Goes on where the worker before this one ended: with what is in the arena, and with the descriptors that the
    /// ledger says are this worker's. `listeners` stay open whoever they belong to.
    pub fn resume(&mut self, death: Death, listeners: &[RawFd]) {
        self.stats = self.settings.ledger.record.recall();
        self.stats.live = 0;
        // What is shown is up to a second old; the keeper tells by this number whether a worker has served.
        self.stats.dispatches = self.stats.dispatches.max(self.seat.dispatches.load(Relaxed));
        self.descriptors.continue_after(self.seat.generation.load(Relaxed));
        let running = HeapId::from_bits(self.seat.running.load(Relaxed));
        let offender = self.offender(death, running);
        failpoint!("attributed");
        let unborn = self.take_in_all(offender);
        let ownerless = self.take_descriptors(running, listeners);
        // The one that ran may have been making another one, and so may a worker that began to listen.
        let was_making = running != HeapId::NONE || self.seat.dispatches.load(Relaxed) == 0;
        let lost = unborn.saturating_sub(was_making.into()) + ownerless;
        // What a successor has taken over is still in the rows.
        if lost > 0 && self.seat.serves() {
            tracing::error!(
                "{lost} connections are lost: a handler has written over what a worker notes of them"
            );
            self.stats.faults += lost;
        }
        if self.is_live(running) {
            self.catch_up(running);
        }
        // An odd number says that what is open and in no row may be ours.
        let taking = &self.seat.taking;
        taking.store(taking.load(SeqCst).next_multiple_of(2), SeqCst);
        failpoint!("caught up");
        self.seat.running.store(HeapId::NONE.to_bits(), Relaxed);
        self.seat.recoveries.store(0, Relaxed);
        self.seat.fault.store(0, Relaxed);
        self.stats.started = self.stats.ended + self.stats.live;
        self.trim = self.world.now + TRIM;
    }

    /// Whether a micro-process accepts this socket's connections.
    pub fn is_listening(&mut self, socket: RawFd) -> bool {
        let (state, descriptor, _) = self.settings.ledger.read(socket);
        state == State::Owned && self.descriptors.find(descriptor).is_some()
    }

    /// The micro-process that the death is the fault of.
    fn offender(&self, death: Death, running: HeapId) -> Option<HeapId> {
        let seat = self.seat;
        // Who died while taking over has dispatched nobody; the death before that one has been attributed.
        let recoveries = seat.recoveries.fetch_add(1, Relaxed);
        if running == HeapId::NONE {
            return None;
        }
        let bits = running.to_bits();
        if recoveries == 0 {
            let strikes = if seat.suspect.load(Relaxed) == bits { seat.strikes.load(Relaxed) + 1 } else { 1 };
            let strikes = if death == Death::Outside { strikes } else { COINCIDENCES + 1 };
            seat.strikes.store(strikes, Relaxed);
            seat.suspect.store(bits, Relaxed);
        }
        (seat.suspect.load(Relaxed) == bits && seat.strikes.load(Relaxed) > COINCIDENCES).then_some(running)
    }

    /// Takes in the micro-heaps; returns how many were made and had no connection yet.
    fn take_in_all(&mut self, offender: Option<HeapId>) -> u64 {
        let mut unborn = 0;
        let lives = self.world.arena.lives();
        let last = lives.last().map_or(0, |id| id.index() as usize + 1);
        self.known.resize(last, Known::GONE);
        let mut at = 0;
        while at < lives.len() {
            let part = self.world.arena.open_all(&lives[at..]).max(1);
            for &id in &lives[at..at + part] {
                unborn += u64::from(self.take_in(id, offender == Some(id)));
                failpoint!("taken in");
            }
            self.end_epoch();
            at += part;
        }
        unborn
    }

    /// Takes in one micro-heap: its micro-process goes on, or ends here. True if it has no connection yet, and ends.
    fn take_in(&mut self, id: HeapId, offends: bool) -> bool {
        let opened = self.world.arena.open(id);
        let Ok(heap) = opened.as_ref().copied() else {
            tracing::error!(heap = id.index(), error = ?opened, "a micro-heap is damaged; its micro-process ends");
            self.stats.faults += 1;
            self.stats.ended += 1;
            self.world.arena.destroy(id);
            return false;
        };
        self.world.enter(heap);
        let process = Process::claim(heap, |entry| self.world.registry.get(entry).map(Entry::frame_size));
        // One that was being made has no root, or not yet its connection, which is still the listener's.
        let unborn = heap.root().is_empty() || process.is_some_and(|process| !self.is_owner(process));
        if process.is_none() && !unborn {
            tracing::error!(heap = id.index(), "a micro-process is damaged, and ends");
            self.stats.faults += 1;
        }
        match process.filter(|_| !unborn) {
            Some(process) if !offends || self.bury(process) => {
                self.settle_in(id, process);
                self.world.arena.close(id);
            }
            _ => {
                self.stats.ended += 1;
                self.world.arena.destroy(id);
            }
        }
        unborn
    }

    fn settle_in(&mut self, id: HeapId, process: Process) {
        let main = process.task(process.main());
        let entry = self.world.registry.get(main.entry).expect("`Process::claim` has looked it up");
        let index = id.index() as usize;
        self.known[index] = Known {
            id,
            live: true,
            queued: false,
            listener: entry.name() == Entry::of::<listener::listener>().name(),
            name: entry.name(),
            descriptors: NONE,
            next: process.next_time(),
            armed: NEVER,
            idle: NEVER,
        };
        self.note_idle(index, main);
        self.stats.live += 1;
        self.world.tally += process.tally();
        self.arm(index);
        if process.is_due(self.world.now) || process.has_something_to_do() {
            self.enqueue(id);
        }
    }

    /// Whether the connection that the micro-process began with has been handed to it.
    pub(crate) fn is_owner(&self, process: Process) -> bool {
        match process.source() {
            Port::Descriptor(source) => self.owns(process.heap().id(), source),
            Port::Nothing | Port::Task(_) => true,
        }
    }

    /// Whether the ledger says so.
    fn owns(&self, id: HeapId, descriptor: Descriptor) -> bool {
        let (state, entered, owner) = self.settings.ledger.read(descriptor.number);
        state != State::Free && (entered, owner) == (descriptor, id)
    }

    /// Says what a micro-process died of. True if there is something left to be sent.
    fn bury(&mut self, process: Process) -> bool {
        let main = process.task(process.main());
        let handler = self.world.registry.get(main.entry).map_or("?", Entry::name);
        let seat = self.seat;
        let heap = process.heap().id().index();
        let at = process.program_counter();
        let fault = i32::try_from(seat.fault.load(Relaxed)).ok().and_then(faults::name);
        match fault {
            Some(signal) => {
                let (address, instruction) = (seat.address.load(Relaxed), seat.instruction.load(Relaxed));
                tracing::error!(
                    heap,
                    handler,
                    at,
                    signal,
                    address = format_args!("{address:#x}"),
                    instruction = format_args!("{instruction:#x}"),
                    "a micro-process ends of a fault of its own; the others go on"
                );
            }
            None => tracing::error!(
                heap,
                handler,
                at,
                "a micro-process that its worker died of, or because of, ends"
            ),
        }
        self.stats.faults += 1;
        // It answers for this death once: who comes after a worker that dies here finds it ending, or lets it run again.
        seat.suspect.store(HeapId::NONE.to_bits(), Relaxed);
        failpoint!("answers");
        let goes_on = self.fail(process.heap());
        failpoint!("fails");
        goes_on
    }

    /// Takes over the descriptors, and closes those whose owners are gone; returns how many of these are not of the one that
    /// ran, or was being ended.
    fn take_descriptors(&mut self, running: HeapId, listeners: &[RawFd]) -> u64 {
        let ledger = self.settings.ledger;
        let ending = HeapId::from_bits(self.seat.ending.load(Relaxed));
        let mut ownerless = 0;
        for number in ledger.numbers() {
            let (state, descriptor, owner) = ledger.read(number);
            if state == State::Free {
                continue;
            }
            if self.is_live(owner) {
                // Where it fails, its owner finds it gone.
                let _ = self.watch(descriptor, owner, false);
                // What is readable the poller tells; where there is room to send, a send that fails tells.
                self.descriptors.by_number(number).readable = false;
            } else {
                ledger.forget(number);
                failpoint!("forgotten");
                ownerless += u64::from(
                    ![HeapId::NONE, running, ending].contains(&owner) && !listeners.contains(&number),
                );
                if !listeners.contains(&number) && self.poller.is_open(number) {
                    self.poller.close(number);
                }
            }
            failpoint!("descriptor");
        }
        ownerless
    }

    /// Finds out what was done for the micro-process that was being dispatched.
    fn catch_up(&mut self, id: HeapId) {
        let Ok(heap) = self.world.arena.open(id) else { return };
        self.world.enter(heap);
        let process = Process::of(heap);
        process.tasks().for_each(|task| self.confirm_all(task, id));
        let mut span = process.first();
        let mut sound = true;
        while !span.is_empty() {
            let task = process.task(span);
            self.catch_up_with_request(task, id);
            sound &= self.catch_up_with_streams(process, task, id);
            span = task.next;
        }
        self.world.arena.close(id);
        if sound {
            self.enqueue(id);
        } else {
            tracing::error!(
                heap = id.index(),
                "a connection is not where its micro-process left it, and ends"
            );
            self.stats.faults += 1;
            self.end(id);
        }
    }

    /// Bytes that were read from a connection lie where they belong, and are not counted yet; bytes that were
    /// written are still counted as waiting. False if it can't be so.
    fn catch_up_with_streams(&mut self, process: Process, task: &mut Task, id: HeapId) -> bool {
        let positions = |poller: &mut B, port| match port {
            Port::Descriptor(descriptor) => poller.positions(descriptor.number).ok().flatten(),
            _ => None,
        };
        let mine = |port| matches!(port, Port::Descriptor(descriptor) if self.owns(id, descriptor));
        let (source, sink) = (mine(task.source), mine(task.sink));
        if let Some(at) = positions(&mut self.poller, task.source).filter(|_| source) {
            match at.received.checked_sub(task.rx.tail()) {
                Some(ahead) if ahead <= task.rx.free() as u64 => process.rx(task).produced(ahead as usize),
                // It was reset: there is no end of the stream, which would count as a byte.
                None if at.sent.is_none() && at.received + 1 == task.rx.tail() => {}
                _ => return false,
            }
            failpoint!("received");
        }
        let sent = positions(&mut self.poller, task.sink).filter(|_| sink).and_then(|at| at.sent);
        if let Some(sent) = sent.filter(|_| !task.is_output_over()) {
            match sent.checked_sub(task.tx.head()) {
                Some(ahead) if ahead <= task.tx.len() as u64 => {
                    process.sent(&mut self.world, task, ahead as usize)
                }
                _ => return false,
            }
        }
        true
    }

    /// What the dispatcher was asked for and had done, or half done, is done once more or taken as done.
    fn catch_up_with_request(&mut self, task: &mut Task, id: HeapId) {
        match (task.wait, task.request) {
            // What was asked of the kernel may be written half.
            (Wait::Connect, Request::Attach(_)) => task.outcome = Outcome::None,
            // It was told of a connection that has not come into its hands.
            (Wait::Accept | Wait::Connect, _) if matches!(task.outcome, Outcome::Descriptor(given) if !self.owns(id, given)) =>
            {
                task.outcome = Outcome::None;
            }
            (Wait::Accept | Wait::Connect, _) if task.outcome != Outcome::None => {}
            (Wait::Accept, _) => {
                let taken = self.taken(id).or_else(|| {
                    let Port::Descriptor(listener) = task.source else { return None };
                    self.find_unknown(id, |poller, number| poller.is_accepted(number, listener.number))
                });
                task.outcome = taken.map_or(Outcome::None, Outcome::Descriptor);
            }
            (Wait::Connect, Request::Connect(address)) => {
                let taken = self.taken(id).or_else(|| {
                    let found = self.find_unknown(id, |poller, number| poller.is_begun(number, &address))?;
                    match self.poller.outcome(found.number) {
                        // It failed, or was not even begun.
                        Err(error) if error.kind() != ErrorKind::WouldBlock => {
                            self.close(found.number, id);
                            None
                        }
                        _ => Some(found),
                    }
                });
                if let Some(taken) = taken {
                    task.request = Request::Connecting(taken);
                }
            }
            (Wait::Connect, Request::Connecting(connection)) if !self.owns(id, connection) => {
                (task.request, task.outcome) = (Request::None, Outcome::Failed(libc::ECONNABORTED));
            }
            (Wait::Start, Request::Start { connection, .. }) if self.owns(id, connection) => {
                task.outcome = Outcome::None;
            }
            (Wait::Start, _) => (task.request, task.outcome) = (Request::None, Outcome::Done),
            _ => {}
        }
        if let Request::Spawn { positions, .. } = &mut task.request {
            *positions = None;
        }
        failpoint!("request");
        self.confirm_all(task, id);
    }

    /// What a task knows of is its micro-process's.
    fn confirm_all(&self, task: &Task, id: HeapId) {
        for descriptor in task.descriptors().filter(|descriptor| self.owns(id, *descriptor)) {
            self.confirm(descriptor);
        }
    }

    /// A descriptor that was opened for the micro-process, and that it does not know of.
    fn taken(&self, id: HeapId) -> Option<Descriptor> {
        let ledger = self.settings.ledger;
        let mut rows = ledger.numbers().map(|number| ledger.read(number));
        let taken = rows.find(|(state, _, owner)| (*state, *owner) == (State::Taken, id));
        taken.map(|(_, descriptor, _)| descriptor)
    }

    /// A connection that was accepted, or begun, and not even entered.
    fn find_unknown(&mut self, id: HeapId, is_it: impl Fn(&mut B, RawFd) -> bool) -> Option<Descriptor> {
        if self.seat.taking.load(SeqCst).is_multiple_of(2) {
            return None;
        }
        let ledger = self.settings.ledger;
        let number = (0..ledger.numbers().end + UNKNOWN)
            .find(|number| !ledger.has(*number) && is_it(&mut self.poller, *number))?;
        let descriptor = self.descriptors.next(number);
        ledger.enter(descriptor, id).ok()?;
        failpoint!("entered late");
        self.watch(descriptor, id, false).ok().map(|()| descriptor)
    }
}
