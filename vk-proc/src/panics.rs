//! A panic in a handler ends its micro-process only, and is logged once, with the place.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes panics inside [`catch`] be kept for [`report`] instead of printed. Others are printed as before.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CATCHING.get() {
                LAST.set(info.to_string().replace('\n', " "));
            } else {
                before(info);
            }
        }));
    });
}

/// Runs handlers; their panic is an error.
///
/// Whatever state the panic left behind belongs to the micro-process, which ends with it.
#[inline]
pub fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    CATCHING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    CATCHING.set(false);
    #[cfg(debug_assertions)]
    let result = result.map_err(|payload| match payload.is::<vk_heap::failpoint::Death>() {
        // A test lets the worker die here: nobody catches that.
        true => panic::resume_unwind(payload),
        false => payload,
    });
    result
}

/// Logs the panic that [`catch`] caught last.
pub fn report(handler: &str, heap: usize) {
    tracing::error!(handler, heap, "a handler panicked, its micro-process ends: {}", LAST.take());
}
