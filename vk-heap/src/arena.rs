//! The arena: who has which slot and which blocks, and what of it is open.
//!
//! ```text
//! create ──> open ──> (dispatch) ──> close ──> … ──> destroy
//!              └─ lend ── give_back ─┘  └─ close_all, when an epoch ends ─ trim
//! ```
//!
//! Invariants:
//! - A heap whose slot is stamped open is open with everything lent to it.
//! - A heap between `open` and `close` is *running*, and stays open whatever else is opened: a dispatch may
//!   create and open other heaps. When none runs, at most as many are open as the guard's limit.
//! - Free slots and blocks that were touched since their pages were given back are *warm*: `trim` looks at
//!   these only.

use crate::area::Area;
use crate::control::{BadChain, BlockRecord, Control, Extent, SlotRecord};
use crate::failpoint;
use crate::heap::Heap;
use crate::layout::{BLOCK, Config, Layout, NOTES};
use crate::mapping::{self, Mapping};
use crate::memory::Memory;
use crate::set::Set;
use crate::span::UNIT;
use crate::undo::Undo;
use crate::{Guard, HeapId, Span};
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// Free slots that `trim` leaves warm, 64 KiB of one-page heaps: what a steady coming and going of
/// connections uses again at once.
const WARM_HEAPS: u32 = 16;

/// Free blocks that `trim` leaves warm, 128 KiB.
const WARM_BLOCKS: u32 = 2;

/// What one `trim` does at most for the heaps, and again for the blocks, so that it ends within few
/// milliseconds: as many calls of the kernel, each for as many bytes (or one place).
const TRIM_CALLS: u32 = 128;
const TRIM_BYTES: usize = 256 << 10;

/// Blocks that one heap is lent at most, 64 MiB: what is left is the others'.
const QUOTA: u32 = 1024;

/// Closed heaps between two that `open_all` opens along with them: opening a few more pages costs less
/// than one more call.
const GAP: u32 = 16;

/// Why an id opened nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// That heap was destroyed, or never existed.
    Stale,
    /// Its bytes are not as they were left. Destroy it.
    Corrupt,
    /// The kernel has no memory for its tables of pages or mappings. Later, perhaps.
    NoMemory,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OpenError::Stale => "the micro-heap was destroyed",
            OpenError::Corrupt => "the micro-heap is corrupt",
            OpenError::NoMemory => "the kernel has no memory to open the micro-heap",
        })
    }
}

impl std::error::Error for OpenError {}

impl From<BadChain> for OpenError {
    fn from(_: BadChain) -> OpenError {
        OpenError::Corrupt
    }
}

impl From<io::Error> for OpenError {
    /// From the guard: `mprotect` of a range of our own mapping fails for want of memory only.
    fn from(_: io::Error) -> OpenError {
        OpenError::NoMemory
    }
}

/// What an arena holds at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Slots.
    pub heaps: u32,
    /// Slots that are a heap now.
    pub live: u32,
    /// Slots that are open now, free ones included; 0 under [`Guard::Off`], which does not count them.
    pub open: u32,
    /// Blocks of the pool.
    pub blocks: u32,
    /// Blocks lent now.
    pub blocks_lent: u32,
    /// Bytes of the memfd with memory behind them, control pages included.
    pub bytes_resident: u64,
    /// Calls of the kernel that opened something, so far.
    pub opens: u64,
    /// Calls of the kernel that closed something, so far.
    pub closes: u64,
}

/// One memfd, mapped, cut into micro-heaps and a pool of blocks. It belongs to one thread.
#[derive(Debug)]
pub struct Arena {
    mapping: Mapping,
    /// All of it.
    memory: Memory,
    layout: Layout,
    guard: Guard,
    /// The guard's, see [`Guard::limit`].
    limit: u32,
    control: Control,
    undo: Undo,
    heaps: Area,
    pool: Area,
    free_heaps: Set,
    free_blocks: Set,
    warm_heaps: Set,
    warm_blocks: Set,
    /// The slots between `open` and `close`, mostly one.
    running: Vec<u32>,
    /// Dispatches since everything was closed the last time.
    dispatches: u32,
    /// Scratch of `open_all`.
    batch: Vec<u32>,
    /// What was lent since `begin`: a rollback makes it free.
    lent: Vec<Extent>,
    /// What was given back since `begin`, and is free with the commit: its bytes may be wanted again until then.
    given_back: Vec<Extent>,
}

