//! Fields of an answer that its handler says.

use crate::Request;
use crate::bytes::TOKEN;
use crate::limits::SAID;
use crate::response::Sending;
use std::cell::Cell;
use std::fmt;
use std::io;
use vk_core::{HeapBytes, Io, Plain};

/// Says a field of the answer to `request`: before [`begin`](crate::begin), or whatever else answers. One name may be
/// said more than once. `Upgrade`, which a 426 has to say, brings its `Connection: Upgrade` along. A refusal that the
/// server answers itself, a 413 say, is sent without them.
///
/// ```
/// # use vk::prelude::*;
/// # use vk_http::{self as http, Request};
/// #[vk::coroutine]
/// fn moved(io: &mut Io, request: &Request) -> io::Result<()> {
///     http::field(io, request, "Location", "/new")?;
///     http::respond_status(io, request, 308)
/// }
/// ```
///
/// # Errors
/// `InvalidInput` if the answer has begun, `name` isn't a name or `value` not a value (it may not have control
/// characters, line breaks first of all: RFC 9110, 5.5), all fields together have more than 8 KiB, or it is one of
/// those that say how the answer is framed, which are the server's: `Connection`, `Content-Length`, `Content-Type`,
/// `Date`, `Keep-Alive`, `Trailer`, `Transfer-Encoding`. `OutOfMemory` if the micro-heap is full.
#[vk::coroutine]
pub fn field(io: &mut Io, request: &Request, name: &str, value: &str) -> io::Result<()> {
    if name.eq_ignore_ascii_case("upgrade") {
        say(io, request, "Connection", &["Upgrade"])?;
        return say(io, request, name, &[value]);
    }
    field_of(io, request, name, &[value])
}

/// As [`field`], with the value in pieces.
#[vk::coroutine]
pub(crate) fn field_of(io: &mut Io, request: &Request, name: &str, value: &[&str]) -> io::Result<()> {
    if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        let text = "how a response is framed, and when it was made, is said by the server";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    say(io, request, name, value)
}

/// As [`field_of`], for the server's own, too.
#[vk::coroutine]
pub(crate) fn say(io: &mut Io, request: &Request, name: &str, value: &[&str]) -> io::Result<()> {
    let length: usize = request.may_say(name, value)?;
    if length + WEAK.len() > request.said.room.get() {
        let room: usize = (length + WEAK.len()).max(2 * request.said.room.get()).max(FIRST);
        let mut place: HeapBytes = io.alloc(room)?;
        request.said.rehouse(&mut place);
        io.free(&mut place)?;
    }
    request.said.add(name, value);
    Ok(())
}

/// What makes an entity tag a weak one; there is always room for it.
const WEAK: &[u8] = b"W/";

/// Bytes of the first place for fields.
const FIRST: usize = 256;

/// The fields that are the server's own.
const OWN: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Request {
    /// Whether the answer may have this field; returns the bytes of all fields with it.
    fn may_say(&self, name: &str, value: &[&str]) -> io::Result<usize> {
        let mistake = |text: &'static str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if self.sending.get() != Sending::NotBegun {
            return mistake("a field of the response is said before it begins");
        }
        if name.is_empty() || !TOKEN.has_all(name.as_bytes()) {
            return mistake("a field's name is a token");
        }
        if !value.iter().all(|piece| is_value(piece)) {
            return mistake("a field's value has no line breaks or other control characters");
        }
        let length = self.said.length.get()
            + name.len()
            + value.iter().map(|piece| piece.len()).sum::<usize>()
            + "\r\n: ".len();
        if length > SAID {
            return mistake("the fields of a response have at most 8 KiB");
        }
        Ok(length)
    }
}

/// The fields that were said, each behind a line break.
#[derive(Plain)]
pub(crate) struct Said {
    place: Cell<HeapBytes>,
    /// Bytes of the place, and of the fields at its beginning.
    room: Cell<usize>,
    length: Cell<usize>,
}

impl Said {
    /// No fields.
    pub(crate) const fn new() -> Said {
        Said { place: Cell::new(HeapBytes::EMPTY), room: Cell::new(0), length: Cell::new(0) }
    }

    /// Moves the fields to a larger place, and leaves the former one.
    fn rehouse(&self, larger: &mut HeapBytes) {
        let mut place = self.place.take();
        larger[..self.length.get()].copy_from_slice(&place[..self.length.get()]);
        self.room.set(larger.len());
        std::mem::swap(&mut place, larger);
        self.place.set(place);
    }

    /// Adds a field, for which there is room.
    fn add(&self, name: &str, value: &[&str]) {
        let mut place = self.place.take();
        let mut end = self.length.get();
        for piece in ["\r\n", name, ": "].iter().chain(value) {
            place[end..end + piece.len()].copy_from_slice(piece.as_bytes());
            end += piece.len();
        }
        self.length.set(end);
        self.place.set(place);
    }

    /// Makes the entity tag among them a weak one, if it isn't.
    pub(crate) fn weaken(&self) {
        const STRONG: &[u8] = b"\r\nETag: \"";
        let mut place = self.place.take();
        let end = self.length.get();
        let tag = place[..end].windows(STRONG.len()).position(|bytes| bytes.eq_ignore_ascii_case(STRONG));
        if let Some(tag) = tag {
            let begin = tag + STRONG.len() - 1;
            place.copy_within(begin..end, begin + WEAK.len());
            place[begin..begin + WEAK.len()].copy_from_slice(WEAK);
            self.length.set(end + WEAK.len());
        }
        self.place.set(place);
    }

    /// Whether they have no place.
    pub(crate) fn is_empty(&self) -> bool {
        self.room.get() == 0
    }

    /// Forgets them, but not their place.
    pub(crate) fn clear(&self) {
        self.length.set(0);
    }

    /// Gives their place away.
    pub(crate) fn take(&self) -> HeapBytes {
        self.length.set(0);
        self.room.set(0);
        self.place.take()
    }

    /// Looks at them.
    #[inline]
    pub(crate) fn with<T>(&self, look: impl FnOnce(&str) -> T) -> T {
        if self.length.get() == 0 {
            return look("");
        }
        let place = self.place.take();
        let looked = look(str::from_utf8(&place[..self.length.get()]).unwrap_or_default());
        self.place.set(place);
        looked
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|said| f.write_str(said))
    }
}

/// Whether `text` may be a field's value.
pub(crate) fn is_value(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
}
