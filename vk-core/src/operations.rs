//! The blocking operations, by what they work on.

mod clock;
mod connection;
mod memory;
pub(crate) mod process;
mod receive;
pub mod resolve;
mod send;
mod stream;
