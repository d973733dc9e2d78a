use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    io.flush().await?;
    Ok(())
}

fn main() {}
