use std::io;
use vk::Io;

struct Session;

#[vk::coroutine]
impl Session {
    fn f(self, io: &mut Io) -> io::Result<()> {
        io.flush()
    }
}

fn main() {}
