//! The counters, for `--admin`.

use crate::serve::BOARD;
use vk::prelude::*;

/// Answers one request, whatever it asks for, with the workers' counters.
#[vk::coroutine]
pub fn admin(io: &mut Io) -> io::Result<()> {
    io.deadline(Duration::from_secs(10))?;
    let mut line: Line<1024> = Line::new();
    while io.read_line(&mut line)? && !line.trim_end().is_empty() {}
    io.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n\r\n")?;
    let lines: usize = BOARD.get().map_or(0, |board| board.lines());
    for at in 0..lines {
        // Numbers go on while a line is sent: it is made once.
        line.clear();
        {
            let text = BOARD.get().map_or_else(String::new, |board| board.line(at));
            line.extend(text.as_bytes()).expect("a line of the board is shorter");
        }
        io.write_all(&line)?;
    }
    Ok(())
}
