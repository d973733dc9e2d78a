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
    for n in [1, 2, 3].into_iter().rev() {
        let n: u32 = n;
        other(io, n)?;
    }
    Ok(())
}

fn main() {}
