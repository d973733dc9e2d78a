//! The positions of a ring, without its bytes.
//!
//! ```text
//! head ──── len ──── tail        stream positions, 64 bits, only grow
//!   at ── index of head          0 ..= capacity, 32 bits; capacity is 0 of the next lap
//! ```
//!
//! There is no division here: an index advances by at most `capacity` and comes round by one subtraction.

use crate::Vectoring;

/// The positions of a byte ring: plain data, to be kept in memory that outlives the process.
///
/// The storage is passed in at each use, see [`over`](Ring::over). Two rings are equal if they stand at the
/// same positions of their streams and at the same index of equally large storages; the bytes are not
/// compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ring {
    head: u64,
    tail: u64,
    at: u32,
    capacity: u32,
}

// Other builds read what this one wrote: the shape has no padding and does not drift.
const _: () = assert!(size_of::<Ring>() == 24 && align_of::<Ring>() == 8);

impl Ring {
    /// An empty ring at stream position 0, for a storage of `capacity` bytes (0 is a ring that is both
    /// empty and full).
    #[inline]
    pub const fn new(capacity: u32) -> Ring {
        Ring::starting_at(0, capacity)
    }

    /// An empty ring at a later position of its stream: the bytes before went through another ring.
    #[inline]
    pub const fn starting_at(position: u64, capacity: u32) -> Ring {
        Ring { head: position, tail: position, at: 0, capacity }
    }

    /// Stream position of the first unread byte: how many bytes were ever read from the ring.
    #[inline]
    pub const fn head(&self) -> u64 {
        self.head
    }

    /// Stream position after the last byte: how many bytes were ever written to the ring.
    #[inline]
    pub const fn tail(&self) -> u64 {
        self.tail
    }

    /// Unread bytes.
    #[inline]
    pub const fn len(&self) -> usize {
        // Wrapping, here and where the positions advance, keeps the arithmetic total for any valid ring; a
        // stream that really gets to 2^64 bytes would take centuries.
        self.tail.wrapping_sub(self.head) as usize
    }

    /// Bytes that can still be written before some are read.
    #[inline]
    pub const fn free(&self) -> usize {
        self.capacity() - self.len()
    }

    /// Size in bytes of the storage that the ring needs.
    #[inline]
    pub const fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// No byte is unread.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No byte can be written.
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Whether none of the bytes in the storage was read since the ring was empty: the first unread byte is the first one
    /// there, and not since reading has come round to it.
    #[inline]
    pub const fn is_at_start(&self) -> bool {
        self.at == 0
    }

    /// Whether the invariant holds: `tail - head <= capacity`, and `at <= capacity`.
    ///
    /// A ring made by [`new`](Ring::new) is always valid. One that lies in memory which another process
    /// wrote is a claim: check it once, before its first use. An invalid ring can make the operations
    /// panic, return wrong bytes or not come to an end; memory stays safe.
    #[inline]
    pub const fn is_valid(&self) -> bool {
        self.tail.wrapping_sub(self.head) <= self.capacity as u64 && self.at <= self.capacity
    }

    /// The ring with its storage, for as long as the two borrows last.
    ///
    /// # Panics
    ///
    /// If `storage` is not exactly [`capacity`](Ring::capacity) bytes long.
    #[inline]
    pub fn over<'a>(&'a mut self, storage: &'a mut [u8]) -> Vectoring<'a> {
        assert!(storage.len() == self.capacity(), "a storage that is not the ring's");
        debug_assert!(self.is_valid(), "{self:?} was used without having been checked");
        Vectoring::new(self, storage)
    }

    /// Index of the first unread byte.
    #[inline]
    pub(crate) const fn at(&self) -> usize {
        if self.at == self.capacity { 0 } else { self.at as usize }
    }

    /// `n` bytes more are unread. Panics if there was no room for them.
    #[inline]
    pub(crate) const fn advance_tail(&mut self, n: usize) {
        assert!(n <= self.free(), "more bytes produced than the ring had room for");
        self.tail = self.tail.wrapping_add(n as u64);
    }

    /// The first `n` unread bytes are read. Panics if there were fewer.
    #[inline]
    pub(crate) const fn advance_head(&mut self, n: usize) {
        assert!(n <= self.len(), "more bytes consumed than the ring held");
        self.head = self.head.wrapping_add(n as u64);
        let n = n as u32; // at most `capacity`
        let to_end = self.capacity - self.at;
        self.at = if self.is_empty() {
            0
        } else if n <= to_end {
            self.at + n
        } else {
            n - to_end
        };
    }

