//! The worker: one thread that waits for events and dispatches the micro-processes they concern.
//!
//! ```text
//!  wait ─► events ─► runnable ─► dispatch ─► … ─► close all ─► wait
//!                       ▲            │
//!                       └── timers   └─ open · serve what was waited for · run · serve · … · close
//! ```
//!
//! Events are collected first and micro-processes run afterwards; no user code runs inside collection.

use crate::board::Board;
use crate::descriptors::{Descriptors, NONE, from_token, token};
use crate::faults;
use crate::listener;
use crate::memory;
use crate::panics;
use crate::process::Process;
use crate::stats::Stats;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use vk_core::task::{Mark, NEVER};
use vk_core::time;
use vk_core::{Descriptor, Entry, Nanos, Port, Task, Wait, World};
use vk_heap::{Arena, Heap, HeapId};
use vk_poll::{Backend, Event, Timers, Token};

/// Rounds of serving and running in one dispatch, so that a connection with endless input lets others in.
const ROUNDS: u32 = 32;

/// Events and micro-processes of a round that memory is kept for; there may be more.
const BATCH: usize = 1024;

/// How long the micro-processes that are at work when a drain begins may go on.
const DRAIN: Nanos = 30_000_000_000;

/// How often the pages of what has ended are given back to the kernel.
const TRIM: Nanos = 1_000_000_000;

/// How old the counters on the board may be.
const SHOW: Nanos = 1_000_000_000;

/// When an accept that failed for want of descriptors or memory is tried again, at the latest.
const RETRY: Nanos = 100_000_000;

/// The signals' descriptor in the poller.
const SIGNALS: Token = Token(u64::MAX);

/// What a worker serves with.
#[derive(Debug)]
pub struct Settings {
    /// Micro-processes at a time, listeners included.
    pub max_procs: u32,
    /// Where the worker shows its counters, and in which row.
    pub board: (&'static Board, usize),
}

/// What the worker knows of a micro-process while its micro-heap is closed.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: HeapId,
    live: bool,
    /// Whether it is in the worker's queue.
    queued: bool,
    /// Whether it accepts connections: the first to end in a drain.
    listener: bool,
    /// The handler's name.
    name: &'static str,
    /// The first of its descriptors.
    descriptors: RawFd,
    /// When it wants to be looked at.
    next: Nanos,
    /// When its timer is set for: at `next` or earlier.
    armed: Nanos,
}

/// One worker, on one backend.
pub struct Worker<B> {
    pub(crate) world: World,
    pub(crate) poller: B,
    pub(crate) descriptors: Descriptors,
    pub(crate) stats: Stats,
    timers: Timers,
    /// By the index of their micro-heap.
    known: Vec<Known>,
    runnable: VecDeque<HeapId>,
    /// Micro-processes that wait for room: for a micro-heap or a descriptor to come free.
    starved: Vec<HeapId>,
    retry: Nanos,
    events: Vec<Event>,
    batch: Vec<HeapId>,
    signals: Option<OwnedFd>,
    draining: bool,
    drain_end: Nanos,
    trim: Nanos,
    show: Nanos,
    settings: Settings,
    failed: bool,
}

impl<B: Backend> Worker<B> {
    /// A worker without any micro-process.
    ///
    /// # Errors
    /// If `signals`, a signalfd, can't be polled.
    pub fn new(arena: Arena, mut poller: B, signals: Option<OwnedFd>, settings: Settings) -> io::Result<Self> {
        if let Some(signals) = &signals {
            poller.add(signals.as_raw_fd(), SIGNALS)?;
        }
        let now = poller.now();
        let mut world = World::new(arena);
        world.now = now;
        Ok(Worker {
            world,
            poller,
            descriptors: Descriptors::default(),
            stats: Stats::default(),
            timers: Timers::default(),
            known: Vec::new(),
            runnable: VecDeque::new(),
            starved: Vec::new(),
            retry: NEVER,
            events: Vec::with_capacity(BATCH),
            batch: Vec::new(),
            signals,
            draining: false,
            drain_end: NEVER,
            trim: NEVER,
            show: now,
            settings,
            failed: false,
        })
    }

