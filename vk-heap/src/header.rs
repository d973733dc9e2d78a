//! The first bytes of every micro-heap, and the one gate.
//!
//! Memory that another process wrote is a claim. [`Header::read`] is where it becomes knowledge: a heap
//! whose header is not exactly as this crate left it is corrupt, and nothing in it is believed.

use crate::allocator::Allocator;
use crate::memory::Memory;
use crate::{HeapId, Span};

/// Changes with the meaning of the header's fields.
const MAGIC: u64 = u64::from_le_bytes(*b"vk-heap\x01");

/// What a heap knows about itself.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Header {
    magic: u64,
    id: HeapId,
    pub(crate) allocator: Allocator,
    pub(crate) root: Span,
    /// A sum over the other fields; see [`Header::sum`].
    seal: u64,
}
/// Integers only and no padding: the sum of the fields is the whole.
const _: () =
    assert!(size_of::<Header>() == 8 + size_of::<HeapId>() + size_of::<Allocator>() + size_of::<Span>() + 8);

impl Header {
    /// The header of an empty heap of `size` bytes.
    pub(crate) fn new(id: HeapId, size: u32) -> Header {
        Header { magic: MAGIC, id, allocator: Allocator::new(size), root: Span::EMPTY, seal: 0 }
    }

    /// The gate: the header of heap `id` in `memory`, `size` bytes, or None when it was damaged.
    #[inline]
    pub(crate) fn read(memory: Memory, id: HeapId, size: u32) -> Option<Header> {
        let header: Header = memory.read(0);
        let sound = header.magic == MAGIC
            && header.id == id
            && header.allocator.is_valid(size)
            && header.seal == header.sum();
        sound.then_some(header)
    }

    /// Seals it and writes it.
    #[inline]
    pub(crate) fn write(mut self, memory: Memory) {
        self.seal = self.sum();
        memory.write(0, self);
    }

    /// Each word times an odd number of its own, added up. Multiplying by an odd number loses nothing, so
    /// damage to any one word always shows; the products don't wait for one another, so it costs 2 ns.
    #[inline]
    fn sum(&self) -> u64 {
        const ODD: [u64; 5] = [
            0x9e37_79b9_7f4a_7c15,
            0xbf58_476d_1ce4_e5b9,
            0x94d0_49bb_1331_11eb,
            0xd6e8_feb8_6659_fd93,
            0xa076_1d64_78bd_642f,
        ];
        let [space, use_] = self.allocator.words();
        let words = [
            self.magic,
            u64::from(self.id.index()) | u64::from(self.id.generation()) << 32,
            space,
            use_,
            u64::from(self.root.start()) | u64::from(self.root.len()) << 32,
        ];
        words.iter().zip(ODD).fold(0, |sum, (word, odd)| word.wrapping_mul(odd).wrapping_add(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::buffer::Buffer;

    const SIZE: u32 = 4096;

    #[test]
    fn every_bit_is_sealed() {
        let buffer = Buffer::new(SIZE as usize);
        let id = HeapId::new(7, 3);
        Header::new(id, SIZE).write(buffer.memory());
        for bit in 0..size_of::<Header>() * 8 {
            buffer.flip(bit);
            assert!(Header::read(buffer.memory(), id, SIZE).is_none(), "bit {bit}");
            buffer.flip(bit);
        }
        assert!(Header::read(buffer.memory(), id, SIZE).is_some());
    }

    #[test]
    fn another_life_another_slot_another_size() {
        let buffer = Buffer::new(SIZE as usize);
        Header::new(HeapId::new(7, 3), SIZE).write(buffer.memory());
        for (id, size) in [(HeapId::new(7, 5), SIZE), (HeapId::new(6, 3), SIZE), (HeapId::new(7, 3), 8192)] {
            assert!(Header::read(buffer.memory(), id, size).is_none());
        }
    }

    #[test]
    fn nothing_but_zeros_or_ones() {
        for value in [0, 0xff] {
            let buffer = Buffer::new(SIZE as usize);
            buffer.fill(0, SIZE as usize, value);
            assert!(Header::read(buffer.memory(), HeapId::NONE, SIZE).is_none());
        }
    }
}
