//! Places at which a test lets the process die: between any two steps that have to survive it.
//!
//! Compiled out of builds without debug assertions. A test [arms](arm) the n-th place that this thread comes
//! by; there a [`Death`] unwinds to the test, which goes on with what is in shared memory, as the next
//! process would.

use std::cell::Cell;

thread_local! {
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// What unwinds from the place of death. Whoever catches panics of handlers has to let it pass.
#[derive(Debug)]
pub struct Death(pub &'static str);

/// Lets this thread die at the place that it comes by after `count` others; `None` lets it live.
pub fn arm(count: Option<u32>) {
    LEFT.set(count);
}

/// Whether death is still to come.
pub fn is_armed() -> bool {
    LEFT.get().is_some()
}

/// A place: see [`failpoint!`](crate::failpoint!).
#[inline]
pub fn reach(name: &'static str) {
    match LEFT.get() {
        None => {}
        Some(0) => {
            LEFT.set(None);
            std::panic::resume_unwind(Box::new(Death(name)));
        }
        Some(left) => LEFT.set(Some(left - 1)),
    }
}

/// A place where a test may let the process die, see [`failpoint`](mod@crate::failpoint).
#[macro_export]
#[doc(hidden)]
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::failpoint::reach($name);
    };
}
