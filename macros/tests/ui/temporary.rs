use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    io.read(&mut [0; 4])?;
    Ok(())
}

fn main() {}
