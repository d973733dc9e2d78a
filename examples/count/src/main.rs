//! Counts the bytes of standard input: `dd if=/dev/zero bs=64k count=1000 | count`.

use vk::prelude::*;

/// Reads to the end and writes how many bytes that were.
#[vk::coroutine]
fn count(io: &mut Io) -> io::Result<()> {
    let mut total: u64 = 0;
    loop {
        let there: usize = io.fill(1)?;
        if there == 0 {
            break;
        }
        io.skip(there as u64)?;
        total += there as u64;
    }
    writeln!(io, "{total}")
}

vk_app! {
    name: "count",
    about: "Counts the bytes of standard input",
    stdio: count,
}
