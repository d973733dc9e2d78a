//! The undo log: a dispatch either commits or has not happened.
//!
//! ```text
//! log  | len │ heap | at │ len │ bytes … | at │ len │ bytes … |            the bytes as they were
//!        ▲ 0 = nothing to undo            each entry is whole before `len` counts it
//! ```
//!
//! [`begin`](Undo::begin) keeps the live bytes of one micro-heap; what is written elsewhere on its behalf (the
//! tables of the control pages, blocks lent to it) is [kept](Undo::keep) before it is written. A commit is one
//! store, `len = 0`. Whoever finds a `len` that is not 0 puts the bytes back, the latest first; doing so once
//! more, or half and once more, gives the same.
//!
//! A process that is killed has executed each instruction before the one it died at and none after it, so the
//! order of the program's stores is all that is needed: fences of the compiler, none of the processor.
//!
//! The log lies in memory that a stray write may hit: what is read from it is a claim, checked in
//! [`rollback`](Undo::rollback).

use crate::HeapId;
use crate::failpoint;
use crate::memory::Memory;
use std::ops::Range;
use std::sync::atomic::{Ordering, compiler_fence};

/// Bytes of the log: what one dispatch may change at most. Address space; what was never needed has no memory
/// (but in miri, which has no such thing; tests keep pace with it).
pub(crate) const LOG: u32 = if cfg!(miri) {
    16 << 10
} else if cfg!(test) {
    1 << 20
} else {
    64 << 20
};

/// Entries begin at multiples of this.
const ALIGN: u32 = 16;

/// What begins the log.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Head {
    /// Bytes of the entries; 0 while there is nothing to undo.
    len: u64,
    heap: HeapId,
}

/// What begins an entry.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Entry {
    /// Where the bytes were, from the start of the arena.
    at: u64,
    len: u64,
}
const _: () = assert!(size_of::<Head>() as u32 == ALIGN && size_of::<Entry>() as u32 == ALIGN);

/// The log was overwritten: what it was to undo can't be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadLog;

/// The log, mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undo {
    arena: Memory,
    log: Memory,
}

impl Undo {
    /// `arena` is all of it, and the log is at `at`.
    pub(crate) fn new(arena: Memory, at: usize) -> Undo {
        Undo { arena, log: arena.part(at, LOG as usize) }
    }

    #[inline]
    fn head(&self) -> Head {
        self.log.read(0)
    }

    /// One store: from here on so much is to be undone.
    #[inline]
    fn set_len(&self, len: u64) {
        compiler_fence(Ordering::SeqCst);
        self.log.write(0, len);
        compiler_fence(Ordering::SeqCst);
    }

    /// The micro-heap whose dispatch is not committed; None when there is nothing to undo.
    #[inline]
    pub(crate) fn active(&self) -> Option<HeapId> {
        let head = self.head();
        (head.len != 0).then_some(head.heap)
    }

    /// Begins: keeps `parts` of the arena, which are to be what matters of micro-heap `heap`.
    ///
    /// Panics if there is something to undo already.
    #[inline]
    pub(crate) fn begin(&self, heap: HeapId, parts: impl Iterator<Item = Range<usize>>) {
        assert!(self.head().len == 0, "a dispatch within a dispatch");
        let mut len = 0;
        for part in parts {
            len = self.append(len, part).expect("a micro-heap is smaller than the log");
        }
        self.log.write(size_of::<u64>(), heap);
        failpoint!("begin");
        self.set_len(len);
        failpoint!("begun");
    }

    /// As [`keep`](Undo::keep), unless exactly those bytes are kept already.
    #[inline]
    #[must_use]
    pub(crate) fn keep_once(&self, bytes: Range<usize>) -> bool {
        self.is_kept(&self.head(), &bytes) || self.keep(bytes)
    }

    /// Keeps bytes that are about to be written, if there is a dispatch to undo. False when the log is full.
    #[inline]
    #[must_use]
    pub(crate) fn keep(&self, bytes: Range<usize>) -> bool {
        let head = self.head();
        if head.len == 0 {
            return true;
        }
        let Some(len) = self.append(head.len, bytes) else { return false };
        failpoint!("keep");
        self.set_len(len);
        true
    }

    /// Whether exactly those bytes are kept: a later copy would be of what this dispatch wrote, and a waste.
    fn is_kept(&self, head: &Head, bytes: &Range<usize>) -> bool {
        let mut entries = Entries { undo: *self, at: 0, end: head.len };
        entries.any(|entry| {
            entry.is_ok_and(|(_, entry)| {
                entry.at == bytes.start as u64 && entry.len == (bytes.end - bytes.start) as u64
            })
        })
    }

