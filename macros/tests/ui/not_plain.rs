use std::io;
use vk::Io;

#[vk::coroutine]
fn list(io: &mut Io) -> io::Result<()> {
    let mut list: Vec<u8> = Vec::new();
    io.flush()?;
    list.push(1);
    io.write_all(&list)
}

#[vk::coroutine]
fn parameter(io: &mut Io, text: String) -> io::Result<()> {
    io.write_all(text.as_bytes())
}

#[vk::coroutine]
fn generic<T: 'static>(io: &mut Io, value: T) -> io::Result<()> {
    io.flush()?;
    let _ = &value;
    Ok(())
}

fn main() {}
