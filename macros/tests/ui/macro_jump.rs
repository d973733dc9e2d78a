use std::io;
use vk::Io;

macro_rules! some {
    ($value:expr) => {
        match $value {
            Some(value) => value,
            None => continue,
        }
    };
}

#[vk::coroutine]
fn f(io: &mut Io, word: Option<u8>) -> io::Result<()> {
    let mut sum: u32 = 0;
    loop {
        write!(io, "{sum}")?;
        sum += u32::from(some!(word));
    }
}

fn main() {}
