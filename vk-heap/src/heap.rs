//! One opened micro-heap.

use crate::allocator::Allocator;
use crate::control;
use crate::header::Header;
use crate::layout::{BLOCK, Layout};
use crate::memory::Memory;
use crate::span::UNIT;
use crate::undo::Undo;
use crate::{HeapId, Span};
use std::fmt;
use std::ptr::NonNull;

/// The quota of a micro-heap is reached: the fault of its micro-process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfHeap;

impl fmt::Display for OutOfHeap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the micro-heap is full")
    }
}

impl std::error::Error for OutOfHeap {}

/// An opened micro-heap: a view, copied freely, good until the heap is closed or destroyed.
///
/// It has no lifetime, as frames that live in the heap cannot have one. What it touches stays the arena's
/// address range for ever, so that using it when the heap is closed, or its arena gone, is a SIGSEGV and
/// nothing worse.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    arena: Memory,
    id: HeapId,
    /// Where the slot starts, ×16 bytes from the arena's base.
    start: u32,
    /// Bytes of the slot.
    size: u32,
    /// Where the pool starts, ×16 bytes from the arena's base.
    pool: u32,
    /// Blocks of the pool.
    blocks: u32,
    undo: Undo,
}

impl Heap {
    /// The view of a slot that is open, before the gate.
    #[inline]
    pub(crate) fn new(arena: Memory, layout: &Layout, id: HeapId) -> Heap {
        Heap {
            arena,
            id,
            start: (layout.heap_at(id.index()) / UNIT as usize) as u32,
            size: layout.heap_size(),
            pool: (layout.block_at(0) / UNIT as usize) as u32,
            blocks: layout.blocks(),
            undo: Undo::new(arena, layout.log_at()),
        }
    }

    /// What of the slot matters: all that was ever allocated, and the header.
    #[inline]
    pub(crate) fn live_bytes(&self) -> std::ops::Range<usize> {
        let start = self.start as usize * UNIT as usize;
        start..start + self.header().allocator.top() as usize
    }

    /// Keeps the bytes of a span as they are now, in case that the dispatch under way is rolled back: to be
    /// called before they are written, where [`Arena::begin`](crate::Arena::begin) has not kept them. Those are
    /// blocks that are lent, and spans that it was told to leave out. Outside of a dispatch it does nothing.
    ///
    /// # Panics
    /// When a dispatch changes more than the undo log holds (64 MiB).
    #[inline]
    pub fn keep(&self, span: Span) {
        let kept = span.is_empty() || self.undo.keep_once(span.offset()..span.end());
        assert!(kept, "a dispatch has changed more than the undo log holds");
    }

    /// Begins a life: nothing is allocated. What the slot held is not cleared.
    #[inline]
    pub(crate) fn init(&self) {
        Header::new(self.id, self.size).write(self.slot());
    }

    /// The gate: false when the header is not as this crate left it.
    #[inline]
    pub(crate) fn is_sound(&self) -> bool {
        Header::read(self.slot(), self.id, self.size).is_some()
    }

    #[inline]
    fn slot(&self) -> Memory {
        self.arena.part(self.start as usize * UNIT as usize, self.size as usize)
    }

    /// The header, which `Arena::open` has checked: damage since then is this micro-process's fault.
    #[inline]
    fn header(&self) -> Header {
        match Header::read(self.slot(), self.id, self.size) {
            Some(header) => header,
            None => overwritten(self.id),
        }
    }

    /// Who it is.
    #[inline]
    pub const fn id(&self) -> HeapId {
        self.id
    }

    /// `len` bytes of the heap, at a multiple of 16; 0 gives [`Span::EMPTY`]. The bytes are whatever was there before.
    ///
    /// First fit; the cost grows with the holes passed over, which are few in a heap of one connection.
    ///
    /// # Errors
    /// The quota does not have as many in one piece.
    ///
    /// # Panics
    /// When the heap's own bookkeeping was overwritten.
    #[inline]
    pub fn alloc(&mut self, len: u32) -> Result<Span, OutOfHeap> {
        if len == 0 {
            return Ok(Span::EMPTY);
        }
        let mut header = self.header();
        let at = header.allocator.alloc(self.slot(), len).ok_or(OutOfHeap)?;
        header.write(self.slot());
        Ok(Span::new(self.start + at / UNIT, len))
    }

