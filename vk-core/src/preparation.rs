//! What a program makes before it serves: tables that are made once, and that may turn out to be wrong.
//!
//! Whoever has one registers it beside it, and the linker gathers them (`linkme`), as it does
//! [entries](crate::entry::ENTRIES). A mistake is found when the program starts, not when somebody first asks for what it
//! is in; and what is made before workers are forked, they share.

/// What is to be made, once each, before any worker is. An error, one line, says why the program can't start.
#[linkme::distributed_slice]
pub static PREPARATIONS: [fn() -> Result<(), String>];

/// Makes it all.
///
/// # Errors
/// The first one.
pub fn prepare() -> Result<(), String> {
    PREPARATIONS.iter().try_for_each(|preparation| preparation())
}
