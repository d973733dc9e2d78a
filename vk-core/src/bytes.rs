//! Bytes allocated in the micro-heap, held in a frame by a plain handle.
#![allow(unsafe_code)]

use crate::Plain;
use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::slice;
use vk_heap::{Heap, Span};

thread_local! {
    /// The micro-heap that is open for the task which runs on this thread.
    static CURRENT: Cell<Option<Heap>> = const { Cell::new(None) };
}

/// Makes `heap` the one in which handles find their bytes.
#[inline]
pub(crate) fn enter(heap: Heap) {
    CURRENT.set(Some(heap));
}

/// Bytes in the micro-heap, from [`Io::alloc`](crate::Io::alloc): for what is too large or too variable for
/// the frame.
///
/// The handle is plain, so it may live in a frame. It reads and writes as a byte slice while its
/// micro-process runs. The bytes end with the micro-process, or earlier with
/// [`Io::free`](crate::Io::free).
#[derive(PartialEq, Eq)]
#[repr(transparent)]
pub struct HeapBytes(pub(crate) Span);

// SAFETY: a span: two integers.
unsafe impl Plain for HeapBytes {
    const LAYOUT: u64 = crate::hash::named::<Self>("vk::HeapBytes");
}

impl HeapBytes {
    /// No bytes.
    pub const EMPTY: HeapBytes = HeapBytes(Span::EMPTY);

    #[inline]
    fn heap() -> Heap {
        // A handle that strayed to where no micro-process runs is a mistake of the program: say so.
        CURRENT.get().expect("bytes of a micro-heap, used outside of a micro-process")
    }

    /// Part of the bytes, whose present values nobody needs any more: to be written over, by `read_exact` say.
    ///
    /// Bytes that are reached otherwise are kept until the next blocking call, in case that the worker dies before
    /// it and the coroutine has to go back to where it stood. That costs a copy of all of them, where these cost
    /// nothing: after such a return they may have other values than before.
    ///
    /// # Panics
    /// If the range is not within the bytes.
    #[inline]
    pub fn vacant(&mut self, range: Range<usize>) -> &mut [u8] {
        // SAFETY: as for `deref`; the handle is borrowed exclusively.
        let all =
            unsafe { slice::from_raw_parts_mut(Self::heap().ptr(self.0).as_ptr(), self.0.len() as usize) };
        &mut all[range]
    }
}

impl Default for HeapBytes {
    fn default() -> Self {
        HeapBytes::EMPTY
    }
}

impl Deref for HeapBytes {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        if self.0.is_empty() {
            return &[];
        }
        // SAFETY: `Heap::ptr` has checked that the span lies in the open micro-heap; its bytes are
        // initialised (a memfd reads as zeros). Handles are not `Copy` and only `Io::alloc` makes them, so
        // borrowing the handle borrows the bytes.
        unsafe { slice::from_raw_parts(Self::heap().ptr(self.0).as_ptr(), self.0.len() as usize) }
    }
}

impl DerefMut for HeapBytes {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        if self.0.is_empty() {
            return &mut [];
        }
        let heap = Self::heap();
        // What lies in the slot itself is kept at the beginning of each dispatch.
        if !heap.contains(self.0) {
            heap.keep(self.0);
        }
        // SAFETY: as for `deref`.
        unsafe { slice::from_raw_parts_mut(heap.ptr(self.0).as_ptr(), self.0.len() as usize) }
    }
}

impl fmt::Debug for HeapBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeapBytes({})", self.0.len())
    }
}
