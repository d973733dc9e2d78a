//! The bodies as coroutines.
#![allow(warnings, clippy::all)]

use vk_core::{HeapBytes, Io, Line};
use vk_macros::Plain;

#[path = "bodies.rs"]
pub mod hand;

pub mod random {
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/random.rs"));
}

/// A handler for each body, which reports its result.
pub mod handlers {
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/handlers.rs"));
}
