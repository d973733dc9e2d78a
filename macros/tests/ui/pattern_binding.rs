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
    match Some(compute()) {
        Some(n) => {
            other(io, n)?;
        }
        None => {}
    }
    let (a, b) = (1, 2);
    other(io, a)?;
    if let Some(n) = Some(b) {
        let n: u32 = n;
        other(io, n)?;
    }
    Ok(())
}

fn main() {}