    /// The worker's counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether a micro-process that [`start_on`](Worker::start_on) started has ended with an error.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether everything that was taken is given back and every pause had its resume, now that no
    /// micro-process is left.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn check_conservation(&self) -> Result<(), String> {
        let (usage, tally, stats) = (self.world.arena.usage(), self.world.tally, self.stats);
        if (stats.live, usage.live, usage.blocks_lent) != (0, 0, 0) || stats.started != stats.ended {
            return Err(format!("not given back: {stats:?}, {usage:?}"));
        }
        if tally.ended == tally.tasks && tally.resumed != tally.tasks + tally.paused {
            return Err(format!("a pause without a resume, or the reverse: {tally:?}"));
        }
        Ok(())
    }

    /// Serves a listening socket: each connection gets a micro-process that runs `handler`.
    ///
    /// # Errors
    /// If there is no room for it, or the socket can't be polled.
    pub fn listen(&mut self, socket: impl IntoRawFd, handler: &'static Entry) -> io::Result<()> {
        let handler = self.world.registry.index(handler);
        let number = socket.into_raw_fd();
        let id = self.create(Entry::of::<listener::listener>())?;
        let source = self.adopt(number, id, false)?;
        let (source, sink) = (Port::Descriptor(source), Port::Nothing);
        Process::create_with::<listener::listener>(&mut self.world, (handler,), source, sink)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        self.known[id.index() as usize].listener = true;
        self.enqueue(id);
        self.world.arena.close(id);
        Ok(())
    }

    /// Runs `handler` between two descriptors that stay open afterwards: standard input and output, say.
    ///
    /// # Errors
    /// If there is no room for it, or they can't be polled.
    pub fn start_on(&mut self, handler: &'static Entry, input: RawFd, output: RawFd) -> io::Result<()> {
        let id = self.create(handler)?;
        let source = self.adopt(input, id, true)?;
        let sink = if input == output { source } else { self.adopt(output, id, true)? };
        self.begin(id, handler, Port::Descriptor(source), Port::Descriptor(sink))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(())
    }

    /// Serves until every micro-process has ended, after a signal to drain or because none listens.
    ///
    /// # Errors
    /// If the poller fails.
    pub fn run(&mut self) -> io::Result<()> {
        panics::install();
        faults::install();
        while self.stats.live > 0 {
            self.turn()?;
        }
        Ok(())
    }

    /// One round: waits, collects events, dispatches whom they concern.
    fn turn(&mut self) -> io::Result<()> {
        let now = self.world.now;
        let wake = self.timers.next().unwrap_or(NEVER).min(self.retry).min(self.drain_end).min(self.trim).min(self.show);
        let timeout = match (self.runnable.is_empty(), wake) {
            (false, _) => Some(0),
            (true, NEVER) => None,
            (true, wake) => Some(wake.saturating_sub(now)),
        };
        if timeout != Some(0) {
            self.world.arena.close_all();
        }
        self.events.clear();
        self.poller.wait(timeout, &mut self.events)?;
        self.world.now = self.poller.now();
        time::set(self.world.now);
        self.collect();
        self.expire();
        self.batch.clear();
        self.batch.extend(self.runnable.drain(..));
        let mut at = 0;
        while at < self.batch.len() {
            // The guard opens as many as it may at once, neighbours with one call.
            let part = self.world.arena.open_all(&self.batch[at..]).max(1);
            for next in at..at + part {
                self.dispatch(self.batch[next]);
            }
            faults::idle();
            at += part;
        }
        Ok(())
    }

    /// Notes what the events say, and whom they concern.
    fn collect(&mut self) {
        for at in 0..self.events.len() {
            let event = self.events[at];
            if event.token == SIGNALS {
                self.signalled();
                continue;
            }
            let Some(known) = self.descriptors.get(from_token(event.token)) else { continue };
            known.readable |= event.readable || event.closed || event.error;
            known.writable |= event.writable || event.error;
            known.closed |= event.closed || event.error;
            if let Some(owner) = known.owner {
                self.enqueue(owner);
            }
        }
    }

    /// Serves what has become due.
    fn expire(&mut self) {
        let now = self.world.now;
        while let Some(index) = self.timers.expired(now) {
            let known = &mut self.known[index as usize];
            known.armed = NEVER;
            if !known.live {
                continue;
            }
            if known.next <= now {
                let id = known.id;
                self.enqueue(id);
            } else {
                self.arm(index as usize);
            }
        }
        if now >= self.retry {
            self.feed();
        }
        if now >= self.drain_end {
            self.end_all();
        }
        if now >= self.show {
            self.show = NEVER;
            let (board, row) = self.settings.board;
            board.show(row, &self.stats, &self.world.arena.usage());
        }
        if now >= self.trim {
            self.trim();
        }
    }

    /// Gives back the memory of what has ended.
    fn trim(&mut self) {
        if self.world.arena.trim() {
            // There is more; the clients come first.
            self.trim = self.world.now;
            return;
        }
        self.trim = NEVER;
        let len = self.known.iter().rposition(|known| known.live).map_or(0, |last| last + 1);
        for (index, known) in self.known.iter_mut().enumerate().filter(|(_, known)| !known.live) {
            known.armed = NEVER;
            self.timers.clear(index as u32);
        }
        self.known.truncate(len);
        self.known.shrink_to_fit();
        self.timers.shrink();
        self.descriptors.shrink();
        self.events.shrink_to(BATCH);
        self.runnable.shrink_to(BATCH);
        self.batch.shrink_to(BATCH);
        memory::release();
    }

    /// Runs a micro-process until it blocks.
    fn dispatch(&mut self, id: HeapId) {
        let index = id.index() as usize;
        if !self.is_live(id) {
            return;
        }
        self.known[index].queued = false;
        let heap = match self.world.arena.open(id) {
            Ok(heap) => heap,
            Err(error) => {
                tracing::error!(heap = index, %error, "a micro-heap is damaged; its micro-process ends");
                self.stats.faults += 1;
                return self.end(id);
            }
        };
        self.stats.dispatches += 1;
        self.show = self.show.min(self.world.now + SHOW);
        self.world.enter(heap);
        faults::running(id.index(), self.known[index].name);
        let mut process = Process::of(heap);
        let mut rounds = ROUNDS;
        loop {
            self.serve_tasks(process, id);
            if !process.is_runnable() {
                break;
            }
            if rounds == 0 {
                self.enqueue(id);
                break;
            }
            rounds -= 1;
            if panics::catch(|| process.run(&mut self.world)).is_err() {
                let name = self.known[index].name;
                panics::report(name, index);
                self.stats.panics += 1;
                self.failed |= self.is_borrower(index);
                return self.end(id);
            }
        }
        self.leave(process, id);
    }

    /// After the last round of a dispatch: ends the micro-process, or puts it to rest.
    fn leave(&mut self, process: Process, id: HeapId) {
        let index = id.index() as usize;
        let main = process.task(process.main());
        if main.wait == Wait::Ended && (main.tx.is_empty() || main.is_output_over()) {
            self.failed |= main.failed && self.is_borrower(index);
            return self.end(id);
        }
        process.shrink(&mut self.world);
        self.known[index].next = process.next_time();
        self.arm(index);
        self.world.arena.close(id);
    }

    /// Sets the timer of a micro-process if it has none that comes early enough: most deadlines are moved
    /// on, over and over, and never come.
    fn arm(&mut self, index: usize) {
        let known = &mut self.known[index];
        if known.next < known.armed {
            known.armed = known.next;
            self.timers.set(index as u32, known.next);
        }
    }

    /// Serves what each task waits for outside, as far as it can be without waiting.
    fn serve_tasks(&mut self, mut process: Process, id: HeapId) {
        let mut span = process.first();
        while !span.is_empty() {
            // The next task first: serving may end this one.
            let next = process.task(span).next;
            let task = process.task(span);
            if task.wait != Wait::Nothing {
                self.serve(process, task, id);
                if task.wait == Wait::Ended && (task.tx.is_empty() || task.is_output_over()) {
                    process.wake_joiner(&mut self.world, span);
                }
                process.settle(&mut self.world, span);
            }
            span = next;
        }
    }

    /// Serves one blocked or ended task: receives what it waits for; when there is nothing to receive,
    /// sends what it has written, all together.
    fn serve(&mut self, process: Process, task: &mut Task, id: HeapId) {
        match task.wait {
            Wait::Received => self.receive(process, task),
            Wait::Accept => self.accept(task, id),
            Wait::Connect => self.connect(task, id),
            Wait::Start => self.start(process, task, id),
            _ => {}
        }
        if !task.is_ready(self.world.now) {
            self.send(process, task);
            self.end_side(task);
        }
    }

    /// Ends the sending side once everything is sent, if the task asked for it.
    fn end_side(&mut self, task: &mut Task) {
        let asked = task.wait == Wait::Shutdown || task.tx_mark == Mark::Here;
        let Port::Descriptor(sink) = task.sink else { return };
        if !asked || !task.tx.is_empty() || task.is_output_over() {
            return;
        }
        match self.poller.shutdown(sink.number) {
            Ok(()) => task.tx_ended = true,
            Err(error) => task.tx_error = error.raw_os_error().unwrap_or(libc::EIO),
        }
        if task.tx_mark == Mark::Here {
            task.tx_mark = Mark::Acknowledged;
        }
    }

    /// A new micro-process without tasks, its micro-heap entered.
    pub(crate) fn create(&mut self, entry: &'static Entry) -> io::Result<HeapId> {
        let id = self.world.arena.create().ok_or(io::ErrorKind::OutOfMemory)?;
        let heap: Heap = self.world.arena.open(id).map_err(io::Error::other)?;
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
        Ok(id)
    }

    /// Makes the new micro-process `id` run `handler`; on failure it is ended.
    pub(crate) fn begin(&mut self, id: HeapId, handler: &'static Entry, source: Port, sink: Port) -> Option<()> {
        match Process::create(&mut self.world, handler, source, sink) {
            Some(_) => {
                self.enqueue(id);
                self.world.arena.close(id);
                Some(())
            }
            None => {
                let needed = handler.frame_size();
                tracing::error!(handler = handler.name(), needed, "the micro-heap is too small for the frame");
                self.stats.faults += 1;
                self.end(id);
                None
            }
        }
    }

    /// Makes a descriptor one of a micro-process's, watched by the poller; on failure it is closed.
    pub(crate) fn adopt(&mut self, number: RawFd, id: HeapId, borrowed: bool) -> io::Result<Descriptor> {
        let next = std::mem::replace(&mut self.known[id.index() as usize].descriptors, number);
        let descriptor = self.descriptors.insert(number, id, next, borrowed);
        match self.poller.add(number, token(descriptor)) {
            Ok(_) => Ok(descriptor),
            Err(error) => {
                self.close(number, id);
                Err(error)
            }
        }
    }

    /// Hands a descriptor from one micro-process to another.
    pub(crate) fn hand_over(&mut self, number: RawFd, from: HeapId, to: HeapId) {
        self.unlink(number, from);
        let next = std::mem::replace(&mut self.known[to.index() as usize].descriptors, number);
        let known = self.descriptors.by_number(number);
        (known.owner, known.next) = (Some(to), next);
    }

    /// Closes a descriptor of a micro-process.
    pub(crate) fn close(&mut self, number: RawFd, owner: HeapId) {
        self.unlink(number, owner);
        self.release(number);
    }

    fn release(&mut self, number: RawFd) {
        let known = self.descriptors.by_number(number);
        known.owner = None;
        match known.borrowed {
            true => self.poller.forget(number),
            false => self.poller.close(number),
        }
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
        let mut at = std::mem::replace(&mut known.descriptors, NONE);
        while at != NONE {
            let next = self.descriptors.by_number(at).next;
            self.release(at);
            at = next;
        }
        self.world.arena.destroy(id);
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
        }
        if retry {
            self.retry = self.retry.min(self.world.now + RETRY);
        }
    }

    /// Lets those who wait for room try again.
    fn feed(&mut self) {
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

    fn is_borrower(&mut self, index: usize) -> bool {
        let first = self.known[index].descriptors;
        first != NONE && self.descriptors.by_number(first).borrowed
    }

    fn enqueue(&mut self, id: HeapId) {
        if self.is_live(id) {
            let known = &mut self.known[id.index() as usize];
            if !known.queued {
                known.queued = true;
                self.runnable.push_back(id);
            }
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    fn signalled(&mut self) {
        while let Some(signal) = self.signals.as_ref().and_then(crate::signals::next) {
            match signal {
                libc::SIGTERM | libc::SIGINT if self.draining => self.end_all(),
                libc::SIGTERM | libc::SIGINT => self.drain(),
                other => tracing::info!(signal = other, "nothing to do for this signal"),
            }
        }
    }

    /// Stops listening, ends what stands at a checkpoint, and lets the rest finish, for 30 s.
    pub fn drain(&mut self) {
        self.draining = true;
        self.drain_end = self.world.now + DRAIN;
        tracing::info!(connections = self.stats.live, "draining");
        for index in 0..self.known.len() {
            let Known { id, live, listener, .. } = self.known[index];
            match (live, listener) {
                (true, true) => self.end(id),
                (true, false) => self.enqueue(id),
                (false, _) => {}
            }
        }
    }

    fn end_all(&mut self) {
        if self.stats.live > 0 {
            tracing::warn!(connections = self.stats.live, "ended before they were done");
        }
        for index in 0..self.known.len() {
            let Known { id, live, .. } = self.known[index];
            if live {
                self.end(id);
            }
        }
    }
}
