//! Echoes lines of up to 1024 bytes: `printf 'a\nb\n' | nc -N localhost 7007`.

use vk::prelude::*;

/// Echoes each line until the client hangs up.
#[vk::coroutine]
fn echo(io: &mut Io) -> io::Result<()> {
    let mut line: Line<1024> = Line::new();
    loop {
        // Between two lines nothing is under way: a server that drains may end the connection here.
        io.checkpoint("between lines")?;
        if !io.read_line(&mut line)? {
            return Ok(());
        }
        io.write_all(&line)?;
    }
}

vk_app! {
    name: "line_echo",
    about: "Echoes lines",
    listen: "127.0.0.1:7007" => echo,
}
