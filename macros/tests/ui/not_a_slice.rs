use std::collections::VecDeque;
use std::io;
use vk::Io;

#[vk::coroutine]
fn f<I: Iterator<Item = u8>>(io: &mut Io, it: &mut I) -> io::Result<()> {
    for byte in it {
        let byte: u8 = byte;
        io.write_all(&[byte])?;
    }
    Ok(())
}

#[vk::coroutine]
fn g(io: &mut Io, queue: &VecDeque<u8>) -> io::Result<()> {
    for byte in queue.iter() {
        let byte: u8 = *byte;
        io.write_all(&[byte])?;
    }
    Ok(())
}

fn main() {}
