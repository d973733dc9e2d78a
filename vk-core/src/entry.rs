//! The coroutines that can be started: by index, for addresses never enter a micro-heap, and by name, for a new build
//! has other indexes.
//!
//! Every coroutine of the program that isn't generic, takes its parameters by value and returns `io::Result<()>` is in
//! [`ENTRIES`], wherever it is declared: the linker gathers them (`linkme`), as a list that somebody keeps would be the
//! one place that is forgotten. Generic ones exist only as far as somebody uses them; they have an [`Entry`] and are not
//! found by name.
#![allow(unsafe_code)]

use crate::Io;
use crate::rt::Coroutine;
use crate::shape::Shape;
use std::io;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::task::Poll;

/// A coroutine that can be started on its own, with its type erased.
#[derive(Debug)]
pub struct Entry {
    name: &'static str,
    size: u32,
    is_handler: bool,
    layout: u64,
    body: u64,
    shape: &'static Shape,
    resume: unsafe fn(NonNull<u8>, &mut Io) -> Poll<io::Result<()>>,
}

/// Frames live in the micro-heap, where the allocator aligns to this.
const ALIGNMENT: usize = 16;

/// The coroutines of the program that can be found by name, and nothing for those with another result.
#[linkme::distributed_slice]
pub static ENTRIES: [Option<Entry>];

impl Entry {
    /// The entry of a handler.
    pub const fn handler<C: Coroutine<Args = (), Output = io::Result<()>>>() -> &'static Entry {
        Entry::of::<C>()
    }

    /// The entry of a coroutine.
    pub const fn of<C: Coroutine<Output = io::Result<()>>>() -> &'static Entry {
        match C::ENTRY {
            Some(Some(entry)) => entry,
            _ => const { &Entry::new::<C>() },
        }
    }

    /// The entry of that name in [`ENTRIES`]. Of functions that have the same path, as two in the bodies of other
    /// functions do, it is any: a body fingerprint tells them apart.
    pub fn find(name: &str) -> Option<&'static Entry> {
        ENTRIES.iter().flatten().find(|entry| entry.name == name)
    }

    const fn new<C: Coroutine<Output = io::Result<()>>>() -> Entry {
        unsafe fn resume<C: Coroutine<Output = io::Result<()>>>(
            frame: NonNull<u8>,
            io: &mut Io,
        ) -> Poll<io::Result<()>> {
            // SAFETY: `Entry::resume`'s contract.
            unsafe { frame.cast::<C>().as_mut() }.resume(io)
        }
        assert!(align_of::<C>() <= ALIGNMENT && size_of::<C>() <= u32::MAX as usize);
        Entry {
            name: C::NAME,
            size: size_of::<C>() as u32,
            is_handler: size_of::<C::Args>() == 0,
            layout: C::LAYOUT,
            body: C::BODY,
            shape: C::SHAPE,
            resume: resume::<C>,
        }
    }

    /// The coroutine's path.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The bytes of its frame.
    pub const fn frame_size(&self) -> u32 {
        self.size
    }

    /// Whether it needs no arguments.
    pub const fn is_handler(&self) -> bool {
        self.is_handler
    }

    /// The fingerprint of its frame: see [`shape`](crate::shape).
    pub const fn layout(&self) -> u64 {
        self.layout
    }

    /// The fingerprint of its body.
    pub const fn body(&self) -> u64 {
        self.body
    }

    /// Its frame by names.
    pub const fn shape(&self) -> &'static Shape {
        self.shape
    }

    /// Where it stands at a program counter: file and line of the blocking call; none at its beginning and end.
    pub fn place(&self, pc: u32) -> Option<(&'static str, u32)> {
        let point = self.shape.points.iter().find(|point| point.pc == pc)?;
        Some((self.shape.file, point.line))
    }

    /// Sets `frame` to the beginning.
    ///
    /// # Safety
    /// `frame` points to [`frame_size`](Entry::frame_size) bytes, aligned to 16, that nobody else uses. The coroutine
    /// [needs no arguments](Entry::is_handler).
    pub unsafe fn start(&self, frame: NonNull<u8>) {
        // SAFETY: the caller's promise; a frame begins with its program counter, as `Frame` promises.
        unsafe { frame.cast::<u32>().write(0) }
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

/// What a coroutine registers, told by its type: the constant of the type goes first where its bound holds.
#[derive(Debug)]
pub struct Candidate<C>(PhantomData<C>);

impl<C: Coroutine<Output = io::Result<()>>> Candidate<C> {
    /// Its entry.
    pub const ENTRY: Option<Entry> = Some(Entry::new::<C>());
}

/// Coroutines with other results.
pub trait Other {
    /// None.
    const ENTRY: Option<Entry> = None;
}

impl<C> Other for Candidate<C> {}

/// The one [`Entry`] of a coroutine that isn't generic, in [`ENTRIES`]. Written by the macros, not by hand.
#[doc(hidden)]
#[macro_export]
macro_rules! register {
    ($coroutine:ty) => {{
        #[allow(unused_imports)]
        use $crate::entry::Other as _;
        #[$crate::rt::linkme::distributed_slice($crate::entry::ENTRIES)]
        #[linkme(crate = $crate::rt::linkme)]
        static ENTRY: ::core::option::Option<$crate::Entry> = $crate::entry::Candidate::<$coroutine>::ENTRY;
        ::core::option::Option::Some(&ENTRY)
    }};
}
