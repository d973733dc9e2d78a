use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        io.write_all(&rest[..1])?;
        rest = &rest[1..];
    }
    Ok(())
}

fn main() {}