    /// Frees what [`alloc`](Heap::alloc) gave. [`Span::EMPTY`] is free already.
    ///
    /// # Panics
    /// When the span was not allocated here, or freed before, as far as that can be known; when the heap's
    /// own bookkeeping was overwritten.
    #[inline]
    pub fn free(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        assert!(self.contains(span), "{span:?} is not in heap {}", self.id);
        let mut header = self.header();
        let at = (span.start() - self.start) * UNIT;
        header.allocator.free(self.slot(), at, span.len());
        header.write(self.slot());
    }

    /// True when the span is in this slot, below all that was never allocated: something to
    /// [`free`](Heap::free), and not lent by the pool. False for the empty one.
    #[inline]
    pub fn owns(&self, span: Span) -> bool {
        let start = self.start as usize * UNIT as usize;
        let low = start + Allocator::START as usize;
        let top = start + self.header().allocator.top() as usize;
        !span.is_empty() && span.offset() >= low && span.end() <= top
    }

    /// True when all bytes of the span are in this slot; false for a block that is lent.
    #[inline]
    pub fn contains(&self, span: Span) -> bool {
        let start = self.start as usize * UNIT as usize;
        span.offset() >= start && span.end() <= start + self.size as usize
    }

    /// The first byte of a span of this slot or of a block lent to this heap; of an empty one, a pointer
    /// that is good for no byte. All bytes of the span are in the mapping; whether they may be read or
    /// written now, and as what, is for the caller to know.
    ///
    /// # Panics
    /// When a byte of the span is another heap's, or nobody's.
    #[inline(always)]
    pub fn ptr(&self, span: Span) -> NonNull<u8> {
        // Nearly always the slot's own, so that is one comparison, and the rest is elsewhere.
        let at = u64::from(span.start().wrapping_sub(self.start)) * u64::from(UNIT);
        if at + u64::from(span.len()) <= u64::from(self.size) {
            return self.arena.part(span.offset(), span.len() as usize).base();
        }
        self.ptr_elsewhere(span)
    }

    /// As [`ptr`](Heap::ptr), for a span that may be anything: none where that would panic, or bytes of the header
    /// lie in it.
    pub fn claim(&self, span: Span) -> Option<NonNull<u8>> {
        let first = self.start as usize * UNIT as usize + Allocator::START as usize;
        let inside = self.contains(span) && span.offset() >= first;
        (!span.is_empty() && (inside || self.is_lent(span))).then(|| self.ptr(span))
    }

    #[inline(never)]
    fn ptr_elsewhere(&self, span: Span) -> NonNull<u8> {
        if span.is_empty() {
            return self.slot().base();
        }
        assert!(self.is_lent(span), "{span:?} is neither in heap {} nor lent to it", self.id);
        self.arena.part(span.offset(), span.len() as usize).base()
    }

    /// True when all bytes of the span are in blocks lent to this heap.
    #[inline]
    fn is_lent(&self, span: Span) -> bool {
        let pool = self.pool as usize * UNIT as usize;
        let end = pool + self.blocks as usize * BLOCK as usize;
        span.offset() >= pool && span.end() <= end && {
            let first = (span.offset() - pool) / BLOCK as usize;
            let last = (span.end() - 1 - pool) / BLOCK as usize;
            (first..=last).all(|block| control::is_lent(self.arena, block as u32, self.id.index()))
        }
    }

    /// Where the micro-process keeps its record; [`Span::EMPTY`] until it was set.
    #[inline]
    pub fn root(&self) -> Span {
        self.header().root
    }

