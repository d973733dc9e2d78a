//! The counters, for `--admin`.

use crate::serve::LEDGER;
use vk::prelude::*;
use vk_proc::board;

/// Bytes of the longest report: it is for some hundred workers.
const REPORT: usize = 64 << 10;

/// Answers one request, whatever it asks for, with the workers' counters.
#[vk::coroutine]
pub fn admin(io: &mut Io) -> io::Result<()> {
    io.deadline(Duration::from_secs(10))?;
    let mut line: Line<1024> = Line::new();
    while io.read_line(&mut line)? && !line.trim_end().is_empty() {}
    // The counters go on while the report is sent: it is made once, and kept.
    let mut report: HeapBytes = io.alloc(REPORT)?;
    let len: usize = {
        let text = board::print(LEDGER.get().expect("made before any worker"));
        let len = text.len().min(REPORT);
        report[..len].copy_from_slice(&text.as_bytes()[..len]);
        len
    };
    io.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n\r\n")?;
    io.write_all(&report[..len])
}
