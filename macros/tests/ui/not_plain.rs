use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    let list: Vec<u8> = Vec::new();
    io.flush()?;
    io.write_all(&list)
}

fn main() {}
