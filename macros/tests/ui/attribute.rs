use std::io;
use vk::Io;

#[vk::coroutine]
#[test]
fn f(io: &mut Io) -> io::Result<()> {
    io.flush()
}

fn main() {}