    /// `n` bytes before the first unread one are unread again. Panics if there is no room for them.
    #[inline]
    pub(crate) const fn retreat_head(&mut self, n: usize) {
        assert!(n <= self.free(), "more bytes put back than the ring had room for");
        let at = self.at() as u32;
        let n = n as u32; // at most `capacity`
        self.head = self.head.wrapping_sub(n as u64);
        self.at = if n <= at { at - n } else { self.capacity - (n - at) };
    }

    /// The unread bytes now start at index `at` of a storage of `capacity` bytes.
    #[inline]
    pub(crate) const fn relocate(&mut self, at: u32, capacity: u32) {
        self.at = at;
        self.capacity = capacity;
    }
}

/// Gives all bytes of `from` to `to` without touching them: the two rings' storages are to change places.
///
/// Takes place if `to` is empty, `from` is not, and the capacities are equal. Returns how many bytes changed
/// hands: `to`'s tail and `from`'s head advanced by that. If it is not 0, **the caller swaps the storages**,
/// before either ring is used again. If it is 0 nothing has changed; [`Vectoring::splice`] does the
/// general case.
///
/// ```
/// use vk_vectoring::{Ring, exchange};
///
/// let (mut received, mut sending) = (Ring::new(8), Ring::new(8));
/// let (mut a, mut b) = (vec![0; 8], vec![0; 8]);
/// received.over(&mut a).write(b"hello");
///
/// assert_eq!(exchange(&mut sending, &mut received), 5);
/// std::mem::swap(&mut a, &mut b);
///
/// assert_eq!(sending.over(&mut b).readable()[0], b"hello");
/// assert_eq!((received.head(), received.tail()), (5, 5));
/// ```
#[must_use = "if bytes were exchanged, the storages have to change places"]
#[inline]
pub const fn exchange(to: &mut Ring, from: &mut Ring) -> usize {
    let n = from.len();
    if n == 0 || !to.is_empty() || to.capacity != from.capacity {
        return 0;
    }
    to.at = from.at;
    to.advance_tail(n);
    from.advance_head(n);
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_come_round_in_the_largest_ring() {
        let mut ring = Ring { head: 7, tail: 7, at: u32::MAX - 1, capacity: u32::MAX };
        ring.advance_tail(u32::MAX as usize);
        assert!(ring.is_full() && ring.is_valid());
        ring.advance_head(1);
        assert_eq!((ring.at(), ring.free()), (0, 1));
        assert!(!ring.is_at_start(), "bytes were read before the seam");
        ring.advance_head(u32::MAX as usize - 2);
        assert_eq!((ring.at, ring.len()), (u32::MAX - 2, 1));
        ring.advance_head(1);
        assert_eq!(ring, Ring { head: 6 + (1 << 32), tail: 6 + (1 << 32), at: 0, capacity: u32::MAX });
    }

    #[test]
    fn positions_come_round_at_the_end_of_their_range() {
        let mut ring = Ring { head: u64::MAX, tail: u64::MAX, at: 3, capacity: 8 };
        ring.advance_tail(5);
        assert_eq!((ring.tail, ring.len(), ring.is_valid()), (4, 5, true));
        ring.advance_head(2);
        assert_eq!((ring.head, ring.len(), ring.at), (1, 3, 5));
    }

    #[test]
    fn a_claim_is_checked() {
        let valid = Ring { head: 10, tail: 14, at: 3, capacity: 4 };
        assert!(valid.is_valid());
        assert!(Ring::new(0).is_valid() && Ring::new(u32::MAX).is_valid());
        for wrong in [
            Ring { tail: 15, ..valid },             // more bytes than fit
            Ring { tail: 9, ..valid },              // the end before the start
            Ring { tail: 14 + (1 << 32), ..valid }, // right in its lower half only
            Ring { at: 5, ..valid },                // outside
            Ring { at: 1, ..Ring::new(0) },         // outside of nothing
            Ring { tail: 1, ..Ring::new(0) },       // something in nothing
        ] {
            assert!(!wrong.is_valid(), "{wrong:?}");
        }
    }

    #[test]
    fn an_exchange_refuses_what_it_cannot_do() {
        let from = Ring { head: 1, tail: 3, at: 1, capacity: 4 };
        for to in [from, Ring::new(8), Ring::new(0)] {
            let (mut to_after, mut from_after) = (to, from);
            assert_eq!(exchange(&mut to_after, &mut from_after), 0);
            assert_eq!((to_after, from_after), (to, from));
        }
        assert_eq!(exchange(&mut Ring::new(4), &mut Ring::new(4)), 0, "nothing to give");
    }
}
