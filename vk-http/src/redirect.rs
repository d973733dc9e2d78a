//! Redirects to another path with the same query, and which path is the one that others are redirected to.

use crate::Request;
use crate::answer::respond_status;
use crate::said::field_of;
use crate::scratch::{fill, keep};
use std::io;
use vk_core::{HeapBytes, Io, Plain};

/// Sends the client to `path`, `tail` and the query of its request.
#[vk::coroutine]
pub(crate) fn redirect(
    io: &mut Io,
    request: &Request,
    status: u16,
    path: &str,
    tail: &str,
) -> io::Result<()> {
    match say_location(io, request, path, tail) {
        Ok(()) => respond_status(io, request, status),
        // The query is longer than the fields of an answer may be.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => respond_status(io, request, 414),
        Err(error) => Err(error),
    }
}

#[vk::coroutine]
fn say_location(io: &mut Io, request: &Request, path: &str, tail: &str) -> io::Result<()> {
    match request.query() {
        None => field_of(io, request, "Location", &[path, tail]),
        Some(_) => field_of(io, request, "Location", &[path, tail, "?", request.query().unwrap_or("")]),
    }
}

/// Whether a path encodes nothing that means the same without: letters, digits and `-._~` (RFC 3986, 6.2.2.2).
pub(crate) fn is_plain(path: &str) -> bool {
    let path = path.as_bytes();
    memchr::memchr_iter(b'%', path).all(|at| needless(&path[at..]).is_none())
}

/// What `%XX` at the beginning stands for, if that may be said plainly.
fn needless(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = (digit(*high)? * 16 + digit(*low)?) as u8;
    (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)).then_some(byte)
}

/// Sends a client to the path that says plainly what this one encodes: both mean the same, and what is declared for one, a
/// check of a login say, must not be passed by with the other.
#[doc(hidden)]
#[vk::coroutine]
pub fn plainly(io: &mut Io, request: &mut Request) -> io::Result<()> {
    // A location with two slashes, or what browsers take for them, would lead to another host.
    if matches!(request.path().as_bytes(), [b'/', b'/' | b'\\', ..]) {
        return respond_status(io, request, 404);
    }
    fill(|scratch| {
        let mut rest = request.path().as_bytes();
        while let [first, ..] = rest {
            let plain = needless(rest);
            scratch.push(plain.unwrap_or(*first));
            rest = &rest[if plain.is_some() { 3 } else { 1 }..];
        }
        Ok(())
    })?;
    let mut path: Path = Path(keep(io)?);
    redirect(io, request, 308, path.as_str(), "")?;
    io.free(&mut path.0)
}

/// A path that was made of one that is text.
#[derive(Plain)]
struct Path(HeapBytes);

impl Path {
    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_plainly() {
        for path in ["/", "/a%20b", "/a%2fb", "/%", "/%6", "/%g1", "/~a", "*"] {
            assert!(is_plain(path), "{path}");
        }
        for path in ["/%61", "/a%2E%2e", "/%20%7E", "/%2d%"] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
