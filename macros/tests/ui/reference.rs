use std::io;
use std::sync::Mutex;
use vk::Io;

#[vk::coroutine]
fn text(io: &mut Io) -> io::Result<()> {
    let text: &str = "text";
    io.flush()?;
    io.write_all(text.as_bytes())
}

#[vk::coroutine]
fn guard(io: &mut Io, lock: &Mutex<u8>) -> io::Result<()> {
    let guard: std::sync::MutexGuard<'_, u8> = lock.lock().unwrap();
    io.flush()?;
    io.write_all(&[*guard])
}

#[vk::coroutine]
fn untyped(io: &mut Io, lock: &Mutex<u8>) -> io::Result<()> {
    let guard = lock.lock().unwrap();
    io.flush()
}

fn main() {}
