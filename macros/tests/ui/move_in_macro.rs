use std::io;
use vk::Io;

macro_rules! apply {
    ($f:expr) => {
        ($f)()
    };
}

#[vk::coroutine]
fn f(io: &mut Io) -> io::Result<()> {
    let mut n: u32 = 1;
    io.flush()?;
    let m: u32 = apply!(move || {
        n += 1;
        n
    });
    writeln!(io, "{n} {m}")
}

fn main() {
    apply!(|| ());
}
