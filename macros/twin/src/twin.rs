//! The lowering's oracle: the same source, lowered and as an ordinary blocking function, must do the same.
//!
//! ```text
//!                 ┌─ #[coroutine] ─► Worker<Sim>      short reads, EAGAIN, suspensions ─┐
//!  one source ────┤                                                                     ├─ equal?
//!                 └─ as it stands ─► blocking::Io      a socket pair, waiting in the kernel ─┘
//! ```
//!
//! The sources are hand-written bodies (`bodies.rs`) that cover the language, and random
//! programs that the build script writes. It also writes the twins of all: the same text without the
//! attribute. How to run more of it, and how to see a failure again: see `oracle.rs`.
//!
//! What a body does depends on the bytes of its input, never on how they are cut into pieces.

extern crate vk_core as vk;

mod blocking;
mod dice;
mod lowered;
mod machine;
mod observed;
mod oracle;
mod plain;
mod tools;

include!(concat!(env!("OUT_DIR"), "/seed.rs"));

include!(concat!(env!("OUT_DIR"), "/table.rs"));

#[test]
fn hand_written_bodies_do_what_their_twins_do() {
    oracle::check(HAND, SEED);
}

#[test]
fn random_bodies_do_what_their_twins_do() {
    oracle::check(RANDOM, SEED);
}
