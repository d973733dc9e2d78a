use std::io;
use vk::Io;

#[vk::coroutine]
fn computed(io: &mut Io, mut a: u64) -> io::Result<()> {
    for x in &[5, a] {
        let x: u64 = *x;
        a += 100;
        write!(io, "{x} ")?;
    }
    Ok(())
}

#[vk::coroutine]
fn bounds(io: &mut Io, words: &[u64], n: &mut usize) -> io::Result<()> {
    for x in words[..*n].iter() {
        let x: u64 = *x;
        *n = 2;
        write!(io, "{x} ")?;
    }
    Ok(())
}

#[vk::coroutine]
fn index(io: &mut Io, grid: &[[u64; 2]; 2]) -> io::Result<()> {
    let mut i: usize = 0;
    for x in &grid[i] {
        let x: u64 = *x;
        i = 1;
        write!(io, "{x} ")?;
    }
    Ok(())
}

fn main() {}
