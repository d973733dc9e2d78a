use std::io;
use vk::Io;

fn helper(io: &mut Io) -> io::Result<()> {
    Ok(())
}

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    helper(io)
}

fn main() {}
