//! The same text without `#[coroutine]`: ordinary blocking functions.
#![allow(warnings, clippy::all)]

use crate::blocking::{HeapBytes, Io};
use vk_core::Line;
use vk_macros::Plain;

pub mod hand {
    include!(concat!(env!("OUT_DIR"), "/hand_plain.rs"));
}

pub mod random {
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/random_plain.rs"));
}
