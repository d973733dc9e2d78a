use vk::Io;

struct Session;

trait Handle {
    fn handle(&mut self, io: &mut Io);
}

#[vk::coroutine]
impl Handle for Session {
    fn handle(&mut self, io: &mut Io) {}
}

fn main() {}
