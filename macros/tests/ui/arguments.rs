use std::io;
use vk::Io;

#[vk::coroutine(fast)]
fn f(io: &mut Io) -> io::Result<()> {
    io.flush()
}

fn main() {}
