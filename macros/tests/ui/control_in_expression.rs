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
    let n = Some(if compute() > 3 { other(io, 3)? } else { 4 });
    assert!(n.is_some());
    Ok(())
}

fn main() {}
