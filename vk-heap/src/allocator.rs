//! The allocator of one micro-heap: first fit, in the order of addresses, with coalescing.
//!
//! ```text
//! | header | allocation | hole → | allocation | hole ┤ | allocation | never touched …   |
//! 0        Allocator::START          holes                                     top                size
//! ```
//!
//! A span carries its length, so an allocation costs no byte beside its rounding to 16. A hole keeps its
//! own length and the next hole's place in its first 8 bytes. All places are bytes from the heap's start.
//!
//! Invariants: holes ascend, are never neighbours (they would be one), and none touches `top` (it would be
//! given back to `top`). So an empty heap has no holes, and pages above `top` are never touched.
//! `in_use` + the holes = `top` − `START`.
//!
//! A micro-process can overwrite its own holes; each is checked when it is met, and a bad one is a panic:
//! the end of that micro-process, and nobody else's.

use crate::header::Header;
use crate::memory::Memory;
use crate::span::UNIT;

/// The state, kept in the heap's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Allocator {
    /// The heap's bytes.
    size: u32,
    /// All allocations are below.
    top: u32,
    /// The first hole, 0 for none.
    holes: u32,
    /// Bytes allocated, rounded.
    in_use: u32,
}

/// What is written in the first bytes of a hole.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Hole {
    /// Bytes, a multiple of 16 and never 0.
    len: u32,
    /// The next hole, 0 for none.
    next: u32,
}
const _: () = assert!(size_of::<Hole>() == 8 && size_of::<Hole>() <= UNIT as usize);

const _: () = assert!(Allocator::START.is_multiple_of(UNIT));

impl Allocator {
    /// Where allocations begin, in bytes from the heap's start.
    pub(crate) const START: u32 = size_of::<Header>() as u32;

    /// Nothing allocated in a heap of `size` bytes.
    pub(crate) const fn new(size: u32) -> Allocator {
        Allocator { size, top: Allocator::START, holes: 0, in_use: 0 }
    }

    /// The check at the gate: can this be the state of a heap of `size` bytes? The holes are checked when
    /// they are met.
    #[inline]
    pub(crate) const fn is_valid(&self, size: u32) -> bool {
        self.size == size
            && self.top >= Allocator::START
            && self.top <= size
            && self.holes < self.top
            && self.in_use <= self.top - Allocator::START
    }

    pub(crate) const fn in_use(&self) -> u32 {
        self.in_use
    }

    pub(crate) const fn top(&self) -> u32 {
        self.top
    }

    /// The state as words, for the seal of the header.
    #[inline]
    pub(crate) const fn words(&self) -> [u64; 2] {
        [self.size as u64 | (self.top as u64) << 32, self.holes as u64 | (self.in_use as u64) << 32]
    }

    /// `len` bytes, at least 1: the place of the first one. `memory` is the heap.
    #[inline]
    pub(crate) fn alloc(&mut self, memory: Memory, len: u32) -> Option<u32> {
        let len = len.checked_next_multiple_of(UNIT)?;
        let at = match self.fill_hole(memory, len) {
            Some(at) => at,
            None if len <= self.size - self.top => {
                let at = self.top;
                self.top += len;
                at
            }
            None => return None,
        };
        self.in_use += len;
        Some(at)
    }

    /// The first `len` bytes of the first hole that has as many.
    #[inline]
    fn fill_hole(&mut self, memory: Memory, len: u32) -> Option<u32> {
        let (mut prev, mut at) = (0, self.holes);
        while at != 0 {
            let hole = self.hole(memory, at);
            if hole.len >= len {
                let rest = if hole.len == len {
                    hole.next
                } else {
                    let rest = Hole { len: hole.len - len, next: hole.next };
                    memory.write((at + len) as usize, rest);
                    at + len
                };
                self.link(memory, prev, rest);
                return Some(at);
            }
            (prev, at) = (at, hole.next);
        }
        None
    }

