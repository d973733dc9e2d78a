//! A vectoring is a [`bytes::Buf`] over its unread bytes, so that what parses a `Buf` parses it in place.

use crate::Vectoring;
use bytes::Buf;
use std::io::IoSlice;

/// Reading advances the ring's head.
impl Buf for Vectoring<'_> {
    #[inline]
    fn remaining(&self) -> usize {
        self.ring.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self.readable()[0]
    }

    #[inline]
    fn chunks_vectored<'a>(&'a self, target: &mut [IoSlice<'a>]) -> usize {
        let slices = self.readable().into_iter().filter(|slice| !slice.is_empty());
        target.iter_mut().zip(slices).map(|(io, slice)| *io = IoSlice::new(slice)).count()
    }

    /// See [`Vectoring::consumed`].
    #[inline]
    fn advance(&mut self, n: usize) {
        self.consumed(n);
    }
}
