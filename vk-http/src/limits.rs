//! How much and how long: what one connection may take of the server.

use std::time::Duration;
use vk_core::Plain;

/// What a client may take of the server: for the whole application with
/// [`read_request_within`](crate::read_request_within), for a route with [`within`](crate::routes), and for one request
/// where its handler changes [`Request::limits`](crate::Request::limits) before it reads the body.
///
/// Once the head is read, what is left to matter is how the body comes: `body`, `body_secs`, `body_rate`, `extensions`,
/// `trailers` and `skip`. A client that doesn't take its answer is given up by the worker.
///
/// ```
/// use vk_http::Limits;
/// const LIMITS: Limits = Limits { idle_secs: 300, body: 1024 * 1024, ..Limits::DEFAULT };
/// const UPLOADS: Limits = Limits { body_secs: 120, body: u64::MAX, ..LIMITS };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub struct Limits {
    /// Seconds from one request's end to the next one's first byte; then the connection ends in silence.
    pub idle_secs: u16,
    /// Seconds from the first byte of a request to the end of its head; then 408.
    pub head_secs: u16,
    /// Seconds that a body may be waited for at a stretch; then 408.
    pub body_secs: u16,
    /// Bytes of a body in each second of waiting, once `body_secs` of it are used up; then 408. 0 for no such limit.
    pub body_rate: u32,
    /// Bytes of a request's body; then 413. What a body announces is judged when it is first asked for, before the client
    /// hears `100 Continue`, and what comes in chunks with the chunk that is too much. One that is
    /// [taken whole](crate::read_whole_body) has the limit given there as well.
    pub body: u64,
    /// Bytes of a request line (then 414) or of a field line (then 431), without its end.
    pub line: u16,
    /// Bytes of a head with blank lines before it; then 431.
    pub head: u16,
    /// Fields of a head, at most 1000; then 431.
    pub fields: u16,
    /// Bytes of chunk extensions in one message; then 400.
    pub extensions: u16,
    /// Bytes of trailer fields in one message; then 431.
    pub trailers: u16,
    /// Bytes of a body that the handler left unread which are read for the sake of keeping the connection.
    pub skip: u32,
}

impl Limits {
    /// What holds if nothing else is said.
    pub const DEFAULT: Limits = Limits {
        idle_secs: 60,
        head_secs: 15,
        body_secs: 30,
        body_rate: 500,
        // Who streams a body has no need of one.
        body: u64::MAX,
        // Apache's limit: proxies are tuned to it.
        line: 8190,
        head: 16 * 1024,
        fields: 100,
        // Nobody uses them, so they are not paid for.
        extensions: 4096,
        trailers: 8192,
        skip: 64 * 1024,
    };

    /// Bytes of a body that is [taken whole](crate::read_whole_body), where nothing speaks for another number: 1 MiB.
    pub const WHOLE_BODY: usize = 1024 * 1024;

    pub(crate) fn body_time(&self) -> Duration {
        Duration::from_secs(self.body_secs.into())
    }

    /// What `count` bytes of a body earn of waiting.
    pub(crate) fn earned(&self, count: u64) -> Duration {
        match self.body_rate {
            0 => self.body_time(),
            rate => Duration::from_nanos(count.saturating_mul(1_000_000_000 / u64::from(rate))),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

/// The largest [`Limits::fields`].
pub(crate) const MOST_FIELDS: usize = 1000;

/// Bytes of the fields that a handler says in its answer. Clients and proxies refuse heads that are larger.
pub(crate) const SAID: usize = 8 * 1024;

/// Bytes thrown away after the last answer, so that it survives: see [`linger`](crate::close::linger).
pub(crate) const LINGER: u64 = 8 * 1024 * 1024;

/// How long they are waited for.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(5);
