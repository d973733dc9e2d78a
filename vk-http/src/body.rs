//! The request's body: read in pieces, whole, or straight into the answer.

use crate::Request;
use crate::chunked::Taken;
use crate::close::{abort, proceed};
use crate::response::Sending;
use crate::status::{Failure, Refused};
use std::io;
use std::time::Duration;
use vk_core::{HeapBytes, Io, Nanos, time};

/// Reads what has come of the body, at least one byte; 0 at its end, or if `to` is empty.
///
/// # Errors
/// `InvalidData` if the body is malformed, ends early, stalls or is too large (see [`Limits`](crate::Limits)): the client is
/// answered already, if no answer had begun, and the connection is over. Those of [`Io::read`].
#[vk::coroutine]
pub fn read_body(io: &mut Io, request: &mut Request, to: &mut [u8]) -> io::Result<usize> {
    let there: u64 = available(io, request)?;
    let count: usize = to.len().min(there as usize);
    io.read_exact(&mut to[..count])?;
    request.took(count as u64);
    Ok(count)
}

/// Reads the whole body, which is in [`Request::body`] then, until the next request is read.
///
/// # Errors
/// `InvalidData` if it has more than `limit` bytes (the answer is 413; [`Limits::WHOLE_BODY`](crate::Limits::WHOLE_BODY)
/// is 1 MiB), or there is no memory for it (503);
/// those of [`read_body`].
#[vk::coroutine]
pub fn read_whole_body(io: &mut Io, request: &mut Request, limit: usize) -> io::Result<()> {
    if request.body_length().is_some_and(|length| length > limit as u64) {
        return abort(io, request, 413);
    }
    loop {
        let there: u64 = available(io, request)?;
        if there == 0 {
            return Ok(());
        }
        let begin: usize = request.body.length;
        let end: usize = begin + there as usize;
        if end > limit {
            return abort(io, request, 413);
        }
        if end > request.body.place.len() {
            let room: usize = request.room(end, limit);
            if grow(io, request, room).is_err() {
                return abort(io, request, 503);
            }
        }
        io.read_exact(request.body.place.vacant(begin..end))?;
        request.body.length = end;
        request.took(there);
    }
}

/// Moves the body to a larger place.
#[vk::coroutine]
pub(crate) fn grow(io: &mut Io, request: &mut Request, room: usize) -> io::Result<()> {
    let mut place: HeapBytes = io.alloc(room)?;
    // Vacant until now: a mutable look at all of it would make all of it resident.
    place.vacant(0..request.body.len()).copy_from_slice(&request.body);
    std::mem::swap(&mut place, &mut request.body.place);
    io.free(&mut place)
}

/// Writes what is left of the request's body as a part of the answer's, in constant memory.
///
/// # Errors
/// Those of [`read_body`] and [`write`](struct@crate::write).
#[vk::coroutine]
pub fn forward_body(io: &mut Io, request: &mut Request) -> io::Result<()> {
    loop {
        let there: u64 = available(io, request)?;
        if there == 0 {
            return Ok(());
        }
        pass(io, request, there)?;
        request.took(there);
    }
}

/// Moves `count` received bytes into the body of the answer to `request`.
#[vk::coroutine]
pub(crate) fn pass(io: &mut Io, request: &Request, count: u64) -> io::Result<()> {
    match request.sending.get() {
        Sending::NoBody => io.skip(count)?,
        Sending::Chunked => {
            request.counts(count);
            write!(io, "{count:x}\r\n")?;
            io.forward(count)?;
            io.write_all(b"\r\n")?;
        }
        _ => {
            request.sends(count)?;
            io.forward(count)?;
        }
    }
    Ok(())
}

/// Skips what is left of the body, if that is little; false if it isn't.
#[vk::coroutine]
pub(crate) fn skip_body(io: &mut Io, request: &mut Request) -> io::Result<bool> {
    let mut left: u64 = request.limits.skip as u64;
    request.limits.body = u64::MAX;
    while !request.is_read() {
        let there: u64 = available(io, request)?;
        if there > left {
            return Ok(false);
        }
        left -= there;
        io.skip(there)?;
        request.took(there);
    }
    Ok(true)
}

/// Waits for a piece of the body: returns how many bytes of it begin the received ones. 0 at the body's end.
#[vk::coroutine]
fn available(io: &mut Io, request: &mut Request) -> io::Result<u64> {
    let status: u16 = match arrives(io, request) {
        Ok(there) => return Ok(there),
        Err(Failure::Io(error)) => return Err(error),
        Err(Failure::Refused(Refused(status))) => status,
    };
    abort(io, request, status)?;
    Ok(0)
}

/// As [`available`], without an answer to what goes wrong.
#[vk::coroutine]
pub(crate) fn arrives(io: &mut Io, request: &mut Request) -> Result<u64, Failure> {
    if request.is_too_large() {
        return Err(Failure::Refused(Refused(413)));
    }
    if request.expects.replace(false) {
        proceed(io)?;
    }
    while !request.is_read() {
        let patience: Duration = request.patience();
        io.deadline(patience)?;
        let began: Nanos = time::now();
        let there: usize = io.fill(1)?;
        request.waited(time::now().saturating_sub(began));
        if there == 0 {
            return Err(Failure::Refused(Refused(400)));
        }
        let taken: Taken = request.unframe(io.buffered()?)?;
        let trailers: usize = taken.trailers;
        if trailers > 0 {
            let end: usize = request.index_end() + usize::from(request.trailers) + trailers;
            if end > request.bytes.len() {
                let mut place: HeapBytes = io.alloc(2 * end)?;
                place[..end - trailers].copy_from_slice(&request.bytes[..end - trailers]);
                std::mem::swap(&mut place, &mut request.bytes);
                io.free(&mut place)?;
            }
            let from: usize = taken.trailers_at;
            request.bytes[end - trailers..end].copy_from_slice(&io.buffered()?[from..from + trailers]);
            request.trailers += trailers as u16;
        }
        let framing: usize = taken.framing;
        io.skip(framing as u64)?;
        if request.is_too_large() {
            return Err(Failure::Refused(Refused(413)));
        }
        let data: u64 = request.left().min((there - framing) as u64);
        if data > 0 {
            return Ok(data);
        }
    }
    Ok(0)
}

impl Request {
    /// How large a place for a body of `end` bytes, and perhaps more, should be.
    fn room(&self, end: usize, limit: usize) -> usize {
        // What was announced, unless it is much that may never come; else twice what there is.
        const AT_ONCE: usize = 64 * 1024;
        let rest = self.body_length().map_or(0, |left| (left as usize).min(AT_ONCE));
        let announced = self.body.len() + rest;
        end.max(announced).max(2 * self.body.place.len()).min(limit)
    }
}
