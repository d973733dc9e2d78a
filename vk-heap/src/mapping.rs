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
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::os::unix::io::AsRawFd;
use std::ptr::NonNull;

/// A page of this kernel, in bytes.
pub(crate) fn page() -> u32 {
    region::page::size() as u32
}

/// A new memfd of `size` bytes, sparse, under a name that /proc/PID/fd shows. It keeps its size for ever: nobody who has
/// it mapped can be made to touch what is no longer there.
///
/// # Errors
/// Those of memfd_create(2), ftruncate(2) and fcntl(2).
pub fn memfd(name: &CStr, size: usize) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string; the call touches no memory of ours.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(size as u64)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: numbers; the call touches no memory of ours.
    match unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, seals) } {
        0 => Ok(file.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[derive(Debug)]
pub(crate) struct Mapping {
    file: ManuallyDrop<File>,
    /// Whether the memfd is closed with the mapping.
    owned: bool,
    /// What the descriptor leads to: a handler may close it, and another file get its number.
    inode: u64,
    map: ManuallyDrop<MmapRaw>,
}

impl Mapping {
    /// All `size` bytes of a memfd, mapped and open.
    pub(crate) fn new(memfd: OwnedFd, size: usize) -> io::Result<Mapping> {
        let mut mapping = Mapping::of(ManuallyDrop::new(File::from(memfd)), size)?;
        mapping.owned = true;
        Ok(mapping)
    }

    /// As [`new`](Mapping::new), of a memfd that is somebody else's.
    pub(crate) fn shared(memfd: BorrowedFd<'static>, size: usize) -> io::Result<Mapping> {
        // SAFETY: it stays open for ever, as the lifetime says, and `ManuallyDrop` never closes it.
        let file = unsafe { File::from_raw_fd(memfd.as_raw_fd()) };
        Mapping::of(ManuallyDrop::new(file), size)
    }

    fn of(file: ManuallyDrop<File>, size: usize) -> io::Result<Mapping> {
        if file.metadata()?.len() != size as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a memfd of another layout"));
        }
        let map = MmapOptions::new().len(size).map_raw(&*file)?;
        // Heaps hold what clients sent: not for core dumps.
        map.advise(Advice::DontDump)?;
        // Where all shared memory is told to be huge pages, an idle heap would cost 2 MiB. A kernel without
        // them says EINVAL, and is right.
        let _ = map.advise(Advice::NoHugePage);
        let (map, inode) = (ManuallyDrop::new(map), file.metadata()?.st_ino());
        Ok(Mapping { file, owned: false, inode, map })
    }

    /// Children of this process, as fork(2) makes them, have none of it: a touch is a SIGSEGV there.
    pub(crate) fn keep_from_children(&self) -> io::Result<()> {
        self.map.advise(Advice::DontFork)
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
        if self.file.metadata()?.st_ino() != self.inode {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
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

    /// Where in `range` there is memory: calls `found` with each run of bytes, as lseek(2) tells them.
    pub(crate) fn each_resident(&self, range: Range<usize>, mut found: impl FnMut(Range<usize>)) {
        let seek = |from: usize, whence| {
            // SAFETY: a number; the offset of this file is used for nothing else.
            let at = unsafe { libc::lseek(self.file.as_raw_fd(), from as libc::off_t, whence) };
            usize::try_from(at).ok().filter(|at| *at < range.end)
        };
        let mut from = range.start;
        while let Some(data) = seek(from, libc::SEEK_DATA) {
            let hole = seek(data, libc::SEEK_HOLE).unwrap_or(range.end);
            found(data..hole);
            from = hole;
        }
    }

    /// Bytes of the memfd that have memory behind them; 0 once its descriptor was closed.
    pub(crate) fn resident(&self) -> u64 {
        /// What `st_blocks` counts in, bytes.
        const SECTOR: u64 = 512;
        self.file.metadata().map_or(0, |metadata| metadata.st_blocks() * SECTOR)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it replaces exactly this mapping by an empty one at the same addresses, so nobody else's
        // memory is touched; `map` is never unmapped (`ManuallyDrop`). If it fails the mapping stays. The file is
        // not used after this.
        unsafe {
            libc::mmap(
                self.map.as_mut_ptr().cast(),
                self.map.len(),
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED,
                -1,
                0,
            );
            if self.owned {
                ManuallyDrop::drop(&mut self.file);
            }
        }
    }
}
