//! A reverse proxy: a request is another server's to answer.
//!
//! ```text
//!            handler                     uploader                    keeper
//!   1   ◄── client        head ──►                                   server
//!   2   ◄── server   answer ──► client   ◄── client  body ──► server     nothing
//!   3   ◄── client ──►                   keeps the server            closed
//! ```
//!
//! In step 2 bodies stream both ways at once, each through one pair of rings.

mod passed;

use super::Client;
use super::connect::reach;
use super::failure::Fault;
use super::receive::{back, pass, put, receive_head};
use super::url::Url;
use crate::answer::{end, plan, respond_status};
use crate::body::arrives;
use crate::close::{FAILURE, proceed, refuse};
use crate::request::Reading;
use crate::response::Sending;
use crate::scratch::{fill, keep};
use crate::status::{Failure, Refused};
use crate::{Limits, Request};
use passed::{
    Forwards, climbs, directory, is_option, names_fields, write_answer, write_end, write_interim,
    write_request,
};
use rustix::io::Errno;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use vk_core::{Child, HeapBytes, Io, LastWords, Sink, Source};

/// Answers before the answer that are passed on.
const INTERIM: u8 = 16;

/// Answers a request with what the server of `base`, `http://127.0.0.1:8081` say, answers to it: path and query of the
/// request follow `base`. Bodies stream both ways at once, in constant memory.
///
/// Fields that are meant for one connection stay behind (RFC 9110, 7.6.1), and so do `Expect` and offers of other
/// protocols; `Via` and `Forwarded` (RFC 7239) are added. [Fields](struct@crate::field) that were said for the answer go
/// with it. Trailers go on behind a body in chunks, but for those that belong into a head. Answers before the answer
/// (103) go on to a client of HTTP/1.1. `OPTIONS` goes as far as `Max-Forwards` says. Where `base` has a path, a request
/// whose path leads out of it gets a 400.
///
/// A client that breaks off its request gets a 400, if it can still hear it; one that is too slow a 408, and one that sends
/// [too much](Limits::body) a 413. A server that can't be reached or talks nonsense makes it a 502, one that is too slow a
/// 504 (see [`Client::connect_secs`], [`Client::answer_secs`]). If the server answers before it has the whole request, the
/// client gets the answer, and the connections end after it.
///
/// # Errors
/// If the server's answer breaks off after its head: nothing but the end of the connection can tell that. Those of
/// [`http::begin`](struct@crate::begin); `InvalidInput` and `Unsupported` if `base` is no `http` URL; `InvalidInput` if some
/// of the request's body was read already.
#[vk::coroutine]
pub fn relay(io: &mut Io, request: &mut Request, client: &mut Client, base: &str) -> io::Result<()> {
    if request.has_begun() {
        let text = "a request is relayed whole, and some of its body was read";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    let confined: bool = !directory(&Url::parse(base)?).is_empty();
    if confined && climbs(request.path()) {
        return respond_status(io, request, 400);
    }
    if client.asker.is_none() {
        let peer: Option<SocketAddr> = io.peer().unwrap_or(None);
        client.asker = peer.map(|peer| peer.ip().to_canonical());
    }
    if request.is_too_large() {
        return refuse(io, request, 413);
    }
    if request.expects.replace(false) {
        proceed(io)?;
    }
    match request.forwards() {
        Forwards::Any | Forwards::Left(1..) => {}
        // This is where it was to come to.
        Forwards::Left(0) => return respond_status(io, request, 204),
        Forwards::Nonsense => return respond_status(io, request, 400),
    }
    loop {
        let has_body: bool = !request.is_read();
        let done: Result<u16, Fault> =
            attempt(io, request, client, base).map_err(|failure| Fault::from(&failure));
        let fault: Fault = match done {
            Ok(0) => return Ok(()),
            Ok(status) => {
                let status: u16 = status;
                tracing::debug!(status, "a request was broken off");
                return respond_status(io, request, status);
            }
            Err(fault) => fault,
        };
        if request.sending.get() != Sending::NotBegun {
            return Err(fault.into());
        }
        if has_body || !client.may_repeat(request.method(), fault) {
            let status: u16 = fault.status();
            if status == 503 {
                // With the micro-process everything ends that it has no room for: a connection that nobody keeps, say.
                request.closing.set(true);
            }
            return respond_status(io, request, status);
        }
    }
}

/// Passes a request on, and the answer back; returns with which status the request's body was refused, 0 if it was not.
#[vk::coroutine]
fn attempt(io: &mut Io, request: &mut Request, client: &mut Client, base: &str) -> Result<u16, Failure> {
    reach(io, client, base)?;
    io.free(&mut client.message.body.place)?;
    client.reset(request.method());
    fill(|scratch| write_request(scratch, request, client.asker, base))?;
    let mut head: HeapBytes = keep(io)?;
    io.swap(&mut client.keeper)?;
    let sent: Result<(), Fault> = io.write_all(&head).map_err(|error| Fault::from(&error));
    if sent.is_err() || request.is_read() {
        back(io, client, sent.is_ok())?;
    }
    io.free(&mut head)?;
    sent.map_err(io::Error::from)?;
    let mut uploader: Child = Child::NONE;
    if request.is_read() {
        io.cross(&mut client.keeper)?;
    } else {
        // The uploader inherits what leads from the client to the server.
        io.cross(&mut client.keeper)?;
        let names_fields: bool = names_fields(request);
        let body: Body = Body { reading: request.reading, limits: request.limits, names_fields };
        match io.spawn::<upload>((body,), Source::Inherit, Sink::Inherit) {
            Ok(child) => {
                uploader = child;
                io.swap(&mut client.keeper)?;
            }
            Err(error) => {
                let fault: Fault = Fault::from(&error);
                io.cross(&mut client.keeper)?;
                back(io, client, false)?;
                return Err(Failure::Io(fault.into()));
            }
        }
    }
    let done: Result<(), Fault> =
        answer(io, request, client, &uploader).map_err(|failure| Fault::from(&failure));
    let mut is_sound: bool = done.is_ok();
    let mut status: u16 = 0;
    if uploader.is_none() {
        io.cross(&mut client.keeper)?;
    } else {
        let is_read: bool = io.rests(&uploader)?;
        status = refused(io.failure(&uploader)?);
        io.cross(&mut uploader)?;
        std::mem::swap(&mut uploader, &mut client.keeper);
        io.close(&mut uploader)?;
        is_sound &= is_read;
        if is_read {
            request.reading = Reading::Length(0);
        } else {
            // Nobody knows any more where the next request begins.
            request.closing.set(true);
        }
    }
    put(io, client, is_sound)?;
    match done {
        Ok(()) => Ok(0),
        Err(_) if status > 0 && request.sending.get() == Sending::NotBegun => Ok(status),
        Err(fault) => Err(Failure::Io(fault.into())),
    }
}

/// Answers, receiving from the server and sending to the client.
#[vk::coroutine]
fn answer(io: &mut Io, request: &mut Request, client: &mut Client, uploader: &Child) -> Result<(), Failure> {
    let mut interim: u8 = 0;
    loop {
        let done: Result<(), Fault> = receive_head(io, client).map_err(|failure| Fault::from(&failure));
        match done {
            Err(fault) if fault.kind() == ErrorKind::TimedOut => {
                if !is_at_work(io, uploader)? {
                    return Err(Failure::Io(ErrorKind::TimedOut.into()));
                }
                // The server has time until the request has ended; a deadline of the caller's ends it here.
                io.yield_now()?;
            }
            Err(fault) => return Err(Failure::Io(fault.into())),
            Ok(()) if client.status >= 200 => break,
            // Clients of HTTP/1.0 know of no such thing (RFC 9110, 15.2).
            Ok(()) if request.minor_version() == 0 => {}
            Ok(()) if interim == INTERIM => return Err(Failure::Refused(Refused(400))),
            Ok(()) => {
                interim += 1;
                fill(|scratch| write_interim(scratch, client))?;
                // Half of it can't be followed by an answer, nor by last words.
                request.sending.set(Sending::Gone);
                io.last_words(LastWords::NONE)?;
                send_scratch(io)?;
                io.last_words(FAILURE)?;
                request.sending.set(Sending::NotBegun);
            }
        }
    }
    let length: Option<u64> = client.body_length();
    plan(io, request, client.status, "", length)?;
    fill(|scratch| write_answer(scratch, request, client, length))?;
    send_scratch(io)?;
    pass(io, client, request)?;
    if request.sending.get() == Sending::Chunked {
        fill(|scratch| {
            write_end(scratch, &client.message, |name| is_option(&client.message, name.as_bytes()))
        })?;
        send_scratch(io)?;
        request.ended()?;
    } else {
        end(io, request)?;
    }
    Ok(())
}

/// Writes what the scratch was filled with.
#[vk::coroutine]
fn send_scratch(io: &mut Io) -> io::Result<()> {
    let mut text: HeapBytes = keep(io)?;
    let sent: Result<(), Fault> = io.write_all(&text).map_err(|error| Fault::from(&error));
    io.free(&mut text)?;
    Ok(sent?)
}

/// Whether a request's body is still on its way.
#[vk::coroutine]
fn is_at_work(io: &mut Io, uploader: &Child) -> io::Result<bool> {
    if uploader.is_none() || io.rests(uploader)? {
        return Ok(false);
    }
    Ok(!io.has_ended(uploader)?)
}

/// The body of a request, as far as it has come.
#[derive(Clone, Copy, Debug, vk_core::Plain)]
struct Body {
    reading: Reading,
    limits: Limits,
    /// Whether `Connection` names fields: trailers, too, may be meant for this connection only.
    names_fields: bool,
}

/// How an uploader says with which status a body is refused: an error is all that it leaves behind.
const REFUSALS: [(u16, Errno); 3] = [(400, Errno::BADMSG), (408, Errno::TIME), (413, Errno::MSGSIZE)];

fn refusal(status: u16) -> io::Error {
    let known = REFUSALS.iter().find(|known| known.0 == status).unwrap_or(&REFUSALS[0]);
    io::Error::from_raw_os_error(known.1.raw_os_error())
}

/// The status that an uploader has left; 0 for none.
fn refused(failure: Option<io::Error>) -> u16 {
    let errno = failure.and_then(|error| error.raw_os_error());
    REFUSALS.iter().find(|known| Some(known.1.raw_os_error()) == errno).map_or(0, |known| known.0)
}

/// Moves a request's body from the client to the server, and keeps the connection then. If the body is refused, or the
/// client breaks off, the server is told with the end.
#[vk::coroutine]
fn upload(io: &mut Io, body: Body) -> io::Result<()> {
    let mut request: Request = Request::new();
    request.reading = body.reading;
    request.limits = body.limits;
    let status: u16 = carry(io, &mut request, body.names_fields)?;
    if status == 0 {
        io.free(&mut request.bytes)?;
        return io.rest();
    }
    match io.shutdown() {
        // Whatever becomes of it.
        Ok(()) | Err(_) => Err(refusal(status)),
    }
}

/// Moves a request's body from the client to the server; returns with which status it is refused, 0 if it is not.
#[vk::coroutine]
fn carry(io: &mut Io, request: &mut Request, names_fields: bool) -> io::Result<u16> {
    let chunked: bool = matches!(request.reading, Reading::Chunked(_));
    loop {
        let there: u64 = match arrives(io, request) {
            Ok(0) => break,
            Ok(there) => there,
            Err(Failure::Refused(Refused(status))) => return Ok(status),
            Err(Failure::Io(_)) => return Ok(400),
        };
        if chunked {
            write!(io, "{there:x}\r\n")?;
        }
        io.forward(there)?;
        if chunked {
            io.write_all(b"\r\n")?;
        }
        request.took(there);
    }
    if chunked {
        // Which ones can't be told here any more.
        fill(|scratch| write_end(scratch, request, |_| names_fields))?;
        send_scratch(io)?;
    }
    Ok(0)
}
