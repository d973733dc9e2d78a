//! The handle through which a coroutine works on its task, and the references into the micro-heap.
//!
//! This is one of the modules that turn spans into references. The facts they rest on:
//! - the dispatcher hands out an [`Io`] only while the task's micro-heap is open, and takes it back before
//!   it closes it ([`Io::new`]'s contract);
//! - `Heap::ptr` checks that a span lies in the open micro-heap or in a block lent to it;
//! - the allocator never hands out a byte twice, so the task, its two storages and its frame are disjoint.
#![allow(unsafe_code)]

use crate::failures::Failures;
use crate::rt::Coroutine;
use crate::task::{Descriptor, Nanos, Outcome, Task, Wait};
use crate::time::Clock;
use crate::{HeapBytes, Registry, bytes};
use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;
use std::task::Poll;
use vk_heap::{Arena, BLOCK, Heap, Span};
use vk_vectoring::{Ring, Vectoring};

/// What the tasks of one worker share while they run.
#[derive(Debug)]
pub struct World {
    /// The micro-heaps.
    pub arena: Arena,
    /// [What time it is](crate::time).
    pub now: Nanos,
    /// Reads the clock anew; without it time stands still until `now` is set again.
    pub clock: Option<Clock>,
    /// The coroutines that can be started.
    pub registry: Registry,
    /// How often tasks were resumed, and what came of it.
    pub tally: Tally,
    /// Whether standard input and output are served: then the person there is told of each coroutine's error.
    pub attended: bool,
    /// What the log is to tell of.
    pub failures: Failures,
    /// Whether the worker drains: what is between two pieces of work should end.
    pub ending: bool,
    /// The task that runs, while one does.
    pub running: Span,
    /// The program counter at which it stood before.
    pub stood_at: u32,
    /// The connection that was unparked last, and how far it was received from and sent to.
    pub unparked: Option<(Descriptor, [u64; 2])>,
    /// The open micro-heap, while one is.
    heap: Option<Heap>,
}

/// Counts of what tasks did. When all have ended of themselves, each pause had its resume:
/// `resumed == tasks + paused`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks that were made.
    pub tasks: u64,
    /// Times that a task was run.
    pub resumed: u64,
    /// Times that it blocked.
    pub paused: u64,
    /// Times that it ended.
    pub ended: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.tasks += more.tasks;
        self.resumed += more.resumed;
        self.paused += more.paused;
        self.ended += more.ended;
    }
}

impl World {
    /// A world in which no micro-heap is open.
    ///
    /// # Errors
    /// As [`Registry::of`].
    pub fn new(arena: Arena) -> io::Result<World> {
        let (registry, tally) = (Registry::of(&arena)?, Tally::default());
        Ok(World {
            arena,
            now: 0,
            clock: None,
            registry,
            tally,
            attended: false,
            failures: Failures::default(),
            ending: false,
            running: Span::EMPTY,
            stood_at: 0,
            unparked: None,
            heap: None,
        })
    }

    /// What time it is, exactly: `now` is of the beginning of the dispatch, and its handler may have worked since.
    pub fn time(&mut self) -> Nanos {
        if let Some(Clock(read)) = &self.clock {
            self.now = read();
        }
        self.now
    }

    /// Makes `heap`, which is open, the one that operations and [`HeapBytes`] work in.
    #[inline]
    pub fn enter(&mut self, heap: Heap) {
        self.heap = Some(heap);
        bytes::enter(heap);
    }

    /// The micro-heap that was entered last.
    ///
    /// # Panics
    /// If none was.
    #[inline]
    pub fn heap(&self) -> Heap {
        self.heap.expect("a micro-heap is entered before a task of it runs")
    }

    /// Memory of the open micro-heap, or blocks lent to it.
    pub fn allocate(&mut self, len: u32) -> Option<Span> {
        let mut heap = self.heap();
        heap.alloc(len).ok().or_else(|| self.arena.lend(heap.id(), len))
    }

    /// Gives back what [`allocate`](World::allocate) gave.
    pub fn release(&mut self, span: Span) {
        let mut heap = self.heap();
        if heap.owns(span) { heap.free(span) } else { self.arena.give_back(heap.id(), span) }
    }

    /// Moves a ring to whole blocks of the pool, for `len` bytes at least; false if there are none.
    pub fn grow(&mut self, ring: &mut Ring, storage: &mut Span, len: u32) -> bool {
        let id = self.heap().id();
        let Some(block) = self.arena.lend(id, len.next_multiple_of(BLOCK)) else { return false };
        self.rehouse(ring, storage, block);
        true
    }