    /// Frees what `alloc` gave at `at` for the same `len`.
    ///
    /// Panics when that cannot be an allocation.
    #[inline]
    pub(crate) fn free(&mut self, memory: Memory, at: u32, len: u32) {
        let len = len.next_multiple_of(UNIT);
        assert!(
            at >= Allocator::START && at.is_multiple_of(UNIT) && at < self.top && len <= self.top - at,
            "{len} bytes at {at} were never allocated",
        );
        // `before` → `prev` → `next` are holes, and `at` is between the last two.
        let (mut before, mut prev, mut next) = (0, 0, self.holes);
        let mut prev_end = 0;
        while next != 0 && next <= at {
            let hole = self.hole(memory, next);
            prev_end = next + hole.len;
            (before, prev, next) = (prev, next, hole.next);
        }
        let (mut start, mut end) = (at, at + len);
        assert!(prev_end <= start && (next == 0 || end <= next), "{len} bytes at {at} were freed before",);
        let mut link = prev;
        if prev_end == start {
            (start, link) = (prev, before);
        }
        if next == end {
            let hole = self.hole(memory, next);
            (end, next) = (end + hole.len, hole.next);
        }
        if end == self.top {
            self.top = start;
            self.link(memory, link, 0);
        } else {
            let hole = Hole { len: end - start, next };
            memory.write(start as usize, hole);
            self.link(memory, link, start);
        }
        self.in_use -= len;
    }

    /// Makes `next` the hole after `prev`, where 0 is the head of the list.
    #[inline]
    fn link(&mut self, memory: Memory, prev: u32, next: u32) {
        match prev {
            0 => self.holes = next,
            _ => memory.write(prev as usize + size_of::<u32>(), next),
        }
    }

    /// The hole at `at`, checked: it lies below `top`, and the next one above it.
    #[inline]
    fn hole(&self, memory: Memory, at: u32) -> Hole {
        let sound = at >= Allocator::START && at.is_multiple_of(UNIT) && at < self.top;
        if !sound {
            overwritten(at);
        }
        let hole: Hole = memory.read(at as usize);
        let sound = hole.len > 0
            && hole.len.is_multiple_of(UNIT)
            && hole.len < self.top - at
            && (hole.next == 0 || hole.next > at + hole.len);
        if !sound {
            overwritten(at);
        }
        hole
    }
}

