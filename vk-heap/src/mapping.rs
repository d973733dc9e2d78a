//! The memfd and its mapping: every call of the kernel that this crate makes.
//!
//! Invariant: the addresses stay this mapping's for ever. A [`Heap`](crate::Heap) has no lifetime, so when
//! the mapping is dropped its addresses are kept, without memory and closed: a late touch is a SIGSEGV, and
//! never somebody else's bytes.
//!
//! `unsafe` is here because the kernel is called and addresses are computed.
#![allow(unsafe_code)]

use crate::memory::Memory;
use memmap2::{Advice, MmapOptions, MmapRaw};
use region::Protection;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::os::unix::io::AsRawFd;
use std::ptr::NonNull;

/// A page of this kernel, in bytes.
pub(crate) fn page() -> u32 {
    region::page::size() as u32
}

#[derive(Debug)]
pub(crate) struct Mapping {
    file: File,
    map: ManuallyDrop<MmapRaw>,
}

impl Mapping {
    /// A new memfd of `size` bytes, sparse, and all of it mapped and open.
    pub(crate) fn new(size: usize) -> io::Result<Mapping> {
        // SAFETY: the name is a C string; the call touches no memory of ours.
        let fd = unsafe { libc::memfd_create(c"vk-heap".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        file.set_len(size as u64)?;
        let map = MmapOptions::new().len(size).map_raw(&file)?;
        // Heaps hold what clients sent: not for core dumps.
        map.advise(Advice::DontDump)?;
        // Where all shared memory is told to be huge pages, an idle heap would cost 2 MiB. A kernel without
        // them says EINVAL, and is right.
        let _ = map.advise(Advice::NoHugePage);
        let map = ManuallyDrop::new(map);
        Ok(Mapping { file, map })
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        NonNull::new(self.map.as_mut_ptr()).expect("mmap never gives address 0")
    }

    pub(crate) fn memory(&self) -> Memory {
        // SAFETY: `Drop` keeps the addresses for ever. The accesses are those of `Header`, `Allocator` and
        // `Control` to their own bytes, which `Heap::alloc` never hands out, in the one thread of the arena
        // (`Memory` is not `Send`).
        unsafe { Memory::new(self.base(), self.map.len()) }
    }

    pub(crate) fn memfd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Opens or closes the pages of `range`, bytes from the start.
    pub(crate) fn protect(&self, range: Range<usize>, open: bool) -> io::Result<()> {
        assert!(range.start <= range.end && range.end <= self.map.len());
        if range.is_empty() {
            return Ok(());
        }
        let protection = if open { Protection::READ_WRITE } else { Protection::NONE };
        // SAFETY: the range is in this mapping, checked above. Closing takes bytes away from whoever holds
        // references into them: their touch is a SIGSEGV, which is what closing is for.
        let done = unsafe {
            let start = self.map.as_mut_ptr().add(range.start);
            region::protect(start, range.len(), protection)
        };
        done.map_err(|error| match error {
            region::Error::SystemCall(error) => error,
            other => io::Error::other(other),
        })
    }

    /// Gives the pages of `range` back to the kernel; they read as zeros when touched again.
    pub(crate) fn punch(&self, range: Range<usize>) -> io::Result<()> {
        assert!(range.start <= range.end && range.end <= self.map.len());
        // SAFETY: it touches no memory of the process but the pages of the memfd, which the caller knows to be nobody's.
        let status = unsafe {
            libc::fallocate(
                self.file.as_raw_fd(),
                libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
                range.start as libc::off_t,
                range.len() as libc::off_t,
            )
        };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Bytes of the memfd that have memory behind them.
    pub(crate) fn resident(&self) -> u64 {
        /// What `st_blocks` counts in, bytes.
        const SECTOR: u64 = 512;
        let metadata = self.file.metadata().expect("fstat of our own memfd");
        metadata.st_blocks() * SECTOR
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it replaces exactly this mapping by an empty one at the same addresses, so nobody else's
        // memory is touched; `map` is never unmapped (`ManuallyDrop`). If it fails the mapping stays.
        unsafe {
            libc::mmap(
                self.map.as_mut_ptr().cast(),
                self.map.len(),
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED,
                -1,
                0,
            );
        }
    }
}
