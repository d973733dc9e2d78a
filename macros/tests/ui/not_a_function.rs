#[vk::coroutine]
struct Frame;

fn main() {}