impl Arena {
    /// A new arena with nothing in it, mapped and, unless the guard is off, closed. It is sparse: pages come
    /// as they are touched.
    ///
    /// # Errors
    /// The configuration has no layout ([`LayoutError`](crate::LayoutError) as `InvalidInput`), or the
    /// kernel refuses memfd or mapping.
    pub fn new(config: &Config) -> io::Result<Arena> {
        let mapping = Mapping::new(Arena::memfd(config)?, layout(config)?.size())?;
        Arena::over(mapping, config)
    }

    /// The memory of a new arena, for whoever keeps it while processes [attach](Arena::attach) to it and die.
    ///
    /// # Errors
    /// As [`new`](Arena::new).
    pub fn memfd(config: &Config) -> io::Result<OwnedFd> {
        mapping::memfd(c"vk-heap", layout(config)?.size())
    }

    /// Takes over an arena as the process left it that was attached to it before, and has ended: a dispatch
    /// that it had begun and not committed is undone. The first one finds it empty.
    ///
    /// # Errors
    /// `InvalidData` if that memory has not the layout of `config`; as [`new`](Arena::new).
    pub fn attach(memfd: BorrowedFd<'static>, config: &Config) -> io::Result<Arena> {
        Arena::over(Mapping::shared(memfd, layout(config)?.size())?, config)
    }

    fn over(mapping: Mapping, config: &Config) -> io::Result<Arena> {
        let layout = layout(config)?;
        let (heaps, blocks) = (layout.heaps(), layout.blocks());
        let mut control = Control::new(mapping.memory(), &layout);
        let undo = Undo::new(mapping.memory(), layout.log_at());
        if let Some(id) = undo.active()
            && undo.rollback().is_err()
        {
            // What it was in the middle of, nobody knows. The log was damaged, so the id may be, too.
            if control.is_live(id) {
                control.end_life(id);
            }
        }
        failpoint!("rolled back");
        let Found { free_heaps, free_blocks, warm_heaps, warm_blocks } =
            find(&mapping, &layout, &mut control);
        let closed = config.guard != Guard::Off;
        Ok(Arena {
            memory: mapping.memory(),
            layout,
            guard: config.guard,
            limit: config.guard.limit(),
            control,
            undo,
            heaps: Area::new(&mapping, layout.heap_at(0), layout.heap_size(), heaps, closed)?,
            pool: Area::new(&mapping, layout.block_at(0), BLOCK, blocks, closed)?,
            free_heaps,
            free_blocks,
            warm_heaps,
            warm_blocks,
            running: Vec::new(),
            dispatches: 0,
            batch: Vec::new(),
            lent: Vec::new(),
            given_back: Vec::new(),
            mapping,
        })
    }

    /// The micro-heaps there are, from the lowest slot up.
    pub fn lives(&self) -> Vec<HeapId> {
        let mut lives = Vec::new();
        let (at, size) = (self.layout.slots_at(), size_of::<SlotRecord>());
        each_touched(&self.mapping, at, size, self.layout.heaps(), |index| {
            lives.extend(self.control.life(index))
        });
        lives
    }

