//! The smallest application: `cargo run --example echo`, then `printf 'a\nb\n' | nc -N localhost 7007`.

use vk::prelude::*;

/// Echoes each line until the client hangs up.
#[vk::coroutine]
fn echo(io: &mut Io) -> io::Result<()> {
    let mut line: Line<1024> = Line::new();
    while io.read_line(&mut line)? {
        io.write_all(&line)?;
    }
    Ok(())
}

vk_app! {
    name: "echo",
    listen: "127.0.0.1:7007" => echo,
}
