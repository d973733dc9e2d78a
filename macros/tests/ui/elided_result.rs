use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io, name: &str) -> &str {
    name
}

fn main() {}
