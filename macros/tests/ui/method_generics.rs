use std::io;
use vk::Io;

struct Session;

#[vk::coroutine]
impl Session {
    fn f<T: vk::Plain>(&mut self, io: &mut Io, value: T) -> io::Result<()> {
        io.flush()
    }
}

fn main() {}
