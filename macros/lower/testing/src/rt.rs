//! The run-time contract of generated code.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::mem::{ManuallyDrop, MaybeUninit, needs_drop};
pub use std::task::Poll;

/// A coroutine's input and output, all in memory.
#[derive(Debug)]
#[expect(missing_docs, reason = "read by tests")]
pub struct Io {
    pub input: VecDeque<u8>,
    pub output: Vec<u8>,
    pub script: VecDeque<bool>,
    pub suspended: usize,
    pub deadline: u64,
}

/// What may live in a frame.
///
/// # Safety
/// It holds no pointer and needs no `Drop`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not live across a blocking call",
    label = "is not `Plain`",
    note = "what is alive across a blocking call is kept in the micro-heap as plain data: \
            `#[derive(Plain)]` on a type of plain fields, or end the value's block before the call"
)]
pub unsafe trait Plain: 'static {}

macro_rules! plain {
    ($($ty:ty),*) => { $(
        // SAFETY: numbers only.
        unsafe impl Plain for $ty {}
    )* };
}
plain!((), bool, char, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, f64, std::time::Duration);

// SAFETY: as plain as its parts.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
// SAFETY: as plain as its parts.
unsafe impl<T: Plain> Plain for Option<T> {}
// SAFETY: as plain as its parts.
unsafe impl<T: Plain> Plain for std::ops::Range<T> {}
// SAFETY: as plain as its parts.
unsafe impl<T: Plain> Plain for std::ops::RangeInclusive<T> {}
// SAFETY: as plain as its parts.
unsafe impl<A: Plain> Plain for (A,) {}
// SAFETY: as plain as its parts.
unsafe impl<A: Plain, B: Plain> Plain for (A, B) {}
// SAFETY: as plain as its parts.
unsafe impl<A: Plain, B: Plain, C: Plain, D: Plain> Plain for (A, B, C, D) {}
// SAFETY: numbers only.
unsafe impl<const N: usize> Plain for crate::Line<N> {}

/// A variable's place in a frame.
#[derive(Debug)]
#[repr(transparent)]
pub struct Slot<T>(MaybeUninit<T>);

/// Compiles for types that may live in a frame.
pub const fn plain<T: Plain>() {}

impl<T> Slot<T> {
    /// Initialises the variable.
    pub fn write(&mut self, value: T) -> &mut T {
        const { assert!(!needs_drop::<T>()) };
        self.0.write(value)
    }

    /// The variable.
    ///
    /// # Safety
    /// It has been written in this activation.
    pub unsafe fn get(&mut self) -> &mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.assume_init_mut() }
    }
}

/// The frames of callees, in one place.
#[repr(C)]
pub union Overlay<A, B> {
    first: ManuallyDrop<MaybeUninit<A>>,
    rest: ManuallyDrop<MaybeUninit<B>>,
}

impl<A, B> Overlay<A, B> {
    /// The first member.
    ///
    /// # Safety
    /// It is entered before it is read.
    pub unsafe fn first(&mut self) -> &mut A {
        // SAFETY: a counter, written by `enter`, and slots.
        unsafe { (*self.first).assume_init_mut() }
    }

    /// The other members.
    ///
    /// # Safety
    /// As for `first`.
    pub unsafe fn rest(&mut self) -> &mut B {
        // SAFETY: as for `first`.
        unsafe { (*self.rest).assume_init_mut() }
    }
}

impl<A, B> std::fmt::Debug for Overlay<A, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Overlay")
    }
}

/// A coroutine that can be started on its own.
#[expect(missing_docs, reason = "as in vk")]
pub trait Coroutine: Sized + 'static {
    type Args;
    type Output;
    const NAME: &'static str;
    fn start(frame: &mut MaybeUninit<Self>, args: Self::Args);
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
pub fn nth<S: IntoIterator<IntoIter: Elements>>(slice: S, index: usize) -> Option<S::Item> {
    slice.into_iter().nth(index)
}

/// The frame of a method coroutine, by the hash of its name.
pub trait Method<const NAME: u64> {
    /// The frame.
    type Frame;
}

/// The program counter of a coroutine that has returned.
pub const DONE: u32 = u32::MAX;

/// Resumed after its end.
#[cold]
pub fn resumed_after_end(name: &str) -> ! {
    panic!("{name} was resumed after its end")
}

/// Resumes until the end.
pub(crate) fn finish<C: Coroutine>(frame: &mut MaybeUninit<C>, io: &mut Io) -> C::Output {
    // SAFETY: started by the caller.
    let frame = unsafe { frame.assume_init_mut() };
    loop {
        if let Poll::Ready(output) = frame.resume(io) {
            return output;
        }
    }
}
