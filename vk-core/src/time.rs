//! What time it is: read once per dispatch, not per operation.

use crate::Nanos;
use std::cell::Cell;
use std::fmt;

thread_local! {
    static NOW: Cell<Nanos> = const { Cell::new(0) };
}

/// The monotonic time at which this thread's worker began its dispatch; 0 before the first.
///
/// An ordinary function, which does not block: for what is made between two blocking calls and changes with
/// time, a date say.
#[inline]
pub fn now() -> Nanos {
    NOW.get()
}

/// Reads the clock anew, while a dispatch runs.
pub struct Clock(pub Box<dyn Fn() -> Nanos>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A dispatch begins.
pub fn set(now: Nanos) {
    NOW.set(now);
}
