//! Pairs of slices that are read as one: what a ring is when it is looked at.
//!
//! ```text
//! from   [ a a a a a a | b b ]
//! to     [ c c c | d d d d d d ]      copies 3, 3 and 2 bytes
//! ```
//!
//! Either slice of a pair may be empty.

use std::mem;

/// What comes after the first `n` bytes; nothing if there are no more than that.
#[inline]
pub fn after([a, b]: [&[u8]; 2], n: usize) -> [&[u8]; 2] {
    let in_a = n.min(a.len());
    let in_b = (n - in_a).min(b.len());
    [&a[in_a..], &b[in_b..]]
}

/// The first `n` bytes; all if there are no more than that.
#[inline]
pub fn before([a, b]: [&[u8]; 2], n: usize) -> [&[u8]; 2] {
    let in_a = n.min(a.len());
    let in_b = (n - in_a).min(b.len());
    [&a[..in_a], &b[..in_b]]
}

/// Copies until `from` ends or `to` is full, and returns how many bytes that were.
#[inline]
pub fn copy([mut a, mut b]: [&[u8]; 2], [mut c, mut d]: [&mut [u8]; 2]) -> usize {
    let mut copied = 0;
    loop {
        let n = a.len().min(c.len());
        let (now, later) = c.split_at_mut(n);
        now.copy_from_slice(&a[..n]);
        copied += n;
        (a, c) = (&a[n..], later);
        if a.is_empty() {
            a = mem::take(&mut b);
        }
        if c.is_empty() {
            c = mem::take(&mut d);
        }
        if a.is_empty() || c.is_empty() {
            return copied;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of cuts of 6 bytes, into every pair of cuts of 0 to 8 bytes.
    #[test]
    fn copies_every_cut_into_every_cut() {
        let source = *b"abcdef";
        for room in 0..=8 {
            for (i, j) in (0..=6).flat_map(|i| (0..=room).map(move |j| (i, j))) {
                let mut target = [b'.'; 8];
                let (a, b) = source.split_at(i);
                let (c, d) = target[..room].split_at_mut(j);
                let n = copy([a, b], [c, d]);
                assert_eq!(n, room.min(6), "cuts at {i} and {j} of {room}");
                assert_eq!((&target[..n], &target[n..]), (&source[..n], &b"........"[n..]));
            }
        }
    }

    #[test]
    fn cuts_at_every_place() {
        for (i, n) in (0..=4).flat_map(|i| (0..=6).map(move |n| (i, n))) {
            let (a, b) = b"wxyz".split_at(i);
            assert_eq!(before([a, b], n).concat(), b"wxyz"[..n.min(4)]);
            assert_eq!(after([a, b], n).concat(), b"wxyz"[n.min(4)..]);
        }
        assert_eq!(after([b"ab", b"c"], usize::MAX).concat(), b"");
        assert_eq!(before([b"ab", b"c"], usize::MAX).concat(), b"abc");
    }
}
