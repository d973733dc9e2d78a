//! Requests, one after the other.

use crate::body::skip_body;
use crate::close::{FAILURE, linger, refuse};
use crate::head::ENTRY;
use crate::response::Sending;
use crate::scan::Scan;
use crate::status::{Failure, Refused};
use crate::{Limits, Request};
use std::io::{self, ErrorKind};
use std::time::Duration;
use vk_core::{HeapBytes, Io, time};

/// Reads the next request of a connection, as far as the end of its head. False when there is none any more:
/// the client has gone or was idle for too long, the connection was to end after the last answer, or what
/// came was refused; it is answered already.
///
/// An answer that begins when the server is about to end, or the build that serves the connection, says
/// `Connection: close`.
///
/// What the former request's handler left unread of the body is skipped. While it waits for a request, the
/// connection is [idle](Io::idle).
///
/// # Errors
/// `InvalidInput` if the former request has no answer (the client gets a 500), or an unfinished one; those
/// of [`Io::read`] and [`Io::write_all`].
#[vk::coroutine]
pub fn read_request(io: &mut Io, request: &mut Request) -> io::Result<bool> {
    read_request_within(io, request, &Limits::DEFAULT)
}

/// [Reads the next request](read_request) within an application's own limits.
///
/// # Errors
/// As [`read_request`].
#[vk::coroutine]
pub fn read_request_within(io: &mut Io, request: &mut Request, limits: &Limits) -> io::Result<bool> {
    if !settle(io, request)? {
        return Ok(false);
    }
    let status: u16 = match receive(io, request, limits) {
        Ok(there) => return Ok(there),
        Err(Failure::Io(error)) => return Err(error),
        Err(Failure::Refused(Refused(status))) => status,
    };
    refuse(io, request, status)?;
    Ok(false)
}

/// Concludes the former request; false if that was the connection's last.
#[vk::coroutine]
fn settle(io: &mut Io, request: &mut Request) -> io::Result<bool> {
    match request.sending.get() {
        Sending::Ended => {}
        Sending::Gone => return Ok(false),
        Sending::NotBegun => {
            refuse(io, request, 500)?;
            return Err(io::Error::new(ErrorKind::InvalidInput, "the handler has not answered the request"));
        }
        _ => return Err(io::Error::new(ErrorKind::InvalidInput, "the handler has not ended its answer")),
    }
    if !request.closing.get() && skip_body(io, request)? {
        return Ok(true);
    }
    request.sending.set(Sending::Gone);
    if request.is_read() && io.buffered()?.is_empty() {
        // Nothing is left that closing at once could turn into a reset.
        return Ok(false);
    }
    match linger(io) {
        Ok(()) | Err(_) => Ok(false),
    }
}

/// Bytes of a head's place that is kept for the next request, which is often as long as this one.
const KEPT: usize = 512;

/// Waits for a request and parses its head.
#[vk::coroutine]
fn receive(io: &mut Io, request: &mut Request, limits: &Limits) -> Result<bool, Failure> {
    if request.bytes.len() > KEPT {
        io.free(&mut request.bytes)?;
    }
    if !request.body.place.is_empty() {
        io.free(&mut request.body.place)?;
    }
    if !request.said.is_empty() {
        let mut place: HeapBytes = request.said.take();
        io.free(&mut place)?;
    }
    request.reset(limits);
    io.last_words(FAILURE)?;
    if !arrives(io, limits.idle_secs)? {
        request.sending.set(Sending::Gone);
        return Ok(false);
    }
    request.sending.set(Sending::NotBegun);
    request.began = time::now();
    io.deadline(Duration::from_secs(limits.head_secs as u64))?;
    let mut scan: Scan = Scan::default();
    loop {
        let there: usize = io.fill(scan.seen + 1)?;
        if there == scan.seen && scan.start == there {
            // Blank lines, and then the end.
            request.sending.set(Sending::Gone);
            return Ok(false);
        }
        if there == scan.seen {
            return Err(Failure::Refused(Refused(400)));
        }
        let is_whole: bool = {
            let bytes = io.buffered()?;
            let found = scan.advance(bytes, limits);
            // What is refused before it is parsed has no content for `HEAD` either.
            request.head.is_head = bytes[scan.start..].starts_with(b"HEAD ");
            found?
        };
        if is_whole {
            break;
        }
    }
    if scan.start > 0 {
        io.skip(scan.start as u64)?;
    }
    let length: usize = scan.seen - scan.start;
    let fields: usize = scan.lines - 1;
    if fields > limits.fields as usize {
        return Err(Failure::Refused(Refused(431)));
    }
    let index: usize = fields * ENTRY;
    if request.bytes.len() < length + index {
        io.free(&mut request.bytes)?;
        request.bytes = io.alloc(length + index)?;
    }
    io.read_exact(&mut request.bytes[..length])?;
    request.parse(length, index)?;
    Ok(true)
}

/// Waits for the first byte of a request; false if none comes.
#[vk::coroutine]
fn arrives(io: &mut Io, secs: u16) -> io::Result<bool> {
    io.idle()?;
    io.deadline(Duration::from_secs(secs as u64))?;
    match io.eof() {
        Ok(ended) => Ok(!ended),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
        Err(error) => Err(error),
    }
}
