//! Looking for bytes among the unread ones.
//!
//! ```text
//! readable()   [ … … … … x y | z … … … ]       "xyz" is at the seam:
//! searched       1 ────────────── 3 ────       in neither slice, and found all the same
//!                        2 ──────
//! ```

use crate::{Vectoring, seam};
use memchr::{memchr, memmem};

impl Vectoring<'_> {
    /// Where the first `byte` is, at or after `from`; both are offsets from the first unread byte.
    ///
    /// `None` if there is none, also if `from` is past the end. To go on when more bytes have come, pass
    /// the number of bytes already searched.
    ///
    /// ```
    /// # use vk_vectoring::Ring;
    /// # let (mut ring, mut storage) = (Ring::new(16), [0; 16]);
    /// # let mut bytes = ring.over(&mut storage);
    /// bytes.write(b"one\ntwo\n");
    /// assert_eq!(bytes.find(b'\n', 0), Some(3));
    /// assert_eq!(bytes.find(b'\n', 4), Some(7));
    /// assert_eq!(bytes.find(b'\n', 8), None);
    /// ```
    #[inline]
    pub fn find(&self, byte: u8, from: usize) -> Option<usize> {
        let [a, b] = seam::after(self.readable(), from);
        let found = memchr(byte, a).or_else(|| Some(a.len() + memchr(byte, b)?))?;
        Some(from + found)
    }

    /// Where the first `needle` starts, at or after `from`; both are offsets from the first unread byte.
    ///
    /// `None` if there is none, also if `from` is past the end. An empty needle is found at `from`. To go
    /// on when more bytes have come, pass the number of bytes already searched, less `needle.len() - 1`.
    ///
    /// Takes time linear in the bytes searched, plus at most the square of the needle's length at the seam:
    /// meant for needles as short as `\r\n\r\n`.
    #[inline]
    pub fn find_slice(&self, needle: &[u8], from: usize) -> Option<usize> {
        if from > self.ring.len() {
            return None;
        }
        let [a, b] = seam::after(self.readable(), from);
        let finder = memmem::Finder::new(needle);
        let found = finder
            .find(a)
            .or_else(|| find_across(a, b, needle))
            .or_else(|| Some(a.len() + finder.find(b)?))?;
        Some(from + found)
    }
}

/// Where the first `needle` starts that begins in `a` and ends in `b`.
#[inline]
fn find_across(a: &[u8], b: &[u8], needle: &[u8]) -> Option<usize> {
    let earliest = (a.len() + 1).saturating_sub(needle.len());
    (earliest..a.len()).find(|&start| {
        let (in_a, in_b) = needle.split_at(a.len() - start);
        a.ends_with(in_a) && b.starts_with(in_b)
    })
}