    /// Begins a transaction of an open micro-heap: until [`commit`](Arena::commit), everything that is done
    /// to it can be undone by [`rollback`](Arena::rollback), or by the next process if this one dies: what is
    /// written in the slot, but for the bytes of `without`, and what is lent or given back. What is written to a
    /// block that is lent, or to `without`, is undone if [`Heap::keep`] was called first.
    ///
    /// # Panics
    /// When a transaction is under way.
    #[inline]
    pub fn begin(&mut self, heap: &Heap, without: [Span; 2]) {
        let live = heap.live_bytes();
        let [first, second] =
            if without[0].offset() <= without[1].offset() { without } else { [without[1], without[0]] };
        let inside = |span: Span| !span.is_empty() && span.offset() >= live.start && span.end() <= live.end;
        let gap = |span: Span| if inside(span) { span.offset()..span.end() } else { live.end..live.end };
        let (first, second) = match (gap(first), gap(second)) {
            // Only the second one lies in the slot.
            (none, some) if none.start > some.start => (some, none),
            both => both,
        };
        let parts = [live.start..first.start, first.end..second.start, second.end..live.end];
        self.undo.begin(heap.id(), parts.into_iter().filter(|part| part.start < part.end));
    }

    /// Begins a transaction that writes `len` bytes of an open micro-heap only, from `first` on.
    ///
    /// # Panics
    /// When a transaction is under way, or those bytes are not in the arena.
    #[inline]
    pub fn begin_with(&mut self, heap: &Heap, first: NonNull<u8>, len: usize) {
        let at = first.addr().get().wrapping_sub(self.base().addr().get());
        self.undo.begin(heap.id(), std::iter::once(at..at + len));
    }

    /// Ends a transaction: what it did has happened.
    #[inline]
    pub fn commit(&mut self) {
        self.undo.commit();
        self.lent.clear();
        while let Some(extent) = self.given_back.pop() {
            self.free(extent);
        }
    }

    /// Ends a transaction, if one is under way: nothing of it has happened. The micro-heap is open.
    ///
    /// # Errors
    /// `Corrupt` if a stray write has hit the log. Destroy the micro-heap.
    pub fn rollback(&mut self) -> Result<(), OpenError> {
        let result = self.undo.rollback();
        self.given_back.clear();
        while let Some(extent) = self.lent.pop() {
            self.free(extent);
        }
        result.map_err(|_| OpenError::Corrupt)
    }

    /// Whether a transaction is under way.
    pub fn is_in_transaction(&self) -> bool {
        self.undo.active().is_some()
    }

    /// Memory beside the micro-heaps for what their user has to find again, 1 MiB, zero at first; always open.
    pub fn notes(&self) -> NonNull<[u8]> {
        let notes = self.memory.part(self.layout.notes_at(), NOTES as usize);
        NonNull::slice_from_raw_parts(notes.base(), NOTES as usize)
    }

    /// Begins a micro-heap in the lowest free slot and leaves it open and running, as
    /// [`open`](Arena::open) does. None when all slots are taken, or the kernel has no memory to open one.
    ///
    /// Nothing is allocated in it. Its bytes are not cleared: they may be those of an earlier life, as nothing
    /// that is allocated may be read before it was written.
    #[inline]
    pub fn create(&mut self) -> Option<HeapId> {
        let index = self.free_heaps.next(0)?;
        let id = self.control.next_life(index);
        self.unlock(index).ok()?;
        Heap::new(self.memory, &self.layout, id).init();
        self.control.begin_life(id);
        self.free_heaps.remove(index);
        self.warm_heaps.remove(index);
        self.run(index);
        Some(id)
    }

    /// Ends a micro-heap: its id is stale from now on, its blocks and its slot are free. Nothing if it is
    /// stale already.
    #[inline]
    pub fn destroy(&mut self, id: HeapId) {
        if !self.control.is_live(id) {
            return;
        }
        // First, as `close` still knows the id and what is lent to it.
        self.close(id);
        // The end is one store; who dies after it leaves blocks that belong to nobody alive.
        let extents = self.control.extents(id.index());
        self.control.end_life(id);
        for extent in extents {
            // What a bad chain no longer leads to stays lent to nobody: a leak, and not somebody else's block.
            let Ok(extent) = extent else { break };
            self.release(extent);
        }
        self.free_heaps.insert(id.index());
        self.warm_heaps.insert(id.index());
    }

