use std::io;
use vk::Io;

#[vk::coroutine]
fn next<'a, I: Iterator<Item = &'a u8>>(io: &mut Io, it: &mut I) -> io::Result<bool> {
    io.flush()?;
    Ok(it.next().is_some())
}

#[vk::coroutine]
fn f(io: &mut Io, words: &mut [u8; 2], text: &str, n: u32) -> io::Result<()> {
    next(io, &mut words.iter())?;
    io.read_exact(&mut n.to_be_bytes()[1..])?;
    io.read_exact(&mut *n.to_be_bytes().as_mut())?;
    io.read_exact(&mut words.as_mut_slice()[..1])?;
    next(io, &mut text.as_bytes().iter())?;
    Ok(())
}

fn main() {}
