//! The head of a response: what is announced, and the text of it.

use crate::Request;
use crate::date;
use crate::said::is_value;
use crate::status::{is_bodiless, line};
use std::fmt;
use std::io;
use vk_core::{Line, Plain};

/// The status of an answer that has no content, and says so (RFC 9110, 15.3.6).
pub(crate) const RESET: u16 = 205;

/// How far a response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) enum Sending {
    /// Not begun.
    NotBegun,
    /// So many bytes of the body are to come.
    Length(u64),
    /// Chunks are to come.
    Chunked,
    /// A body is to come that ends with the connection.
    UntilClose,
    /// Nothing is to come, whatever is written: an answer to `HEAD`, or a status without a body.
    NoBody,
    /// Ended.
    Ended,
    /// Ended, and the connection, too.
    Gone,
}

impl Request {
    /// Decides how the response is framed, and whether the connection goes on after it.
    ///
    /// # Errors
    /// `InvalidInput` if there is a response already, or the head would not be one.
    pub(crate) fn plan(&self, status: u16, content_type: &str, length: Option<u64>) -> io::Result<()> {
        let mistake = |text: &'static str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if self.sending.get() != Sending::NotBegun {
            return mistake("a request has one response, and this one has it already");
        }
        if !(200..=999).contains(&status) {
            return mistake("the status of a response is between 200 and 999");
        }
        if !is_value(content_type) {
            return mistake("a field's value has no line breaks or other control characters");
        }
        self.status.set(status);
        self.sending.set(match length {
            _ if self.head.is_head || is_bodiless(status) || status == RESET => Sending::NoBody,
            Some(length) => Sending::Length(length),
            None if self.head.minor > 0 => Sending::Chunked,
            None => Sending::UntilClose,
        });
        // Who waits for `100 Continue` and gets something else may send the body or not: nobody can tell
        // what comes next.
        let unsure = self.expects.get() && !(200..300).contains(&status);
        if unsure {
            self.expects.set(false);
        }
        if unsure || !self.head.keep_alive || self.sending.get() == Sending::UntilClose {
            self.closing.set(true);
        }
        Ok(())
    }
}

/// The text of a response's head, formatted with `{}`.
#[derive(Debug)]
pub(crate) struct ResponseHead<'a> {
    request: &'a Request,
    status: u16,
    content_type: &'a str,
    length: Option<u64>,
    date: u64,
}

impl<'a> ResponseHead<'a> {
    /// The head that was planned with [`Request::plan`].
    pub(crate) fn new(
        request: &'a Request,
        status: u16,
        content_type: &'a str,
        length: Option<u64>,
        date: u64,
    ) -> ResponseHead<'a> {
        ResponseHead { request, status, content_type, length, date }
    }
}

impl fmt::Display for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text { line: Line::new(), to: f };
        if self.request.expects.get() {
            text.push(CONTINUE)?;
        }
        match line(self.status) {
            Some(line) => text.push(line)?,
            None => {
                text.push("HTTP/1.1 ")?;
                text.push_number(self.status.into())?;
                text.push(" ")?;
            }
        }
        text.push("\r\nDate: ")?;
        text.push_ascii(&date::text(self.date))?;
        self.request.said.with(|said| text.push(said))?;
        if !self.content_type.is_empty() {
            text.push("\r\nContent-Type: ")?;
            text.push(self.content_type)?;
        }
        match self.length {
            _ if is_bodiless(self.status) => {}
            _ if self.status == RESET => text.push("\r\nContent-Length: 0")?,
            Some(length) => {
                text.push("\r\nContent-Length: ")?;
                text.push_number(length)?;
            }
            None if self.request.head.minor > 0 => text.push("\r\nTransfer-Encoding: chunked")?,
            None => {}
        }
        if self.request.closing.get() {
            text.push("\r\nConnection: close")?;
        } else if self.request.head.minor == 0 {
            text.push("\r\nConnection: keep-alive")?;
        }
        text.push("\r\n\r\n")?;
        text.flush()
    }
}

/// What says that the body may come.
pub(crate) const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Text that is put together before it is written, since writing has a price for each piece.
struct Text<'a, 'b> {
    line: Line<384>,
    to: &'a mut fmt::Formatter<'b>,
}

impl Text<'_, '_> {
    fn push(&mut self, piece: &str) -> fmt::Result {
        match self.line.extend(piece.as_bytes()) {
            Ok(()) => Ok(()),
            Err(_) => {
                self.flush()?;
                self.to.write_str(piece)
            }
        }
    }

