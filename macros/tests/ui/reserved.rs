use std::io;
use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    let __vk_jump_3: u32 = 3;
    io.flush()
}

fn main() {}
