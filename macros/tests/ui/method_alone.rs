use std::io;
use vk::Io;

struct Session;

impl Session {
    #[vk::coroutine]
    fn f(&mut self, io: &mut Io) -> io::Result<()> {
        io.flush()
    }
}

fn main() {}
