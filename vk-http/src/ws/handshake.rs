//! The handshake (RFC 6455, 4.2).

use super::Socket;
use crate::Request;
use crate::answer::respond_status;
use crate::protocol::upgrade;
use crate::said::field;
use data_encoding::BASE64;
use sha1::{Digest, Sha1};
use std::io;
use vk_core::{Io, Plain};

/// Answers a request for a WebSocket with 101: `socket` is connected then. False if it is none, or one that can't be
/// had; it is answered with 400 or 426 then.
///
/// `protocols` are the subprotocols there are, the best first; which the client takes, if any, is in
/// [`Socket::protocol`]. Who asks is up to the handler: see [`is_same_origin`].
///
/// # Errors
/// `InvalidInput` if the answer has begun, the request's body isn't read or a subprotocol's name is not a token; those
/// of [`Io::write_all`].
#[vk::coroutine]
pub fn accept(io: &mut Io, request: &Request, socket: &mut Socket, protocols: &[&str]) -> io::Result<bool> {
    let answer: Accept = match answer_to(request) {
        Ok(answer) => answer,
        Err(426) => {
            field(io, request, "Upgrade", PROTOCOL)?;
            field(io, request, "Sec-WebSocket-Version", VERSION)?;
            respond_status(io, request, 426)?;
            return Ok(false);
        }
        Err(status) => {
            let status: u16 = status;
            respond_status(io, request, status)?;
            return Ok(false);
        }
    };
    field(io, request, "Sec-WebSocket-Accept", answer.as_str())?;
    let protocol: Option<u8> = choose(request, protocols);
    if let Some(protocol) = protocol {
        let at: usize = usize::from(protocol);
        field(io, request, "Sec-WebSocket-Protocol", protocols[at])?;
    }
    upgrade(io, request, PROTOCOL)?;
    socket.connected(protocol);
    Ok(true)
}

/// Whether the request comes from a page of this server, or from no page at all: its `Origin`, if it has one, names the
/// host that is asked for.
///
/// A browser lets any page open a WebSocket to any server, with the cookies of that server: who serves people who are
/// logged in refuses other origins (RFC 6455, 10.2).
pub fn is_same_origin(request: &Request) -> bool {
    let mut origins = request.fields().filter(|(name, _)| name.eq_ignore_ascii_case("origin"));
    origins.all(|(_, origin)| {
        let authority = str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://"));
        authority.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(request.host()))
    })
}

const PROTOCOL: &str = "websocket";
const VERSION: &str = "13";

/// What every server adds to a client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `Sec-WebSocket-Accept`: a SHA-1 hash in Base64.
#[derive(Debug, Plain)]
struct Accept([u8; 28]);

impl Accept {
    fn to(key: &[u8]) -> Accept {
        let mut accept = Accept([0; 28]);
        BASE64.encode_mut(&Sha1::new().chain_update(key).chain_update(GUID).finalize(), &mut accept.0);
        accept
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What the request is answered with, or the status that refuses it.
fn answer_to(request: &Request) -> Result<Accept, u16> {
    if !request.offers(PROTOCOL) || only(request, "sec-websocket-version")? != VERSION.as_bytes() {
        return Err(426);
    }
    let key = only(request, "sec-websocket-key")?;
    // 16 bytes in Base64. The last digit has four bits to spare; the RFC's own example (4.1) does not leave them zero.
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let is_key =
        key.strip_suffix(b"==").is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_digit));
    if request.method() != "GET" || !is_key {
        return Err(400);
    }
    Ok(Accept::to(key))
}

/// The value of a field that there has to be once.
fn only<'a>(request: &'a Request, name: &str) -> Result<&'a [u8], u16> {
    let mut fields = request.fields().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    match (fields.next(), fields.next()) {
        (Some((_, value)), None) => Ok(value),
        _ => Err(400),
    }
}

/// The first of `protocols` that the client offers.
fn choose(request: &Request, protocols: &[&str]) -> Option<u8> {
    let offers = |protocol: &&str| {
        let mut fields =
            request.fields().filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"));
        fields.any(|(_, value)| {
            value.split(|byte| *byte == b',').any(|offered| offered.trim_ascii() == protocol.as_bytes())
        })
    };
    protocols.iter().position(offers).and_then(|at| u8::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The RFC's own example (1.3).
    #[test]
    fn keys() {
        assert_eq!(Accept::to(b"dGhlIHNhbXBsZSBub25jZQ==").as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
