//! The end of a connection, such that what was sent last arrives.

use crate::Request;
use crate::answer::respond_status;
use crate::limits::{LINGER, LINGER_TIME};
use crate::response::Sending;
use crate::status::reason;
use std::io;
use vk_core::Io;

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

/// Refuses a request and ends the connection: answers with `status`, if no answer has begun.
///
/// The next [`read_request`](crate::read_request) finds no request. So a handler's error becomes a 500:
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
///             http::refuse(io, &request, 500)?;
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