    /// Copies a micro-heap of another arena, with what is lent to it, to the same places of this one: spans mean
    /// the same here. It is alive here once all of it is there, under the same id, and stays alive there.
    ///
    /// # Errors
    /// As [`open`](Arena::open) there; `Corrupt` if the arenas differ in layout, or its places here are not free.
    pub fn copy_from(&mut self, from: &mut Arena, id: HeapId) -> Result<(), OpenError> {
        let heap = from.open(id)?;
        let live = heap.live_bytes();
        let extents = from.control.extents(id.index()).collect::<Result<Vec<_>, _>>()?;
        let is_free = |block| self.free_blocks.contains(block);
        if self.layout != from.layout
            || !self.free_heaps.contains(id.index())
            || !extents.iter().flat_map(|extent| extent.blocks()).all(is_free)
        {
            return Err(OpenError::Corrupt);
        }
        self.unlock(id.index())?;
        from.memory.part(live.start, live.len()).copy_to(self.memory.part(live.start, live.len()));
        self.control.forget_loans(id.index());
        for extent in extents {
            self.pool.open(&self.mapping, extent.blocks())?;
            let (at, len) = (self.layout.block_at(extent.first), extent.run as usize * BLOCK as usize);
            from.memory.part(at, len).copy_to(self.memory.part(at, len));
            self.control.lend(id.index(), extent);
            extent.blocks().for_each(|block| self.free_blocks.remove(block));
        }
        failpoint!("copied");
        self.control.begin_life_with_loans(id);
        self.free_heaps.remove(id.index());
        self.close(id);
        from.close(id);
        Ok(())
    }

    /// Whether that micro-heap is alive.
    pub fn is_live(&self, id: HeapId) -> bool {
        self.control.is_live(id)
    }

    /// Opens a micro-heap for a dispatch; it runs until [`close`](Arena::close). Opening what is open costs
    /// no call of the kernel.
    ///
    /// This is the gate: the id's life, and every field of the header, which another process may have written.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[inline]
    pub fn open(&mut self, id: HeapId) -> Result<Heap, OpenError> {
        if !self.control.is_live(id) {
            return Err(OpenError::Stale);
        }
        self.unlock(id.index())?;
        let heap = Heap::new(self.memory, &self.layout, id);
        self.run(id.index());
        if !heap.is_sound() {
            self.close(id);
            return Err(OpenError::Corrupt);
        }
        Ok(heap)
    }

    /// Opens the pages of micro-heaps that are about to be opened one after the other, with fewer calls of
    /// the kernel than one each: neighbours, and heaps with small gaps between, become one call. Only
    /// [`Guard::Epoch`] knows batches. Stale ids don't matter.
    ///
    /// Returns how many of `ids`, from the front, are taken care of: an epoch has room for N open heaps, so
    /// a larger batch is run in parts.
    pub fn open_all(&mut self, ids: &[HeapId]) -> usize {
        self.open_slots(ids, Control::is_live)
    }

    /// As [`open_all`](Arena::open_all), for places that micro-heaps with these ids are about to be
    /// [copied](Arena::copy_from) to.
    pub fn make_ready(&mut self, ids: &[HeapId]) -> usize {
        self.open_slots(ids, |control, id| control.is_slot(id.index()))
    }

