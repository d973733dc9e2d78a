//! From one ring to the other, and the ends of messages and streams.

use crate::Io;
use crate::task::{Mark, Wait};
use std::io;
use std::mem::swap;
use std::task::Poll::{self, Ready};

impl Io {
    /// Moves up to `most` bytes from the receiving to the sending side, until the end; returns how many.
    ///
    /// Large amounts change hands by exchanging the rings' storages, not byte by byte.
    ///
    /// # Errors
    /// As [`read`](Io::read) and [`write`](Io::write).
    pub fn forward(&mut self, most: u64) -> Poll<io::Result<u64>> {
        if let Some(error) = self.task().send_error() {
            self.task().progress = 0;
            return Ready(Err(error));
        }
        let left = usize::try_from(most - self.task().progress).unwrap_or(usize::MAX);
        let moved = self.pass(left) as u64;
        self.task().checkpoint = 0;
        self.task().progress += moved;
        let done = self.task().progress;
        if done < most {
            if !self.task().rx.is_empty() {
                return self.wait(Wait::Space);
            }
            if !self.task().is_input_over() {
                return self.wait_received(1);
            }
            if let Some(error) = self.task().receive_error() {
                self.task().progress = 0;
                return Ready(Err(error));
            }
        }
        self.task().progress = 0;
        Ready(Ok(done))
    }

    /// Moves up to `most` bytes between the rings, now.
    fn pass(&mut self, most: usize) -> usize {
        let task = self.task();
        // Below this, copying is cheaper than what becomes of two rings whose storages went astray.
        const WORTHWHILE: usize = 1024;
        // What was read before in the storage may be wanted once more, if the worker dies before it commits; what is
        // written behind the bytes would come round to it.
        if task.rx.len() >= WORTHWHILE && task.rx.len() <= most && task.rx.is_at_start() {
            let moved = vk_vectoring::exchange(&mut task.tx, &mut task.rx);
            if moved > 0 {
                swap(&mut task.rx_storage, &mut task.tx_storage);
                return moved;
            }
        }
        if task.rx.len().min(most) > task.tx.free() {
            self.grow_tx();
        }
        let (mut rx, mut tx) = self.rings();
        tx.splice(&mut rx, most)
    }

    /// Ends the message and waits until the reader has seen its end, and said so with
    /// [`read_hangup`](Io::read_hangup): an acknowledgement on a one-way stream.
    ///
    /// So it is between two coroutines of a micro-process. On a descriptor the reader is elsewhere and
    /// can't acknowledge; there this is [`shutdown`](Io::shutdown).
    ///
    /// # Errors
    /// As [`write`](Io::write); `BrokenPipe` if the reader ended without acknowledging.
    pub fn hangup(&mut self) -> Poll<io::Result<()>> {
        let mark = std::mem::replace(&mut self.task().tx_mark, Mark::None);
        if mark == Mark::Acknowledged {
            return Ready(Ok(()));
        }
        if let Some(error) = self.task().send_error() {
            return Ready(Err(error));
        }
        let waiting = self.wait(Wait::Hangup);
        if waiting.is_pending() {
            // After a deadline it stays `None`: a late acknowledgement is nobody's.
            self.task().tx_mark = if mark == Mark::None { Mark::Here } else { mark };
        }
        waiting
    }

    /// Sends what is unsent and ends the sending side: the other end reads the end of the stream. Receiving
    /// goes on.
    ///
    /// # Errors
    /// That of the sink; `TimedOut` after the deadline. Ending what is ended is no error.
    pub fn shutdown(&mut self) -> Poll<io::Result<()>> {
        if self.task().tx_error != 0 {
            return Ready(Err(io::Error::from_raw_os_error(self.task().tx_error)));
        }
        if self.task().tx_ended { Ready(Ok(())) } else { self.wait(Wait::Shutdown) }
    }
}
