//! Bytes that are made between two blocking calls, on their way into the micro-heap.
//!
//! ```text
//!   value ── fill ──► this thread's scratch ── keep ──► HeapBytes ── write ──► …
//!            └──────── one segment: nothing waits ───┘
//! ```
//!
//! How many bytes a value makes is known only afterwards, and memory of the micro-heap is to be had only through `io`.

use std::cell::RefCell;
use std::io;
use vk_core::{HeapBytes, Io};

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bytes of scratch that are kept for the next time.
const KEPT: usize = 256 * 1024;

/// Fills the scratch; [`keep`] is the next thing to be called.
pub(crate) fn fill(make: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        scratch.shrink_to(KEPT);
        make(scratch)
    })
}

/// Moves what the scratch was [filled](fill) with to a place in the micro-heap; the caller frees it.
#[vk::coroutine]
pub(crate) fn keep(io: &mut Io) -> io::Result<HeapBytes> {
    let length: usize = SCRATCH.with_borrow(Vec::len);
    // `alloc` never waits, so nobody else has used the scratch since it was filled.
    let mut place: HeapBytes = io.alloc(length)?;
    SCRATCH.with_borrow(|scratch| place.copy_from_slice(scratch));
    Ok(place)
}
