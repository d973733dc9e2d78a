//! A line of bounded length, as plain data.
#![allow(unsafe_code)]

use crate::Plain;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use vk_vectoring::Vectoring;

/// At most `N` bytes, stored in place: a variable for [`Io::read_line`](crate::Io::read_line) that may live
/// in a frame.
///
/// ```
/// use vk_core::Line;
/// let mut line: Line<8> = Line::new();
/// line.extend(b"abc\n").unwrap();
/// assert_eq!(line.trim_end(), b"abc");
/// assert!(line.extend(b"too long").is_err());
/// ```
#[derive(Clone)]
#[repr(C)]
pub struct Line<const N: usize> {
    /// At most `N`; the bytes before it are initialised. Only `extend` and `append` move it up.
    len: usize,
    bytes: [MaybeUninit<u8>; N],
}

// SAFETY: an integer and an array of bytes.
unsafe impl<const N: usize> Plain for Line<N> {
    const LAYOUT: u64 = crate::hash::named::<Self>("vk::Line");
}

/// More bytes than a [`Line`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more bytes than the line holds")
    }
}

impl std::error::Error for TooLong {}

impl From<TooLong> for io::Error {
    fn from(error: TooLong) -> io::Error {
        io::Error::new(io::ErrorKind::StorageFull, error)
    }
}

impl<const N: usize> Line<N> {
    /// An empty line.
    #[inline]
    pub const fn new() -> Self {
        Line { len: 0, bytes: [MaybeUninit::uninit(); N] }
    }

    /// Forgets the bytes.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`TooLong`] if the line would exceed `N` bytes; it is left as it was.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let end = self.len + bytes.len();
        self.bytes.get_mut(self.len..end).ok_or(TooLong)?.write_copy_of_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Moves up to `count` bytes from a ring, as many as fit; returns how many.
    #[inline]
    pub(crate) fn append(&mut self, from: &mut Vectoring<'_>, count: usize) -> usize {
        let count = count.min(N - self.len).min(from.ring().len());
        let [first, second] = from.readable();
        let first = &first[..count.min(first.len())];
        let second = &second[..count - first.len()];
        self.bytes[self.len..][..first.len()].write_copy_of_slice(first);
        self.bytes[self.len + first.len()..][..second.len()].write_copy_of_slice(second);
        self.len += count;
        from.consumed(count);
        count
    }

    /// The bytes without the line's end: no `\n`, no `\r\n`.
    pub fn trim_end(&self) -> &[u8] {
        let line = self.strip_suffix(b"\n").unwrap_or(self);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

impl<const N: usize> Default for Line<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Deref for Line<N> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `len`'s invariant.
        unsafe { self.bytes[..self.len].assume_init_ref() }
    }
}

impl<const N: usize> DerefMut for Line<N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len`'s invariant.
        unsafe { self.bytes[..self.len].assume_init_mut() }
    }
}

impl<const N: usize> fmt::Debug for Line<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}
