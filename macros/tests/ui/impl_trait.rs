use vk::Io;

#[vk::coroutine]
fn f(io: &mut Io, name: impl ToString) -> impl ToString {
    io.flush();
    name
}

fn main() {}
