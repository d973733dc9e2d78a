//! A request, as far as it has come, and how far its answer has.

use crate::chunked::{Chunked, Taken};
use crate::head::{self, ENTRY, Framing, Head};
use crate::limits::Limits;
use crate::response::Sending;
use crate::said::Said;
use crate::status::Refused;
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;
use vk_core::{HeapBytes, Nanos, Plain};

/// How far the body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) enum Reading {
    /// So many bytes are to come.
    Length(u64),
    /// Chunks are to come.
    Chunked(Chunked),
}

/// A request, and the state of its answer.
///
/// Small and plain: it lives in the handler's frame, its head and the body that was
/// [read whole](crate::read_whole_body) beside it in the micro-heap, until the next request is read.
#[derive(Plain)]
pub struct Request {
    /// The head's bytes, then its index, then trailers, then perhaps more.
    pub(crate) bytes: HeapBytes,
    /// Bytes of trailers.
    pub(crate) trailers: u16,
    pub(crate) head: Head,
    pub(crate) reading: Reading,
    /// Parameters of the path: the hash of the name, and where the value is.
    pub(crate) parameters: [(u32, u16, u16); PARAMETERS],
    /// How long the body may still be waited for.
    patience: Nanos,
    /// Bytes of the body that were taken.
    taken: u64,
    /// The body, once it was [read whole](crate::read_whole_body).
    pub body: Body,
    /// What the client may take of the server for this request. What a handler changes here holds for the rest of
    /// the request: how its body is read.
    pub limits: Limits,
    /// Whether the client still waits for `100 Continue`.
    pub(crate) expects: Cell<bool>,
    /// Fields of the answer.
    pub(crate) said: Said,
    /// How far the answer is sent.
    pub(crate) sending: Cell<Sending>,
    /// The answer's status, and how many bytes of its body are sent.
    pub(crate) status: Cell<u16>,
    pub(crate) sent: Cell<u64>,
    /// When it came.
    pub(crate) began: Nanos,
    /// Whether the connection ends after the answer.
    pub(crate) closing: Cell<bool>,
}

impl Request {
    /// No request yet.
    pub const fn new() -> Request {
        Request {
            bytes: HeapBytes::EMPTY,
            trailers: 0,
            parameters: [(0, 0, 0); PARAMETERS],
            head: Head::NONE,
            reading: Reading::Length(0),
            patience: Nanos::MAX,
            taken: 0,
            body: Body::NONE,
            limits: Limits::DEFAULT,
            said: Said::new(),
            expects: Cell::new(false),
            sending: Cell::new(Sending::Ended),
            status: Cell::new(0),
            sent: Cell::new(0),
            began: 0,
            closing: Cell::new(false),
        }
    }

    /// The method: `GET`.
    pub fn method(&self) -> &str {
        self.text(0, self.head.method)
    }

    /// The target as it was sent: `/path?query`, `http://host/path` or, for `OPTIONS`, `*`.
    pub fn target(&self) -> &str {
        self.text(self.head.method + 1, self.head.target)
    }

    /// The target's path, not decoded: `/path`. `*` where the target is.
    pub fn path(&self) -> &str {
        match self.text(self.head.path.0, self.head.path.1) {
            "" => "/",
            path => path,
        }
    }

    /// Whether the target has neither path nor query: `http://host`.
    pub(crate) fn is_pathless(&self) -> bool {
        self.head.path.0 == self.head.target
    }

    /// The host that is asked for, with its port if one is named: that of the target where it has one, else of the
    /// field `Host` (RFC 9112, 3.2.2). "" from a client that names none.
    pub fn host(&self) -> &str {
        let authority = self.text(self.head.method + 1, self.head.path.0);
        match authority.split_once("://") {
            Some((_, authority)) => authority,
            None => self.get("host").unwrap_or(""),
        }
    }

    /// What follows the target's `?`, not decoded. None without a `?`.
    pub fn query(&self) -> Option<&str> {
        let after = self.text(self.head.path.1, self.head.target);
        after.strip_prefix('?')
    }

    /// A parameter of the path, `id` of `/user/{id}`, as it was sent: `%20` is not [decoded](crate::decode). None if
    /// the [pattern](crate::routes) has none of this name.
    pub fn param(&self, name: &str) -> Option<&str> {
        let name = hash(name);
        let (_, from, to) =
            self.parameters.iter().find(|parameter| parameter.0 == name && parameter.2 > 0)?;
        Some(self.text(*from, *to))
    }

    /// The `y` of the request's version `HTTP/1.y`.
    pub fn minor_version(&self) -> u8 {
        self.head.minor
    }

