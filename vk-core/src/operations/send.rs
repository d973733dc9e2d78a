//! Sending: into the sending ring, which the dispatcher empties when the task blocks.

use crate::Io;
use crate::task::Wait;
use std::fmt;
use std::io;
use std::task::Poll::{self, Ready};

impl Io {
    /// Writes what the sending ring has room for, at least one byte; returns how many, 0 only if `from` is
    /// empty.
    ///
    /// # Errors
    /// `BrokenPipe` after the sending side has ended; that of the sink, also from earlier sends; `TimedOut`
    /// after the deadline.
    pub fn write(&mut self, from: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.task().send_error() {
            return Ready(Err(error));
        }
        let count = self.put(from);
        if count > 0 || from.is_empty() { Ready(Ok(count)) } else { self.wait(Wait::Space) }
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// As [`write`](Io::write).
    #[inline]
    pub fn write_all(&mut self, from: &[u8]) -> Poll<io::Result<()>> {
        if let Some(error) = self.task().send_error() {
            self.task().progress = 0;
            return Ready(Err(error));
        }
        let done = self.task().progress as usize;
        let count = self.put(&from[done..]);
        if done + count == from.len() {
            self.task().progress = 0;
            return Ready(Ok(()));
        }
        self.task().progress += count as u64;
        self.wait(Wait::Space)
    }

    /// Writes formatted text: what `write!(io, …)` in a coroutine calls.
    ///
    /// # Errors
    /// As [`write`](Io::write); `InvalidInput` if a value's own formatting fails.
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Poll<io::Result<()>> {
        if let Some(text) = text.as_str() {
            return self.write_all(text.as_bytes());
        }
        if let Some(error) = self.task().send_error() {
            self.task().progress = 0;
            return Ready(Err(error));
        }
        // The text is formatted anew at each resume, and what is already sent of it is passed over.
        let mut to = Formatted { passed: self.task().progress as usize, io: self, full: false };
        match (to.write(text), to.full) {
            (Ok(()), _) => {
                self.task().progress = 0;
                Ready(Ok(()))
            }
            (Err(_), true) => self.wait(Wait::Space),
            (Err(_), false) => {
                self.task().progress = 0;
                Ready(Err(io::ErrorKind::InvalidInput.into()))
            }
        }
    }

    /// Waits until all bytes written so far are handed over to the sink.
    ///
    /// A coroutine that blocks anyway, to read say, need not flush: its bytes are sent before it waits.
    ///
    /// # Errors
    /// As [`write`](Io::write).
    pub fn flush(&mut self) -> Poll<io::Result<()>> {
        if self.task().tx.is_empty() {
            return Ready(Ok(()));
        }
        match self.task().send_error() {
            Some(error) => Ready(Err(error)),
            None => self.wait(Wait::Flushed),
        }
    }

    /// Puts what fits into the sending ring, which grows rather than that one answer leaves in many sends.
    #[inline]
    pub(crate) fn put(&mut self, from: &[u8]) -> usize {
        let task = self.task();
        task.checkpoint = 0;
        if from.len() > task.tx.free() {
            self.grow_tx();
        }
        self.tx().write(from)
    }
}

/// Formatted text on its way into the sending ring.
struct Formatted<'a> {
    io: &'a mut Io,
    /// Bytes at the text's beginning that are sent already.
    passed: usize,
    full: bool,
}

impl Formatted<'_> {
    fn write(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        fmt::write(self, text)
    }
}

impl fmt::Write for Formatted<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let piece = match piece.len().checked_sub(self.passed) {
            None => {
                self.passed -= piece.len();
                return Ok(());
            }
            Some(_) => &piece.as_bytes()[std::mem::take(&mut self.passed)..],
        };
        let count = self.io.put(piece);
        self.io.task().progress += count as u64;
        self.full = count < piece.len();
        if self.full { Err(fmt::Error) } else { Ok(()) }
    }
}
