//! Memory of the micro-heap.

use crate::{HeapBytes, Io};
use std::io;
use std::task::Poll::{self, Ready};

impl Io {
    /// Allocates `len` bytes, of any content, in the micro-heap; if it has not so much left, in blocks of
    /// 64 KiB lent from the pool. Never waits.
    ///
    /// # Errors
    /// `OutOfMemory` if neither has room.
    pub fn alloc(&mut self, len: usize) -> Poll<io::Result<HeapBytes>> {
        let out_of_memory = || io::ErrorKind::OutOfMemory;
        Ready(match u32::try_from(len) {
            Ok(0) => Ok(HeapBytes::EMPTY),
            Ok(len) => self.world().allocate(len).map(HeapBytes).ok_or(out_of_memory().into()),
            Err(_) => Err(out_of_memory().into()),
        })
    }

    /// Gives bytes back: `bytes` is [empty](HeapBytes::EMPTY) afterwards. Never waits.
    ///
    /// # Errors
    /// None.
    pub fn free(&mut self, bytes: &mut HeapBytes) -> Poll<io::Result<()>> {
        let HeapBytes(span) = std::mem::take(bytes);
        if !span.is_empty() {
            self.world().release(span);
        }
        Ready(Ok(()))
    }
}
