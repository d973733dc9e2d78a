//! Receiving: messages, and what is answered in between.

use super::frame::{Opcode, Refused, code};
use super::incoming::Step;
use super::sender::settle;
use super::socket::{HEAD, Outgoing};
use super::{Kind, Socket};
use std::io::{self, ErrorKind};
use std::time::Duration;
use vk_core::{HeapBytes, Io, Plain};

/// Bytes of a message's place that is kept for the next one.
const KEPT: usize = 512;

/// Bytes that are made room for when they are announced. More may never come.
const AT_ONCE: usize = 64 * 1024;

/// Waits for the next message, which is in [`Socket::message`] then. None when there is none any more: the client has
/// closed or has gone, or what came was refused; it is told already. [`Socket::code`] says which.
///
/// Pings are answered meanwhile, and a client that is silent is pinged, and given up: see
/// [`Limits`](super::Limits). While no frame is under way, the connection stands at a [checkpoint](Io::checkpoint); a drain ends
/// it with 1001.
///
/// # Errors
/// `TimedOut` after a deadline: it may be called again, and goes on where it stood. Those of [`Io::read`] and
/// [`Io::write`]; `BrokenPipe` after a [`send`](struct@super::send) that failed.
#[vk::coroutine]
pub fn recv(io: &mut Io, socket: &mut Socket) -> io::Result<Option<Kind>> {
    if socket.message.place.len() > KEPT && socket.incoming.length() == 0 {
        io.free(&mut socket.message.place)?;
    }
    socket.message.length = 0;
    while socket.code().is_none() {
        match receive(io, socket) {
            Ok(Some(kind)) => return Ok(Some(kind)),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::TimedOut && socket.is_overdue() => socket.overdue(),
            Err(error) => return Err(error),
        }
    }
    finish(io, socket)?;
    Ok(None)
}

/// What was made of received bytes.
#[derive(Plain)]
struct Taken {
    count: usize,
    step: Step,
}

/// Receives until a message is there, or their end, or a sign of life is missing.
#[vk::coroutine]
fn receive(io: &mut Io, socket: &mut Socket) -> io::Result<Option<Kind>> {
    let mut patience: Duration = socket.patience();
    io.deadline(patience)?;
    loop {
        settle(io, socket)?;
        if socket.incoming.is_between() {
            io.checkpoint("between frames")?;
        }
        let there: usize = io.fill(socket.need)?;
        if there < socket.need {
            // The client's end, or that of a server that drains.
            socket.ends_with(code::GOING_AWAY, "");
            socket.ends(code::GONE);
            return Ok(None);
        }
        socket.hears();
        patience = socket.patience();
        io.deadline(patience)?;
        let taken: Taken = match socket.take(io.buffered()?) {
            Ok(taken) => taken,
            Err(Refused(code)) => {
                socket.ends_with(code, "");
                return Ok(None);
            }
        };
        io.skip(taken.count as u64)?;
        socket.need = HEAD;
        match taken.step {
            Step::Needs(need) => socket.need = need,
            Step::Room(end) => {
                let room: usize = socket.room(end);
                socket.need = 1;
                if grow(io, socket, room).is_err() {
                    socket.ends_with(code::INTERNAL, "");
                    return Ok(None);
                }
            }
            Step::Message(kind, length) => {
                socket.message.length = length;
                return Ok(Some(kind));
            }
            Step::Control(Opcode::Ping) => {
                let payload = socket.incoming.control_length;
                socket.owe(Opcode::Pong, payload);
            }
            Step::Control(Opcode::Close) => {
                socket.closed();
                return Ok(None);
            }
            Step::Control(_) => {}
        }
    }
}

/// Moves the message to a larger place.
#[vk::coroutine]
fn grow(io: &mut Io, socket: &mut Socket, room: usize) -> io::Result<()> {
    let mut place: HeapBytes = io.alloc(room)?;
    socket.rehouse(&mut place);
    io.free(&mut place)
}

/// Sends what is owed, ends our side and waits for the client's end, so that what was sent last arrives: who closes a
/// socket with unread input resets the connection. Within limits, which a deadline of the caller's doesn't shorten.
#[vk::coroutine]
pub(crate) fn finish(io: &mut Io, socket: &Socket) -> io::Result<()> {
    match part(io, socket) {
        Err(error) if error.kind() == ErrorKind::TimedOut && !socket.rest().is_zero() => Err(error),
        // The connection is over, one way or the other.
        Ok(()) | Err(_) => Ok(()),
    }
}

#[vk::coroutine]
fn part(io: &mut Io, socket: &Socket) -> io::Result<()> {
    let rest: Duration = socket.rest();
    io.deadline(rest)?;
    if socket.outgoing.get() == Outgoing::Closed {
        settle(io, socket)?;
    }
    io.shutdown()?;
    loop {
        let there: usize = io.fill(1)?;
        if there == 0 || socket.rest().is_zero() {
            return Ok(());
        }
        io.skip(there as u64)?;
    }
}

impl Socket {
    /// Takes what it can of the received bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<Taken, Refused> {
        let length = self.message.place.len();
        let place = if length == 0 { &mut [] } else { self.message.place.vacant(0..length) };
        let (count, step) = self.incoming.advance(bytes, place, self.limits.message as usize)?;
        Ok(Taken { count, step })
    }

    /// How large a place for a message of `end` bytes, and perhaps more, should be.
    fn room(&self, end: usize) -> usize {
        let announced = self.incoming.length() + (self.incoming.left() as usize).min(AT_ONCE);
        announced.max(2 * self.message.place.len()).min(self.limits.message as usize).max(end)
    }

    /// Moves what there is of the message to a larger place, and leaves the former one.
    fn rehouse(&mut self, larger: &mut HeapBytes) {
        let length = self.incoming.length();
        larger.vacant(0..length).copy_from_slice(&self.message.place[..length]);
        std::mem::swap(larger, &mut self.message.place);
    }

    /// The client has closed: it is answered with the same code.
    fn closed(&mut self) {
        match self.incoming.close_code() {
            Ok(code::NONE) => {
                self.owe(Opcode::Close, 0);
                self.ends(code::NONE);
            }
            Ok(code) => self.ends_with(code, ""),
            Err(Refused(code)) => self.ends_with(code, ""),
        }
    }
}
