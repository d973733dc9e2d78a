#![deny(unused_must_use)]

use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    io.flush();
    io.flush()
}

fn main() {}
