//! A place in the arena.

/// Spans start at multiples of this many bytes, as the largest alignment of a plain type demands.
pub(crate) const UNIT: u32 = 16;

/// A run of bytes in the arena, relative to the arena's base: the same in every process that maps it.
///
/// Plain, 8 bytes. Starts at a multiple of 16 bytes, so it reaches over 64 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Span {
    /// ×16 bytes from the arena's base.
    start: u32,
    /// Bytes.
    len: u32,
}

impl Span {
    /// No bytes, nowhere.
    pub const EMPTY: Span = Span { start: 0, len: 0 };

    /// `start` in units of 16 bytes from the arena's base, `len` in bytes.
    pub(crate) const fn new(start: u32, len: u32) -> Span {
        Span { start, len }
    }

    /// Where it starts, in units of 16 bytes from the arena's base.
    #[inline]
    pub const fn start(self) -> u32 {
        self.start
    }

    /// Bytes.
    #[inline]
    pub const fn len(self) -> u32 {
        self.len
    }

    /// True when there are no bytes in it.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Where it starts, in bytes from the arena's base.
    #[inline]
    pub const fn offset(self) -> usize {
        self.start as usize * UNIT as usize
    }

    /// The byte after its last, in bytes from the arena's base.
    #[inline]
    pub(crate) const fn end(self) -> usize {
        self.offset() + self.len as usize
    }
}
