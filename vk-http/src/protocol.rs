//! Another protocol on the same connection (RFC 9110, 7.8).

use crate::response::Sending;
use crate::{Request, date};
use std::io;
use vk_core::{Io, LastWords, Line};

/// Answers with 101: from here on the connection is the handler's, in `protocol`. What the client has sent behind its
/// request is there to be read from `io`; [`read_request`](crate::read_request) finds no further request.
///
/// [Fields](crate::field) that were said go with it.
///
/// ```
/// # use vk::prelude::*;
/// # use vk_http::{self as http, Request};
/// #[vk::coroutine]
/// fn lines(io: &mut Io, request: &Request) -> io::Result<()> {
///     if !request.offers("lines") {
///         http::field(io, request, "Upgrade", "lines")?;
///         return http::respond_status(io, request, 426);
///     }
///     http::upgrade(io, request, "lines")?;
///     let mut line: Line<1024> = Line::new();
///     while io.read_line(&mut line)? {
///         io.write_all(&line)?;
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
/// `InvalidInput` if the client doesn't [offer](Request::offers) it, or an answer has begun; those of
/// [`Io::write_all`].
#[vk::coroutine]
pub fn upgrade(io: &mut Io, request: &Request, protocol: &str) -> io::Result<()> {
    request.may_upgrade(protocol)?;
    io.last_words(LastWords::NONE)?;
    let date: Line<29> = date::line();
    request.status.set(101);
    io.write_all(b"HTTP/1.1 101 Switching Protocols\r\nDate: ")?;
    io.write_all(&date)?;
    write!(io, "{}\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n", request.said)?;
    request.log();
    request.sending.set(Sending::Gone);
    Ok(())
}

impl Request {
    /// Whether the client offers to go on with `protocol`: names it in `Upgrade`, upper case or lower, and says
    /// `Connection: upgrade`. While the request's body isn't read, it offers none: the body would be taken for the
    /// protocol's first bytes.
    pub fn offers(&self, protocol: &str) -> bool {
        let fields = self.fields().filter(|(name, _)| name.eq_ignore_ascii_case("upgrade"));
        let mut offered = fields.flat_map(|(_, value)| value.split(|byte| *byte == b','));
        self.head.upgrades
            && self.is_read()
            && offered.any(|name| name.trim_ascii().eq_ignore_ascii_case(protocol.as_bytes()))
    }

    fn may_upgrade(&self, protocol: &str) -> io::Result<()> {
        let mistake = |text: &'static str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        match () {
            () if self.sending.get() != Sending::NotBegun => {
                mistake("a request has one response, and this one has it already")
            }
            () if !self.offers(protocol) => mistake("the client does not offer this protocol"),
            () => Ok(()),
        }
    }
}
