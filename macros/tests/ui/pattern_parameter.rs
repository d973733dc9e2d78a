use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io, (a, b): (u32, u32)) -> io::Result<()> {
    io.flush()
}

fn main() {}
