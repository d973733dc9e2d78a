//! A client: asks other servers from within a handler, on the handler's own `io`.
//!
//! ```no_run
//! # use vk::prelude::*;
//! # use vk_http::{self as http, Request, client::{self, Client}};
//! /// Answers with what another server says.
//! #[vk::coroutine]
//! fn mirror(io: &mut Io, request: &Request, client: &mut Client) -> io::Result<()> {
//!     client::field(io, client, "Accept", "text/plain")?;
//!     client::get(io, client, "http://127.0.0.1:8081/")?;
//!     let status: u16 = client.status();
//!     http::begin(io, request, status, "text/plain", None)?;
//!     client::forward(io, client, request)?;
//!     http::end(io, request)
//! }
//! ```
//!
//! Two connections, and one `io`: the one that is not at work lies with a child that rests.
//!
//! ```text
//!   handler ── receives from ── client        server ── keeper, at rest        between two calls
//!   handler ───────────────────────────────── server      client ── keeper     swapped: a request is sent
//!   handler ── sends to ─────── client ◄───── server                           crossed: an answer is forwarded
//! ```
//!
//! Each function puts things back before it returns, however it returns. A [`Client`] has a connection from the beginning
//! of a request until its answer is read. Then it is [left](Io::park) to whoever of this worker asks the same server
//! next: as many connections stand as there are requests under way at a time.

mod connect;
mod exchange;
mod failure;
mod gateway;
mod head;
mod receive;
mod url;

pub use exchange::{begin, end, get, send, write};
pub use gateway::relay;
pub use receive::{forward, read, read_whole};

use crate::{Limits, Request, Text, said};
use std::fmt;
use std::io;
use std::net::IpAddr;
use vk_core::{Child, Io, Plain};

/// Bytes of the name under which a connection is left to others: `http://`, the server's name and port.
const ORIGIN: usize = 96;

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
enum Stage {
    /// None is under way.
    Rest,
    /// The request's body is to come: so many bytes.
    Length(u64),
    /// The request's body is to come in chunks.
    Chunked,
    /// The answer's head is here, and its body to come.
    Answer,
}

/// A client: the request that is being made, the answer to it, and between the two the connection.
///
/// Small and plain: it lives in a handler's frame. What it allocates, and a connection whose answer is not read, end with
/// the micro-process. With the second connection's two rings a page of 4 KiB is too small for the micro-heap: say `heap: 16384` in `vk_app!`.
#[derive(Plain)]
pub struct Client {
    /// Who has the connection of the exchange under way, while it is not at work.
    keeper: Child,
    /// The connection's name once nobody has it: whom it leads to.
    origin: Text<ORIGIN>,
    /// Whether the exchange under way is not the connection's first.
    kept: bool,
    stage: Stage,
    /// The answer, and before it the request's fields.
    message: Request,
    status: u16,
    /// Whether the answer's body ends with the connection.
    until_close: bool,
    /// The address of whom requests are relayed for.
    asker: Option<IpAddr>,
    /// How many redirects are followed, of [`get`](struct@get) and [`send`](struct@send): none if nothing is said. What is secret
    /// (`Authorization`, `Cookie`, `Proxy-Authorization`) is not told to another server.
    pub redirects: u8,
    /// Seconds until a connection must stand.
    pub connect_secs: u16,
    /// Seconds from the end of a request to the end of the answer's head.
    pub answer_secs: u16,
    /// What the server may take of us: `head`, `line`, `fields` and those of bodies.
    pub limits: Limits,
}

/// Makes sure that requests can be made to a URL which a program is told when it starts.
///
/// # Errors
/// `InvalidInput` and `Unsupported` for what is no `http` URL.
pub fn check_url(url: &str) -> io::Result<()> {
    url::Url::parse(url).map(|_| ())
}

impl Client {
    /// A client without a connection.
    pub const fn new() -> Client {
        Client {
            keeper: Child::NONE,
            origin: Text::new(),
            kept: false,
            stage: Stage::Rest,
            message: Request::new(),
            status: 0,
            until_close: false,
            asker: None,
            redirects: 0,
            connect_secs: 10,
            answer_secs: 60,
            limits: Limits::DEFAULT,
        }
    }

    /// The answer's status; 0 before the first one.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of the answer's first field with this name, upper case or lower. None without one, or if the value
    /// isn't text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.message.get(name)
    }

    /// Each of the answer's fields, in the order they came.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.message.fields()
    }

    /// Each trailer field, once the body is read.
    pub fn trailers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.message.trailers()
    }

    pub(crate) fn message(&self) -> &Request {
        &self.message
    }

    /// Bytes of the answer's body that are to come; None if only their end will tell.
    pub fn body_length(&self) -> Option<u64> {
        self.message.body_length().filter(|_| !self.until_close)
    }

    /// The answer's body, once it was [read whole](struct@read_whole).
    pub fn body(&self) -> &[u8] {
        &self.message.body
    }
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", &*self.origin, self.stage)
    }
}

/// Says a field of the next request. One name may be said more than once.
///
/// # Errors
/// Those of [`http::field`](struct@crate::field): what says how a message is framed is the client's own, and so are `Host`,
/// which is the URL's, and `Expect`, which it doesn't wait for.
#[vk::coroutine]
pub fn field(io: &mut Io, client: &mut Client, name: &str, value: &str) -> io::Result<()> {
    if ["host", "expect"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this field is said by the client itself"));
    }
    client.message.sending.set(crate::response::Sending::NotBegun);
    said::field_of(io, &client.message, name, &[value])
}
