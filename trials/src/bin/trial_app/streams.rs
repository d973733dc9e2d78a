//! Streams: bytes, changed bytes, lines.

use vk::prelude::*;
use vk_trials::change;

/// Gives back each byte.
#[vk::coroutine]
pub fn raw(io: &mut Io) -> io::Result<()> {
    io.forward(u64::MAX)?;
    Ok(())
}

/// Gives back what [`filter`] makes of each byte, through an in-heap pipe.
#[vk::coroutine]
pub fn changed(io: &mut Io) -> io::Result<()> {
    let mut child: Child = io.spawn::<filter>((), Source::Parent, Sink::Inherit)?;
    io.forward(u64::MAX)?;
    io.shutdown()?;
    io.join(&mut child)
}

/// Changes each byte by its place in the stream, which it counts in its frame.
#[vk::coroutine]
pub fn filter(io: &mut Io) -> io::Result<()> {
    let mut at: u64 = 0;
    let mut chunk: [u8; 256] = [0; 256];
    loop {
        let count: usize = io.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        change(&mut chunk[..count], at);
        at += count as u64;
        io.write_all(&chunk[..count])?;
    }
}

/// Gives back each line of at most 1024 bytes.
#[vk::coroutine]
pub fn lines(io: &mut Io) -> io::Result<()> {
    let mut line: Line<1024> = Line::new();
    loop {
        io.checkpoint("between lines")?;
        if !io.read_line(&mut line)? {
            return Ok(());
        }
        io.write_all(&line)?;
    }
}
