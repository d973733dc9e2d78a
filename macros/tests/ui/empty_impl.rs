struct Session;

#[vk::coroutine]
impl Session {
    fn f(&mut self) {}
}

fn main() {}