    /// Sets the [`root`](Heap::root).
    ///
    /// # Panics
    /// When the span is not in this slot.
    #[inline]
    pub fn set_root(&mut self, root: Span) {
        assert!(root.is_empty() || self.contains(root), "{root:?} is not in heap {}", self.id);
        let mut header = self.header();
        header.root = root;
        header.write(self.slot());
    }

    /// Bytes allocated in the slot, each allocation rounded up to 16.
    pub fn in_use(&self) -> u32 {
        self.header().allocator.in_use()
    }

    /// Bytes that can be allocated in the slot, all in all: its size without the header.
    pub const fn quota(&self) -> u32 {
        self.size - Allocator::START
    }
}

#[cold]
#[inline(never)]
fn overwritten(id: HeapId) -> ! {
    panic!("the header of heap {id} was overwritten")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::buffer::Buffer;
    use crate::{Config, Guard};

    /// Two heaps of a page and two blocks, in a plain buffer.
    fn two_heaps() -> (Buffer, [Heap; 2], Layout) {
        let config = Config { heaps: 2, heap_size: 4096, pool_blocks: 2, guard: Guard::Off };
        let layout = Layout::calculate(&config).unwrap();
        let buffer = Buffer::new(layout.size());
        let heaps = [0, 1].map(|index| Heap::new(buffer.memory(), &layout, HeapId::new(index, 1)));
        heaps.iter().for_each(Heap::init);
        (buffer, heaps, layout)
    }

    #[test]
    fn spans_are_the_arenas() {
        let (_buffer, [mut heap, other], layout) = two_heaps();
        let span = heap.alloc(100).unwrap();
        assert_eq!(span.offset(), layout.heap_at(0) + Allocator::START as usize);
        assert!(heap.owns(span) && !other.owns(span) && !heap.owns(Span::EMPTY));
        assert_eq!(heap.in_use(), 112);
        assert_eq!(heap.ptr(span).addr().get() - heap.arena.base().addr().get(), span.offset());
        assert_eq!(heap.alloc(0), Ok(Span::EMPTY));
        assert_eq!(heap.root(), Span::EMPTY);
        heap.set_root(span);
        assert_eq!(heap.root(), span);
        heap.free(Span::EMPTY);
        heap.free(span);
        assert_eq!(heap.in_use(), 0);
        assert_eq!(heap.alloc(heap.quota() + 1), Err(OutOfHeap));
        let all = heap.alloc(heap.quota()).unwrap();
        assert_eq!(all.end(), layout.heap_at(1));
        assert!(heap.owns(all));
    }

    #[test]
    fn pointers_are_checked() {
        let (_buffer, [heap, _], layout) = two_heaps();
        let pool = (layout.block_at(0) / 16) as u32;
        control::Control::new(heap.arena, &layout).lend(0, control::Extent { first: 0, run: 1 });
        heap.ptr(Span::new(pool, BLOCK));
        heap.ptr(Span::new(pool + 4095, 16));
        let wrong = [
            Span::new(pool, BLOCK + 1),
            Span::new(pool + 4096, 1),
            Span::new(pool + 8192, 1),
            Span::new(u32::MAX, u32::MAX),
            Span::new(0, 1),
            Span::new(heap.start - 1, 32),
            Span::new(heap.start, 4097),
            Span::new(heap.start + 256, 1),
        ];
        for span in wrong {
            assert!(std::panic::catch_unwind(|| heap.ptr(span)).is_err(), "{span:?}");
        }
    }

    #[test]
    #[should_panic(expected = "not in heap 0.1")]
    fn freed_by_the_wrong_heap() {
        let (_buffer, [mut heap, mut other], _) = two_heaps();
        heap.free(other.alloc(10).unwrap());
    }

    #[test]
    #[should_panic(expected = "the header of heap 0.1 was overwritten")]
    fn overwritten_header() {
        let (buffer, [mut heap, _], layout) = two_heaps();
        buffer.flip(layout.heap_at(0) * 8 + 200);
        let _ = heap.alloc(1);
    }
}
