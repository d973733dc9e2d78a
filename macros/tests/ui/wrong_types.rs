use std::io;
use vk::Io;

#[vk::coroutine]
fn other(io: &mut Io, n: u32) -> io::Result<u32> {
    io.flush()?;
    Ok(n)
}

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    let text: bool = other(io, 3)?;
    other(io, "3")?;
    other(io)?;
    io.flush()?;
}

fn main() {}
