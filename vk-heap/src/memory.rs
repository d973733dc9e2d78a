//! Bytes of the arena that this crate itself reads and writes: headers, holes, tables.
//!
//! `unsafe` is here because they are reached through a raw pointer: a reference would claim bytes that
//! belong to the references the user of a heap holds. Every access is checked against the bounds.
#![allow(unsafe_code)]

use std::ptr::NonNull;

/// Values that any bytes are a valid one of.
///
/// # Safety
/// Made of integers only, without padding.
pub(crate) unsafe trait Bits: Copy {}

// SAFETY: an integer.
unsafe impl Bits for u32 {}

/// A run of bytes: a view, copied freely.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    base: NonNull<u8>,
    len: usize,
}

impl Memory {
    /// # Safety
    /// The `len` bytes at `base` stay mapped for ever (they may be closed, then a touch is SIGSEGV), and
    /// those that are accessed through this view or its parts are not behind a reference, nor accessed by
    /// another thread, at that time.
    pub(crate) const unsafe fn new(base: NonNull<u8>, len: usize) -> Memory {
        Memory { base, len }
    }

    /// `len` bytes of it from `at`.
    #[inline]
    pub(crate) fn part(self, at: usize, len: usize) -> Memory {
        if at > self.len || len > self.len - at {
            outside(at, len);
        }
        // SAFETY: within the bytes of `self`, which the line above checked.
        Memory { base: unsafe { self.base.add(at) }, len }
    }

    /// Its bytes.
    #[inline]
    pub(crate) const fn len(self) -> usize {
        self.len
    }

    /// Copies all of it to the beginning of `target`, another part or another memory.
    ///
    /// Panics if `target` is smaller.
    #[inline]
    pub(crate) fn copy_to(self, target: Memory) {
        let target = target.part(0, self.len);
        // SAFETY: both are bytes of views whose owners promised in `new` that they may be accessed; `copy` allows
        // overlaps.
        unsafe { self.base.copy_to(target.base, self.len) }
    }

    /// Its first byte.
    #[inline]
    pub(crate) const fn base(self) -> NonNull<u8> {
        self.base
    }

    #[inline]
    pub(crate) fn read<T: Bits>(self, at: usize) -> T {
        // SAFETY: `place` gives aligned bytes of this view, whose owner promised in `new` that they may be
        // accessed; any bytes are a `T`.
        unsafe { self.place::<T>(at).read() }
    }

    #[inline]
    pub(crate) fn write<T: Bits>(self, at: usize, value: T) {
        // SAFETY: as in `read`.
        unsafe { self.place::<T>(at).write(value) }
    }

    #[inline]
    fn place<T: Bits>(self, at: usize) -> NonNull<T> {
        let place = self.part(at, size_of::<T>()).base.cast::<T>();
        if !place.is_aligned() {
            outside(at, size_of::<T>());
        }
        place
    }
}

/// Out of line, so that the checks cost a comparison and no stack.
#[cold]
#[inline(never)]
fn outside(at: usize, len: usize) -> ! {
    panic!("{len} bytes at {at} are not in this memory, or not aligned in it")
}

// SAFETY: two u32 each, or integers only, without padding (const-asserted beside the types).
unsafe impl Bits for crate::allocator::Hole {}
// SAFETY: as above.
unsafe impl Bits for crate::control::SlotRecord {}
// SAFETY: as above.
unsafe impl Bits for crate::control::BlockRecord {}
// SAFETY: as above.
unsafe impl Bits for crate::header::Header {}
// SAFETY: as above.
unsafe impl Bits for crate::undo::Head {}
// SAFETY: as above.
unsafe impl Bits for crate::undo::Entry {}
// SAFETY: an integer.
unsafe impl Bits for u64 {}
// SAFETY: two u32.
unsafe impl Bits for crate::HeapId {}

/// Memory that is a plain buffer: header, allocator and tables need no mapping, so miri can watch them.
#[cfg(test)]
pub(crate) mod buffer {
    use super::Memory;
    use std::ptr::NonNull;

    /// Owns what its `Memory` is a view of.
    pub(crate) struct Buffer {
        bytes: NonNull<[u128]>,
    }

    impl Buffer {
        /// At least `len` bytes, zero, at a multiple of 16.
        pub(crate) fn new(len: usize) -> Buffer {
            let bytes = Box::leak(vec![0; len.div_ceil(16)].into_boxed_slice());
            Buffer { bytes: bytes.into() }
        }

        pub(crate) fn memory(&self) -> Memory {
            // SAFETY: the test keeps the buffer alive as long as the view, and is one thread.
            unsafe { Memory::new(self.bytes.cast(), self.bytes.len() * 16) }
        }

        /// Flips one bit.
        pub(crate) fn flip(&self, bit: usize) {
            let byte = self.memory().part(bit / 8, 1).base();
            // SAFETY: within the buffer, as `part` checked.
            unsafe { *byte.as_ptr() ^= 1 << (bit % 8) }
        }

        /// Sets bytes.
        pub(crate) fn fill(&self, at: usize, len: usize, value: u8) {
            // SAFETY: within the buffer, as `part` checked.
            unsafe { self.memory().part(at, len).base().write_bytes(value, len) }
        }

        /// True when all those bytes are `value`.
        pub(crate) fn is_filled(&self, at: usize, len: usize, value: u8) -> bool {
            let start = self.memory().part(at, len).base();
            // SAFETY: within the buffer, as `part` checked.
            (0..len).all(|at| unsafe { start.add(at).read() } == value)
        }
    }

    impl Drop for Buffer {
        fn drop(&mut self) {
            // SAFETY: it was leaked in `new`, and the view is not used any more.
            drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
        }
    }
}