#[cold]
#[inline(never)]
fn overwritten(at: u32) -> ! {
    panic!("a hole at {at}: the list of holes was overwritten")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::buffer::Buffer;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SIZE: u32 = 1024;

    /// The gaps between allocations, the untouched end included: start and length.
    fn gaps(model: &BTreeMap<u32, (u32, u8)>) -> Vec<(u32, u32)> {
        let mut gaps = Vec::new();
        let mut at = Allocator::START;
        for (&start, &(len, _)) in model.iter().chain([(&SIZE, &(0, 0))]) {
            if start > at {
                gaps.push((at, start - at));
            }
            at = start + len.next_multiple_of(UNIT);
        }
        gaps
    }

    fn holes(allocator: &Allocator, memory: Memory) -> Vec<(u32, u32)> {
        let mut holes = Vec::new();
        let mut at = allocator.holes;
        while at != 0 {
            let hole = allocator.hole(memory, at);
            holes.push((at, hole.len));
            at = hole.next;
        }
        holes
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 1000 }) })]
        /// Against a map of what is allocated: each allocation is the lowest gap that has room, the holes
        /// are exactly the gaps, nobody's bytes change, and everything freed is empty.
        #[test]
        fn like_a_map(
            steps in prop::collection::vec((0..3u8, 1..200u32, any::<prop::sample::Index>()), 0..120),
        ) {
            let buffer = Buffer::new(SIZE as usize);
            let memory = buffer.memory();
            let mut allocator = Allocator::new(SIZE);
            let mut model: BTreeMap<u32, (u32, u8)> = BTreeMap::new();
            for (step, (kind, len, which)) in steps.into_iter().enumerate() {
                if kind > 0 || model.is_empty() {
                    let rounded = len.next_multiple_of(UNIT);
                    let expected = gaps(&model).into_iter().find(|gap| gap.1 >= rounded).map(|gap| gap.0);
                    let at = allocator.alloc(memory, len);
                    prop_assert_eq!(at, expected);
                    if let Some(at) = at {
                        model.insert(at, (len, step as u8));
                        buffer.fill(at as usize, len as usize, step as u8);
                    }
                } else {
                    let at = *which.get(&model.keys().copied().collect::<Vec<_>>());
                    let (len, value) = model.remove(&at).unwrap();
                    prop_assert!(buffer.is_filled(at as usize, len as usize, value));
                    allocator.free(memory, at, len);
                }
                let mut expected = gaps(&model);
                let end = expected.pop_if(|gap| gap.0 + gap.1 == SIZE).map_or(SIZE, |gap| gap.0);
                prop_assert_eq!(holes(&allocator, memory), expected);
                prop_assert_eq!(allocator.top, end);
                let in_use: u32 = model.values().map(|(len, _)| len.next_multiple_of(UNIT)).sum();
                prop_assert_eq!(allocator.in_use, in_use);
                prop_assert!(allocator.is_valid(SIZE));
            }
            for (at, (len, value)) in model {
                prop_assert!(buffer.is_filled(at as usize, len as usize, value));
                allocator.free(memory, at, len);
            }
            prop_assert_eq!(allocator, Allocator::new(SIZE));
        }
    }

    #[test]
    fn the_quota_is_all_of_it() {
        let buffer = Buffer::new(SIZE as usize);
        let mut allocator = Allocator::new(SIZE);
        for len in [SIZE - Allocator::START + 1, u32::MAX, u32::MAX - 15, u32::MAX - 16] {
            assert_eq!(allocator.alloc(buffer.memory(), len), None);
        }
        let all = allocator.alloc(buffer.memory(), SIZE - Allocator::START);
        assert_eq!(all, Some(Allocator::START));
        assert_eq!(allocator.alloc(buffer.memory(), 1), None);
    }

    /// Three allocations of 32 bytes, the first of them freed.
    fn one_hole(buffer: &Buffer) -> Allocator {
        let mut allocator = Allocator::new(SIZE);
        let at = [0; 3].map(|_| allocator.alloc(buffer.memory(), 32).unwrap());
        allocator.free(buffer.memory(), at[0], 32);
        allocator
    }

    #[test]
    #[should_panic(expected = "freed before")]
    fn freed_twice() {
        let buffer = Buffer::new(SIZE as usize);
        one_hole(&buffer).free(buffer.memory(), Allocator::START, 32);
    }

    #[test]
    #[should_panic(expected = "freed before")]
    fn freed_into_a_hole() {
        let buffer = Buffer::new(SIZE as usize);
        one_hole(&buffer).free(buffer.memory(), Allocator::START + 16, 32);
    }

    #[test]
    #[should_panic(expected = "never allocated")]
    fn freed_above_all() {
        let buffer = Buffer::new(SIZE as usize);
        one_hole(&buffer).free(buffer.memory(), Allocator::START + 96, 16);
    }

    /// Whatever a micro-process writes over its holes, the allocator stays in the heap and comes to an end.
    #[test]
    fn overwritten_holes() {
        for bit in 0..64 {
            let buffer = Buffer::new(SIZE as usize);
            let mut allocator = one_hole(&buffer);
            buffer.flip(Allocator::START as usize * 8 + bit);
            let outcome = std::panic::catch_unwind(move || allocator.alloc(buffer.memory(), 64));
            match outcome {
                Ok(at) => assert!(at.is_none_or(|at| at + 64 <= SIZE)),
                Err(panic) => assert!(panic.downcast::<String>().unwrap().contains("overwritten")),
            }
        }
    }
}