    /// For a short piece.
    fn push_ascii(&mut self, piece: &[u8]) -> fmt::Result {
        match self.line.extend(piece) {
            Ok(()) => Ok(()),
            Err(_) => {
                self.flush()?;
                self.line.extend(piece).map_err(|_| fmt::Error)
            }
        }
    }

    fn push_number(&mut self, mut number: u64) -> fmt::Result {
        const LONGEST: usize = u64::MAX.ilog10() as usize + 1;
        let (mut digits, mut at) = ([b'0'; LONGEST], LONGEST);
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.push_ascii(&digits[at..]);
            }
        }
    }

    fn flush(&mut self) -> fmt::Result {
        self.to.write_str(str::from_utf8(&self.line).map_err(|_| fmt::Error)?)?;
        self.line.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Head;
    use crate::request::Reading;

    fn request(head: Head) -> Request {
        let mut request = Request::new();
        request.reset(&crate::Limits::DEFAULT);
        request.sending.set(Sending::NotBegun);
        request.head = head;
        request
    }

    fn text(request: &Request, status: u16, content_type: &str, length: Option<u64>) -> String {
        request.plan(status, content_type, length).unwrap();
        let text = ResponseHead::new(request, status, content_type, length, 784_111_777).to_string();
        text.replace("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT", "").replace("\r\n", "|")
    }

    const MODERN: Head = Head { keep_alive: true, ..Head::NONE };
    const OLD: Head = Head { minor: 0, ..Head::NONE };

    #[test]
    fn heads() {
        for (head, status, length, expected, sending) in [
            (
                MODERN,
                200,
                Some(13),
                "HTTP/1.1 200 OK|Content-Type: a/b|Content-Length: 13||",
                Sending::Length(13),
            ),
            (
                MODERN,
                404,
                None,
                "HTTP/1.1 404 Not Found|Content-Type: a/b|Transfer-Encoding: chunked||",
                Sending::Chunked,
            ),
            (MODERN, 204, None, "HTTP/1.1 204 No Content|Content-Type: a/b||", Sending::NoBody),
            (MODERN, 799, Some(0), "HTTP/1.1 799 |Content-Type: a/b|Content-Length: 0||", Sending::Length(0)),
            (OLD, 200, None, "HTTP/1.1 200 OK|Content-Type: a/b|Connection: close||", Sending::UntilClose),
            (
                Head { is_head: true, ..MODERN },
                200,
                Some(u64::MAX),
                "HTTP/1.1 200 OK|Content-Type: a/b|Content-Length: 18446744073709551615||",
                Sending::NoBody,
            ),
            (
                Head { keep_alive: true, ..OLD },
                200,
                Some(1),
                "HTTP/1.1 200 OK|Content-Type: a/b|Content-Length: 1|Connection: keep-alive||",
                Sending::Length(1),
            ),
            (
                Head::NONE,
                200,
                Some(1),
                "HTTP/1.1 200 OK|Content-Type: a/b|Content-Length: 1|Connection: close||",
                Sending::Length(1),
            ),
        ] {
            let request = request(head);
            assert_eq!(text(&request, status, "a/b", length), expected);
            assert_eq!(request.sending.get(), sending, "{expected}");
        }
    }

    #[test]
    fn expectations() {
        let waiting = || {
            let mut request = request(MODERN);
            request.reading = Reading::Length(5);
            request.expects.set(true);
            request
        };
        assert!(text(&waiting(), 200, "", Some(0)).starts_with("HTTP/1.1 100 Continue||HTTP/1.1 200 OK|"));
        assert!(text(&waiting(), 403, "", Some(0)).ends_with("|Connection: close||"));
    }

    #[test]
    fn long_types() {
        let long = "x".repeat(5000);
        assert!(
            text(&request(MODERN), 200, &long, Some(1))
                .contains(&format!("|Content-Type: {long}|Content-Length: 1|"))
        );
    }

    #[test]
    fn mistakes() {
        for (status, content_type) in [(100, ""), (1000, ""), (200, "a\r\nSet-Cookie: b")] {
            let error = request(MODERN).plan(status, content_type, None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        let request = request(MODERN);
        request.plan(200, "", None).unwrap();
        assert!(request.plan(200, "", None).is_err());
    }
}
