//! A dispatch: a micro-process runs until each of its tasks is blocked.
//!
//! ```text
//! open ─► serve: receive, accept, … ─► run ─► serve ─► … ─► nobody can run ─► leave: arm, close
//! ```
//!
//! Serving comes before running and after it, never during: no coroutine is under way when bytes move between
//! a ring and a descriptor.

use crate::faults;
use crate::panics;
use crate::process::Process;
use crate::worker::{SHOW, Worker};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use std::sync::atomic::compiler_fence;
use vk_core::failures::{Failure, Kind};
use vk_core::task::{Mark, Request};
use vk_core::{Descriptor, Nanos, Port, Sink, Source, Task, Wait};
use vk_heap::{Heap, HeapId, OpenError, failpoint};
use vk_poll::Backend;

/// Rounds of serving and running in one dispatch, so that a connection with endless input lets others in.
const ROUNDS: u32 = 32;

impl<B: Backend> Worker<B> {
    /// Runs a micro-process until it blocks.
    pub(crate) fn dispatch(&mut self, id: HeapId) {
        let index = id.index() as usize;
        if !self.is_live(id) {
            return;
        }
        self.known[index].queued = false;
        let heap = match self.world.arena.open(id) {
            Ok(heap) => heap,
            Err(OpenError::NoMemory) => return self.starve(id, true),
            Err(error) => {
                tracing::error!(heap = index, %error, "a micro-heap is damaged; its micro-process ends");
                self.stats.faults += 1;
                return self.end(id);
            }
        };
        self.stats.dispatches += 1;
        self.show = self.show.min(self.world.now + SHOW);
        self.world.enter(heap);
        faults::running(self.known[index].name);
        self.runs(id);
        // What panics here is a handler, or what a handler has damaged: its micro-process ends with it.
        if panics::catch(|| self.advance(id, Process::of(heap))).is_err() {
            panics::report(self.known[index].name, index);
            self.stats.panics += 1;
            self.failed |= self.is_borrower(index);
            // What it did since the last commit has not happened. After a damaged log it just ends.
            let undone = self.world.arena.rollback().is_ok();
            if self.is_live(id) {
                if undone && self.fail(heap) {
                    self.enqueue(id);
                    self.world.arena.close(id);
                } else {
                    self.end(id);
                }
            }
        }
        failpoint!("dispatched");
        self.runs(HeapId::NONE);
    }

    /// Leaves a micro-process, which stands at a commit, nothing to do but to [end](Process::fail). False if there is
    /// nothing left to be sent, or it is too damaged for that.
    pub(crate) fn fail(&mut self, heap: Heap) -> bool {
        self.world.enter(heap);
        panics::catch(|| Process::of(heap).fail(&mut self.world)).unwrap_or_else(|_| {
            // One more panic changes nothing.
            let _ = self.world.arena.rollback();
            false
        })
    }

    /// Notes for who comes after this worker which micro-process is being dispatched.
    #[inline]
    fn runs(&self, id: HeapId) {
        self.seat.dispatches.store(self.stats.dispatches, Relaxed);
        self.seat.running.store(id.to_bits(), Release);
        compiler_fence(SeqCst);
    }

    /// Asks the kernel where the streams of a descriptor stand that a coroutine to be spawned is given.
    fn locate(&mut self, task: &mut Task) {
        let Request::Spawn { source, sink, positions: positions @ None, .. } = &mut task.request else {
            return;
        };
        let received = match source {
            Source::Descriptor(descriptor) => self.positions(*descriptor)[0],
            _ => 0,
        };
        let sent = match sink {
            Sink::Descriptor(descriptor) => self.positions(*descriptor)[1],
            _ => 0,
        };
        *positions = Some([received, sent]);
    }

    /// How far a descriptor was received from and sent to: 0 where nobody counts.
    pub(crate) fn positions(&mut self, descriptor: Descriptor) -> [u64; 2] {
        let at = self.poller.positions(descriptor.number).ok().flatten();
        at.map_or([0; 2], |at| [at.received, at.sent.unwrap_or(0)])
    }

    /// Serves and runs the tasks of an open micro-process until none can go on.
    fn advance(&mut self, id: HeapId, mut process: Process) {
        for round in 0.. {
            self.serve_tasks(process, id);
            if round == ROUNDS && process.is_due(self.world.now) {
                self.enqueue(id);
                break;
            }
            if !process.turn(&mut self.world) {
                break;
            }
            // It got somewhere: who died in it before did so by coincidence.
            if self.seat.suspect.load(Relaxed) == id.to_bits() {
                self.seat.suspect.store(HeapId::NONE.to_bits(), Relaxed);
            }
        }
        self.tell_failures(process, id);
        self.leave(process, id);
    }

    /// Has the log tell what has failed in the micro-process, with the other end's address.
    #[inline]
    fn tell_failures(&mut self, process: Process, id: HeapId) {
        while let Some(failure) = self.world.failures.take() {
            let peer = match process.source() {
                Port::Descriptor(source) if self.descriptors.get(source, id).is_some() => {
                    self.poller.peer(source.number).ok().flatten()
                }
                _ => None,
            };
            tell(&failure, peer);
        }
    }

