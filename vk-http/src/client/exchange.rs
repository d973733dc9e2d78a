//! A request, whole or piece by piece, and redirects.

use super::connect::reach;
use super::failure::Fault;
use super::head::check;
use super::receive::{available, back, receive_final};
use super::url::Url;
use super::{Client, Stage};
use crate::Limits;
use crate::head::Head;
use crate::said::Said;
use crate::scratch::{fill, keep};
use crate::status::Failure;
use fluent_uri::{Uri, UriRef};
use std::io::{self, ErrorKind};
use std::mem::replace;
use vk_core::{HeapBytes, Io, Plain};

/// Bytes of the body of a redirect that are read for the sake of keeping the connection.
const SKIP: u64 = 64 * 1024;

/// Asks for `url` with `GET`, and waits for the head of the answer. The body follows with [`read`](struct@super::read),
/// [`read_whole`](struct@super::read_whole) or [`forward`](struct@super::forward).
///
/// # Errors
/// As [`send`](struct@send).
#[vk::coroutine]
pub fn get(io: &mut Io, client: &mut Client, url: &str) -> io::Result<()> {
    send(io, client, "GET", url, "", b"")
}

/// Sends a request with a content type ("" for none) and a whole body, and waits for the head of the answer.
///
/// If it finds a kept connection ended, and to do the request twice is as good as once (RFC 9110, 9.2.2), it does it
/// again on a new one.
///
/// # Errors
/// `InvalidInput` and `Unsupported` for what is no `http` URL, or no request; those of [`Io::resolve`] and
/// [`Io::connect`]; `TimedOut` if there is no answer in time; `InvalidData` if it is malformed; `UnexpectedEof` if the
/// server has hung up. More redirects than [`Client::redirects`] are no error, but the answer.
#[vk::coroutine]
pub fn send(
    io: &mut Io,
    client: &mut Client,
    method: &str,
    url: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<()> {
    let mut hop: Hop = Hop::FIRST;
    let done: Result<(), Fault> =
        follow(io, client, &mut hop, method, url, content_type, body).map_err(|error| Fault::from(&error));
    client.message.said.clear();
    io.free(&mut hop.place)?;
    Ok(done?)
}

/// Exchanges, and goes on where a redirect leads to.
#[vk::coroutine]
fn follow(
    io: &mut Io,
    client: &mut Client,
    hop: &mut Hop,
    method: &str,
    url: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<()> {
    let mut left: u8 = client.redirects;
    loop {
        exchange(io, client, hop, method, url, content_type, body)?;
        if left == 0 || !client.redirect(hop.target(url))? {
            return Ok(());
        }
        let mut place: HeapBytes = keep(io)?;
        left -= 1;
        hop.lead(client.status, method, url, &mut place);
        io.free(&mut place)?;
        discard(io, client)?;
    }
}

/// What other servers than the one that was meant are not told.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What says something about a body, and goes with it (RFC 9110, 15.4).
const CONTENT: [&str; 7] = [
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "digest",
    "last-modified",
    "repr-digest",
];

/// What redirects have made of a request.
#[derive(Plain)]
struct Hop {
    /// Where the last one leads to.
    place: HeapBytes,
    /// Whether it is asked with `GET` now, and without a body.
    asks_get: bool,
    /// Whether everything so far went to one server.
    is_secret: bool,
}

impl Hop {
    /// Before the first redirect.
    const FIRST: Hop = Hop { place: HeapBytes::EMPTY, asks_get: false, is_secret: true };

    /// Goes on to `place`, which gets the former one (RFC 9110, 15.4).
    fn lead(&mut self, status: u16, method: &str, url: &str, place: &mut HeapBytes) {
        let former = Url::from_checked(self.target(url)).authority;
        let next = Url::from_checked(str::from_utf8(place).unwrap_or_default()).authority;
        self.is_secret &= former.eq_ignore_ascii_case(next);
        self.asks_get |= status == 303 || matches!(status, 301 | 302) && method == "POST";
        std::mem::swap(&mut self.place, place);
    }

    /// Whether a field that was said for the first request is not said for this one.
    fn hides(&self, name: &str) -> bool {
        let is_one_of = |names: &[&str]| names.iter().any(|other| name.eq_ignore_ascii_case(other));
        !self.is_secret && is_one_of(&SECRET) || self.asks_get && is_one_of(&CONTENT)
    }

    fn method<'a>(&self, method: &'a str) -> &'a str {
        if self.asks_get && method != "HEAD" { "GET" } else { method }
    }

    fn target<'a>(&'a self, url: &'a str) -> &'a str {
        if self.place.is_empty() { url } else { str::from_utf8(&self.place).unwrap_or_default() }
    }

    fn body<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        if self.asks_get { b"" } else { body }
    }

    fn content_type<'a>(&self, content_type: &'a str) -> &'a str {
        if self.asks_get { "" } else { content_type }
    }
}

