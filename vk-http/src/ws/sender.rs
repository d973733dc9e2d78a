//! Sending: messages, whole or piece by piece, and the close.

use super::frame::{code, head};
use super::receiver::finish;
use super::socket::Outgoing;
use super::utf8::Utf8;
use super::{Kind, Socket};
use std::io;
use vk_core::{Io, Line};

/// Sends a message.
///
/// # Errors
/// `InvalidInput` if it is text and not UTF-8, or another message is [begun](begin); `BrokenPipe` if the socket is not
/// connected, or at its end; those of [`Io::write_all`], after which nothing more can be sent.
#[vk::coroutine]
pub fn send(io: &mut Io, socket: &Socket, kind: Kind, message: &[u8]) -> io::Result<()> {
    socket.may_begin()?;
    if kind == Kind::Text && str::from_utf8(message).is_err() {
        return mistake("a text is UTF-8");
    }
    settle(io, socket)?;
    socket.outgoing.set(Outgoing::Begun(kind));
    frame(io, socket, true, message)
}

/// Begins a message that follows in pieces, with [`write`](struct@write); [`end`] ends it.
///
/// # Errors
/// `InvalidInput` if another message is begun; `BrokenPipe` as for [`send`].
#[vk::coroutine]
pub fn begin(io: &mut Io, socket: &Socket, kind: Kind) -> io::Result<()> {
    socket.may_begin()?;
    settle(io, socket)?;
    socket.outgoing.set(Outgoing::Begun(kind));
    socket.written.set(Utf8::NONE);
    Ok(())
}

/// Sends a piece of the message that was [begun](begin), as a frame of its own. A character may be cut by its end.
///
/// # Errors
/// `InvalidInput` if no message is begun, or its text is not UTF-8; those of [`send`].
#[vk::coroutine]
pub fn write(io: &mut Io, socket: &Socket, piece: &[u8]) -> io::Result<()> {
    settle(io, socket)?;
    socket.check(piece)?;
    frame(io, socket, false, piece)
}

/// Ends the message that was [begun](begin).
///
/// # Errors
/// `InvalidInput` if no message is begun, or its text ends within a character; those of [`send`].
#[vk::coroutine]
pub fn end(io: &mut Io, socket: &Socket) -> io::Result<()> {
    settle(io, socket)?;
    socket.check(b"")?;
    if !socket.written.get().is_whole() {
        return mistake("a text is UTF-8");
    }
    frame(io, socket, true, b"")
}

/// Closes with a code and a reason, of which at most 123 bytes are sent, and waits for the client to do the same, for at
/// most 5 seconds. What it still sends is thrown away. Closing what is at its end is no error.
///
/// A handler that returns without it leaves the client with 1006, as if it had died.
///
/// # Errors
/// `InvalidInput` if `code` is not one that may be sent: 1000 to 1003, 1007 to 1014 or 3000 to 4999. `TimedOut` after a
/// deadline; it may be called again.
#[vk::coroutine]
pub fn close(io: &mut Io, socket: &mut Socket, code: u16, reason: &str) -> io::Result<()> {
    if !code::may_be_sent(code) {
        return mistake("this code of a close is not to be sent");
    }
    if socket.code().is_none() {
        if socket.outgoing.get() != Outgoing::Torn {
            settle(io, socket)?;
        }
        socket.ends_with(code, reason);
    }
    finish(io, socket)
}

/// Sends what is owed: the answer to a ping, a close.
#[vk::coroutine]
pub(crate) fn settle(io: &mut Io, socket: &Socket) -> io::Result<()> {
    if socket.outgoing.get() == Outgoing::Torn {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    while socket.is_owing() {
        let owed: (u8, u8) = socket.owed.get();
        let count: usize = io.write(&socket.incoming.control[owed.0 as usize..owed.1 as usize])?;
        socket.owed.set((owed.0 + count as u8, owed.1));
    }
    Ok(())
}

/// Sends a frame of the message under way.
#[vk::coroutine]
fn frame(io: &mut Io, socket: &Socket, fin: bool, payload: &[u8]) -> io::Result<()> {
    let outgoing: Outgoing = socket.outgoing.replace(Outgoing::Torn);
    let head: Line<10> = head(fin, outgoing.opcode(), payload.len());
    io.write_all(&head)?;
    io.write_all(payload)?;
    socket.outgoing.set(if fin { Outgoing::Between } else { outgoing.within() });
    Ok(())
}

impl Socket {
    /// Whether a message may begin.
    fn may_begin(&self) -> io::Result<()> {
        match self.outgoing.get() {
            Outgoing::Between => Ok(()),
            Outgoing::Begun(_) | Outgoing::Within(_) => mistake("a message is begun, and not ended"),
            Outgoing::Torn | Outgoing::Closed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Whether something has to be sent before anything else.
    pub(crate) fn is_owing(&self) -> bool {
        let (at, end) = self.owed.get();
        at < end
    }

    /// Whether `piece` may continue the message under way.
    fn check(&self, piece: &[u8]) -> io::Result<()> {
        match self.outgoing.get() {
            Outgoing::Begun(Kind::Binary) | Outgoing::Within(Kind::Binary) => Ok(()),
            Outgoing::Begun(Kind::Text) | Outgoing::Within(Kind::Text) => {
                let mut written = self.written.get();
                if !written.take(piece) {
                    return mistake("a text is UTF-8");
                }
                self.written.set(written);
                Ok(())
            }
            Outgoing::Between => mistake("no message is begun"),
            Outgoing::Torn | Outgoing::Closed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

fn mistake(text: &'static str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}
