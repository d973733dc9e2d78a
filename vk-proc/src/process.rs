//! A micro-process while its micro-heap is open: its tasks, its run queue, its in-heap pipes.
//!
//! ```text
//! root ─► Process ─► Task ─► Task ─► …        every task of the micro-process, by `next`
//!            └─ run queue ─► Task ─► …        those that can run, by `next_runnable`
//! ```
//!
//! Everything here happens inside one micro-heap: no descriptor, no clock, no other micro-process.
//!
//! Invariants:
//! - a task is in the run queue exactly if its wait is [`Wait::Nothing`] and it is not running;
//! - a span in the record or in a task's links was allocated by [`Process::add_task`] and is freed only by
//!   [`Process::remove_task`], which unlinks it everywhere first;
//! - whatever happens here, happens in a transaction of the micro-heap: a worker that dies leaves it as it was
//!   before, or as it was after.
//!
//! A transaction keeps what may be written in it. The bytes of rings need no keeping while they are written in one
//! direction only: a task alone puts bytes behind those that were there. With several tasks the rings in the slot are
//! kept, as they may be freed. Where a pipe leads from one task to another, one may empty a ring that the other fills
//! again; so each turn and what follows from it are transactions of their own.
#![allow(unsafe_code)]

mod claim;
mod last_words;
mod migrate;

use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::task::Poll;
use vk_core::failures::Kind;
use vk_core::io::Tally;
use vk_core::io::bytes_of;
use vk_core::rt::Coroutine;
use vk_core::task::{Mark, Outcome, Request, Task};
use vk_core::{Descriptor, Entry, Io, LastWords, Nanos, Port, Sink, Source, Wait, World};
use vk_heap::{BLOCK, Heap, Span, failpoint};
use vk_vectoring::{Ring, Vectoring, exchange};

/// Bytes of a ring while it is small: two of them, the records and a frame fit a page of 4 KiB.
pub const RING: u32 = 1024;

/// Resumes per dispatch, so that a coroutine which never blocks cannot starve other micro-processes.
const TURNS: u32 = 1024;

/// The record at the micro-heap's root.
#[repr(C)]
struct Record {
    /// The task that the micro-process began with, and ends with.
    main: Span,
    /// The first of all tasks.
    tasks: Span,
    /// Both ends of the run queue.
    head: Span,
    tail: Span,
}

/// An open micro-process.
#[derive(Clone, Copy)]
pub struct Process {
    heap: Heap,
    record: NonNull<Record>,
    /// Whether a task was removed through this handle: who goes through the tasks has to begin again.
    removed: bool,
    /// Whether the transaction under way began with one task, whose rings it does not keep.
    alone: bool,
}

impl Process {
    /// Makes the open micro-heap that `world` entered a micro-process that will run `handler` between
    /// `source` and `sink`. None if the micro-heap has no room.
    pub fn create(world: &mut World, handler: &'static Entry, source: Port, sink: Port) -> Option<Process> {
        // SAFETY: `build` allocates the frame with the entry's size.
        Process::build(world, handler, |frame| unsafe { handler.start(frame) }, source, sink)
    }

    fn build(
        world: &mut World,
        entry: &'static Entry,
        start: impl FnOnce(NonNull<u8>),
        source: Port,
        sink: Port,
    ) -> Option<Process> {
        let mut heap = world.heap();
        let root = heap.alloc(size_of::<Record>() as u32).ok()?;
        let record = heap.ptr(root).cast::<Record>();
        let empty = Record { main: Span::EMPTY, tasks: Span::EMPTY, head: Span::EMPTY, tail: Span::EMPTY };
        // SAFETY: allocated just now, with the record's size, aligned to 16.
        unsafe { record.write(empty) };
        let mut process = Process { heap, record, removed: false, alone: false };
        let frame = world.allocate(entry.frame_size().max(1))?;
        start(heap.ptr(frame));
        let index = world.registry.index(entry);
        let main = process.add_task(world, index, frame, source, sink, [0; 2])?;
        process.record().main = main;
        // The last step of its making: who dies before it leaves a micro-heap with nobody in it.
        heap.set_root(root);
        Some(process)
    }

