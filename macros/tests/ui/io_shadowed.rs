use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    let io = 3;
    Ok(())
}

fn main() {}
