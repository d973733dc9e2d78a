//! The blocking operations, by what they work on.

mod clock;
mod connection;
mod memory;
pub(crate) mod process;
mod receive;
mod send;
mod stream;
