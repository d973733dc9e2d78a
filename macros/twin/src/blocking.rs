//! The blocking twin of `vk_core::Io`: the same operations, on a socket, in a thread that waits in the kernel.
//!
//! It is written for being evidently right. Operations that only a dispatcher can serve (`accept`, `connect`,
//! `spawn`, `join`) are absent.

use crate::dice::Dice;
use crate::observed::{Observed, Outcome, Script};
use std::fmt::{self, Write as _};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;
use vk_core::Line;

/// The most that `fill` may ask for.
const MOST_FILLED: usize = 64 << 10;

/// Pauses of the feeder in one run, at most.
const PAUSES: usize = 5;

/// A body's standard input and output.
#[derive(Debug)]
pub struct Io {
    stream: UnixStream,
    /// What has come and is not consumed.
    received: Vec<u8>,
    input_over: bool,
    output_over: bool,
}

type Result<T> = io::Result<T>;

impl Io {
    fn new(stream: UnixStream) -> Io {
        Io { stream, received: Vec::new(), input_over: false, output_over: false }
    }

    /// Waits until more than `count` bytes have come, or the end has.
    fn await_more_than(&mut self, count: usize) -> Result<()> {
        let mut piece = [0; 1000];
        while self.received.len() <= count && !self.input_over {
            match self.stream.read(&mut piece)? {
                0 => self.input_over = true,
                n => self.received.extend_from_slice(&piece[..n]),
            }
        }
        Ok(())
    }

    fn take(&mut self, to: &mut [u8]) {
        to.copy_from_slice(&self.received[..to.len()]);
        self.received.drain(..to.len());
    }

    fn check_output(&self) -> Result<()> {
        if self.output_over { Err(ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    pub fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let count = self.peek(to)?;
        self.received.drain(..count);
        Ok(count)
    }

    pub fn peek(&mut self, to: &mut [u8]) -> Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        self.await_more_than(0)?;
        let count = to.len().min(self.received.len());
        to[..count].copy_from_slice(&self.received[..count]);
        Ok(count)
    }

    pub fn read_exact(&mut self, to: &mut [u8]) -> Result<()> {
        if to.is_empty() {
            return Ok(());
        }
        self.await_more_than(to.len() - 1)?;
        if self.received.len() < to.len() {
            let there = self.received.len();
            self.take(&mut to[..there]);
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.take(to);
        Ok(())
    }

    pub fn read_line<const N: usize>(&mut self, line: &mut Line<N>) -> Result<bool> {
        line.clear();
        let mut byte = [0];
        while !line.ends_with(b"\n") && !self.eof()? {
            if line.len() == N {
                return Err(ErrorKind::InvalidData.into());
            }
            self.take(&mut byte);
            line.extend(&byte).expect("there is room");
        }
        Ok(!line.is_empty())
    }

    pub fn fill(&mut self, count: usize) -> Result<usize> {
        if count > MOST_FILLED {
            return Err(ErrorKind::InvalidInput.into());
        }
        if count > 0 {
            self.await_more_than(count - 1)?;
        }
        Ok(self.received.len())
    }

    pub fn buffered(&mut self) -> Result<&[u8]> {
        Ok(&self.received)
    }

    pub fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            if self.eof()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let now = self.received.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            self.received.drain(..now);
            count -= now as u64;
        }
        Ok(())
    }

    pub fn eof(&mut self) -> Result<bool> {
        self.await_more_than(0)?;
        Ok(self.received.is_empty())
    }

    pub fn read_hangup(&mut self) -> Result<()> {
        while !self.eof()? {
            self.received.clear();
        }
        Ok(())
    }

    pub fn write(&mut self, from: &[u8]) -> Result<usize> {
        self.check_output()?;
        self.stream.write(from)
    }

    pub fn write_all(&mut self, from: &[u8]) -> Result<()> {
        self.check_output()?;
        self.stream.write_all(from)
    }

    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        let mut formatted = String::new();
        let result = formatted.write_fmt(text);
        self.write_all(formatted.as_bytes())?;
        result.map_err(|_| ErrorKind::InvalidInput.into())
    }

    pub fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    pub fn forward(&mut self, most: u64) -> Result<u64> {
        self.check_output()?;
        let mut moved = 0;
        while moved < most && !self.eof()? {
            let now = self.received.len().min(usize::try_from(most - moved).unwrap_or(usize::MAX));
            self.stream.write_all(&self.received[..now])?;
            self.received.drain(..now);
            moved += now as u64;
        }
        Ok(moved)
    }

    pub fn shutdown(&mut self) -> Result<()> {
        self.output_over = true;
        self.stream.shutdown(Shutdown::Write)
    }

    pub fn hangup(&mut self) -> Result<()> {
        self.check_output()?;
        self.shutdown()
    }

    pub fn sleep(&mut self, time: Duration) -> Result<()> {
        thread::sleep(time);
        Ok(())
    }

    /// Bodies set limits that are never reached.
    pub fn deadline(&mut self, _: Duration) -> Result<()> {
        Ok(())
    }

    pub fn yield_now(&mut self) -> Result<()> {
        Ok(())
    }

    pub fn checkpoint(&mut self, _: &str) -> Result<()> {
        Ok(())
    }

    pub fn alloc(&mut self, len: usize) -> Result<HeapBytes> {
        Ok(HeapBytes(vec![0; len]))
    }

    pub fn free(&mut self, bytes: &mut HeapBytes) -> Result<()> {
        *bytes = HeapBytes::EMPTY;
        Ok(())
    }
}

/// The twin of `vk_core::HeapBytes`.
#[derive(Debug, PartialEq, Eq)]
pub struct HeapBytes(Vec<u8>);

impl HeapBytes {
    pub const EMPTY: HeapBytes = HeapBytes(Vec::new());
}

impl Deref for HeapBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for HeapBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Runs `body` on one end of a socket pair, while threads write its input piece by piece and read its output.
pub fn run(body: fn(&mut Io) -> Result<u64>, script: &Script) -> Observed {
    let (inner, mut outer) = UnixStream::pair().expect("a socket pair");
    let mut feeder = outer.try_clone().expect("a descriptor");
    let mut io = Io::new(inner);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut dice = Dice::new(script.seed);
            let mut pauses = 0..PAUSES;
            for piece in script.input.chunks(script.piece) {
                if dice.one_in(9) && pauses.next().is_some() {
                    thread::sleep(Duration::from_micros(20));
                }
                // The body may end without reading all of it.
                if feeder.write_all(piece).is_err() {
                    return;
                }
            }
            let _ = feeder.shutdown(Shutdown::Write);
        });
        let reader = scope.spawn(move || {
            let mut output = Vec::new();
            outer.read_to_end(&mut output).map(|_| output)
        });
        let result = catch_unwind(AssertUnwindSafe(|| body(&mut io)));
        let _ = io.stream.shutdown(Shutdown::Both);
        let outcome = result.map_or(Outcome::Panicked, Outcome::of);
        let output = reader.join().expect("it doesn't panic").expect("a socket's other end was shut down");
        Observed { output, outcome }
    })
}
