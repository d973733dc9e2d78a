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
fn change(io: &mut Io, n: &mut u32) -> io::Result<u32> {
    io.flush()?;
    *n += 1;
    Ok(*n)
}

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<u32> {
    let mut n: u32 = 3;
    io.flush()?;
    Ok(n + change(io, &mut n)?)
}

fn main() {}