    /// Writes an entry behind the first `len` bytes of entries; returns how many they are then.
    #[inline]
    fn append(&self, len: u64, bytes: Range<usize>) -> Option<u64> {
        let size = bytes.end - bytes.start;
        let at = size_of::<Head>() + len as usize;
        let next = len + (ALIGN as usize + size.next_multiple_of(ALIGN as usize)) as u64;
        if size_of::<Head>() as u64 + next > u64::from(LOG) {
            return None;
        }
        self.log.write(at, Entry { at: bytes.start as u64, len: size as u64 });
        self.arena.part(bytes.start, size).copy_to(self.log.part(at + size_of::<Entry>(), size));
        Some(next)
    }

    /// Nothing is to be undone any more: one store.
    #[inline]
    pub(crate) fn commit(&self) {
        failpoint!("commit");
        self.set_len(0);
        failpoint!("committed");
    }

    /// Puts everything back as it was. Nothing if there is nothing to undo.
    pub(crate) fn rollback(&self) -> Result<(), BadLog> {
        let head = self.head();
        let entries: Result<Vec<_>, _> = Entries { undo: *self, at: 0, end: head.len }.collect();
        // Even if it can't be: it never will be.
        let Ok(entries) = entries else {
            self.set_len(0);
            return Err(BadLog);
        };
        for (at, entry) in entries.into_iter().rev() {
            let size = entry.len as usize;
            let kept = self.log.part(at as usize + size_of::<Entry>(), size);
            kept.copy_to(self.arena.part(entry.at as usize, size));
            failpoint!("put back");
        }
        self.set_len(0);
        Ok(())
    }
}

/// The entries, with their places in the log; ends after an error.
struct Entries {
    undo: Undo,
    at: u64,
    end: u64,
}

impl Iterator for Entries {
    type Item = Result<(u64, Entry), BadLog>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let at = size_of::<Head>() as u64 + self.at;
        if at + u64::from(ALIGN) > u64::from(LOG) || !at.is_multiple_of(ALIGN.into()) {
            self.at = self.end;
            return Some(Err(BadLog));
        }
        let entry: Entry = self.undo.log.read(at as usize);
        let (arena, log) = (self.undo.arena.len() as u64, u64::from(LOG));
        let next = entry.len.checked_next_multiple_of(ALIGN.into()).and_then(|len| at.checked_add(len));
        let sound = next.is_some_and(|next| {
            next + u64::from(ALIGN) <= log.min((size_of::<Head>() as u64).saturating_add(self.end))
        }) && entry.at <= arena
            && entry.len <= arena - entry.at;
        if !sound {
            self.at = self.end;
            return Some(Err(BadLog));
        }
        self.at += u64::from(ALIGN) + entry.len.next_multiple_of(ALIGN.into());
        Some(Ok((at, entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::buffer::Buffer;

    /// An arena of 4 KiB before its log.
    fn log() -> (Buffer, Undo) {
        let buffer = Buffer::new(4096 + LOG as usize);
        let undo = Undo::new(buffer.memory(), 4096);
        (buffer, undo)
    }

    #[test]
    fn what_is_written_is_undone_the_latest_first() {
        let (buffer, undo) = log();
        buffer.fill(0, 4096, 1);
        undo.begin(HeapId::new(3, 1), [0..100, 200..256].into_iter());
        assert_eq!(undo.active(), Some(HeapId::new(3, 1)));
        buffer.fill(0, 256, 2);
        assert!(undo.keep_once(1000..1001) && undo.keep_once(1000..1001));
        buffer.fill(1000, 1, 3);
        // Kept with what this dispatch wrote: the older bytes win, since they are put back later.
        assert!(undo.keep(50..60));
        undo.rollback().unwrap();
        assert_eq!(undo.active(), None);
        assert!(
            buffer.is_filled(0, 100, 1) && buffer.is_filled(100, 100, 2) && buffer.is_filled(200, 3896, 1)
        );
    }

    #[test]
    fn what_is_committed_stays() {
        let (buffer, undo) = log();
        undo.begin(HeapId::new(3, 1), std::iter::once(0..64));
        buffer.fill(0, 64, 9);
        undo.commit();
        undo.rollback().unwrap();
        assert!(undo.keep(0..64), "nothing is to be kept outside of a dispatch");
        assert!(buffer.is_filled(0, 64, 9));
    }

    #[test]
    fn a_full_log_says_so() {
        let (_buffer, undo) = log();
        undo.begin(HeapId::new(3, 1), std::iter::once(0..64));
        let large = 4096..4096 + LOG as usize - 128;
        assert!(undo.keep(large.clone()) && !undo.keep(large.start..large.end - 1));
        undo.commit();
    }

    /// Whatever was written over it, what is put back lies in the arena, or nothing is. (In miri it takes minutes.)
    #[cfg(not(miri))]
    #[test]
    fn an_overwritten_log_is_refused_or_bounded() {
        for bit in 0..96 * 8 {
            let (buffer, undo) = log();
            undo.begin(HeapId::new(3, 1), [0..20, 64..80].into_iter());
            buffer.flip(4096 * 8 + bit);
            let _ = undo.rollback();
            assert_eq!(undo.active(), None, "bit {bit}");
        }
    }
}
