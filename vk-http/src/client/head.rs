//! The heads that a client writes and reads.

use super::Client;
use super::url::Url;
use crate::bytes::TOKEN;
use crate::chunked::Chunked;
use crate::head::{ENTRY, Framing, Head, content_length, index_fields};
use crate::request::Reading;
use crate::said::is_value;
use crate::status::{Refused, is_bodiless};
use std::io::{self, ErrorKind, Write};

impl Client {
    /// Writes the head of a request, without the fields that it `hides`. `length` is its body's; None if that comes in chunks.
    pub(super) fn write_head(
        &self,
        to: &mut Vec<u8>,
        method: &str,
        url: &str,
        content_type: &str,
        length: Option<u64>,
        hides: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        let url = Url::parse(url)?;
        let slash = if url.path.starts_with('/') { "" } else { "/" };
        for piece in [method, " ", slash, url.path, " HTTP/1.1\r\nHost: ", url.authority] {
            to.extend_from_slice(piece.as_bytes());
        }
        self.message.said.with(|said| {
            for line in said.split_inclusive("\r\n") {
                let name = line.split(':').next().unwrap_or_default();
                if !hides(name) {
                    to.extend_from_slice(line.as_bytes());
                }
            }
        });
        if !to.ends_with(b"\r\n") {
            to.extend_from_slice(b"\r\n");
        }
        if !content_type.is_empty() {
            write!(to, "Content-Type: {content_type}\r\n")?;
        }
        write_framing(to, length.filter(|length| *length > 0 || has_body(method)), length.is_none())?;
        to.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Parses the `length` bytes of an answer's head, behind which `index` bytes are for its index.
    pub(super) fn parse(&mut self, length: usize, index: usize) -> Result<(), Refused> {
        let is_head = self.message.head.is_head;
        let (bytes, rest) = self.message.bytes.split_at_mut(length);
        let line = memchr::memchr(b'\r', bytes).ok_or(Refused(400))?;
        let (minor, status) = status_line(&bytes[..line])?;
        let mut facts = Facts::default();
        index_fields(bytes, line + 2, &mut rest[..index], |field| facts.note(field.name, field.value))?;
        let head = Head {
            length: length as u16,
            fields: (index / ENTRY) as u16,
            minor,
            is_head,
            keep_alive: !facts.close && (minor > 0 || facts.keep_alive),
            ..Head::NONE
        };
        self.until_close = false;
        // RFC 9112, 6.3.
        let framing = match facts.length {
            _ if is_head || is_bodiless(status) => Framing::Length(0),
            _ if facts.chunked && (facts.length.is_some() || minor == 0) => return Err(Refused(400)),
            _ if facts.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => {
                self.until_close = true;
                Framing::Length(u64::MAX)
            }
        };
        (self.message.head, self.status) = (head, status);
        self.message.reading = match framing {
            Framing::Length(length) => Reading::Length(length),
            Framing::Chunked => Reading::Chunked(Chunked::new()),
        };
        Ok(())
    }
}

/// Whether a request may have this method and content type.
pub(super) fn check(method: &str, content_type: &str) -> io::Result<()> {
    match !method.is_empty() && TOKEN.has_all(method.as_bytes()) && is_value(content_type) {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "this makes no request")),
    }
}

/// Writes how a body is framed: by its length, in chunks, or not at all.
pub(super) fn write_framing(to: &mut Vec<u8>, length: Option<u64>, chunked: bool) -> io::Result<()> {
    match length {
        Some(length) => write!(to, "Content-Length: {length}\r\n"),
        None if chunked => to.write_all(b"Transfer-Encoding: chunked\r\n"),
        None => Ok(()),
    }
}

/// Whether a request with this method says its length even if that is 0 (RFC 9110, 8.6).
fn has_body(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}

/// `HTTP/1.1 200 reason`: the minor version and the status.
fn status_line(line: &[u8]) -> Result<(u8, u16), Refused> {
    let (version, rest) = line.split_at_checked(9).ok_or(Refused(400))?;
    let (code, rest) = rest.split_at_checked(3).ok_or(Refused(400))?;
    let minor = match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9', b' '] => minor - b'0',
        _ => return Err(Refused(400)),
    };
    if !code.iter().all(u8::is_ascii_digit) || !matches!(rest, [] | [b' ', ..]) {
        return Err(Refused(400));
    }
    let status = code.iter().fold(0, |code, digit| 10 * code + u16::from(digit - b'0'));
    if status < 100 { Err(Refused(400)) } else { Ok((minor, status)) }
}

/// What the fields say about the message and the connection.
#[derive(Default)]
struct Facts {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Facts {
    fn note(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("content-length") {
            if self.length.replace(content_length(value)?).is_some() {
                return Err(Refused(400));
            }
        } else if is("transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refused(501));
            }
            self.chunked = true;
        } else if is("connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        Ok(())
    }
}
