//! The end of a connection, such that what was sent last arrives.

use crate::answer::respond_status;
use crate::limits::{LINGER, LINGER_TIME};
use crate::response::{CONTINUE, Sending};
use crate::status::reason;
use crate::{Request, date};
use std::io;
use vk_core::{Io, LastWords, Line};

/// Ends our side and waits for the peer's end, throwing away what it still sends, within limits.
///
/// A socket that is closed with unread input resets the connection, and the reset can destroy the answer
/// before the peer has read it (RFC 9112, 9.6).
#[vk::coroutine]
pub(crate) fn linger(io: &mut Io) -> io::Result<()> {
    io.deadline(LINGER_TIME)?;
    io.shutdown()?;
    let mut left: u64 = LINGER;
    loop {
        let there: usize = io.fill(1)?;
        if there == 0 || there as u64 > left {
            return Ok(());
        }
        left -= there as u64;
        io.skip(there as u64)?;
    }
}

/// What a request is answered with whose handler fails before its answer has begun.
pub(crate) const FAILURE: LastWords = LastWords::of::<fail>();

/// Says 500 in the stead of a handler that has failed, and ends the connection. Without a body: nobody knows any more
/// whether it was asked for with `HEAD`.
#[vk::coroutine]
fn fail(io: &mut Io) -> io::Result<()> {
    let date: Line<29> = date::line();
    io.write_all(b"HTTP/1.1 500 Internal Server Error\r\nDate: ")?;
    io.write_all(&date)?;
    io.write_all(b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    linger(io)
}

/// Says that the body may come. Half of that can't be followed by [`FAILURE`].
#[vk::coroutine]
pub(crate) fn proceed(io: &mut Io) -> io::Result<()> {
    io.last_words(LastWords::NONE)?;
    io.write_all(CONTINUE.as_bytes())?;
    io.last_words(FAILURE)
}

/// Refuses a request and ends the connection: answers with `status`, if no answer has begun.
///
/// The next [`read_request`](crate::read_request) finds no request. A handler's error that is not refused becomes a 500;
/// so it becomes another status:
///
/// ```
/// # use vk::prelude::*;
/// # use vk_http::{self as http, Request};
/// # #[vk::coroutine] fn api(io: &mut Io, request: &mut Request) -> io::Result<()> { http::respond_status(io, request, 200) }
/// #[vk::coroutine]
/// fn serve(io: &mut Io) -> io::Result<()> {
///     let mut request: Request = Request::new();
///     while http::read_request(io, &mut request)? {
///         if let Err(_) = api(io, &mut request) {
///             http::refuse(io, &request, 503)?;
///         }
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
/// Those of [`Io::write_all`].
#[vk::coroutine]
pub fn refuse(io: &mut Io, request: &Request, status: u16) -> io::Result<()> {
    if request.sending.get() == Sending::NotBegun {
        request.closing.set(true);
        request.said.clear();
        respond_status(io, request, status)?;
    }
    request.sending.set(Sending::Gone);
    match linger(io) {
        // The connection is over, one way or the other.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// [Refuses](refuse) a request, and fails with what was refused.
#[vk::coroutine]
pub(crate) fn abort(io: &mut Io, request: &Request, status: u16) -> io::Result<()> {
    refuse(io, request, status)?;
    Err(io::Error::new(io::ErrorKind::InvalidData, reason(status)))
}
