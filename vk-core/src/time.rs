//! What time it is: read once per round of the worker, not per operation.

use crate::Nanos;
use std::cell::Cell;

thread_local! {
    static NOW: Cell<Nanos> = const { Cell::new(0) };
}

/// The monotonic time at which this thread's worker began its round; 0 before the first.
///
/// An ordinary function, which does not block: for what is made between two blocking calls and changes with
/// time, a date say.
#[inline]
pub fn now() -> Nanos {
    NOW.get()
}

/// A round begins.
pub fn set(now: Nanos) {
    NOW.set(now);
}