    /// Moves an empty ring to `size` bytes of the micro-heap, if it has as many.
    pub fn shrink(&mut self, ring: &mut Ring, storage: &mut Span, size: u32) {
        if let Ok(small) = self.heap().alloc(size) {
            self.rehouse(ring, storage, small);
        }
    }

    fn rehouse(&mut self, ring: &mut Ring, storage: &mut Span, new: Span) {
        let heap = self.heap();
        if heap.contains(*storage) {
            // The allocator writes into what it gets back.
            heap.keep(*storage);
        }
        // SAFETY: the caller's exclusive references to a task's ring and its span make this the only user
        // of the old storage; the new one was allocated just now.
        unsafe { ring.over(bytes_of(&heap, *storage)).rehouse(bytes_of(&heap, new)) };
        self.release(std::mem::replace(storage, new));
    }
}

/// A coroutine's standard input and output.
///
/// In a coroutine every method blocks: it looks like a function that returns `io::Result<T>`, and the
/// coroutine waits in it until it is done or the [deadline](Io::deadline) has passed. The signatures below
/// say `Poll<io::Result<T>>`, since that is what the lowered code works with: `Pending` means that the
/// operation must be called again with the same arguments when the task is resumed.
#[derive(Debug)]
pub struct Io {
    task: NonNull<Task>,
    world: NonNull<World>,
}

impl Io {
    /// The handle on a task of the open micro-heap.
    ///
    /// # Safety
    /// `task` is a task's record in `world`'s open micro-heap, which stays open, with nobody else referring
    /// to the task, its rings' storages or `world`, as long as the handle is used.
    #[inline]
    pub unsafe fn new(task: NonNull<Task>, world: &mut World) -> Io {
        Io { task, world: NonNull::from(world) }
    }

    #[inline]
    pub(crate) fn task(&mut self) -> &mut Task {
        // SAFETY: `new`'s contract; the reference lives no longer than the borrow of `self`.
        unsafe { self.task.as_mut() }
    }

    #[inline]
    pub(crate) fn world(&mut self) -> &mut World {
        // SAFETY: `new`'s contract; `world` is not in the micro-heap, so it is disjoint from the task.
        unsafe { self.world.as_mut() }
    }

