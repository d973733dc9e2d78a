use std::io;
use vk::Io;

#[vk::coroutine]
async unsafe fn f(io: &mut Io) -> io::Result<()> {
    io.flush()
}

fn main() {}
