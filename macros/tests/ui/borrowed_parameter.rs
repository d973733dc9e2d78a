use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io, name: Option<&str>) -> io::Result<()> {
    io.flush()
}

fn main() {}
