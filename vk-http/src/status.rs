//! Status codes: their names, and the refusals that end a connection.

use std::io;
use vk_core::Line;

/// Writes the tables, each status with its reason phrase.
macro_rules! statuses {
    ($($status:literal $reason:literal,)*) => {
        /// The reason phrase of a status code; empty for one that has none.
        pub(crate) const fn reason(status: u16) -> &'static str {
            match status {
                $($status => $reason,)*
                _ => "",
            }
        }

        /// The status line of a response, without its end; None for a code without a reason phrase.
        pub(crate) const fn line(status: u16) -> Option<&'static str> {
            match status {
                $($status => Some(concat!("HTTP/1.1 ", $status, " ", $reason)),)*
                _ => None,
            }
        }
    };
}

statuses! {
    100 "Continue",
    101 "Switching Protocols",
    103 "Early Hints",
    200 "OK",
    201 "Created",
    202 "Accepted",
    203 "Non-Authoritative Information",
    204 "No Content",
    205 "Reset Content",
    206 "Partial Content",
    300 "Multiple Choices",
    301 "Moved Permanently",
    302 "Found",
    303 "See Other",
    304 "Not Modified",
    307 "Temporary Redirect",
    308 "Permanent Redirect",
    400 "Bad Request",
    401 "Unauthorized",
    402 "Payment Required",
    403 "Forbidden",
    404 "Not Found",
    405 "Method Not Allowed",
    406 "Not Acceptable",
    407 "Proxy Authentication Required",
    408 "Request Timeout",
    409 "Conflict",
    410 "Gone",
    411 "Length Required",
    412 "Precondition Failed",
    413 "Content Too Large",
    414 "URI Too Long",
    415 "Unsupported Media Type",
    416 "Range Not Satisfiable",
    417 "Expectation Failed",
    421 "Misdirected Request",
    422 "Unprocessable Content",
    426 "Upgrade Required",
    428 "Precondition Required",
    429 "Too Many Requests",
    431 "Request Header Fields Too Large",
    500 "Internal Server Error",
    501 "Not Implemented",
    502 "Bad Gateway",
    503 "Service Unavailable",
    504 "Gateway Timeout",
    505 "HTTP Version Not Supported",
}

/// The page that says the reason to people.
pub(crate) fn page(status: u16) -> Line<48> {
    let mut page = Line::new();
    let text = page.extend(reason(status).as_bytes()).and_then(|()| page.extend(b"\n"));
    text.expect("no reason phrase is that long");
    page
}

/// Whether an answer with this status has no body, whatever its fields say (RFC 9112, 6.3).
pub(crate) const fn is_bodiless(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

/// What the peer sent is refused, with this status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) u16);

/// Why a request, or its body, can't be had.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The peer is to be told, if it isn't too late for that.
    Refused(Refused),
    /// The connection is broken: there is nobody to tell.
    Io(io::Error),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::Refused(refused)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::TimedOut => Failure::Refused(Refused(408)),
            io::ErrorKind::UnexpectedEof => Failure::Refused(Refused(400)),
            io::ErrorKind::OutOfMemory => Failure::Refused(Refused(503)),
            _ => Failure::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_page() {
        for status in 0..1000 {
            assert_eq!(page(status).trim_end(), reason(status).as_bytes());
        }
    }
}
