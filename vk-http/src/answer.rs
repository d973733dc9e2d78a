//! Answers: whole, or piece by piece.

use crate::close::abort;
use crate::response::{ResponseHead, Sending};
use crate::status::page;
use crate::{Request, date};
use std::io;
use vk_core::{Io, LastWords, Line, time};

/// Answers a request with a status, a content type ("" for none) and a whole body.
///
/// # Errors
/// Those of [`begin`] and [`write`](struct@write).
#[vk::coroutine]
pub fn respond(
    io: &mut Io,
    request: &Request,
    status: u16,
    content_type: &str,
    body: &[u8],
) -> io::Result<()> {
    request.leaves_rest();
    announce(io, request, status, content_type, Some(body.len() as u64))?;
    write(io, request, body)?;
    end(io, request)
}

/// Answers a request with a status, and its name for people to read: 404, say.
///
/// # Errors
/// As [`respond`].
#[vk::coroutine]
pub fn respond_status(io: &mut Io, request: &Request, status: u16) -> io::Result<()> {
    let page: Line<48> = page(status);
    respond(io, request, status, "text/plain", &page)
}

/// Begins an answer with a status and a content type ("" for none). The body follows with [`write`](struct@write) or
/// [`forward_body`](crate::forward_body), and [`end`] ends it. Its length, if it is known, is announced and
/// must be kept; otherwise it goes out in chunks.
///
/// To a client that waits for `100 Continue`, a status of 2xx says first that the body may come. To one that has announced
/// a larger body than it [may](crate::Limits::body) send, the answer is 413 instead.
///
/// # Errors
/// `InvalidInput` if this request was answered already, or the head would not be one; `InvalidData` if its body is too
/// large; those of [`Io::write_all`].
#[vk::coroutine]
pub fn begin(
    io: &mut Io,
    request: &Request,
    status: u16,
    content_type: &str,
    length: Option<u64>,
) -> io::Result<()> {
    if (200..300).contains(&status) && request.is_too_large() {
        return abort(io, request, 413);
    }
    announce(io, request, status, content_type, length)
}

/// As [`begin`], whatever the request's body is.
#[vk::coroutine]
pub(crate) fn announce(
    io: &mut Io,
    request: &Request,
    status: u16,
    content_type: &str,
    length: Option<u64>,
) -> io::Result<()> {
    plan(io, request, status, content_type, length)?;
    let date: u64 = date::now();
    write!(io, "{}", ResponseHead::new(request, status, content_type, length, date))?;
    request.expects.set(false);
    Ok(())
}

/// Decides how the answer is framed, and whether the connection goes on after it: not if the server is about to end. From
/// now on nobody else may answer.
///
/// # Errors
/// `InvalidInput` if this request was answered already, or the head would not be one.
#[vk::coroutine]
pub(crate) fn plan(
    io: &mut Io,
    request: &Request,
    status: u16,
    content_type: &str,
    length: Option<u64>,
) -> io::Result<()> {
    if io.is_ending()? {
        request.closing.set(true);
    }
    if status == 500 {
        io.note_failure("500 for", request.target())?;
    }
    request.plan(status, content_type, length)?;
    io.last_words(LastWords::NONE)
}

/// Writes a piece of the body of the answer that [`begin`] began.
///
/// # Errors
/// `InvalidInput` if it is more than was announced, or no answer is under way; those of [`Io::write_all`].
#[vk::coroutine]
pub fn write(io: &mut Io, request: &Request, piece: &[u8]) -> io::Result<()> {
    match request.sending.get() {
        Sending::NoBody => {}
        Sending::Chunked if piece.is_empty() => {}
        Sending::Chunked => {
            request.counts(piece.len() as u64);
            write!(io, "{:x}\r\n", piece.len())?;
            io.write_all(piece)?;
            io.write_all(b"\r\n")?;
        }
        _ => {
            request.sends(piece.len() as u64)?;
            io.write_all(piece)?;
        }
    }
    Ok(())
}

/// Ends the answer that [`begin`] began.
///
/// # Errors
/// `InvalidInput` if it is less than was announced, or no answer is under way; those of [`Io::write_all`].
#[vk::coroutine]
pub fn end(io: &mut Io, request: &Request) -> io::Result<()> {
    if request.sending.get() == Sending::Chunked {
        io.write_all(b"0\r\n\r\n")?;
    }
    request.ended()
}

impl Request {
    /// Notes that the answer ends before the rest of the body is read. Where that is too much to be skipped, or to be
    /// asked for, the client is told not to send it: with the connection's end.
    pub(crate) fn leaves_rest(&self) {
        if !self.is_skippable() || self.expects.get() && self.is_too_large() {
            self.closing.set(true);
            self.expects.set(false);
        }
    }

    /// Notes that `count` bytes of the body are about to be sent, without chunks.
    pub(crate) fn sends(&self, count: u64) -> io::Result<()> {
        self.counts(count);
        match self.sending.get() {
            Sending::Length(left) => match left.checked_sub(count) {
                Some(left) => self.sending.set(Sending::Length(left)),
                None => return mistake("the body of the response is longer than was announced"),
            },
            Sending::UntilClose => {}
            _ => return mistake("no response is under way: `begin` one"),
        }
        Ok(())
    }

    pub(crate) fn counts(&self, count: u64) {
        self.sent.set(self.sent.get() + count);
    }

    /// Notes that the response is ended.
    pub(crate) fn ended(&self) -> io::Result<()> {
        match self.sending.get() {
            Sending::Length(0) | Sending::Chunked | Sending::UntilClose | Sending::NoBody => {
                self.sending.set(Sending::Ended);
                self.log();
                Ok(())
            }
            Sending::Length(_) => mistake("the body of the response is shorter than was announced"),
            Sending::NotBegun | Sending::Ended | Sending::Gone => {
                mistake("no response is under way: `begin` one")
            }
        }
    }
}

impl Request {
    /// Writes a line of the access log: `GET /plaintext HTTP/1.1` with the status, the body's bytes, and the time since
    /// the request's first byte. While nobody listens, this is one comparison.
    pub(crate) fn log(&self) {
        tracing::debug!(
            target: "access",
            status = self.status.get(),
            bytes = self.sent.get(),
            micros = time::now().saturating_sub(self.began) / 1000,
            "{} {} HTTP/1.{}",
            self.method(),
            self.target(),
            self.minor_version(),
        );
    }
}

fn mistake(text: &'static str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}
