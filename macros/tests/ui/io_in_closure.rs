use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    let flush = || io.flush();
    flush()
}

fn main() {}
