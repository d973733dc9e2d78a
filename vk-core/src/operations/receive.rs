//! Receiving: from the receiving ring, which the dispatcher fills.

use crate::task::Mark;
use crate::{Io, Line};
use std::io::{self, ErrorKind};
use std::task::Poll::{self, Ready};

impl Io {
    /// Reads what has come, at least one byte; 0 at the end, or if `to` is empty.
    ///
    /// # Errors
    /// That of the source; `TimedOut` after the deadline.
    pub fn read(&mut self, to: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = self.rx().read(to);
        if count > 0 || to.is_empty() {
            self.consumed();
            return Ready(Ok(count));
        }
        self.end_or_wait(0)
    }

    /// Reads exactly as many bytes as `to` has.
    ///
    /// # Errors
    /// `UnexpectedEof` if the end comes earlier (the bytes before it are consumed); as [`read`](Io::read). After `TimedOut`
    /// the next operation finds all that has come; if there is no memory for more than 64 KiB of it, it is lost, and the
    /// error is `OutOfMemory`.
    pub fn read_exact(&mut self, to: &mut [u8]) -> Poll<io::Result<()>> {
        let done = self.task().progress as usize;
        let count = self.rx().read(&mut to[done..]);
        self.consumed();
        self.task().progress += count as u64;
        if done + count == to.len() {
            self.task().progress = 0;
            return Ready(Ok(()));
        }
        if self.task().is_input_over() {
            return self.more_or_eof();
        }
        self.more_or_put_back(&to[..done + count])
    }

    /// Reads a line with its `\n`; what stands before the end without one is a line, too. False at the end.
    ///
    /// # Errors
    /// `InvalidData` for a line of more than `N` bytes (its beginning is consumed, and in `line`); as
    /// [`read_exact`](Io::read_exact) after the deadline; as [`read`](Io::read).
    pub fn read_line<const N: usize>(&mut self, line: &mut Line<N>) -> Poll<io::Result<bool>> {
        // Bytes of the line may be in `line` already; progress only says whether it has begun.
        if self.task().progress == 0 {
            line.clear();
            self.task().progress = 1;
        }
        let mut rx = self.rx();
        let end = rx.find(b'\n', 0);
        let wanted = end.map_or(rx.ring().len(), |at| at + 1);
        let count = line.append(&mut rx, wanted);
        let too_long = count < wanted;
        if count > 0 {
            self.consumed();
        }
        if end.is_none() && !too_long && !self.task().is_input_over() {
            let waiting = self.more_or_put_back(line);
            if waiting.is_ready() {
                line.clear();
            }
            return waiting;
        }
        self.task().progress = 0;
        Ready(if too_long {
            Err(io::Error::new(ErrorKind::InvalidData, format!("a line of more than {N} bytes")))
        } else if let (None, Some(error)) = (end, self.task().receive_error()) {
            Err(error)
        } else {
            Ok(!line.is_empty())
        })
    }

    /// Waits until at least `count` bytes have come, or the end; returns how many there are now. They stay
    /// for the next operation: see [`buffered`](Io::buffered).
    ///
    /// # Errors
    /// `InvalidInput` for more than 64 KiB; `OutOfMemory` if no buffer of that size is to be had; as
    /// [`read`](Io::read).
    pub fn fill(&mut self, count: usize) -> Poll<io::Result<usize>> {
        if count > vk_heap::BLOCK as usize {
            return Ready(Err(ErrorKind::InvalidInput.into()));
        }
        let there = self.task().rx.len();
        if there >= count || self.task().is_input_over() {
            return Ready(match self.task().receive_error() {
                Some(error) if there < count => Err(error),
                _ => Ok(there),
            });
        }
        if count > self.task().rx.capacity() && !self.grow_rx(vk_heap::BLOCK as usize) {
            return Ready(Err(ErrorKind::OutOfMemory.into()));
        }
        self.wait_received(count as u32)
    }

    /// Everything that has come and is not consumed, as one slice. Never waits.
    ///
    /// # Errors
    /// None.
    pub fn buffered(&mut self) -> Poll<io::Result<&[u8]>> {
        Ready(Ok(self.received()))
    }

    /// Copies what has come, at least one byte, without consuming it; 0 at the end, or if `to` is empty.
    ///
    /// # Errors
    /// As [`read`](Io::read).
    pub fn peek(&mut self, to: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = self.rx().peek(0, to);
        if count > 0 || to.is_empty() { Ready(Ok(count)) } else { self.end_or_wait(0) }
    }

    /// Discards exactly `count` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` if the end comes earlier; as [`read`](Io::read). After `TimedOut` what has come so far is
    /// discarded.
    pub fn skip(&mut self, count: u64) -> Poll<io::Result<()>> {
        let left = usize::try_from(count - self.task().progress).unwrap_or(usize::MAX);
        let skipped = self.rx().skip(left) as u64;
        self.consumed();
        self.task().progress += skipped;
        if self.task().progress == count {
            self.task().progress = 0;
            return Ready(Ok(()));
        }
        self.more_or_eof()
    }

    /// Whether the end is reached: waits for a byte or the end.
    ///
    /// # Errors
    /// As [`read`](Io::read).
    pub fn eof(&mut self) -> Poll<io::Result<bool>> {
        if self.task().rx.is_empty() { self.end_or_wait(true) } else { Ready(Ok(false)) }
    }

    /// Waits for the end of the writer's message, discarding what is unread of it, and acknowledges it: the
    /// writer's [`hangup`](Io::hangup) returns, and the next message can be read. At the end of the stream
    /// it returns at once.
    ///
    /// # Errors
    /// As [`read`](Io::read).
    pub fn read_hangup(&mut self) -> Poll<io::Result<()>> {
        let unread = self.task().rx.len();
        self.rx().skip(unread);
        self.consumed();
        if self.task().rx_mark == Mark::Here {
            self.task().rx_mark = Mark::Acknowledged;
            return Ready(Ok(()));
        }
        self.end_or_wait(())
    }

    /// With an empty ring: the end, the source's error, or waiting for more.
    fn end_or_wait<T>(&mut self, end: T) -> Poll<io::Result<T>> {
        if !self.task().is_input_over() {
            return self.wait_received(1);
        }
        Ready(self.task().receive_error().map_or(Ok(end), Err))
    }

    /// With an operation half done, which has taken these bytes: waiting for more. If it is too late for that they are given
    /// back, for the next operation.
    fn more_or_put_back<T>(&mut self, taken: &[u8]) -> Poll<io::Result<T>> {
        let waiting = self.wait_received(1);
        if waiting.is_ready() {
            let len = self.task().rx.len() + taken.len();
            if len > self.task().rx.capacity() && !self.grow_rx(len) {
                return Ready(Err(ErrorKind::OutOfMemory.into()));
            }
            self.rx().unread(taken);
        }
        waiting
    }

    /// With an operation half done and an empty ring: waiting for more, or the error that there is none.
    pub(crate) fn more_or_eof<T>(&mut self) -> Poll<io::Result<T>> {
        if !self.task().is_input_over() {
            return self.wait_received(1);
        }
        self.task().progress = 0;
        Ready(Err(self.task().receive_error().unwrap_or_else(|| ErrorKind::UnexpectedEof.into())))
    }

    /// Bytes were consumed: the task is at work, not at a checkpoint.
    #[inline]
    pub(crate) fn consumed(&mut self) {
        self.task().checkpoint = 0;
    }
}
