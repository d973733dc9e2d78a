use std::io;
use vk::Io;

struct Session;

#[vk::coroutine]
impl Session {
    fn f(&mut self, io: &mut Io) -> io::Result<()> {
        io.flush()
    }
}

struct Pair {
    left: Session,
}

#[vk::coroutine]
fn f(io: &mut Io, pair: &mut Pair) -> io::Result<()> {
    pair.left.f(io)
}

fn main() {}
