//! How much and how long: what one connection may take of the server.

use std::time::Duration;

/// Bytes of a request line or of a field line, without its end. Apache's limit: proxies are tuned to it.
pub(crate) const LINE: usize = 8190;

/// Bytes of a head with blank lines before it.
pub(crate) const HEAD: usize = 16 * 1024;

/// Fields of a head.
pub(crate) const FIELDS: usize = 100;

/// Bytes of chunk extensions in one message. Nobody uses them, so they are not paid for.
pub(crate) const EXTENSIONS: u16 = 4096;

/// Bytes of trailer fields in one message.
pub(crate) const TRAILERS: u16 = 8192;

/// Bytes of a body that the handler left unread which are read for the sake of keeping the connection.
pub(crate) const SKIP: u64 = 64 * 1024;

/// Bytes thrown away after the last answer, so that it survives: see [`linger`](crate::close::linger).
pub(crate) const LINGER: u64 = 8 * 1024 * 1024;

/// How long they are waited for.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(5);

/// From the first byte of a request to the end of its head.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(15);

/// From one request's end to the next one's first byte.
pub(crate) const IDLE_TIME: Duration = Duration::from_secs(60);

/// From one piece of a body to the next.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(30);

const _: () = assert!(LINE < HEAD && HEAD <= u16::MAX as usize, "places in a head are kept as u16");