    fn open_slots(&mut self, ids: &[HeapId], is_wanted: impl Fn(&Control, HeapId) -> bool) -> usize {
        let ids = &ids[..ids.len().min(self.limit as usize)];
        if ids.is_empty() || self.guard == Guard::Off {
            return ids.len();
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        batch.extend(ids.iter().filter(|id| is_wanted(&self.control, **id)).map(|id| id.index()));
        batch.sort_unstable();
        batch.dedup();
        if batch.iter().filter(|index| !self.heaps.is_open(**index)).count() > self.room() {
            self.evict();
        }
        batch.retain(|index| !self.heaps.is_open(*index));
        batch.truncate(self.room());
        self.open_runs(&batch);
        self.batch = batch;
        ids.len()
    }

    /// Opens closed slots, in order, gaps between them included while there is room.
    fn open_runs(&mut self, batch: &[u32]) {
        let mut spare = (self.room() - batch.len()) as u32;
        let mut rest = batch;
        while let Some(&first) = rest.first() {
            let mut end = first + 1;
            let mut taken = 1;
            for &next in &rest[1..] {
                let gap = next - end;
                if gap > GAP.min(spare) {
                    break;
                }
                spare -= gap;
                end = next + 1;
                taken += 1;
            }
            // A failure leaves them to `open`, which has somebody to tell it to.
            if self.heaps.open(&self.mapping, first..end).is_err() {
                return;
            }
            for index in first..end {
                if self.control.has_extents(index) && self.open_extents(index).is_err() {
                    self.heaps.forget(index);
                }
            }
            rest = &rest[taken..];
        }
    }

    /// How many more heaps may be open.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.heaps.open_count()) as usize
    }

    /// Ends a dispatch: the heap no longer runs. [`Guard::Strict`] closes it now; the others keep it open,
    /// unless dispatches within dispatches have opened more than the guard allows. Nothing if it is stale.
    #[inline]
    pub fn close(&mut self, id: HeapId) {
        if !self.control.is_live(id) {
            return;
        }
        if self.running.pop_if(|last| *last == id.index()).is_none() {
            self.running.retain(|running| *running != id.index());
        }
        self.dispatches = self.dispatches.saturating_add(1);
        if self.heaps.open_count() > self.limit {
            self.lock(id.index());
        }
    }

    /// Whether there have been as many dispatches as an epoch may have: time to
    /// [`close_all`](Arena::close_all).
    #[inline]
    pub fn is_epoch_over(&self) -> bool {
        matches!(self.guard, Guard::Epoch(limit) if self.dispatches >= limit)
    }

    /// Closes everything, whether it runs or not: two calls of the kernel at most (heaps and pool), none
    /// when nothing is open. The worker does it between two dispatches, when an epoch is over.
    pub fn close_all(&mut self) {
        self.running.clear();
        self.dispatches = 0;
        self.close_areas();
    }

    /// Heaps first, and the pool only when they are closed: an open heap has its blocks open.
    fn close_areas(&mut self) {
        if self.heaps.close_all(&self.mapping) {
            self.pool.close_all(&self.mapping);
        }
    }

    /// Lends `len` bytes, in whole blocks of 64 KiB that are neighbours, to a micro-heap until
    /// [`give_back`](Arena::give_back) or its end; open now if the heap is. The bytes are whatever was there
    /// before. None when the pool has no such run, the heap would have more than 64 MiB, `len` is 0, or the heap
    /// is stale.
    #[inline]
    pub fn lend(&mut self, id: HeapId, len: u32) -> Option<Span> {
        if !self.control.is_live(id) || len == 0 {
            return None;
        }
        let run = len.div_ceil(BLOCK);
        let lent: u32 = self.control.extents(id.index()).flatten().map(|extent| extent.run).sum();
        if lent + run > QUOTA {
            return None;
        }
        let extent = Extent { first: self.free_blocks.run(run)?, run };
        if self.heaps.is_open(id.index()) {
            self.pool.open(&self.mapping, extent.blocks()).ok()?;
        }
        self.control.lend(id.index(), extent);
        if self.is_in_transaction() {
            self.lent.push(extent);
        }
        for block in extent.blocks() {
            self.free_blocks.remove(block);
            self.warm_blocks.remove(block);
        }
        let start = self.layout.block_at(extent.first) / UNIT as usize;
        Some(Span::new(start as u32, len))
    }