    /// The receiving ring.
    #[inline]
    pub(crate) fn rx(&mut self) -> Vectoring<'_> {
        let heap = self.world().heap();
        let task = self.task();
        // SAFETY: `new`'s contract makes this call the only user of the storage.
        task.rx.over(unsafe { bytes_of(&heap, task.rx_storage) })
    }

    /// The sending ring.
    #[inline]
    pub(crate) fn tx(&mut self) -> Vectoring<'_> {
        let heap = self.world().heap();
        let task = self.task();
        // SAFETY: as for `rx`.
        task.tx.over(unsafe { bytes_of(&heap, task.tx_storage) })
    }

    /// The receiving and the sending ring.
    #[inline]
    pub(crate) fn rings(&mut self) -> (Vectoring<'_>, Vectoring<'_>) {
        let heap = self.world().heap();
        let task = self.task();
        // SAFETY: as for `rx`; the two storages are different allocations.
        unsafe {
            (task.rx.over(bytes_of(&heap, task.rx_storage)), task.tx.over(bytes_of(&heap, task.tx_storage)))
        }
    }

    /// The received bytes as one slice.
    #[inline]
    pub(crate) fn received(&mut self) -> &[u8] {
        let heap = self.world().heap();
        let task = self.task();
        // SAFETY: as for `rx`.
        let mut rx = task.rx.over(unsafe { bytes_of(&heap, task.rx_storage) });
        if !rx.readable()[1].is_empty() {
            // They will be moved, onto one another perhaps.
            heap.keep(task.rx_storage);
        }
        let bytes: *const [u8] = rx.contiguous();
        // SAFETY: the bytes lie in the storage, which outlives the borrow of `self`.
        unsafe { &*bytes }
    }

    /// Moves the receiving ring to whole blocks, if it has less than `len` bytes; false if it remains so.
    #[cold]
    pub(crate) fn grow_rx(&mut self, len: usize) -> bool {
        let (task, world) = self.both();
        if task.rx.capacity() >= len {
            return true;
        }
        u32::try_from(len).is_ok_and(|len| world.grow(&mut task.rx, &mut task.rx_storage, len))
    }

    /// Moves the sending ring to a whole block, if it is smaller and there is one.
    #[cold]
    pub(crate) fn grow_tx(&mut self) {
        let (task, world) = self.both();
        if task.tx.capacity() < BLOCK as usize {
            world.grow(&mut task.tx, &mut task.tx_storage, BLOCK);
        }
    }

    /// Puts bytes where the dispatcher finds them; None if there is no room, or nothing to put.
    pub(crate) fn place(&mut self, bytes: &[u8]) -> Option<Span> {
        let place = self.world().allocate(u32::try_from(bytes.len()).ok().filter(|len| *len > 0)?)?;
        HeapBytes(place).copy_from_slice(bytes);
        Some(place)
    }

    /// Allocates and fills the frame of a coroutine to be spawned.
    pub(crate) fn new_frame<C: Coroutine>(&mut self, args: C::Args) -> Option<Span> {
        let span = self.world().allocate(size_of::<C>() as u32)?;
        let frame = self.world().heap().ptr(span).cast::<MaybeUninit<C>>();
        // SAFETY: allocated just now, large enough, aligned to 16 as `Entry::of` asserts is enough.
        C::start(unsafe { &mut *frame.as_ptr() }, args);
        Some(span)
    }

    /// Another task of this micro-process.
    ///
    /// # Panics
    /// If it is this one.
    pub(crate) fn other(&mut self, task: Span) -> &mut Task {
        let place = self.world().heap().ptr(task).cast::<Task>();
        assert!(place != self.task, "a coroutine is no child of its own");
        // SAFETY: the span is of a `Child`, which only `spawn` makes, of a task's record, and which is emptied when the
        // task goes; or of a port, which leads to a task as long as it is one. It is in the open micro-heap, as
        // `Heap::ptr` has checked, and nobody else refers to it: `new`'s contract, and the borrow of `self`.
        unsafe { &mut *place.as_ptr() }
    }

    /// This task and another one of this micro-process.
    pub(crate) fn with_other(&mut self, task: Span) -> (&mut Task, &mut Task) {
        let other = NonNull::from(self.other(task));
        // SAFETY: the two are different tasks, as `other` has checked.
        unsafe { (self.task.as_mut(), &mut *other.as_ptr()) }
    }

    #[inline]
    fn both(&mut self) -> (&mut Task, &mut World) {
        // SAFETY: `new`'s contract; the two are disjoint.
        unsafe { (self.task.as_mut(), self.world.as_mut()) }
    }

    /// Writes down what the task waits for, unless its deadline has passed.
    #[inline]
    pub(crate) fn wait<T>(&mut self, wait: Wait) -> Poll<io::Result<T>> {
        if self.is_late() {
            self.task().progress = 0;
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.task().wait = wait;
        Poll::Pending
    }

    /// Whether the deadline has passed.
    #[inline]
    pub(crate) fn is_late(&mut self) -> bool {
        self.world().now >= self.task().deadline
    }

    /// Whether bytes are on their way to the sink.
    pub(crate) fn has_unsent(&mut self) -> bool {
        !self.task().tx.is_empty() && !self.task().is_output_over()
    }

    /// Waits until `need` bytes are received, or the end is.
    #[inline]
    pub(crate) fn wait_received<T>(&mut self, need: u32) -> Poll<io::Result<T>> {
        self.task().need = need;
        self.wait(Wait::Received)
    }

    /// The outcome of what the dispatcher was asked for, once.
    #[inline]
    pub(crate) fn take_outcome(&mut self) -> Option<io::Result<Outcome>> {
        match std::mem::replace(&mut self.task().outcome, Outcome::None) {
            Outcome::None => None,
            Outcome::Failed(errno) => Some(Err(io::Error::from_raw_os_error(errno))),
            outcome => Some(Ok(outcome)),
        }
    }
}

/// The bytes of `span`, a ring's storage say.
///
/// # Safety
/// The micro-heap is open, and nobody else refers to these bytes while the slice lives.
#[inline]
pub unsafe fn bytes_of<'a>(heap: &Heap, span: Span) -> &'a mut [u8] {
    // SAFETY: `Heap::ptr` has checked that the span lies in memory of this micro-heap, which is mapped,
    // initialised (a memfd reads as zeros) and open; the caller vouches for the rest.
    unsafe { slice::from_raw_parts_mut(heap.ptr(span).as_ptr(), span.len() as usize) }
}
