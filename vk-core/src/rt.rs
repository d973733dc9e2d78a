//! What lowered code stands on. Written by the macros, not by hand.
#![allow(unsafe_code)]

pub use crate::preparation::PREPARATIONS;
pub use crate::shape::{Field, Point, Shape, body_of, layout, layout_of};
pub use crate::{Entry, Io, register};
pub use core::task::Poll;
pub use linkme;
pub use vk_heap::{Plain, hash};

use std::mem::{ManuallyDrop, MaybeUninit, needs_drop};

/// A variable's place in a frame: written when its `let` runs, read in later segments.
///
/// The frame says once, in [`Frame::FIELDS`], that the type is `Plain`: a bound here would be reported for each use.
#[derive(Debug)]
#[repr(transparent)]
pub struct Slot<T>(MaybeUninit<T>);

impl<T> Slot<T> {
    const PLAIN: () = assert!(!needs_drop::<T>(), "a variable of a frame must not need `Drop`");

    /// Initialises the variable.
    #[inline(always)]
    pub fn write(&mut self, value: T) -> &mut T {
        let () = Self::PLAIN;
        self.0.write(value)
    }

    /// The variable.
    ///
    /// # Safety
    /// It has been written in this activation of the coroutine. The lowering's validator checks it for
    /// every path.
    #[inline(always)]
    pub unsafe fn get(&mut self) -> &mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.assume_init_mut() }
    }
}

// SAFETY: bytes of a plain type, or not yet any.
unsafe impl<T: Plain> Plain for Slot<T> {}

/// The frames of a coroutine's callees, in one place: only one callee is active at a time.
///
/// As a type it is a binary tree, in the order of a heap: the callees 2 *n* + 1 and 2 *n* + 2 are below callee *n*. So it is
/// as deep as the number of callees has binary digits, and a path to a callee doesn't depend on how many there are.
#[repr(C)]
pub union Overlay<A, L = (), R = ()> {
    first: ManuallyDrop<MaybeUninit<A>>,
    left: ManuallyDrop<MaybeUninit<L>>,
    right: ManuallyDrop<MaybeUninit<R>>,
}

impl<A, L, R> Overlay<A, L, R> {
    /// The frame at this place of the tree.
    ///
    /// # Safety
    /// Its fields are written before they are read: a frame's are, once it is entered.
    #[inline(always)]
    pub unsafe fn first(&mut self) -> &mut A {
        // SAFETY: a frame is a program counter, written by `enter`, and slots, which may be uninitialised.
        unsafe { (*self.first).assume_init_mut() }
    }

    /// The frames below, to the left.
    ///
    /// # Safety
    /// As for [`first`](Overlay::first).
    #[inline(always)]
    pub unsafe fn left(&mut self) -> &mut L {
        // SAFETY: as for `first`.
        unsafe { (*self.left).assume_init_mut() }
    }

    /// The frames below, to the right.
    ///
    /// # Safety
    /// As for [`first`](Overlay::first).
    #[inline(always)]
    pub unsafe fn right(&mut self) -> &mut R {
        // SAFETY: as for `first`.
        unsafe { (*self.right).assume_init_mut() }
    }
}

impl<A, L, R> std::fmt::Debug for Overlay<A, L, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Overlay")
    }
}

/// A coroutine's frame, for builds to compare: see [`shape`](crate::shape).
///
/// # Safety
/// It begins with its program counter, a `u32` that is 0 where the coroutine is entered; all else is valid whatever its
/// bytes are, and [`FIELDS`](Frame::FIELDS) are where they say.
pub unsafe trait Frame: Sized {
    /// Its variables.
    const FIELDS: &'static [Field];
    /// The fingerprint of how its variables and its callees' lie in memory.
    const LAYOUT: u64;
    /// The fingerprint of what it and its callees do.
    const BODY: u64;
}

/// A coroutine that can be started on its own: spawned, or set to a listener. The type is its frame.
///
/// Implemented by `#[coroutine]` for every coroutine whose parameters, beside `io`, are passed by value.
pub trait Coroutine: Frame + 'static {
    /// The parameters beside `io`.
    type Args;
    /// What it returns.
    type Output;
    /// Its path.
    const NAME: &'static str;
    /// Its frame by names.
    const SHAPE: &'static Shape;
    /// What it has [registered](crate::entry::ENTRIES), unless it is generic.
    const ENTRY: Option<&'static Option<Entry>> = None;
    /// Stores the arguments and sets the frame to the beginning.
    fn start(frame: &mut MaybeUninit<Self>, args: Self::Args);
    /// Runs until it blocks or ends.
    fn resume(&mut self, io: &mut Io) -> Poll<Self::Output>;
}

/// What a `for` that blocks goes over, beside ranges: the elements of a slice, which are found again by their index.
#[diagnostic::on_unimplemented(
    message = "a `for` with blocking calls in its body can't go over `{Self}`",
    label = "neither a slice nor an array by reference",
    note = "its elements are found again by their index after each blocking call: go over a range, a slice or an \
            array by reference, or use `while let`, with a position in a variable"
)]
pub trait Elements: sealed::Elements + Iterator {}

impl<T> Elements for std::slice::Iter<'_, T> {}
impl<T> Elements for std::slice::IterMut<'_, T> {}

mod sealed {
    /// Nobody else's iterators.
    pub trait Elements {}
    impl<T> Elements for std::slice::Iter<'_, T> {}
    impl<T> Elements for std::slice::IterMut<'_, T> {}
}

/// The element at `index`; `None` after the last.
#[inline(always)]
pub fn nth<S: IntoIterator<IntoIter: Elements>>(slice: S, index: usize) -> Option<S::Item> {
    slice.into_iter().nth(index)
}

/// Finds the frame of a method that is a coroutine, by the FNV-1a hash (64 bits) of the method's name.
pub trait Method<const NAME: u64> {
    /// The method's frame.
    type Frame: Frame;
}

/// The program counter of a coroutine that has returned.
pub const DONE: u32 = u32::MAX;

/// A coroutine was resumed after it had returned: a mistake of the dispatcher.
#[cold]
pub fn resumed_after_end(name: &str) -> ! {
    panic!("{name} was resumed after its end")
}
