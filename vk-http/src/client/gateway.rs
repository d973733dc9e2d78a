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
use crate::close::{proceed, refuse};
use crate::request::Reading;
use crate::response::Sending;
use crate::scratch::{fill, keep};
use crate::status::Failure;
use crate::{Limits, Request};
use passed::{Forwards, climbs, directory, write_answer, write_end, write_interim, write_request};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use vk_core::{Child, HeapBytes, Io, Sink, Source};

/// Answers a request with what the server of `base`, `http://127.0.0.1:8081` say, answers to it: path and query of the
/// request follow `base`. Bodies stream both ways at once, in constant memory.
///
/// Fields that are meant for one connection stay behind (RFC 9110, 7.6.1), and so do `Expect` and offers of other
/// protocols; `Via` and `Forwarded` (RFC 7239) are added. [Fields](struct@crate::field) that were said for the answer go
/// with it. Trailers go on behind a body in chunks, but for those that belong into a head. Answers before the answer
/// (103) go on to a client of HTTP/1.1. `OPTIONS` goes as far as `Max-Forwards` says. Where `base` has a path, a request
/// whose path leads out of it gets a 400.
///
/// A client that breaks off its request gets a 400, if it can still hear it. A server that can't be reached or talks nonsense
/// makes it a 502, one that is too slow a 504 (see [`Client::connect_secs`], [`Client::answer_secs`]). A body that announces
/// to be [too large](Limits::body) is 413. If the server answers before it has the whole request, the client gets
/// the answer, and the connections end after it.
///
/// # Errors
/// If the server's answer breaks off after its head: nothing but the end of the connection can tell that. Those of
/// [`http::begin`](struct@crate::begin); `InvalidInput` and `Unsupported` if `base` is no `http` URL.
#[vk::coroutine]
pub fn relay(io: &mut Io, request: &mut Request, client: &mut Client, base: &str) -> io::Result<()> {
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
        let done: Result<bool, Fault> =
            attempt(io, request, client, base).map_err(|failure| Fault::from(&failure));
        let fault: Fault = match done {
            Ok(true) => return Ok(()),
            Ok(false) => {
                tracing::debug!("a client broke off its request");
                return respond_status(io, request, 400);
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

/// Passes a request on, and the answer back; false if there is none since the client broke off.
#[vk::coroutine]
fn attempt(io: &mut Io, request: &mut Request, client: &mut Client, base: &str) -> Result<bool, Failure> {
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
        let body: Body = Body { reading: request.reading, limits: request.limits };
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
    let mut broke_off: bool = false;
    if uploader.is_none() {
        io.cross(&mut client.keeper)?;
    } else {
        let is_read: bool = io.rests(&uploader)?;
        broke_off = io.has_ended(&uploader)? && !io.has_failed(&uploader)?;
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
        Ok(()) => Ok(true),
        Err(_) if broke_off && request.sending.get() == Sending::NotBegun => Ok(false),
        Err(fault) => Err(Failure::Io(fault.into())),
    }
}

/// Answers, receiving from the server and sending to the client.
#[vk::coroutine]
fn answer(io: &mut Io, request: &mut Request, client: &mut Client, uploader: &Child) -> Result<(), Failure> {
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
            Ok(()) => {
                fill(|scratch| write_interim(scratch, client))?;
                send_scratch(io)?;
            }
        }
    }
    let length: Option<u64> = client.body_length();
    plan(io, request, client.status, "", length)?;
    fill(|scratch| write_answer(scratch, request, client, length))?;
    send_scratch(io)?;
    pass(io, client, request)?;
    if request.sending.get() == Sending::Chunked {
        fill(|scratch| write_end(scratch, &client.message))?;
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
}

/// Moves a request's body from the client to the server, and keeps the connection then. If the client breaks off, the
/// server is told with the end; if the server takes no more, this fails.
#[vk::coroutine]
fn upload(io: &mut Io, body: Body) -> io::Result<()> {
    let mut request: Request = Request::new();
    request.reading = body.reading;
    request.limits = body.limits;
    match carry(io, &mut request) {
        Ok(true) => {
            io.free(&mut request.bytes)?;
            io.rest()
        }
        Ok(false) => match io.shutdown() {
            // Whatever becomes of it.
            Ok(()) | Err(_) => Ok(()),
        },
        Err(error) => Err(error),
    }
}

/// Moves a request's body from the client to the server; false if the client breaks off.
#[vk::coroutine]
fn carry(io: &mut Io, request: &mut Request) -> io::Result<bool> {
    let chunked: bool = matches!(request.reading, Reading::Chunked(_));
    loop {
        let there: u64 = match arrives(io, request) {
            Ok(0) => break,
            Ok(there) => there,
            Err(_) => return Ok(false),
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
        fill(|scratch| write_end(scratch, request))?;
        send_scratch(io)?;
    }
    Ok(true)
}
