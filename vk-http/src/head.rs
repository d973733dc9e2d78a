//! The parsed head of a request: what it says about the message, and where its parts are.
//!
//! ```text
//! | METHOD SP target SP HTTP/1.1 CRLF | name: value CRLF | … | CRLF | index |
//! 0                                                               length
//! ```
//!
//! The index has one entry of [`ENTRY`] bytes for each field. Strict, after RFC 9112: each ambiguity about
//! where a message ends is refused, since two readers could resolve it differently.

use crate::bytes::{TARGET, TOKEN};
use crate::host;
use crate::limits::MOST_FIELDS;
use crate::status::Refused;
use httparse::{EMPTY_HEADER, Error, Header, Status};
use vk_core::Plain;

/// Bytes of an index entry: the places of the name's and the value's begin and end, 16 bits each.
pub(crate) const ENTRY: usize = 8;

/// How the end of a message's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) enum Framing {
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
}

/// What a head says, and where. Places are bytes from the head's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) struct Head {
    /// Bytes of the head.
    pub(crate) length: u16,
    /// Fields of the head.
    pub(crate) fields: u16,
    /// Where the method ends.
    pub(crate) method: u16,
    /// Where the target ends; it begins behind the method and a space.
    pub(crate) target: u16,
    /// Where the path begins and ends.
    pub(crate) path: (u16, u16),
    /// The `y` of `HTTP/1.y`.
    pub(crate) minor: u8,
    /// Whether the method is `HEAD`.
    pub(crate) is_head: bool,
    /// Whether the client wants to go on with this connection.
    pub(crate) keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) expects: bool,
    /// Whether the client offers to go on with another protocol.
    pub(crate) upgrades: bool,
    /// The body.
    pub(crate) framing: Framing,
}

impl Head {
    /// The head of no request.
    pub(crate) const NONE: Head = Head {
        length: 0,
        fields: 0,
        method: 0,
        target: 0,
        path: (0, 0),
        minor: 1,
        is_head: false,
        keep_alive: false,
        expects: false,
        upgrades: false,
        framing: Framing::Length(0),
    };
}

/// Parses a head that [`Scan`](crate::scan::Scan) has found, and writes its index, which has one entry for
/// each of its fields.
pub(crate) fn parse(bytes: &[u8], index: &mut [u8]) -> Result<Head, Refused> {
    let line = memchr::memchr(b'\r', bytes).ok_or(Refused(400))?;
    let mut head = request_line(&bytes[..line])?;
    head.length = bytes.len() as u16;
    head.fields = (index.len() / ENTRY) as u16;
    let mut facts = Facts::default();
    index_fields(bytes, line + 2, index, |field| facts.note(field))?;
    facts.conclude(&mut head)?;
    Ok(head)
}

/// Writes the index of the fields, which begin at `from`, and shows each to `note`.
pub(crate) fn index_fields(
    bytes: &[u8],
    from: usize,
    index: &mut [u8],
    note: impl FnMut(&Header<'_>) -> Result<(), Refused>,
) -> Result<(), Refused> {
    // Most requests have few fields, and an array for many takes longer to prepare than to fill.
    match index.len() / ENTRY {
        0..=16 => parse_fields::<16>(bytes, from, index, note),
        17..=100 => parse_fields::<100>(bytes, from, index, note),
        101..=MOST_FIELDS => parse_fields::<MOST_FIELDS>(bytes, from, index, note),
        _ => Err(Refused(431)),
    }
}

/// `METHOD SP target SP HTTP/1.y`, with one space at each place.
fn request_line(line: &[u8]) -> Result<Head, Refused> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refused(400));
    };
    let minor = match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => minor - b'0',
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(Refused(505)),
        _ => return Err(Refused(400)),
    };
    if method.is_empty() || !TOKEN.has_all(method) || !TARGET.has_all(target) {
        return Err(Refused(400));
    }
    // This is an origin server: it neither tunnels nor gives back what may be secret.
    if matches!(method, b"CONNECT" | b"TRACE") {
        return Err(Refused(501));
    }
    let (from, to) = path(method, target)?;
    let begin = method.len() + 1;
    Ok(Head {
        method: method.len() as u16,
        target: (begin + target.len()) as u16,
        path: ((begin + from) as u16, (begin + to) as u16),
        minor,
        is_head: method == b"HEAD",
        ..Head::NONE
    })
}

