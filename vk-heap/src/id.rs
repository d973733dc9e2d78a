//! Which micro-heap, in which life.

/// Which micro-heap, in which life: the id of a destroyed one is stale for ever, and never somebody else's.
///
/// Plain, 8 bytes. (For ever: until its slot has lived 2³¹ times.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct HeapId {
    index: u32,
    generation: u32,
}

impl HeapId {
    /// The id of no micro-heap; opening it is [`Stale`](crate::OpenError::Stale). All bytes are zero.
    pub const NONE: HeapId = HeapId { index: 0, generation: 0 };

    pub(crate) const fn new(index: u32, generation: u32) -> HeapId {
        HeapId { index, generation }
    }

    /// The id as a number, for shared memory.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        (self.index as u64) << 32 | self.generation as u64
    }

    /// The id that [`to_bits`](HeapId::to_bits) gave. Any number is an id; most are stale.
    #[inline]
    pub const fn from_bits(bits: u64) -> HeapId {
        HeapId::new((bits >> 32) as u32, bits as u32)
    }

    /// The slot, `0..heaps`.
    #[inline]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The life of that slot; odd, as a slot's generation is even while it is free.
    #[inline]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl std::fmt::Display for HeapId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}