    /// As [`create`](Process::create), for a coroutine with arguments.
    pub fn create_with<C: Coroutine<Output = io::Result<()>>>(
        world: &mut World,
        args: C::Args,
        source: Port,
        sink: Port,
    ) -> Option<Process> {
        let start = |frame: NonNull<u8>| {
            // SAFETY: `build` allocates the frame with the entry's size.
            C::start(unsafe { frame.cast::<MaybeUninit<C>>().as_mut() }, args);
        };
        Process::build(world, Entry::of::<C>(), start, source, sink)
    }

    /// The micro-process of an open micro-heap.
    #[inline]
    pub fn of(heap: Heap) -> Process {
        Process { heap, record: heap.ptr(heap.root()).cast(), removed: false, alone: false }
    }

    #[inline]
    fn record<'a>(&self) -> &'a mut Record {
        // SAFETY: `build` wrote it; no other reference to it exists, for `record` is called only here and
        // its result never kept across another call.
        unsafe { &mut *self.record.as_ptr() }
    }

    /// Its micro-heap.
    #[inline]
    pub fn heap(&self) -> Heap {
        self.heap
    }

    /// A task's record.
    #[inline]
    pub fn task<'a>(&self, task: Span) -> &'a mut Task {
        // SAFETY: the span comes from this micro-process's links (the module's invariant). Callers hold one
        // task's reference at a time, or two of different tasks, and none while a coroutine runs.
        unsafe { self.heap.ptr(task).cast::<Task>().as_mut() }
    }

    /// The task that the micro-process began with.
    #[inline]
    pub fn main(&self) -> Span {
        self.record().main
    }

    /// The first task; the others follow by [`Task::next`].
    #[inline]
    pub fn first(&self) -> Span {
        self.record().tasks
    }

    /// Whether a task can run.
    #[inline]
    pub fn is_runnable(&self) -> bool {
        !self.record().head.is_empty()
    }

    /// Bytes that an operation has set aside for the dispatcher.
    pub fn bytes<'a>(&self, place: Span) -> &'a mut [u8] {
        // SAFETY: a request of a task names them, which is blocked until it is served; no coroutine runs meanwhile.
        unsafe { bytes_of(&self.heap, place) }
    }