/// Where in a target its path is (RFC 9112, 3.2).
fn path(method: &[u8], target: &[u8]) -> Result<(usize, usize), Refused> {
    let path = match target {
        [b'/', ..] => 0,
        b"*" if method == b"OPTIONS" => 0,
        _ => {
            let has = |scheme: &[u8]| {
                target.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
            };
            let begin = match () {
                () if has(b"http://") => "http://".len(),
                // What is to be had over a secured connection only is not told over this one (RFC 9110, 7.4).
                () if has(b"https://") => return Err(Refused(421)),
                () => return Err(Refused(400)),
            };
            let authority = target[begin..].iter().position(|byte| matches!(byte, b'/' | b'?'));
            let end = authority.map_or(target.len(), |length| begin + length);
            if !host::is_authority(&target[begin..end]) {
                return Err(Refused(400));
            }
            end
        }
    };
    let query = memchr::memchr(b'?', &target[path..]);
    Ok((path, query.map_or(target.len(), |length| path + length)))
}

fn parse_fields<const N: usize>(
    bytes: &[u8],
    from: usize,
    index: &mut [u8],
    mut note: impl FnMut(&Header<'_>) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let fields = bytes.get(from..).ok_or(Refused(400))?;
    let mut space = [EMPTY_HEADER; N];
    let found = match httparse::parse_headers(fields, &mut space) {
        Ok(Status::Complete((length, found))) if length == fields.len() => found,
        Err(Error::TooManyHeaders) => return Err(Refused(431)),
        _ => return Err(Refused(400)),
    };
    if found.len() * ENTRY != index.len() {
        return Err(Refused(400));
    }
    for (field, entry) in found.iter().zip(index.chunks_exact_mut(ENTRY)) {
        let place = |part: &[u8]| {
            let begin = part.as_ptr().addr() - bytes.as_ptr().addr();
            (begin as u16, (begin + part.len()) as u16)
        };
        let (name, value) = (place(field.name.as_bytes()), place(field.value));
        for (to, from) in entry.chunks_exact_mut(2).zip([name.0, name.1, value.0, value.1]) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        note(field)?;
    }
    Ok(())
}

/// What the fields say about the message and the connection.
#[derive(Default)]
struct Facts {
    hosts: u32,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects: bool,
    upgrade: bool,
}

impl Facts {
    fn note(&mut self, field: &Header<'_>) -> Result<(), Refused> {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("host") {
            self.hosts += 1;
            // Empty is what a client sends that asks for something without a host (RFC 9112, 3.2).
            if !field.value.is_empty() && !host::is_authority(field.value) {
                return Err(Refused(400));
            }
        } else if is("content-length") {
            if self.length.replace(content_length(field.value)?).is_some() {
                return Err(Refused(400));
            }
        } else if is("transfer-encoding") {
            if self.chunked || !field.value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refused(501));
            }
            self.chunked = true;
        } else if is("connection") {
            for option in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
            }
        } else if is("expect") {
            if !field.value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refused(417));
            }
            self.expects = true;
        }
        Ok(())
    }

    fn conclude(self, head: &mut Head) -> Result<(), Refused> {
        let modern = head.minor > 0;
        // RFC 9112, 3.2 and 6.1: each of these has been used to smuggle requests.
        if self.hosts > 1
            || self.hosts == 0 && modern
            || self.chunked && self.length.is_some()
            || self.chunked && !modern
        {
            return Err(Refused(400));
        }
        head.framing =
            if self.chunked { Framing::Chunked } else { Framing::Length(self.length.unwrap_or(0)) };
        head.upgrades = self.upgrade && modern;
        head.keep_alive = !self.close && (modern || self.keep_alive);
        head.expects = self.expects && modern && head.framing != Framing::Length(0);
        Ok(())
    }
}

