use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io, other: &mut Io) -> io::Result<()> {
    io.flush()
}

fn main() {}
