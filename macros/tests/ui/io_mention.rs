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
    let again = &mut *io;
    other(&mut *io, 3)?;
    fn_like(Some(io));
    io.flush()
}

fn main() {}
