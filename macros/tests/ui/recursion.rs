use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    io.flush()?;
    f(io)
}

fn main() {}