    /// Takes back what [`lend`](Arena::lend) gave.
    ///
    /// # Panics
    /// When that span is not lent to that heap, or the heap is stale.
    #[inline]
    pub fn give_back(&mut self, id: HeapId, span: Span) {
        let pool = self.layout.block_at(0);
        let taken = self.control.is_live(id)
            && span.offset() >= pool
            && (span.offset() - pool).is_multiple_of(BLOCK as usize);
        let extent = Extent {
            first: (span.offset().saturating_sub(pool) / BLOCK as usize) as u32,
            run: span.len().div_ceil(BLOCK),
        };
        let taken = taken && self.control.give_back(id.index(), extent);
        assert!(taken, "{span:?} is not lent to heap {id}");
        self.release(extent);
    }

    /// Makes blocks that are no longer lent free, with the commit if a transaction is under way.
    #[inline]
    fn release(&mut self, extent: Extent) {
        self.control.clear(extent);
        match self.is_in_transaction() {
            true => self.given_back.push(extent),
            false => self.free(extent),
        }
    }

    #[inline]
    fn free(&mut self, extent: Extent) {
        if self.guard == Guard::Strict {
            self.pool.close(&self.mapping, extent.blocks());
        }
        for block in extent.blocks() {
            self.free_blocks.insert(block);
            self.warm_blocks.insert(block);
        }
    }

    /// Gives the pages of free slots and free blocks back to the kernel, but for the lowest few, which are
    /// taken first. For quiet moments: at most 128 calls of the kernel for heaps and for blocks, 32 MiB each;
    /// nothing to do costs nothing.
    ///
    /// Returns true when there is more to give back: call it again, after a look at the clients.
    pub fn trim(&mut self) -> bool {
        let heaps = trim(&self.mapping, &self.heaps, &mut self.warm_heaps, WARM_HEAPS);
        let blocks = trim(&self.mapping, &self.pool, &mut self.warm_blocks, WARM_BLOCKS);
        heaps || blocks
    }

    /// The first byte of the mapping: what spans are relative to.
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    /// Where everything is in the memfd.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Children of this process, as fork(2) makes them, have none of it: a touch is a SIGSEGV there, and not a change of what
    /// the parent works on.
    ///
    /// # Errors
    /// Those of madvise(2).
    pub fn keep_from_children(&self) -> io::Result<()> {
        self.mapping.keep_from_children()
    }

    /// What is in use. One call of the kernel, for the resident bytes.
    pub fn usage(&self) -> Usage {
        Usage {
            heaps: self.layout.heaps(),
            live: self.layout.heaps() - self.free_heaps.len(),
            open: self.heaps.open_count(),
            blocks: self.layout.blocks(),
            blocks_lent: self.layout.blocks() - self.free_blocks.len(),
            bytes_resident: self.mapping.resident(),
            opens: self.heaps.opens + self.pool.opens,
            closes: self.heaps.closes + self.pool.closes,
        }
    }

    /// Notes that a slot runs.
    #[inline]
    fn run(&mut self, index: u32) {
        if self.running.is_empty() || !self.running.contains(&index) {
            self.running.push(index);
        }
    }

    /// Opens a slot and what is lent to it, if it is closed.
    #[inline]
    fn unlock(&mut self, index: u32) -> Result<(), OpenError> {
        if self.heaps.is_open(index) { Ok(()) } else { self.unlock_closed(index) }
    }

    #[cold]
    fn unlock_closed(&mut self, index: u32) -> Result<(), OpenError> {
        if self.room() == 0 && self.heaps.open_count() as usize > self.running.len() {
            self.evict();
        }
        match self.open_pages(index) {
            // Too many open heaps are too many mappings: with all closed there is one.
            Err(OpenError::NoMemory) => {
                self.evict();
                self.open_pages(index)
            }
            done => done,
        }
    }

    fn open_pages(&mut self, index: u32) -> Result<(), OpenError> {
        self.open_extents(index)?;
        Ok(self.heaps.open(&self.mapping, index..index + 1)?)
    }

