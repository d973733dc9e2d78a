use std::io;
use vk::Io;

#[vk::coroutine]
fn other(io: &mut Io, _n: u32) -> io::Result<u32> {
    io.flush()?;
    Ok(1)
}

fn compute() -> u32 {
    7
}

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    let n = compute() + other(io, 1)?;
    assert(n);
    Ok(())
}

fn main() {}