/// One request and the head of its answer, tried once more where that does no harm.
#[vk::coroutine]
fn exchange(
    io: &mut Io,
    client: &mut Client,
    hop: &Hop,
    method: &str,
    url: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<()> {
    loop {
        let done: Result<(), Fault> =
            once(io, client, hop, method, url, content_type, body).map_err(|error| Fault::from(&error));
        match done {
            Err(fault) if client.may_repeat(hop.method(method), fault) => {}
            _ => return Ok(done?),
        }
    }
}

#[vk::coroutine]
fn once(
    io: &mut Io,
    client: &mut Client,
    hop: &Hop,
    method: &str,
    url: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<()> {
    let length: Option<u64> = Some(hop.body(body).len() as u64);
    start(io, client, hop, method, url, content_type, length)?;
    write(io, client, hop.body(body))?;
    end(io, client)
}

/// Begins a request with a content type ("" for none). The body follows with [`write`](struct@write), and [`end`] ends
/// it. Its length, if it is known, is announced and must be kept; otherwise it goes out in chunks.
///
/// # Errors
/// `InvalidInput` and `Unsupported` for what is no `http` URL, or no request; those of [`Io::resolve`],
/// [`Io::connect`] and [`Io::write_all`].
#[vk::coroutine]
pub fn begin(
    io: &mut Io,
    client: &mut Client,
    method: &str,
    url: &str,
    content_type: &str,
    length: Option<u64>,
) -> io::Result<()> {
    let done: Result<(), Fault> = start(io, client, &Hop::FIRST, method, url, content_type, length)
        .map_err(|error| Fault::from(&error));
    client.message.said.clear();
    Ok(done?)
}

#[vk::coroutine]
fn start(
    io: &mut Io,
    client: &mut Client,
    hop: &Hop,
    method: &str,
    url: &str,
    content_type: &str,
    length: Option<u64>,
) -> io::Result<()> {
    check(method, content_type)?;
    reach(io, client, hop.target(url))?;
    io.free(&mut client.message.body.place)?;
    client.reset(hop.method(method));
    fill(|scratch| {
        let (method, url, content_type) =
            (hop.method(method), hop.target(url), hop.content_type(content_type));
        client.write_head(scratch, method, url, content_type, length, |name| hop.hides(name))
    })?;
    let mut head: HeapBytes = keep(io)?;
    io.swap(&mut client.keeper)?;
    let done: Result<(), Fault> = io.write_all(&head).map_err(|error| Fault::from(&error));
    back(io, client, done.is_ok())?;
    io.free(&mut head)?;
    done?;
    client.stage = length.map_or(Stage::Chunked, Stage::Length);
    Ok(())
}

/// Writes a piece of the body of the request that [`begin`] began.
///
/// # Errors
/// `InvalidInput` if it is more than was announced, or no request is under way; those of [`Io::write_all`], after which
/// the connection is over.
#[vk::coroutine]
pub fn write(io: &mut Io, client: &mut Client, piece: &[u8]) -> io::Result<()> {
    client.sends(piece.len() as u64)?;
    if piece.is_empty() {
        return Ok(());
    }
    io.swap(&mut client.keeper)?;
    let done: Result<(), Fault> =
        write_there(io, client.stage == Stage::Chunked, piece).map_err(|error| Fault::from(&error));
    back(io, client, done.is_ok())?;
    Ok(done?)
}

#[vk::coroutine]
fn write_there(io: &mut Io, chunked: bool, piece: &[u8]) -> io::Result<()> {
    if !chunked {
        return io.write_all(piece);
    }
    write!(io, "{:x}\r\n", piece.len())?;
    io.write_all(piece)?;
    io.write_all(b"\r\n")
}

/// Ends the request that [`begin`] began, and waits for the head of the answer.
///
/// # Errors
/// As [`send`](struct@send); `InvalidInput` if the body is shorter than was announced, or no request is under way.
#[vk::coroutine]
pub fn end(io: &mut Io, client: &mut Client) -> io::Result<()> {
    let chunked: bool = client.ends()?;
    io.swap(&mut client.keeper)?;
    let done: Result<(), Fault> = end_there(io, client, chunked).map_err(|failure| Fault::from(&failure));
    back(io, client, done.is_ok())?;
    Ok(done?)
}

#[vk::coroutine]
fn end_there(io: &mut Io, client: &mut Client, chunked: bool) -> Result<(), Failure> {
    if chunked {
        io.write_all(b"0\r\n\r\n")?;
    }
    receive_final(io, client)
}

/// Reads a little body that nobody wants.
#[vk::coroutine]
fn discard(io: &mut Io, client: &mut Client) -> io::Result<()> {
    if client.keeper.is_none() {
        return Ok(());
    }
    io.swap(&mut client.keeper)?;
    let done: Result<bool, Fault> = discard_there(io, client).map_err(|failure| Fault::from(&failure));
    back(io, client, done == Ok(true))
}

#[vk::coroutine]
fn discard_there(io: &mut Io, client: &mut Client) -> Result<bool, Failure> {
    let mut left: u64 = SKIP;
    loop {
        let there: u64 = available(io, client)?;
        if there == 0 || there > left {
            return Ok(there == 0);
        }
        left -= there;
        io.skip(there)?;
        client.message.took(there);
    }
}

impl Client {
    /// Forgets the former answer, whose body is freed, but not the fields of the request to come.
    pub(super) fn reset(&mut self, method: &str) {
        let said = replace(&mut self.message.said, Said::new());
        self.message.reset(&Limits { body: u64::MAX, ..self.limits });
        self.message.said = said;
        self.message.head = Head { is_head: method == "HEAD", ..Head::NONE };
        (self.status, self.until_close) = (0, false);
    }

    /// Whether a request that failed may be made again: on a connection that has ended before this request came to it.
    pub(super) fn may_repeat(&mut self, method: &str, fault: Fault) -> bool {
        use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let ended = matches!(fault.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof);
        let harmless = matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE");
        replace(&mut self.kept, false) && ended && harmless && self.status == 0
    }

    /// Notes that `count` bytes of the request's body are about to be sent.
    fn sends(&mut self, count: u64) -> io::Result<()> {
        match &mut self.stage {
            Stage::Chunked => Ok(()),
            Stage::Length(left) if *left >= count => {
                *left -= count;
                Ok(())
            }
            Stage::Length(_) => mistake("the body of the request is longer than was announced"),
            Stage::Rest | Stage::Answer => mistake("no request is under way: `begin` one"),
        }
    }

    /// Whether the end of the body, which is now, has to be said.
    fn ends(&self) -> io::Result<bool> {
        match self.stage {
            Stage::Chunked => Ok(true),
            Stage::Length(0) => Ok(false),
            Stage::Length(_) => mistake("the body of the request is shorter than was announced"),
            Stage::Rest | Stage::Answer => mistake("no request is under way: `begin` one"),
        }
    }

    /// Whether the answer to a request for `url` is a redirect; where it leads to is in the scratch then.
    fn redirect(&self, url: &str) -> io::Result<bool> {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            return Ok(false);
        }
        let Some(location) = self.get("location") else { return Ok(false) };
        let wrong = || io::Error::new(ErrorKind::InvalidData, "a redirect that leads nowhere");
        let base = Uri::parse(url.split('#').next().unwrap_or_default()).map_err(|_| wrong())?;
        let location = UriRef::parse(location).map_err(|_| wrong())?;
        let next = location.resolve_against(&base).map_err(|_| wrong())?;
        Url::parse(next.as_str())?;
        fill(|scratch| {
            scratch.extend_from_slice(next.as_str().as_bytes());
            Ok(())
        })?;
        Ok(true)
    }
}

fn mistake<T>(text: &'static str) -> io::Result<T> {
    Err(io::Error::new(ErrorKind::InvalidInput, text))
}