    /// Has the log tell that a dispatch took long, of a micro-process that still is there.
    pub(crate) fn note_slow(&mut self, id: HeapId, time: Nanos) {
        if !self.is_live(id) {
            return;
        }
        let Ok(heap) = self.world.arena.open(id) else { return };
        self.world.enter(heap);
        let process = Process::of(heap);
        let main = process.task(process.main());
        if let Some(entry) = self.world.registry.get(main.entry) {
            let cause = || format!("{} ms", time / 1_000_000);
            self.world.failures.note(self.world.now, Kind::Slow, entry, process.program_counter(), cause);
        }
        self.tell_failures(process, id);
        self.world.arena.close(id);
    }

    /// After the last round of a dispatch: ends the micro-process, or puts it to rest.
    fn leave(&mut self, process: Process, id: HeapId) {
        let index = id.index() as usize;
        let main = process.task(process.main());
        if main.wait == Wait::Ended && (main.tx.is_empty() || main.is_output_over()) {
            // What it wrote last may have failed after it ended.
            let lost = main.failure == 0 && !main.tx.is_empty();
            if lost && self.world.attended {
                let error = std::io::Error::from_raw_os_error(main.tx_error);
                tracing::error!(%error, "what was written last is lost");
            }
            self.failed |= (main.failure != 0 || lost) && self.is_borrower(index);
            if self.known[index].listener && !self.world.ending {
                self.lose_listener(&std::io::Error::from_raw_os_error(main.failure));
            }
            return self.end(id);
        }
        process.shrink(&mut self.world);
        self.known[index].next = process.next_time();
        self.note_idle(index, main);
        self.arm(index);
        self.world.arena.close(id);
    }

    /// Sets the timer of a micro-process if it has none that comes early enough: most deadlines are moved
    /// on, over and over, and never come.
    pub(crate) fn arm(&mut self, index: usize) {
        let known = &mut self.known[index];
        if known.next < known.armed {
            known.armed = known.next;
            self.timers.set(index as u32, known.next);
        }
    }

    /// Serves what each task waits for outside, as far as it can be without waiting.
    fn serve_tasks(&mut self, process: Process, id: HeapId) {
        let mut span = process.first();
        while !span.is_empty() {
            let task = process.task(span);
            if task.wait != Wait::Nothing {
                self.serve(process, task, id);
            }
            span = process.task(span).next;
        }
    }

    /// Serves one blocked or ended task: receives what it waits for; when there is nothing to receive,
    /// sends what it has written, all together.
    fn serve(&mut self, process: Process, task: &mut Task, id: HeapId) {
        match task.wait {
            Wait::Received => self.receive(process, task),
            Wait::Accept => self.accept(task, id),
            Wait::Connect => self.connect(process, task, id),
            Wait::Resolve => self.resolve(process, task, id),
            Wait::Peer => self.peer(task, id),
            Wait::Start => self.start(process, task, id),
            Wait::Rest => self.notice(process, task),
            Wait::Spawn => self.locate(task),
            Wait::Close => self.close_child(process, task, id),
            _ => {}
        }
        if !task.is_ready(self.world.now) {
            self.send(process, task);
            self.end_side(task, id);
        }
    }

    /// Ends the sending side once everything is sent, if the task asked for it.
    fn end_side(&mut self, task: &mut Task, id: HeapId) {
        let asked = task.wait == Wait::Shutdown || task.tx_mark == Mark::Here;
        let Port::Descriptor(sink) = task.sink else { return };
        if !asked || !task.tx.is_empty() || task.is_output_over() {
            return;
        }
        if self.descriptors.get(sink, id).is_none() {
            task.tx_error = libc::EBADF;
            return;
        }
        let result = self.poller.shutdown(sink.number);
        failpoint!("shut down");
        match result {
            Ok(()) => task.tx_ended = true,
            Err(error) => task.tx_error = error.raw_os_error().unwrap_or(libc::EIO),
        }
        if task.tx_mark == Mark::Here && task.tx_ended {
            task.tx_mark = Mark::Acknowledged;
        }
    }
}

/// One line for a failure.
fn tell(failure: &Failure, peer: Option<SocketAddr>) {
    let Failure { kind, coroutine, at, cause, left_out } = failure;
    let at = at.map(|(file, line)| format!("{file}:{line}"));
    let (at, peer) = (at.as_deref().map(tracing::field::display), peer.map(tracing::field::display));
    let left_out = (*left_out > 0).then_some(*left_out);
    match kind {
        Kind::Peer => tracing::info!(coroutine, at, peer, left_out, "a connection ends: {cause}"),
        Kind::Own => tracing::warn!(coroutine, at, peer, left_out, "a handler has failed: {cause}"),
        Kind::Slow => tracing::warn!(
            coroutine,
            at,
            peer,
            left_out,
            "a handler ran for {cause} without blocking, and its worker served no other connection"
        ),
    }
}
