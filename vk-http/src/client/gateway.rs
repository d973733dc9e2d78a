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
use crate::answer::{end, plan, respond_status};
use crate::body::arrives;
use crate::close::{proceed, refuse};
use crate::request::Reading;
use crate::response::Sending;
use crate::scratch::{fill, keep};
use crate::status::{Failure, is_bodiless, reason};
use crate::{Limits, Request, date, decode};
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use vk_core::{Child, HeapBytes, Io, Sink, Source};

/// Fields that are said to the next one only (RFC 9110, 7.6.1), and those that the proxy says itself.
const HOPS: [&str; 7] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// Fields that mean something before a body only, and may not come behind it (RFC 9110, 6.5.1): whoever puts the two
/// together would be misled.
const NO_TRAILERS: [&str; 20] = [
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "set-cookie",
    "trailer",
    "vary",
    "www-authenticate",
];

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

/// The path that is put before those of requests.
fn directory<'a>(url: &Url<'a>) -> &'a str {
    url.path.split('?').next().unwrap_or_default().trim_end_matches('/')
}

/// Whether a path leads out of where it begins, by `..`, however that is encoded.
fn climbs(path: &str) -> bool {
    path.split('/').any(|part| decode(part) == "..")
}

/// How far a request may go on.
enum Forwards {
    /// As far as it likes.
    Any,
    /// To so many servers.
    Left(u64),
    /// As far as nobody can tell.
    Nonsense,
}

impl Request {
    /// See RFC 9110, 7.6.2. `TRACE` never comes so far: the parser refuses it.
    fn forwards(&self) -> Forwards {
        if self.method() != "OPTIONS" {
            return Forwards::Any;
        }
        self.get("max-forwards").map_or(Forwards::Any, |text| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits).map_or(Forwards::Nonsense, Forwards::Left)
        })
    }
}

/// Writes the head of the request as it goes on.
fn write_request(to: &mut Vec<u8>, request: &Request, asker: Option<IpAddr>, base: &str) -> io::Result<()> {
    let url = Url::parse(base)?;
    let (mark, query) = request.query().map_or(("", ""), |query| ("?", query));
    let asks_all = request.method() == "OPTIONS" && request.is_pathless();
    let path = if asks_all { "*" } else { request.path() };
    let base = if path == "*" { "" } else { directory(&url) };
    for piece in
        [request.method(), " ", base, path, mark, query, " HTTP/1.1\r\nHost: ", url.authority, "\r\n"]
    {
        to.extend_from_slice(piece.as_bytes());
    }
    let length = request.body_length();
    match request.forwards() {
        Forwards::Left(left) => {
            write_fields(to, request, &["host", "expect", "max-forwards"], length.is_none());
            write!(to, "Max-Forwards: {}\r\n", left.saturating_sub(1))?;
        }
        _ => write_fields(to, request, &["host", "expect"], length.is_none()),
    }
    let is_trailers = |coding: &str| coding.trim().eq_ignore_ascii_case("trailers");
    if request.get("te").is_some_and(|te| te.split(',').any(is_trailers)) {
        to.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n");
    }
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
    let announced = request.get("content-length").is_some();
    write_framing(to, length.filter(|_| announced), length.is_none())?;
    to.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the head of the answer as it goes on.
fn write_answer(to: &mut Vec<u8>, request: &Request, client: &Client, length: Option<u64>) -> io::Result<()> {
    let status = client.status;
    write!(to, "HTTP/1.1 {status} {}{}\r\n", reason(status), request.said)?;
    write_fields(to, &client.message, &[], request.sending.get() == Sending::Chunked);
    if !has(&client.message, "date") {
        // Who passes an answer on has to say when it came (RFC 9110, 6.6.1).
        write_field(to, "Date", &date::line());
    }
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

/// Writes the head of an answer before the answer.
fn write_interim(to: &mut Vec<u8>, client: &Client) -> io::Result<()> {
    write!(to, "HTTP/1.1 {} {}\r\n", client.status, reason(client.status))?;
    write_fields(to, &client.message, &[], false);
    to.write_all(b"\r\n")
}

/// Writes what is behind a body in chunks: its end, with those trailers that may stand there.
fn write_end(to: &mut Vec<u8>, message: &Request) -> io::Result<()> {
    to.extend_from_slice(b"0\r\n");
    let is_barred =
        |name: &str| HOPS.iter().chain(&NO_TRAILERS).any(|barred| name.eq_ignore_ascii_case(barred));
    for (name, value) in message.trailers().filter(|(name, _)| !is_barred(name)) {
        write_field(to, name, value);
    }
    to.write_all(b"\r\n")
}

/// Whether a message has a field, be its value text or not.
fn has(message: &Request, name: &str) -> bool {
    message.fields().any(|(field, _)| field.eq_ignore_ascii_case(name))
}

fn write_field(to: &mut Vec<u8>, name: &str, value: &[u8]) {
    for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
        to.extend_from_slice(piece);
    }
}

/// Writes the fields of a message that are for whom it reaches in the end. Trailers are announced if they can come.
fn write_fields(to: &mut Vec<u8>, message: &Request, own: &[&str], chunked: bool) {
    let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
    let named = |name: &str| {
        let connections = message.fields().filter(|(field, _)| is(field, "connection"));
        let mut options = connections.flat_map(|(_, value)| value.split(|byte| *byte == b','));
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    let connected = has(message, "connection");
    for (name, value) in message.fields() {
        let stays = HOPS.iter().chain(own).any(|hop| is(name, hop))
            || !chunked && is(name, "trailer")
            || connected && named(name);
        if !stays {
            write_field(to, name, value);
        }
    }
}