    fn open_extents(&mut self, index: u32) -> Result<(), OpenError> {
        for extent in self.control.extents(index) {
            self.pool.open(&self.mapping, extent?.blocks())?;
        }
        Ok(())
    }

    /// Closes a slot and what is lent to it.
    fn lock(&mut self, index: u32) {
        if !self.heaps.close(&self.mapping, index..index + 1) {
            return;
        }
        for extent in self.control.extents(index) {
            // `close_all` closes what a bad chain no longer leads to.
            let Ok(extent) = extent else { break };
            self.pool.close(&self.mapping, extent.blocks());
        }
    }

    /// Closes everything that does not run.
    fn evict(&mut self) {
        self.close_areas();
        for at in 0..self.running.len() {
            // Where it fails the heap's next touch is a fault of its own, as the kernel is out of memory.
            let _ = self.open_pages(self.running[at]);
        }
    }
}

fn layout(config: &Config) -> io::Result<Layout> {
    Layout::on_pages(config, mapping::page())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// What the tables say, of which only pages that were touched are looked at.
struct Found {
    free_heaps: Set,
    free_blocks: Set,
    warm_heaps: Set,
    warm_blocks: Set,
}

/// Reads the tables that a process left behind. A heap whose chain of blocks is damaged ends here, and blocks
/// that no heap alive has are nobody's.
fn find(mapping: &Mapping, layout: &Layout, control: &mut Control) -> Found {
    let (heaps, blocks) = (layout.heaps(), layout.blocks());
    let mut free_blocks = Set::full(blocks);
    let (mut free_heaps, mut warm_heaps) = (Set::full(heaps), Set::empty(heaps));
    each_touched(mapping, layout.slots_at(), size_of::<SlotRecord>(), heaps, |index| {
        let Some(id) = control.life(index) else {
            // Who died while he made a heap has left loans that nobody has.
            control.forget_loans(index);
            if control.has_lived(index) {
                warm_heaps.insert(index);
            }
            return;
        };
        match control.extents(index).collect::<Result<Vec<_>, _>>() {
            Ok(extents) => {
                free_heaps.remove(index);
                extents.into_iter().flat_map(Extent::blocks).for_each(|block| free_blocks.remove(block));
            }
            Err(BadChain) => control.end_life(id),
        }
    });
    each_touched(mapping, 0, size_of::<BlockRecord>(), blocks, |block| {
        if free_blocks.contains(block) {
            control.clear_block(block);
        }
    });
    let mut warm_blocks = Set::empty(blocks);
    each_touched(mapping, layout.block_at(0), BLOCK as usize, blocks, |block| {
        if free_blocks.contains(block) {
            warm_blocks.insert(block);
        }
    });
    Found { free_heaps, free_blocks, warm_heaps, warm_blocks }
}

/// Calls `look` for each of `count` items of `size` bytes from `at` that have memory behind them.
fn each_touched(mapping: &Mapping, at: usize, size: usize, count: u32, mut look: impl FnMut(u32)) {
    mapping.each_resident(at..at + count as usize * size, |bytes| {
        let first = (bytes.start - at) / size;
        let end = (bytes.end - at).div_ceil(size).min(count as usize);
        (first as u32..end as u32).for_each(&mut look);
    });
}

/// Gives pages of warm places back, but for the `keep` lowest; true when there are more.
fn trim(mapping: &Mapping, area: &Area, warm: &mut Set, keep: u32) -> bool {
    if warm.len() <= keep {
        return false;
    }
    let kept = warm.runs(0, keep).flatten().take(keep as usize).last();
    let from = kept.map_or(0, |last| last + 1);
    for _ in 0..TRIM_CALLS {
        let Some(run) = warm.runs(from, area.places_in(TRIM_BYTES)).next() else { return false };
        // They stay warm, and the next call tries again.
        if mapping.punch(area.bytes(&run)).is_err() {
            return false;
        }
        run.for_each(|place| warm.remove(place));
    }
    warm.len() > keep
}
