//! Finds the end of a request's head as it comes, looking at each byte once.
//!
//! ```text
//! | CRLF … | request line CRLF | field CRLF | … | CRLF |
//! 0        start                                      seen
//! ```
//!
//! Lines are judged as soon as they are complete, and too long ones before that, so that what never becomes
//! a request is refused early, with the same status however the bytes were cut.

use crate::limits::Limits;
use crate::status::Refused;
use memchr::memchr;
use vk_core::Plain;

/// How far the search has come. The head is complete when [`advance`](Scan::advance) says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Plain)]
pub(crate) struct Scan {
    /// Bytes looked at; in the end, those of the head and the blank lines before it.
    pub(crate) seen: usize,
    /// Where the head begins: behind blank lines, which RFC 9112 (2.2) asks to ignore.
    pub(crate) start: usize,
    /// Where the unfinished line begins.
    line: usize,
    /// Finished lines of the head.
    pub(crate) lines: usize,
    /// Whether it is the head of an answer.
    pub(crate) answers: bool,
}

impl Scan {
    /// For the head of an answer.
    pub(crate) fn of_answer() -> Scan {
        Scan { answers: true, ..Scan::default() }
    }

    /// Looks at what has come since the last time; `bytes` begin where they began then. True once the head
    /// is complete.
    pub(crate) fn advance(&mut self, bytes: &[u8], limits: &Limits) -> Result<bool, Refused> {
        while let Some(found) = memchr(b'\n', &bytes[self.seen..]) {
            let end = self.seen + found;
            self.check(end, limits)?;
            // A line feed alone ends no line: who counts lines differently would read another request.
            let Some(line) = bytes[self.line..end].strip_suffix(b"\r") else { return Err(Refused(400)) };
            self.seen = end + 1;
            self.line = end + 1;
            match (line.is_empty(), self.lines) {
                (true, 0) => self.start = self.seen,
                (true, _) => return Ok(true),
                (false, 0) if !self.is_first(line) => return Err(Refused(400)),
                (false, _) => self.lines += 1,
            }
        }
        self.check(bytes.len(), limits)?;
        self.seen = bytes.len();
        Ok(false)
    }

    /// What no first line lacks: a cheap test, so that other protocols are told at once. The rest is up to
    /// [`parse`](crate::head::parse).
    fn is_first(&self, line: &[u8]) -> bool {
        match self.answers {
            false => matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', _, b'.', _]),
            true => line.starts_with(b"HTTP/"),
        }
    }

    /// Whether the unfinished line may come as far as `end`, where its line feed is or will be at the
    /// earliest.
    fn check(&self, end: usize, limits: &Limits) -> Result<(), Refused> {
        let is_long = end - self.line > usize::from(limits.line) + 1;
        match self.lines {
            0 if is_long => Err(Refused(414)),
            _ if is_long || end >= usize::from(limits.head) => Err(Refused(431)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: usize = Limits::DEFAULT.line as usize;
    const HEAD: usize = Limits::DEFAULT.head as usize;
    const HOST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn whole(bytes: &[u8]) -> Result<Option<Scan>, Refused> {
        let mut scan = Scan::default();
        Ok(scan.advance(bytes, &Limits::DEFAULT)?.then_some(scan))
    }

    #[test]
    fn finds_the_end() {
        let scan = whole(format!("{HOST}GET /2").as_bytes()).unwrap().unwrap();
        assert_eq!((scan.start, scan.seen, scan.lines), (0, HOST.len(), 2));
        let scan = whole(format!("\r\n\r\n{HOST}").as_bytes()).unwrap().unwrap();
        assert_eq!((scan.start, scan.seen, scan.lines), (4, HOST.len() + 4, 2));
        assert_eq!(whole(b"GET / HTTP/1.1\r\n"), Ok(None));
        assert_eq!(whole(b"\r\n"), Ok(None));
    }

    #[test]
    fn refuses_what_is_no_request() {
        for (bytes, status) in [
            ("GET / HTTP/1.1\nHost: a\n\n".into(), 400),
            ("\nGET / HTTP/1.1\r\n".into(), 400),
            ("SSH-2.0-OpenSSH_9.6\r\n".into(), 400),
            ("GET / HTTP/1.10\r\n".into(), 400),
            (format!("GET /{}", "a".repeat(LINE)), 414),
            (format!("GET / HTTP/1.1\r\na: {}", "b".repeat(LINE)), 431),
            (format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(HEAD / 6)), 431),
            ("\r\n".repeat(HEAD), 431),
        ] {
            assert_eq!(whole(bytes.as_bytes()), Err(Refused(status)), "{}", &bytes[..20.min(bytes.len())]);
        }
    }

    #[test]
    fn a_line_may_have_8190_bytes() {
        let line = |length: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(length - 14));
        assert_eq!(whole(line(LINE).as_bytes()), Ok(None));
        assert_eq!(whole(line(LINE + 1).as_bytes()), Err(Refused(414)));
    }

    proptest! {
        /// However the bytes are cut, the outcome is the same.
        #[test]
        fn cuts_make_no_difference(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\r\n", "\n", "\r", "GET / HTTP/1.1\r\n", "GET", " ", "Host: a\r\n", "x: y", "\0", LONG, LONG,
                ]),
                0..12,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = parts.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let mut scan = Scan::default();
            let mut outcome = Ok(None);
            for cut in cuts {
                match scan.advance(&bytes[..cut], &Limits::DEFAULT) {
                    Ok(true) => outcome = Ok(Some(scan)),
                    Ok(false) => continue,
                    Err(refused) => outcome = Err(refused),
                }
                break;
            }
            prop_assert_eq!(outcome, whole(&bytes));
        }
    }

    const LONG: &str = match str::from_utf8(&[b'a'; 3000]) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    };
}
