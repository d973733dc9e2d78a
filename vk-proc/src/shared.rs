//! Memory that the keeper and all workers share, and the next build of the program after them.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use vk_heap::memfd;

/// A memfd, mapped, zero at first. Dropping it leaves it mapped and open: those who share it use it to their end.
#[derive(Debug)]
pub struct Shared {
    memfd: RawFd,
    memory: NonNull<[u8]>,
}

// SAFETY: it is a place; what is done there is up to the types that are kept in it.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// New memory of `size` bytes, sparse, under a name that /proc/PID/fd shows.
    ///
    /// # Errors
    /// Those of [`memfd`] and mmap(2).
    pub fn new(name: &CStr, size: usize) -> io::Result<Shared> {
        Shared::map(memfd(name, size)?)
    }

    /// The memory behind a memfd that another process, or the build before this one, has made.
    ///
    /// # Errors
    /// Those of fstat(2) and mmap(2).
    pub fn map(memfd: OwnedFd) -> io::Result<Shared> {
        let memory = Shared::map_borrowed(memfd.as_fd())?.memory;
        Ok(Shared { memfd: memfd.into_raw_fd(), memory })
    }

    /// As [`map`](Shared::map), of a memfd that stays the caller's.
    ///
    /// # Errors
    /// As there.
    pub fn map_borrowed(memfd: BorrowedFd<'_>) -> io::Result<Shared> {
        let file = ManuallyDrop::new(
            // SAFETY: borrowed for the time of the call, and `ManuallyDrop` never closes it.
            unsafe { File::from_raw_fd(memfd.as_raw_fd()) },
        );
        let size = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        // SAFETY: a new mapping touches nothing that exists; an invalid size or descriptor is an error.
        let address = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(ptr::null_mut(), size, access, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        match NonNull::new(address.cast::<u8>()) {
            Some(first) if address != libc::MAP_FAILED => {
                let memory = NonNull::slice_from_raw_parts(first, size);
                Ok(Shared { memfd: memfd.as_raw_fd(), memory })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Children of this process, as fork(2) makes them, have none of it.
    ///
    /// # Errors
    /// Those of madvise(2).
    pub fn keep_from_children(&self) -> io::Result<()> {
        // SAFETY: this mapping, all of it; what the process itself sees stays as it is.
        match unsafe { libc::madvise(self.memory.as_ptr().cast(), self.memory.len(), libc::MADV_DONTFORK) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Takes the memory away from this process.
    ///
    /// # Safety
    /// Nothing that [`slice`](Shared::slice) gave out may be used afterwards.
    pub unsafe fn unmap(&self) {
        // SAFETY: exactly the mapping that `map` made; that nothing refers to it is the caller's promise. It can't fail for
        // a whole mapping.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.memory.len()) };
    }

    /// The memfd's number.
    pub fn memfd(&self) -> RawFd {
        self.memfd
    }

    /// `count` values from byte `at`.
    ///
    /// # Panics
    /// If they don't fit, or `at` is not aligned.
    pub fn slice<T: Cell>(&self, at: usize, count: usize) -> &[T] {
        let first = self.memory.cast::<u8>();
        let size = count.checked_mul(size_of::<T>()).expect("a size");
        assert!(at <= self.memory.len() && size <= self.memory.len() - at, "not in the shared memory");
        // SAFETY: in bounds, as the line above says.
        let first = unsafe { first.add(at) }.cast::<T>();
        assert!(first.is_aligned());
        // SAFETY: in bounds and aligned, never unmapped; `Cell` promises that any bytes are a value, and that
        // others may change it meanwhile.
        unsafe { std::slice::from_raw_parts(first.as_ptr(), count) }
    }

    /// Bytes.
    pub fn size(&self) -> usize {
        self.memory.len()
    }
}

/// What may lie in shared memory.
///
/// # Safety
/// Made of atomics only: any bytes are a value, and whoever shares it may change it at any time.
pub unsafe trait Cell {}