pub(crate) fn content_length(value: &[u8]) -> Result<u64, Refused> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refused(400));
    }
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    // The largest is kept for those who have no limit of their own.
    value.iter().try_fold(0, add).filter(|length| *length < u64::MAX).ok_or(Refused(413))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::scan::Scan;
    use proptest::prelude::*;

    /// Scans and parses; returns the head and each field.
    fn read(text: &str) -> Result<(Head, Vec<(String, String)>), Refused> {
        let mut scan = Scan::default();
        assert!(scan.advance(text.as_bytes(), &Limits::DEFAULT)?, "no end: {text:?}");
        let bytes = &text.as_bytes()[scan.start..scan.seen];
        let mut index = vec![0; (scan.lines - 1) * ENTRY];
        let head = parse(bytes, &mut index)?;
        let part = |from: u16, to: u16| String::from_utf8_lossy(&bytes[from.into()..to.into()]).into_owned();
        let fields = index.chunks(ENTRY).map(|entry| {
            let at = |n: usize| u16::from_le_bytes([entry[2 * n], entry[2 * n + 1]]);
            (part(at(0), at(1)), part(at(2), at(3)))
        });
        Ok((head, fields.collect()))
    }

    /// A request with these fields beside `Host`.
    fn with(fields: &str) -> Result<Head, Refused> {
        read(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).map(|(head, _)| head)
    }

    fn line(line: &str) -> Result<(String, Head), Refused> {
        let text = format!("{line}\r\nHost: a\r\n\r\n");
        read(&text).map(|(head, _)| (text[head.path.0.into()..head.path.1.into()].to_owned(), head))
    }

    #[test]
    fn a_request() {
        let text = "\r\nPOST /a/b?c HTTP/1.1\r\nHost: x:80\r\nContent-Length:\t 12 \r\nExpect: 100-Continue\r\nX:\r\n\r\n";
        let (head, fields) = read(text).unwrap();
        let expected = [("Host", "x:80"), ("Content-Length", "12"), ("Expect", "100-Continue"), ("X", "")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let expected = Head {
            length: text.len() as u16 - 2,
            fields: 4,
            method: 4,
            target: 11,
            path: (5, 9),
            minor: 1,
            is_head: false,
            keep_alive: true,
            expects: true,
            upgrades: false,
            framing: Framing::Length(12),
        };
        assert_eq!(head, expected);
    }

    #[test]
    fn request_lines() {
        assert_eq!(line("GET / HTTP/1.0").unwrap().1.minor, 0);
        assert_eq!(line("GET / HTTP/1.7").unwrap().1.minor, 7);
        assert!(line("HEAD / HTTP/1.1").unwrap().1.is_head);
        for (target, path) in [
            ("/", "/"),
            ("/a?b?c", "/a"),
            ("/?", "/"),
            ("http://a", ""),
            ("http://a?q", ""),
            ("HTTP://A:8/b?q", "/b"),
            ("http://[::1]/", "/"),
            ("/{\"|`", "/{\"|`"),
        ] {
            assert_eq!(line(&format!("GET {target} HTTP/1.1")).unwrap().0, path, "{target}");
        }
        assert_eq!(line("OPTIONS * HTTP/1.1").unwrap().0, "*");
        for (wrong, status) in [
            ("GET * HTTP/1.1", 400),
            ("GET a HTTP/1.1", 400),
            ("GET /a#b HTTP/1.1", 400),
            ("GET /\u{e9} HTTP/1.1", 400),
            ("GET /\x7f HTTP/1.1", 400),
            ("GET http:///a HTTP/1.1", 400),
            ("GET http://u@a/ HTTP/1.1", 400),
            ("GET ftp://a/ HTTP/1.1", 400),
            ("GET https://a/ HTTP/1.1", 421),
            ("GET  / HTTP/1.1", 400),
            ("GET / /  HTTP/1.1", 400),
            (" / HTTP/1.1", 400),
            ("G(T / HTTP/1.1", 400),
            ("GET / HTTP/1.x", 400),
            ("GET / HTTP/2.0", 505),
            ("CONNECT a:1 HTTP/1.1", 501),
            ("TRACE / HTTP/1.1", 501),
        ] {
            assert_eq!(line(wrong).map(|(path, _)| path), Err(Refused(status)), "{wrong}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(read("GET / HTTP/1.1\r\n\r\n").unwrap_err(), Refused(400));
        assert!(read("GET / HTTP/1.0\r\n\r\n").is_ok());
        assert!(read("GET / HTTP/1.1\r\nHost:\r\n\r\n").is_ok());
        assert_eq!(with("Host: a\r\n"), Err(Refused(400)));
        assert_eq!(read("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").unwrap_err(), Refused(400));
    }

    #[test]
    fn framings() {
        for (fields, framing) in [
            ("", Ok(Framing::Length(0))),
            ("Content-Length: 0005\r\n", Ok(Framing::Length(5))),
            ("content-length: 18446744073709551614\r\n", Ok(Framing::Length(u64::MAX - 1))),
            ("Transfer-Encoding: cHunked\r\n", Ok(Framing::Chunked)),
            ("Content-Length: 18446744073709551616\r\n", Err(413)),
            ("Content-Length:\r\n", Err(400)),
            ("Content-Length: +5\r\n", Err(400)),
            ("Content-Length: 5, 5\r\n", Err(400)),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(400)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Err(400)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(501)),
            ("Transfer-Encoding:\r\n", Err(501)),
            ("Transfer-Encoding : chunked\r\n", Err(400)),
            ("X: a\r\n Transfer-Encoding: chunked\r\n", Err(400)),
            ("Expect: more\r\n", Err(417)),
        ] {
            assert_eq!(with(fields).map(|head| head.framing), framing.map_err(Refused), "{fields}");
        }
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read(old).unwrap_err(), Refused(400));
    }

    #[test]
    fn connections() {
        let keeps = |version: &str, field: &str| {
            read(&format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n")).unwrap().0.keep_alive
        };
        assert!(keeps("1.1", ""));
        assert!(!keeps("1.1", "Connection: ,foo ,\tClose\r\n"));
        assert!(!keeps("1.0", ""));
        assert!(keeps("1.0", "Connection: Keep-Alive\r\n"));
        assert!(!keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    }

    #[test]
    fn a_thousand_fields() {
        let fields = |count: usize| with(&"a:\r\n".repeat(count - 1));
        assert!([16, 17, 100, 101, MOST_FIELDS].iter().all(|count| fields(*count).is_ok()));
        assert_eq!(fields(MOST_FIELDS + 1), Err(Refused(431)));
    }

    proptest! {
        /// Whatever the bytes are, there is an outcome, and no place lies outside of them.
        #[test]
        fn any_bytes(text in "(GET|[A-Z ]{0,3}) (/|[ -~]{0,9}) HTTP/1\\.[01]\r\n(Host: a\r\n)?(.{0,9}[:]?.{0,9}\r\n){0,20}\r\n") {
            if let Ok((head, fields)) = read(&text) {
                prop_assert!(usize::from(head.target) < text.len());
                prop_assert!(head.path.0 <= head.path.1 && head.path.1 <= head.target);
                for (name, value) in fields {
                    prop_assert!(TOKEN.has_all(name.as_bytes()) && value.trim_ascii() == value);
                }
            }
        }
    }
}