    /// The value of the first field with this name, upper case or lower. None without one, or if the value
    /// isn't text.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        str::from_utf8(value).ok()
    }

    /// Each field's name and value, in the order they came.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let (head, index) = self.bytes.split_at(usize::from(self.head.length));
        index.chunks_exact(ENTRY).take(usize::from(self.head.fields)).map(|entry| {
            let at = |n: usize| usize::from(u16::from_le_bytes([entry[2 * n], entry[2 * n + 1]]));
            (str::from_utf8(&head[at(0)..at(1)]).unwrap_or_default(), &head[at(2)..at(3)])
        })
    }

    /// Each trailer field's name and value, once the body is read: what a chunked body has behind it (RFC 9112, 7.1.2).
    /// None of them says anything about the message.
    pub fn trailers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let begin = self.index_end();
        let text = self.bytes.get(begin..begin + usize::from(self.trailers)).unwrap_or_default();
        text.split(|byte| *byte == b'\n').filter_map(|line| {
            let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            Some((str::from_utf8(name).ok()?, value[1..].trim_ascii()))
        })
    }

    /// Bytes of the body that are to come; None if only their end will tell.
    pub fn body_length(&self) -> Option<u64> {
        match self.reading {
            Reading::Length(left) => Some(left),
            Reading::Chunked(_) => None,
        }
    }

    /// A part of the head that is ASCII, as the parser has made sure.
    fn text(&self, from: u16, to: u16) -> &str {
        let part = self.bytes.get(from.into()..to.into()).unwrap_or_default();
        str::from_utf8(part).unwrap_or_default()
    }

    /// Where the head's index ends and the trailers begin.
    pub(crate) fn index_end(&self) -> usize {
        usize::from(self.head.length) + ENTRY * usize::from(self.head.fields)
    }

    /// Forgets the former request, but for the place of its head. Its body and its answer's fields are freed already.
    pub(crate) fn reset(&mut self, limits: &Limits) {
        let bytes = std::mem::take(&mut self.bytes);
        // While none has come, the former one counts as answered: who waits may wait anew, in another build perhaps.
        let sending = Cell::new(Sending::Ended);
        *self = Request { bytes, sending, limits: *limits, ..Request::new() };
    }

    /// Parses the `length` bytes of the head; the next `index` bytes become its index.
    pub(crate) fn parse(&mut self, length: usize, index: usize) -> Result<(), Refused> {
        let (bytes, rest) = self.bytes.split_at_mut(length);
        self.head = head::parse(bytes, &mut rest[..index])?;
        self.expects = Cell::new(self.head.expects);
        self.reading = match self.head.framing {
            Framing::Length(length) => Reading::Length(length),
            Framing::Chunked => Reading::Chunked(Chunked::new()),
        };
        Ok(())
    }

    /// Whether the whole body is read.
    pub(crate) fn is_read(&self) -> bool {
        match &self.reading {
            Reading::Length(left) => *left == 0,
            Reading::Chunked(body) => body.is_over(),
        }
    }

    /// Whether it is worth while to read what is left of the body, only to keep the connection.
    pub(crate) fn is_skippable(&self) -> bool {
        self.body_length().is_none_or(|left| left <= u64::from(self.limits.skip))
    }

    /// Whether more of the body is known to come than there may be.
    pub(crate) fn is_too_large(&self) -> bool {
        self.taken.saturating_add(self.left()) > self.limits.body
    }

    /// Takes the framing at the beginning of the received bytes.
    pub(crate) fn unframe(&mut self, bytes: &[u8]) -> Result<Taken, Refused> {
        match &mut self.reading {
            Reading::Length(_) => Ok(Taken::default()),
            Reading::Chunked(body) => body.advance(bytes, &self.limits),
        }
    }

    /// How long the next piece of the body may be waited for.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_nanos(self.patience).min(self.limits.body_time())
    }

    /// A piece of the body was waited for so long.
    pub(crate) fn waited(&mut self, time: Nanos) {
        self.patience = (self.patience().as_nanos() as Nanos).saturating_sub(time);
    }

    /// Bytes of the body that come before any framing, or before its end.
    pub(crate) fn left(&self) -> u64 {
        match &self.reading {
            Reading::Length(left) => *left,
            Reading::Chunked(body) => body.left(),
        }
    }

    /// Whether some of the body was taken.
    pub(crate) fn has_begun(&self) -> bool {
        self.taken > 0
    }

    /// `count` bytes of the body were taken.
    pub(crate) fn took(&mut self, count: u64) {
        self.taken += count;
        self.patience = self.patience.saturating_add(self.limits.earned(count).as_nanos() as Nanos);
        match &mut self.reading {
            Reading::Length(left) => *left -= count,
            Reading::Chunked(body) => body.took(count),
        }
    }
}

/// Parameters of a path.
pub(crate) const PARAMETERS: usize = 4;

/// The FNV-1a hash of a parameter's name: names are in the program's text, where no frame may point to.
pub(crate) fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A request's body in memory: nothing until it was [read whole](crate::read_whole_body), then its bytes,
/// until the next request is read.
#[derive(Debug, Plain)]
pub struct Body {
    pub(crate) place: HeapBytes,
    /// Bytes of the body, at the beginning of the place.
    pub(crate) length: usize,
}

impl Body {
    const NONE: Body = Body { place: HeapBytes::EMPTY, length: 0 };
}

impl Deref for Body {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.place[..self.length]
    }
}

impl Default for Request {
    fn default() -> Self {
        Request::new()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.target())
    }
}

// A handler's frame shares a page of 4 KiB with two rings of 1 KiB and the task's record.
const _: () = assert!(size_of::<Request>() <= 256);
