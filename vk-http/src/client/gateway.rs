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

use super::Client;
use super::connect::reach;
use super::failure::Fault;
use super::head::write_framing;
use super::receive::{back, pass, put, receive_head};
use super::url::Url;
use crate::answer::{end, respond_status};
use crate::body::arrives;
use crate::request::Reading;
use crate::response::{CONTINUE, Sending};
use crate::scratch::{fill, keep};
use crate::status::{Failure, is_bodiless, reason};
use crate::{Limits, Request};
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use vk_core::{Child, HeapBytes, Io, Sink, Source};

/// Fields that are said to the next one only (RFC 9110, 7.6.1), and those that the proxy says itself.
const HOPS: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Answers a request with what the server of `base`, `http://127.0.0.1:8081` say, answers to it: path and query of the
/// request follow `base`. Bodies stream both ways at once, in constant memory.
///
/// Fields that are meant for one connection stay behind (RFC 9110, 7.6.1), and so do trailers, `Expect` and offers of
/// other protocols; `Via` and `Forwarded` (RFC 7239) are added. [Fields](struct@crate::field) that were said for the
/// answer go with it.
///
/// A server that can't be reached or talks nonsense makes it a 502, one that is too slow a 504 (see
/// [`Client::connect_secs`], [`Client::answer_secs`]). If it answers before it has the whole request, the client gets
/// the answer, and the connections end after it.
///
/// # Errors
/// If the server's answer breaks off after its head: nothing but the end of the connection can tell that. Those of
/// [`http::begin`](struct@crate::begin); `InvalidInput` and `Unsupported` if `base` is no `http` URL.
#[vk::coroutine]
pub fn relay(io: &mut Io, request: &mut Request, client: &mut Client, base: &str) -> io::Result<()> {
    Url::parse(base)?;
    if client.asker.is_none() {
        let peer: Option<SocketAddr> = io.peer().unwrap_or(None);
        client.asker = peer.map(|peer| peer.ip().to_canonical());
    }
    if request.expects.replace(false) {
        io.write_all(CONTINUE.as_bytes())?;
    }
    loop {
        let has_body: bool = !request.is_read();
        let done: Result<(), Fault> =
            attempt(io, request, client, base).map_err(|failure| Fault::from(&failure));
        let Err(fault) = done else { return Ok(()) };
        let fault: Fault = fault;
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

#[vk::coroutine]
fn attempt(io: &mut Io, request: &mut Request, client: &mut Client, base: &str) -> Result<(), Failure> {
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
    if uploader.is_none() {
        io.cross(&mut client.keeper)?;
    } else {
        let is_read: bool = io.rests(&uploader)?;
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
    done.map_err(|fault| Failure::Io(fault.into()))
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
            Ok(()) => break,
        }
    }
    let length: Option<u64> = client.body_length();
    request.plan(client.status, "", length)?;
    fill(|scratch| write_answer(scratch, request, client, length))?;
    let mut head: HeapBytes = keep(io)?;
    let sent: Result<(), Fault> = io.write_all(&head).map_err(|error| Fault::from(&error));
    io.free(&mut head)?;
    sent.map_err(io::Error::from)?;
    pass(io, client, request)?;
    end(io, request)?;
    Ok(())
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
/// server is told with the end.
#[vk::coroutine]
fn upload(io: &mut Io, body: Body) -> io::Result<()> {
    let mut request: Request = Request::new();
    request.reading = body.reading;
    request.limits = body.limits;
    match carry(io, &mut request) {
        Ok(()) => {
            io.free(&mut request.bytes)?;
            io.rest()
        }
        Err(_) => io.shutdown(),
    }
}

#[vk::coroutine]
fn carry(io: &mut Io, request: &mut Request) -> Result<(), Failure> {
    let chunked: bool = matches!(request.reading, Reading::Chunked(_));
    loop {
        let there: u64 = arrives(io, request)?;
        if there == 0 {
            break;
        }
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
        io.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// Writes the head of the request as it goes on.
fn write_request(to: &mut Vec<u8>, request: &Request, asker: Option<IpAddr>, base: &str) -> io::Result<()> {
    let url = Url::parse(base)?;
    let (mark, query) = request.query().map_or(("", ""), |query| ("?", query));
    let path = request.path();
    let base =
        if path == "*" { "" } else { url.path.split('?').next().unwrap_or_default().trim_end_matches('/') };
    for piece in
        [request.method(), " ", base, path, mark, query, " HTTP/1.1\r\nHost: ", url.authority, "\r\n"]
    {
        to.extend_from_slice(piece.as_bytes());
    }
    write_fields(to, request, &["host", "expect"]);
    // An authority has neither quotes nor backslashes.
    let host = request.host();
    let minor = request.minor_version();
    write!(to, "Via: 1.{minor} vk\r\nForwarded: for=")?;
    match asker {
        Some(IpAddr::V4(address)) => write!(to, "{address}")?,
        Some(IpAddr::V6(address)) => write!(to, "\"[{address}]\"")?,
        None => to.extend_from_slice(b"unknown"),
    }
    write!(to, ";host=\"{host}\";proto=http\r\n")?;
    let length = request.body_length();
    let announced = request.get("content-length").is_some();
    write_framing(to, length.filter(|_| announced), length.is_none())?;
    to.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the head of the answer as it goes on.
fn write_answer(to: &mut Vec<u8>, request: &Request, client: &Client, length: Option<u64>) -> io::Result<()> {
    let status = client.status;
    write!(to, "HTTP/1.1 {status} {}{}\r\n", reason(status), request.said)?;
    write_fields(to, &client.message, &[]);
    write!(to, "Via: 1.{} vk\r\n", client.message.minor_version())?;
    match client.get("content-length") {
        _ if matches!(status, 100..=199 | 204) => {}
        // What the body would have had.
        Some(length) if request.sending.get() == Sending::NoBody => {
            write!(to, "Content-Length: {length}\r\n")?;
        }
        _ if request.sending.get() == Sending::NoBody || is_bodiless(status) => {}
        _ => write_framing(to, length, request.sending.get() == Sending::Chunked)?,
    }
    if request.closing.get() {
        to.extend_from_slice(b"Connection: close\r\n");
    } else if request.minor_version() == 0 {
        to.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    to.write_all(b"\r\n")
}

/// Writes the fields of a message that are for whom it reaches in the end.
fn write_fields(to: &mut Vec<u8>, message: &Request, own: &[&str]) {
    let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
    let named = |name: &str| {
        let connections = message.fields().filter(|(field, _)| is(field, "connection"));
        let mut options = connections.flat_map(|(_, value)| value.split(|byte| *byte == b','));
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    let connected = message.get("connection").is_some();
    for (name, value) in message.fields() {
        if HOPS.iter().chain(own).any(|hop| is(name, hop)) || connected && named(name) {
            continue;
        }
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            to.extend_from_slice(piece);
        }
    }
}
