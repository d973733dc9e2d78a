//! Streams in memory: two sides, each with what has arrived for it.
//!
//! ```text
//! send(end) ─▶ other side's `incoming` (at most CAPACITY) ─▶ receive(other)
//! ```
//!
//! They behave as TCP does where it matters to a server: an end of stream comes after the bytes; closing with
//! bytes unread tears the connection down, and so does sending to someone who has closed; a tear-down loses
//! what had arrived, tells its error once, and then is an end of stream and a broken pipe.
//!
//! Invariant: whatever becomes ready on a side is noted in its `changes`, until the world takes them.

use std::collections::VecDeque;
use std::io;

use crate::Positions;
use libc::{EAGAIN, ECONNRESET, EPIPE, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP};

/// Bytes under way in one direction at most: small, so that tests meet a full one.
pub const CAPACITY: usize = 16 * 1024;

/// One side of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    link: usize,
    side: usize,
}

impl End {
    pub fn other(self) -> End {
        End { link: self.link, side: 1 - self.side }
    }
}

#[derive(Debug, Default)]
struct Side {
    incoming: VecDeque<u8>,
    /// The other side will send no more.
    ended: bool,
    /// This side will send no more.
    finished: bool,
    /// This side has been closed.
    closed: bool,
    /// The connection was torn down.
    dead: bool,
    /// Its error, until told.
    error: Option<i32>,
    /// Not connected yet.
    connecting: bool,
    /// What has become ready, in bits of poll.
    changes: u32,
    /// Bytes that this side has read, and that it has written.
    received: u64,
    sent: u64,
}

#[derive(Debug, Default)]
pub struct Links(Vec<[Side; 2]>);

fn failed<T>(errno: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(errno))
}

impl Links {
    /// A connected link; its first side.
    pub fn open(&mut self) -> End {
        self.0.push(Default::default());
        End { link: self.0.len() - 1, side: 0 }
    }

    fn side(&mut self, end: End) -> &mut Side {
        &mut self.0[end.link][end.side]
    }

    pub fn connecting(&mut self, end: End) {
        self.side(end).connecting = true;
    }

    /// The connection of `end` is made, or refused with `errno`.
    pub fn decide(&mut self, end: End, refused: Option<i32>) {
        let side = self.side(end);
        side.connecting = false;
        side.changes |= EPOLLOUT as u32;
        if refused.is_some() {
            self.abort(end);
            self.side(end).error = refused;
        }
    }

    pub fn outcome(&mut self, end: End) -> io::Result<()> {
        let side = self.side(end);
        match side.error.take() {
            Some(errno) => failed(errno),
            None if side.connecting => failed(EAGAIN),
            None => Ok(()),
        }
    }

    pub fn send(&mut self, end: End, bytes: &[u8]) -> io::Result<usize> {
        self.outcome(end)?;
        if self.side(end).dead || self.side(end).finished {
            return failed(EPIPE);
        }
        let other = self.side(end.other());
        if other.closed {
            self.abort(end);
            return Ok(bytes.len());
        }
        let count = bytes.len().min(CAPACITY - other.incoming.len());
        if count == 0 && !bytes.is_empty() {
            return failed(EAGAIN);
        }
        other.incoming.extend(&bytes[..count]);
        other.changes |= EPOLLIN as u32;
        self.side(end).sent += count as u64;
        Ok(count)
    }

    pub fn receive(&mut self, end: End, buf: &mut [u8]) -> io::Result<usize> {
        self.outcome(end)?;
        let side = self.side(end);
        if side.incoming.is_empty() {
            return if side.ended || side.dead { Ok(0) } else { failed(EAGAIN) };
        }
        let was_full = side.incoming.len() == CAPACITY;
        let count = take(&mut side.incoming, buf);
        side.received += count as u64;
        if was_full {
            self.side(end.other()).changes |= EPOLLOUT as u32;
        }
        Ok(count)
    }

    pub fn positions(&mut self, end: End) -> Positions {
        let side = self.side(end);
        Positions { received: side.received, sent: (!side.dead).then_some(side.sent) }
    }

    /// Bytes that `receive` would give.
    pub fn arrived(&mut self, end: End) -> usize {
        self.side(end).incoming.len()
    }

    pub fn receive_all(&mut self, end: End) -> Vec<u8> {
        let mut bytes = vec![0; self.arrived(end)];
        let count = self.receive(end, &mut bytes).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    pub fn shutdown(&mut self, end: End) -> io::Result<()> {
        let side = self.side(end);
        if side.dead || side.connecting {
            return failed(libc::ENOTCONN);
        }
        side.finished = true;
        self.end(end.other());
        Ok(())
    }

    pub fn close(&mut self, end: End) {
        let side = self.side(end);
        side.closed = true;
        if side.incoming.is_empty() {
            self.end(end.other());
        } else {
            side.incoming = VecDeque::new();
            self.abort(end.other());
        }
    }

    /// `end` will receive no more.
    fn end(&mut self, end: End) {
        let side = self.side(end);
        side.ended = true;
        side.changes |= (EPOLLIN | EPOLLRDHUP) as u32;
    }

    /// The connection is torn down, and the one at `end` hears of it.
    pub fn abort(&mut self, end: End) {
        let side = self.side(end);
        if !side.dead {
            side.dead = true;
            side.error = Some(ECONNRESET);
            side.incoming.clear();
            side.changes |= (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR) as u32;
        }
        self.side(end.other()).dead = true;
    }

    pub fn ended(&self, end: End) -> bool {
        let side = &self.0[end.link][end.side];
        side.dead || side.ended && side.incoming.is_empty()
    }

    pub fn dead(&self, end: End) -> bool {
        self.0[end.link][end.side].dead
    }

    /// Everything that is ready at `end`.
    pub fn readiness(&mut self, end: End) -> u32 {
        let room = self.side(end.other()).incoming.len() < CAPACITY;
        let side = self.side(end);
        let mut mask = 0;
        if side.connecting {
            return 0;
        }
        if !side.incoming.is_empty() {
            mask |= EPOLLIN;
        }
        if room {
            mask |= EPOLLOUT;
        }
        if side.ended {
            mask |= EPOLLIN | EPOLLRDHUP;
        }
        if side.dead {
            mask |= EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP;
        }
        if side.error.is_some() {
            mask |= EPOLLERR;
        }
        mask as u32
    }

    /// More that may be done at `end` than was said.
    pub fn remind(&mut self, end: End, mask: u32) {
        self.side(end).changes |= mask;
    }

    /// What has become ready since this was asked last.
    pub fn take_changes(&mut self, end: End) -> u32 {
        std::mem::take(&mut self.side(end).changes)
    }

    pub fn has_changes(&self, end: End) -> bool {
        self.0[end.link][end.side].changes != 0
    }
}

/// Moves bytes from the front of `queue` to `buf`: how many.
pub fn take(queue: &mut VecDeque<u8>, buf: &mut [u8]) -> usize {
    let count = buf.len().min(queue.len());
    for (to, from) in buf.iter_mut().zip(queue.drain(..count)) {
        *to = from;
    }
    count
}
