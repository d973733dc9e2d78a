use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io, n: u32) -> io::Result<()> {
    let fixed: u32 = 3;
    io.flush()?;
    fixed += n;
    n = 4;
    io.flush()
}

fn main() {}
