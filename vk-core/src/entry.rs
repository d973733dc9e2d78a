//! The coroutines that can be started, by index: addresses never enter a micro-heap.
#![allow(unsafe_code)]

use crate::Io;
use crate::rt::Coroutine;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::task::Poll;

/// A coroutine that can be started on its own, with its type erased.
#[derive(Debug)]
pub struct Entry {
    name: &'static str,
    size: u32,
    start: unsafe fn(NonNull<u8>),
    resume: unsafe fn(NonNull<u8>, &mut Io) -> Poll<io::Result<()>>,
}

/// Frames live in the micro-heap, where the allocator aligns to this.
const ALIGNMENT: usize = 16;

impl Entry {
    /// The entry of a handler.
    pub const fn handler<C: Coroutine<Args = (), Output = io::Result<()>>>() -> &'static Entry {
        unsafe fn start<C: Coroutine<Args = ()>>(frame: NonNull<u8>) {
            // SAFETY: `Entry::start`'s contract.
            C::start(unsafe { frame.cast::<MaybeUninit<C>>().as_mut() }, ());
        }
        const { &Entry::new::<C>(start::<C>) }
    }

    /// The entry of a coroutine whose frame is filled by who starts it, not by [`start`](Entry::start).
    pub const fn of<C: Coroutine<Output = io::Result<()>>>() -> &'static Entry {
        const { &Entry::new::<C>(|_| ()) }
    }

    const fn new<C: Coroutine<Output = io::Result<()>>>(start: unsafe fn(NonNull<u8>)) -> Entry {
        unsafe fn resume<C: Coroutine<Output = io::Result<()>>>(
            frame: NonNull<u8>,
            io: &mut Io,
        ) -> Poll<io::Result<()>> {
            // SAFETY: `Entry::resume`'s contract.
            unsafe { frame.cast::<C>().as_mut() }.resume(io)
        }
        assert!(align_of::<C>() <= ALIGNMENT && size_of::<C>() <= u32::MAX as usize);
        Entry { name: C::NAME, size: size_of::<C>() as u32, start, resume: resume::<C> }
    }

    /// The coroutine's path.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The bytes of its frame.
    pub const fn frame_size(&self) -> u32 {
        self.size
    }

    /// Sets `frame` to the beginning.
    ///
    /// # Safety
    /// `frame` points to [`frame_size`](Entry::frame_size) bytes, aligned to 16, that nobody else uses.
    pub unsafe fn start(&self, frame: NonNull<u8>) {
        // SAFETY: the caller's promise.
        unsafe { (self.start)(frame) }
    }

    /// Runs the coroutine until it blocks or ends.
    ///
    /// # Safety
    /// `frame` holds the frame of this coroutine, started, and nobody else uses it.
    #[inline]
    pub unsafe fn resume(&self, frame: NonNull<u8>, io: &mut Io) -> Poll<io::Result<()>> {
        // SAFETY: the caller's promise.
        unsafe { (self.resume)(frame, io) }
    }
}