    /// A task's receiving ring.
    #[inline]
    pub fn rx<'a>(&self, task: &'a mut Task) -> Vectoring<'a> {
        // SAFETY: the task's own storage, in its open micro-heap; the task's reference guards it.
        task.rx.over(unsafe { bytes_of(&self.heap, task.rx_storage) })
    }

    /// A task's sending ring.
    #[inline]
    pub fn tx<'a>(&self, task: &'a mut Task) -> Vectoring<'a> {
        // SAFETY: as for `rx`.
        task.tx.over(unsafe { bytes_of(&self.heap, task.tx_storage) })
    }

    /// Adds a task, ready to run.
    fn add_task(
        &mut self,
        world: &mut World,
        entry: u32,
        frame: Span,
        source: Port,
        sink: Port,
        [received, sent]: [u64; 2],
    ) -> Option<Span> {
        let places = [size_of::<Task>() as u32, RING, RING].map(|size| world.allocate(size));
        let [Some(span), Some(rx), Some(tx)] = places else {
            places.into_iter().flatten().for_each(|place| world.release(place));
            return None;
        };
        let next = std::mem::replace(&mut self.record().tasks, span);
        let rx_ended = source == Port::Nothing;
        let tx_ended = sink == Port::Nothing;
        let rings = (Ring::starting_at(received, RING), Ring::starting_at(sent, RING));
        let task = Task::new(entry, frame, rx, tx);
        let task = Task { rx: rings.0, tx: rings.1, source, sink, rx_ended, tx_ended, next, ..task };
        // SAFETY: allocated just now, with the task's size, aligned to 16.
        unsafe { self.heap.ptr(span).cast::<Task>().write(task) };
        self.enqueue(span);
        world.tally.tasks += 1;
        Some(span)
    }

    /// Puts a task that is not in the run queue at its end.
    #[inline(always)]
    fn enqueue(&mut self, span: Span) {
        let task = self.task(span);
        task.wait = Wait::Nothing;
        task.next_runnable = Span::EMPTY;
        let record = self.record();
        let tail = std::mem::replace(&mut record.tail, span);
        if record.head.is_empty() {
            record.head = span;
        } else {
            self.task(tail).next_runnable = span;
        }
    }

    /// Takes a task out of the run queue, if it is there.
    fn dequeue(&mut self, gone: Span) {
        let mut queue = std::mem::replace(&mut self.record().head, Span::EMPTY);
        while !queue.is_empty() {
            let (span, next) = (queue, self.task(queue).next_runnable);
            if span != gone {
                self.enqueue(span);
            }
            queue = next;
        }
    }

    /// Puts a blocked task into the run queue if what it waits for has come.
    #[inline(always)]
    fn wake(&mut self, span: Span, now: Nanos) {
        let task = self.task(span);
        if task.wait != Wait::Nothing && task.is_ready(now) {
            self.enqueue(span);
        }
    }

    /// Whether a pipe leads from one task to another.
    #[inline]
    fn has_pipes(&self) -> bool {
        self.spans().any(|span| is_piped(self.task(span)))
    }

    /// Begins a transaction.
    #[inline]
    fn begin(&mut self, world: &mut World) {
        let first = self.task(self.first());
        self.alone = first.next.is_empty();
        let without = match self.alone {
            true => [first.rx_storage, first.tx_storage],
            false => [Span::EMPTY; 2],
        };
        world.arena.begin(&self.heap, without);
        // What had no room in the slot is kept by itself.
        let mut span = self.first();
        while !span.is_empty() {
            let task = self.task(span);
            [span, task.frame]
                .into_iter()
                .filter(|span| !self.heap.contains(*span))
                .for_each(|span| self.heap.keep(span));
            span = task.next;
        }
    }

    /// Where a ring may be filled again that was emptied since, or a task has come beside one whose rings are not kept and
    /// may be freed now: one transaction ends, and the next begins.
    #[inline]
    fn part(&mut self, world: &mut World) {
        let joined = self.alone && !self.task(self.first()).next.is_empty();
        if joined || self.has_pipes() {
            world.arena.commit();
            self.begin(world);
        }
    }

    /// Does what can be done without the world outside: wakes tasks and runs them until none can, or they had
    /// their turns. Returns whether one has run.
    ///
    /// # Panics
    /// If a coroutine does. The transaction is under way then.
    pub fn turn(&mut self, world: &mut World) -> bool {
        if !self.is_due(world.now) {
            return false;
        }
        self.begin(world);
        self.settle_all(world);
        self.part(world);
        let ran = self.is_runnable();
        self.run(world);
        world.arena.commit();
        ran
    }

    /// Whether there may be something to do: with several tasks always, as they may have to do with one another.
    #[inline]
    pub fn is_due(&self, now: Nanos) -> bool {
        let first = self.task(self.first());
        !first.next.is_empty()
            || self.is_runnable()
            || first.is_ready(now)
            || matches!(first.wait, Wait::Turn | Wait::Spawn | Wait::Join)
    }

    /// Runs tasks until none can, or they had their turns.
    fn run(&mut self, world: &mut World) {
        for _ in 0..TURNS {
            let record = self.record();
            let span = record.head;
            if span.is_empty() {
                return;
            }
            let task = self.task(span);
            record.head = task.next_runnable;
            let (entry, frame) = (task.entry, task.frame);
            self.resume(world, span, entry, frame);
            // In one transaction: nothing else tells those who wait for it.
            if matches!(self.task(span).wait, Wait::Rest | Wait::Ended) {
                self.wake_selecting(span);
            }
            self.part(world);
            self.settle(world, span);
            self.part(world);
        }
    }

    /// A task has come to rest, or ended: wakes those who wait for any that does.
    fn wake_selecting(&mut self, settled: Span) {
        let mut span = self.first();
        while !span.is_empty() {
            let task = self.task(span);
            let next = task.next;
            if span != settled && task.wait == Wait::Child {
                self.enqueue(span);
            }
            span = next;
        }
    }

    /// Settles every task that waits.
    fn settle_all(&mut self, world: &mut World) {
        let mut span = self.first();
        while !span.is_empty() {
            let task = self.task(span);
            self.removed = false;
            if task.wait != Wait::Nothing {
                let ended = task.wait == Wait::Ended && (task.tx.is_empty() || task.is_output_over());
                if !(ended && self.wake_joiner(world, span)) {
                    self.settle(world, span);
                }
            }
            span = if self.removed { self.first() } else { self.task(span).next };
        }
    }

    #[inline]
    fn resume(&mut self, world: &mut World, span: Span, entry: u32, frame: Span) {
        let entry = world.registry.get(entry).expect("tasks are made with an index from the registry");
        world.tally.resumed += 1;
        world.running = span;
        world.stood_at = self.program_counter_of(frame);
        // SAFETY: the micro-heap is open and entered, and no reference into it is alive here.
        let mut io = unsafe { Io::new(self.heap.ptr(span).cast(), world) };
        // SAFETY: `build` and `Io::spawn` store a frame of this very entry, started; one task runs at a time.
        match unsafe { entry.resume(self.heap.ptr(frame), &mut io) } {
            Poll::Pending => world.tally.paused += 1,
            Poll::Ready(result) => {
                world.tally.ended += 1;
                let task = self.task(span);
                task.wait = Wait::Ended;
                if let Err(error) = result {
                    task.failure = error.raw_os_error().unwrap_or(libc::ECHILD);
                    match world.attended {
                        true => tracing::error!(coroutine = entry.name(), %error, "ended with an error"),
                        false => {
                            let pc = world.stood_at;
                            world.failures.note(world.now, Kind::of(&error), entry, pc, || error.to_string());
                        }
                    }
                    if span == self.main() {
                        self.begin_last_words(world);
                    }
                }
            }
        }
    }

    /// After a task has run, or its rings have changed: moves bytes through its pipes, serves what it asks
    /// of its own micro-process, and wakes whom that concerns.
    #[inline(always)]
    fn settle(&mut self, world: &mut World, span: Span) {
        let task = self.task(span);
        match task.wait {
            _ if is_piped(task) => self.settle_with_others(world, span),
            Wait::Turn => self.enqueue(span),
            Wait::Spawn | Wait::Join | Wait::Close | Wait::Ended => self.settle_with_others(world, span),
            _ => self.wake(span, world.now),
        }
    }

    fn settle_with_others(&mut self, world: &mut World, span: Span) {
        let now = world.now;
        if let Port::Task(reader) = self.task(span).sink {
            self.pump(span, reader, now);
        }
        if let Port::Task(writer) = self.task(span).source {
            self.pump(writer, span, now);
        }
        match self.task(span).wait {
            Wait::Spawn => self.spawn(world, span),
            Wait::Join => _ = self.join(world, span),
            Wait::Close => self.close(world, span),
            // A joined task is gone.
            Wait::Ended if self.wake_joiner(world, span) => return,
            _ => {}
        }
        self.wake(span, now);
    }

    /// Moves bytes, and the end, from the writer's sending ring to the reader's receiving ring.
    fn pump(&mut self, writer: Span, reader: Span, now: Nanos) {
        let (w, r) = (self.task(writer), self.task(reader));
        if r.wait == Wait::Ended && w.tx_error == 0 && !w.tx_ended {
            w.tx_error = libc::EPIPE;
        }
        if r.rx_mark == Mark::Acknowledged {
            r.rx_mark = Mark::None;
            // A writer that has given up waiting, or waits for another message's end, is not meant.
            if w.tx_mark == Mark::Delivered {
                w.tx_mark = Mark::Acknowledged;
            }
        }
        if r.rx_mark == Mark::None && exchange(&mut r.rx, &mut w.tx) > 0 {
            std::mem::swap(&mut r.rx_storage, &mut w.tx_storage);
        } else if r.rx_mark == Mark::None {
            self.rx(r).splice(&mut self.tx(w), usize::MAX);
        }
        if w.tx.is_empty() {
            if w.tx_mark == Mark::Here && r.rx_mark == Mark::None {
                (r.rx_mark, w.tx_mark) = (Mark::Here, Mark::Delivered);
            }
            w.tx_ended |= matches!(w.wait, Wait::Shutdown | Wait::Ended);
            r.rx_ended |= w.tx_ended;
        }
        self.wake(writer, now);
        self.wake(reader, now);
    }

    /// Serves [`Wait::Spawn`].
    fn spawn(&mut self, world: &mut World, parent: Span) {
        let Request::Spawn { entry, frame, source, sink, positions } = self.task(parent).request else {
            return;
        };
        let outside = matches!(source, Source::Descriptor(_)) || matches!(sink, Sink::Descriptor(_));
        if outside && positions.is_none() {
            return;
        }
        let p = self.task(parent);
        p.request = Request::None;
        let from = match source {
            Source::Nothing => Port::Nothing,
            Source::Descriptor(descriptor) => Port::Descriptor(descriptor),
            Source::Parent => Port::Task(parent),
            Source::Inherit => p.source,
        };
        let to = match sink {
            Sink::Nothing => Port::Nothing,
            Sink::Descriptor(descriptor) => Port::Descriptor(descriptor),
            Sink::Parent => Port::Task(parent),
            Sink::Inherit => p.sink,
        };
        let positions = positions.unwrap_or_default();
        let Some(child) = self.add_task(world, entry, frame, from, to, positions) else {
            world.release(frame);
            p.outcome = Outcome::Failed(libc::ENOMEM);
            return;
        };
        let c = self.task(child);
        if source == Source::Inherit {
            // The received bytes go along with their storage; the child's empty one comes back.
            std::mem::swap(&mut c.rx, &mut p.rx);
            std::mem::swap(&mut c.rx_storage, &mut p.rx_storage);
            (c.rx_ended, c.rx_error, c.bulk) = (p.rx_ended, p.rx_error, p.bulk);
            if let Port::Task(writer) = from {
                self.task(writer).sink = Port::Task(child);
            }
            (p.source, p.rx_ended) = (Port::Nothing, true);
        }
        if sink == Sink::Inherit {
            std::mem::swap(&mut c.tx, &mut p.tx);
            std::mem::swap(&mut c.tx_storage, &mut p.tx_storage);
            (c.tx_ended, c.tx_error) = (p.tx_ended, p.tx_error);
            c.stall = std::mem::replace(&mut p.stall, Nanos::MAX);
            c.last_words = std::mem::replace(&mut p.last_words, LastWords::NONE);
            if let Port::Task(reader) = to {
                self.task(reader).source = Port::Task(child);
            }
            (p.sink, p.tx_ended) = (Port::Nothing, true);
        }
        if source == Source::Parent {
            if let Port::Task(former) = p.sink {
                let reader = self.task(former);
                (reader.source, reader.rx_ended) = (Port::Nothing, true);
                self.wake(former, world.now);
            }
            (p.sink, p.tx_ended, p.tx_error) = (Port::Task(child), false, 0);
        }
        if sink == Sink::Parent {
            if let Port::Task(former) = p.source {
                let writer = self.task(former);
                (writer.sink, writer.tx_ended) = (Port::Nothing, true);
                self.wake(former, world.now);
            }
            (p.source, p.rx_ended, p.rx_error) = (Port::Task(child), false, 0);
        }
        p.outcome = Outcome::Task(child);
    }

    /// Serves [`Wait::Join`]; true if the child is gone then.
    fn join(&mut self, world: &mut World, span: Span) -> bool {
        let Request::Join(child) = self.task(span).request else { return false };
        let c = self.task(child);
        if c.wait != Wait::Ended || !(c.tx.is_empty() || c.is_output_over()) {
            return false;
        }
        // What it wrote last may have failed after it ended.
        let lost = matches!(c.sink, Port::Descriptor(_)) && !c.tx.is_empty();
        let outcome = match c.failure {
            0 if lost => Outcome::Failed(libc::ECHILD),
            0 => Outcome::Done,
            errno => Outcome::Failed(errno),
        };
        self.remove_task(world, child);
        self.task(span).request = Request::None;
        self.task(span).outcome = outcome;
        self.wake(span, world.now);
        true
    }

    /// Serves [`Wait::Close`], once the descriptors are closed.
    fn close(&mut self, world: &mut World, span: Span) {
        let Request::Closed { child, name } = self.task(span).request else { return };
        self.dequeue(child);
        self.remove_task(world, child);
        if !name.is_empty() {
            world.release(name);
        }
        let task = self.task(span);
        (task.request, task.outcome) = (Request::None, Outcome::Done);
    }

    /// Whether another task's input or output leads to the same descriptor as one of this task's.
    pub fn is_shared(&self, descriptor: Descriptor, task: Span) -> bool {
        let mut span = self.first();
        while !span.is_empty() {
            let other = self.task(span);
            if span != task && [other.source, other.sink].contains(&Port::Descriptor(descriptor)) {
                return true;
            }
            span = other.next;
        }
        false
    }

    /// A task has ended, or sent its last bytes: wakes who waits for that. True if the task is gone then.
    fn wake_joiner(&mut self, world: &mut World, ended: Span) -> bool {
        let mut span = self.first();
        while !span.is_empty() {
            let task = self.task(span);
            if task.wait == Wait::Join && task.request == Request::Join(ended) {
                return self.join(world, span);
            }
            span = task.next;
        }
        false
    }

    /// Takes an ended task out of the micro-process and frees its memory.
    fn remove_task(&mut self, world: &mut World, gone: Span) {
        self.removed = true;
        let mut previous = Span::EMPTY;
        let mut span = self.first();
        while !span.is_empty() {
            let task = self.task(span);
            let next = task.next;
            if span == gone {
                match previous.is_empty() {
                    true => self.record().tasks = next,
                    false => self.task(previous).next = next,
                }
            } else {
                previous = span;
                if task.source == Port::Task(gone) {
                    (task.source, task.rx_ended) = (Port::Nothing, true);
                }
                if task.sink == Port::Task(gone) {
                    (task.sink, task.tx_ended) = (Port::Nothing, true);
                }
                self.wake(span, world.now);
            }
            span = next;
        }
        let task = self.task(gone);
        // What it was about to ask for when it was closed.
        let asked = match task.request {
            Request::Resolve(place) | Request::Unpark(place) => place,
            Request::Spawn { frame, .. } => frame,
            Request::Close { name, .. } | Request::Closed { name, .. } => name,
            _ => Span::EMPTY,
        };
        for span in [task.rx_storage, task.tx_storage, task.frame, asked, gone] {
            if !span.is_empty() {
                world.release(span);
            }
        }
    }

    /// The earliest time at which a task is to be looked at.
    pub fn next_time(&self) -> Nanos {
        let mut next = Nanos::MAX;
        let mut span = self.first();
        while !span.is_empty() {
            let task = self.task(span);
            next = next.min(task.next_time());
            span = task.next;
        }
        next
    }

    /// So many bytes of a task's sending ring were written to its sink.
    #[inline]
    pub fn sent(&self, world: &mut World, task: &mut Task, count: usize) {
        // A ring's head is two numbers; between them it would be neither here nor there.
        world.arena.begin_with(&self.heap, NonNull::from(&mut task.tx).cast(), size_of::<Ring>());
        self.tx(task).consumed(count);
        failpoint!("consumed");
        world.arena.commit();
    }

    /// Whether something may be done for a task that no event announces: what is unsent was never tried to send, as
    /// far as this worker knows.
    pub fn has_something_to_do(&self) -> bool {
        let mut span = self.first();
        while !span.is_empty() {
            let task = self.task(span);
            let unsent = !task.tx.is_empty() && !task.is_output_over();
            if unsent || !matches!(task.wait, Wait::Received | Wait::Accept | Wait::Wake | Wait::Rest) {
                return true;
            }
            span = task.next;
        }
        false
    }

    /// Where its first coroutine stands: the number of the block in which it goes on.
    pub fn program_counter(&self) -> u32 {
        self.program_counter_of(self.task(self.main()).frame)
    }

    #[inline]
    fn program_counter_of(&self, frame: Span) -> u32 {
        // SAFETY: the frame of a coroutine, of `repr(C)`, begins with its program counter.
        unsafe { self.heap.ptr(frame).cast::<u32>().read() }
    }

    /// Its tasks.
    pub fn tasks<'a>(&self) -> impl Iterator<Item = &'a Task> {
        let process = *self;
        self.spans().map(move |span| &*process.task(span))
    }

    /// The places of its tasks.
    fn spans(&self) -> impl Iterator<Item = Span> + use<> {
        let (process, mut next) = (*self, self.first());
        std::iter::from_fn(move || {
            let span = next;
            next = (!span.is_empty()).then(|| process.task(span))?.next;
            Some(span)
        })
    }

    /// What it began with.
    pub fn source(&self) -> Port {
        self.task(self.main()).source
    }

    /// What is to be counted of its tasks, so that in the end each pause has its resume.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        let mut span = self.first();
        while !span.is_empty() {
            let task = self.task(span);
            tally.tasks += 1;
            match task.wait {
                Wait::Nothing => {}
                Wait::Ended => (tally.resumed, tally.ended) = (tally.resumed + 1, tally.ended + 1),
                _ => (tally.resumed, tally.paused) = (tally.resumed + 1, tally.paused + 1),
            }
            span = task.next;
        }
        tally
    }

    /// Moves a task's receiving ring to a whole block, if there is one.
    pub fn grow_rx(&self, world: &mut World, task: &mut Task) {
        world.arena.begin(&self.heap, [Span::EMPTY; 2]);
        world.grow(&mut task.rx, &mut task.rx_storage, BLOCK);
        world.arena.commit();
    }

    /// Gives lent rings that are empty back to the pool.
    pub fn shrink(&self, world: &mut World) {
        let mut span = self.first();
        while !span.is_empty() {
            let task = self.task(span);
            let wanted = task.wait == Wait::Received && task.need > RING;
            let rx = task.rx.capacity() > RING as usize && task.rx.is_empty() && !wanted;
            let tx = task.tx.capacity() > RING as usize && task.tx.is_empty();
            if rx || tx {
                world.arena.begin(&self.heap, [Span::EMPTY; 2]);
                if rx {
                    world.shrink(&mut task.rx, &mut task.rx_storage, RING);
                }
                if tx {
                    world.shrink(&mut task.tx, &mut task.tx_storage, RING);
                }
                world.arena.commit();
            }
            span = task.next;
        }
    }
}

/// Whether a pipe leads to a task, or from it.
#[inline]
fn is_piped(task: &Task) -> bool {
    matches!((task.source, task.sink), (Port::Task(_), _) | (_, Port::Task(_)))
}
