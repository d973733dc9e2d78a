//! The answer: its head, and its body.

use super::failure::Fault;
use super::{Client, Stage};
use crate::body::{self, arrives, grow};
use crate::head::ENTRY;
use crate::scan::Scan;
use crate::status::{Failure, Refused};
use crate::{Request, request::Reading};
use std::io::{self, ErrorKind};
use std::time::Duration;
use vk_core::Io;

/// Receives the head of the final answer, from the server, which `io` leads to. What comes before it (100, 103) is
/// passed over.
#[vk::coroutine]
pub(super) fn receive_final(io: &mut Io, client: &mut Client) -> Result<(), Failure> {
    io.deadline(Duration::from_secs(client.answer_secs as u64))?;
    loop {
        receive_head(io, client)?;
        if client.status >= 200 {
            return Ok(());
        }
    }
}

/// Receives a head from the server, which `io` receives from.
#[vk::coroutine]
pub(super) fn receive_head(io: &mut Io, client: &mut Client) -> Result<(), Failure> {
    io.deadline(Duration::from_secs(client.answer_secs as u64))?;
    let mut scan: Scan = Scan::of_answer();
    loop {
        let there: usize = io.fill(scan.seen + 1)?;
        if there == scan.seen && there == 0 {
            return Err(Failure::Io(ErrorKind::UnexpectedEof.into()));
        }
        if there == scan.seen {
            return Err(Failure::Refused(Refused(400)));
        }
        if scan.advance(io.buffered()?, &client.limits)? {
            break;
        }
    }
    io.skip(scan.start as u64)?;
    let length: usize = scan.seen - scan.start;
    let fields: usize = scan.lines - 1;
    if fields > client.limits.fields as usize {
        return Err(Failure::Refused(Refused(431)));
    }
    let index: usize = fields * ENTRY;
    if client.message.bytes.len() < length + index {
        io.free(&mut client.message.bytes)?;
        client.message.bytes = io.alloc(length + index)?;
    }
    io.read_exact(&mut client.message.bytes[..length])?;
    client.parse(length, index)?;
    match client.status {
        // Nobody has offered another protocol.
        101 => Err(Failure::Refused(Refused(400))),
        100..200 => Ok(()),
        _ => {
            client.stage = Stage::Answer;
            Ok(())
        }
    }
}

/// Waits for a piece of the body: how many bytes of it begin what has come from the server, which `io` receives from.
/// 0 at the body's end.
#[vk::coroutine]
pub(super) fn available(io: &mut Io, client: &mut Client) -> Result<u64, Failure> {
    match arrives(io, &mut client.message) {
        Ok(there) => Ok(there),
        Err(Failure::Refused(Refused(400))) if client.until_close => {
            client.message.reading = Reading::Length(0);
            Ok(0)
        }
        Err(failure) => Err(failure),
    }
}

/// Reads what has come of the answer's body, at least one byte; 0 at its end, or if `to` is empty.
///
/// # Errors
/// `InvalidData` if it is malformed or ends early, `TimedOut` if it stalls (see [`Client::limits`]), after which the
/// connection is over; `InvalidInput` if there is no answer; those of [`Io::read`].
#[vk::coroutine]
pub fn read(io: &mut Io, client: &mut Client, to: &mut [u8]) -> io::Result<usize> {
    if client.is_over()? {
        return Ok(0);
    }
    io.swap(&mut client.keeper)?;
    let done: Result<usize, Fault> = read_there(io, client, to).map_err(|failure| Fault::from(&failure));
    back(io, client, done.is_ok())?;
    Ok(done?)
}

#[vk::coroutine]
fn read_there(io: &mut Io, client: &mut Client, to: &mut [u8]) -> Result<usize, Failure> {
    let there: u64 = available(io, client)?;
    let count: usize = to.len().min(there as usize);
    io.read_exact(&mut to[..count])?;
    client.message.took(count as u64);
    Ok(count)
}

/// Reads the whole body of the answer, which is in [`Client::body`] then, until the next request.
///
/// # Errors
/// `FileTooLarge` if it has more than `limit` bytes; `OutOfMemory` if there is no memory for it; those of [`read`](struct@read).
#[vk::coroutine]
pub fn read_whole(io: &mut Io, client: &mut Client, limit: usize) -> io::Result<()> {
    if client.is_over()? {
        return Ok(());
    }
    io.swap(&mut client.keeper)?;
    let done: Result<(), Fault> = whole_there(io, client, limit).map_err(|failure| Fault::from(&failure));
    back(io, client, done.is_ok())?;
    Ok(done?)
}

#[vk::coroutine]
fn whole_there(io: &mut Io, client: &mut Client, limit: usize) -> Result<(), Failure> {
    loop {
        let there: u64 = available(io, client)?;
        if there == 0 {
            return Ok(());
        }
        let begin: usize = client.message.body.length;
        let end: usize = begin + there as usize;
        if end > limit {
            return Err(Failure::Io(ErrorKind::FileTooLarge.into()));
        }
        if end > client.message.body.place.len() {
            let room: usize = end.max(2 * begin).min(limit);
            grow(io, &mut client.message, room)?;
        }
        io.read_exact(client.message.body.place.vacant(begin..end))?;
        client.message.body.length = end;
        client.message.took(there);
    }
}

/// Writes what is left of the answer's body as a part of the answer to `request`, in constant memory.
///
/// # Errors
/// Those of [`read`](struct@read) and [`http::write`](struct@crate::write).
#[vk::coroutine]
pub fn forward(io: &mut Io, client: &mut Client, request: &Request) -> io::Result<()> {
    if client.is_over()? {
        return Ok(());
    }
    io.cross(&mut client.keeper)?;
    let done: Result<(), Fault> = pass(io, client, request).map_err(|failure| Fault::from(&failure));
    io.cross(&mut client.keeper)?;
    put(io, client, done.is_ok())?;
    Ok(done?)
}

/// Moves the answer's body from the server, which `io` receives from, to the client of `request`, which it sends to.
#[vk::coroutine]
pub(super) fn pass(io: &mut Io, client: &mut Client, request: &Request) -> Result<(), Failure> {
    loop {
        let there: u64 = available(io, client)?;
        if there == 0 {
            return Ok(());
        }
        body::pass(io, request, there)?;
        client.message.took(there);
    }
}

/// Puts the connections back, and gives up the server's if the exchange is over.
#[vk::coroutine]
pub(super) fn back(io: &mut Io, client: &mut Client, is_sound: bool) -> io::Result<()> {
    io.swap(&mut client.keeper)?;
    put(io, client, is_sound)
}

/// Leaves the server's connection to whoever asks it next, if the answer is read, or closes it if it is of no use any
/// more.
#[vk::coroutine]
pub(super) fn put(io: &mut Io, client: &mut Client, is_sound: bool) -> io::Result<()> {
    if !is_sound {
        client.stage = Stage::Rest;
        return io.close(&mut client.keeper);
    }
    if client.stage != Stage::Answer || !client.message.is_read() {
        return Ok(());
    }
    if client.message.head.keep_alive && !client.until_close {
        return io.park(&mut client.keeper, client.origin.as_bytes());
    }
    io.close(&mut client.keeper)
}

impl Client {
    /// Whether the whole answer is read.
    fn is_over(&self) -> io::Result<bool> {
        match self.stage {
            Stage::Answer => Ok(self.keeper.is_none()),
            _ => Err(io::Error::new(ErrorKind::InvalidInput, "there is no answer: `get` one")),
        }
    }
}
