//! A ring with its storage: looking at it, filling and draining it.

use crate::{Ring, seam};
use std::io::{IoSlice, IoSliceMut};

/// A ring with its storage: one or two slices of unread bytes, one or two of free bytes.
///
/// Made by [`Ring::over`]. Two ways in and two ways out:
///
/// * in place, for the kernel: fill [`writable`](Self::writable), then say how much with
///   [`produced`](Self::produced); drain [`readable`](Self::readable), then say how much with
///   [`consumed`](Self::consumed);
/// * by copy: [`write`](Self::write), [`read`](Self::read), [`peek`](Self::peek), [`skip`](Self::skip).
///
/// It is also a [`bytes::Buf`] over its unread bytes. `bytes::BufMut` is a trait that takes `unsafe` to
/// implement, and needs no implementation here, as the slices of [`writable`](Self::writable) are it:
///
/// ```
/// use bytes::{Buf, BufMut};
/// use vk_vectoring::Ring;
///
/// let (mut ring, mut storage) = (Ring::new(8), [0; 8]);
/// let mut bytes = ring.over(&mut storage);
///
/// let [first, second] = bytes.writable();
/// let mut free = first.chain_mut(second);
/// free.put_u16(0x0102);
/// free.put_u32(7);
/// bytes.produced(6);
///
/// assert_eq!(bytes.get_u16(), 0x0102);
/// assert_eq!(bytes.get_u32(), 7);
/// ```
pub struct Vectoring<'a> {
    pub(crate) ring: &'a mut Ring,
    pub(crate) storage: &'a mut [u8],
}

impl<'a> Vectoring<'a> {
    #[inline]
    pub(crate) fn new(ring: &'a mut Ring, storage: &'a mut [u8]) -> Vectoring<'a> {
        Vectoring { ring, storage }
    }

    /// The positions: how many bytes there are, how many are free, where in the stream they stand.
    #[inline]
    pub fn ring(&self) -> &Ring {
        self.ring
    }

    /// The unread bytes, in order. The second slice is empty unless the ring is wrapped.
    #[inline]
    pub fn readable(&self) -> [&[u8]; 2] {
        let (at, len) = (self.ring.at(), self.ring.len());
        let first = len.min(self.storage.len() - at);
        [&self.storage[at..at + first], &self.storage[..len - first]]
    }

    /// The free bytes, in the order in which they are to be filled. What stands in them is left over from
    /// earlier bytes.
    #[inline]
    pub fn writable(&mut self) -> [&mut [u8]; 2] {
        let at = self.ring.at();
        let end = at + self.ring.len();
        match end.checked_sub(self.storage.len()) {
            // The unread bytes go up to the end or round it: the free ones are in one piece.
            Some(end) => [&mut self.storage[end..at], &mut []],
            None => {
                let (rest, first) = self.storage.split_at_mut(end);
                [first, &mut rest[..at]]
            }
        }
    }

    /// [`readable`](Self::readable) for `writev` and its like.
    #[inline]
    pub fn readable_io(&self) -> [IoSlice<'_>; 2] {
        self.readable().map(IoSlice::new)
    }

    /// [`writable`](Self::writable) for `readv` and its like.
    #[inline]
    pub fn writable_io(&mut self) -> [IoSliceMut<'_>; 2] {
        self.writable().map(IoSliceMut::new)
    }

    /// The first `n` bytes of [`writable`](Self::writable) have been filled: they are unread now.
    ///
    /// # Panics
    ///
    /// If fewer bytes were free.
    #[inline]
    pub fn produced(&mut self, n: usize) {
        self.ring.advance_tail(n);
    }

    /// The first `n` bytes of [`readable`](Self::readable) have been used: they are free now.
    ///
    /// # Panics
    ///
    /// If fewer bytes were unread.
    #[inline]
    pub fn consumed(&mut self, n: usize) {
        self.ring.advance_head(n);
    }

    /// Copies in as many of `bytes` as there is room for, and returns how many that were: 0 if the ring is
    /// full.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let n = seam::copy([bytes, &[]], self.writable());
        self.produced(n);
        n
    }

    /// Copies out as many bytes as there are and `target` has room for, and returns how many that were: 0
    /// if the ring is empty.
    #[inline]
    pub fn read(&mut self, target: &mut [u8]) -> usize {
        let n = self.peek(0, target);
        self.consumed(n);
        n
    }

    /// Puts `bytes` back in front of the first unread one, as if they had not been read.
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    ///
    /// ```
    /// # use vk_vectoring::Ring;
    /// let (mut ring, mut storage) = (Ring::new(8), [0; 8]);
    /// let mut bytes = ring.over(&mut storage);
    /// bytes.write(b"hello");
    /// let mut taken = [0; 3];
    /// bytes.read(&mut taken);
    /// bytes.unread(&taken);
    /// assert_eq!((bytes.ring().head(), bytes.readable().concat()), (0, b"hello".to_vec()));
    /// ```
    pub fn unread(&mut self, bytes: &[u8]) {
        self.ring.retreat_head(bytes.len());
        let at = self.ring.at();
        let (rest, first) = self.storage.split_at_mut(at);
        seam::copy([bytes, &[]], [first, rest]);
    }

    /// Copies out as [`read`](Self::read) does, but from `offset` bytes after the first unread one on, and
    /// leaves all bytes unread. Returns 0 if there are no more than `offset` bytes.
    #[inline]
    pub fn peek(&self, offset: usize, target: &mut [u8]) -> usize {
        seam::copy(seam::after(self.readable(), offset), [target, &mut []])
    }

    /// Drops `n` bytes, or all if there are fewer, and returns how many that were.
    #[inline]
    pub fn skip(&mut self, n: usize) -> usize {
        let n = n.min(self.ring.len());
        self.consumed(n);
        n
    }
}
