//! What is passed on: heads and trailers, as they reach who is next.

use crate::client::Client;
use crate::client::head::write_framing;
use crate::client::url::Url;
use crate::response::{RESET, Sending};
use crate::status::{is_bodiless, reason};
use crate::{Request, date, decode};
use std::io::{self, Write};
use std::net::IpAddr;

/// Fields that are said to the next one only (RFC 9110, 7.6.1), and those that the proxy says itself.
const HOPS: [&str; 7] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// Fields that mean something before a body only, and may not come behind it (RFC 9110, 6.5.1), as conditions may not:
/// whoever puts the two together would be misled.
const NO_TRAILERS: [&str; 22] = [
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "set-cookie",
    "trailer",
    "vary",
    "via",
    "www-authenticate",
];

/// The path that is put before those of requests.
pub(super) fn directory<'a>(url: &Url<'a>) -> &'a str {
    url.path.split('?').next().unwrap_or_default().trim_end_matches('/')
}

/// Whether a path leads out of where it begins, by `..`, in the eyes of any server: however that is encoded, between
/// slashes or what some take for them, with parameters or without.
pub(super) fn climbs(path: &str) -> bool {
    decode(path).split(['/', '\\']).any(|part| part.split(';').next() == Some(".."))
}

/// How far a request may go on.
pub(super) enum Forwards {
    /// As far as it likes.
    Any,
    /// To so many servers.
    Left(u64),
    /// As far as nobody can tell.
    Nonsense,
}

impl Request {
    /// See RFC 9110, 7.6.2. `TRACE` never comes so far: the parser refuses it.
    pub(super) fn forwards(&self) -> Forwards {
        if self.method() != "OPTIONS" {
            return Forwards::Any;
        }
        self.get("max-forwards").map_or(Forwards::Any, |text| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits).map_or(Forwards::Nonsense, Forwards::Left)
        })
    }
}

/// Writes the head of the request as it goes on.
pub(super) fn write_request(
    to: &mut Vec<u8>,
    request: &Request,
    asker: Option<IpAddr>,
    base: &str,
) -> io::Result<()> {
    let url = Url::parse(base)?;
    let (mark, query) = request.query().map_or(("", ""), |query| ("?", query));
    let asks_all = request.method() == "OPTIONS" && request.is_pathless();
    let path = if asks_all { "*" } else { request.path() };
    let base = if path == "*" { "" } else { directory(&url) };
    for piece in
        [request.method(), " ", base, path, mark, query, " HTTP/1.1\r\nHost: ", url.authority, "\r\n"]
    {
        to.extend_from_slice(piece.as_bytes());
    }
    let length = if request.is_read() { Some(0) } else { request.body_length() };
    match request.forwards() {
        Forwards::Left(left) => {
            write_fields(to, request, &["host", "expect", "max-forwards"], length.is_none());
            write!(to, "Max-Forwards: {}\r\n", left.saturating_sub(1))?;
        }
        _ => write_fields(to, request, &["host", "expect"], length.is_none()),
    }
    let is_trailers = |coding: &str| coding.trim().eq_ignore_ascii_case("trailers");
    if request.get("te").is_some_and(|te| te.split(',').any(is_trailers)) {
        to.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n");
    }
    // An authority has neither quotes nor backslashes.
    let host = request.host();
    let minor = request.minor_version();
    write!(to, "Via: 1.{minor} vk\r\nForwarded: for=")?;
    match asker {
        Some(IpAddr::V4(address)) => write!(to, "{address}")?,
        Some(IpAddr::V6(address)) => write!(to, "\"[{address}]\"")?,
        None => to.extend_from_slice(b"unknown"),
    }
    write!(to, ";host=\"{host}\";proto=http\r\n")?;
    let announced = request.get("content-length").is_some();
    write_framing(to, length.filter(|_| announced), length.is_none())?;
    to.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the head of the answer as it goes on.
pub(super) fn write_answer(
    to: &mut Vec<u8>,
    request: &Request,
    client: &Client,
    length: Option<u64>,
) -> io::Result<()> {
    let status = client.status;
    write!(to, "HTTP/1.1 {status} {}{}\r\n", reason(status), request.said)?;
    write_fields(to, &client.message, &[], request.sending.get() == Sending::Chunked);
    if !has(&client.message, "date") {
        // Who passes an answer on has to say when it came (RFC 9110, 6.6.1).
        write_field(to, "Date", &date::line());
    }
    write!(to, "Via: 1.{} vk\r\n", client.message.minor_version())?;
    match client.get("content-length") {
        _ if matches!(status, 100..=199 | 204) => {}
        // RFC 9110, 15.3.6.
        _ if status == RESET => to.extend_from_slice(b"Content-Length: 0\r\n"),
        // What the body would have had.
        Some(length) if request.sending.get() == Sending::NoBody => {
            write!(to, "Content-Length: {length}\r\n")?;
        }
        _ if request.sending.get() == Sending::NoBody || is_bodiless(status) => {}
        _ => write_framing(to, length, request.sending.get() == Sending::Chunked)?,
    }
    if request.closing.get() {
        to.extend_from_slice(b"Connection: close\r\n");
    } else if request.minor_version() == 0 {
        to.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    to.write_all(b"\r\n")
}

/// Writes the head of an answer before the answer.
pub(super) fn write_interim(to: &mut Vec<u8>, client: &Client) -> io::Result<()> {
    write!(to, "HTTP/1.1 {} {}\r\n", client.status, reason(client.status))?;
    write_fields(to, &client.message, &[], false);
    to.write_all(b"\r\n")
}

/// Writes what is behind a body in chunks: its end, with those trailers that may stand there and are no options of the
/// connection.
pub(super) fn write_end(
    to: &mut Vec<u8>,
    message: &Request,
    is_option: impl Fn(&str) -> bool,
) -> io::Result<()> {
    to.extend_from_slice(b"0\r\n");
    let is_barred = |name: &str| {
        HOPS.iter().chain(&NO_TRAILERS).any(|barred| name.eq_ignore_ascii_case(barred))
            || name.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("if-"))
            || is_option(name)
    };
    for (name, value) in message.trailers().filter(|(name, _)| !is_barred(name)) {
        write_field(to, name, value);
    }
    to.write_all(b"\r\n")
}

/// What a message says of the connection it comes by, the names of fields among it.
fn options(message: &Request) -> impl Iterator<Item = &[u8]> {
    let fields = message.fields().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    fields.flat_map(|(_, value)| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// Whether a message says that the fields of a name are meant for the connection it comes by.
pub(super) fn is_option(message: &Request, name: &[u8]) -> bool {
    options(message).any(|option| option.eq_ignore_ascii_case(name))
}

/// Whether a message says that of any fields but those that are known to be.
pub(super) fn names_fields(message: &Request) -> bool {
    let known = |option: &[u8]| {
        let mut known = HOPS.iter().chain(&["", "close"]);
        known.any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
    };
    !options(message).all(known)
}

/// Whether a message has a field, be its value text or not.
fn has(message: &Request, name: &str) -> bool {
    message.fields().any(|(field, _)| field.eq_ignore_ascii_case(name))
}

fn write_field(to: &mut Vec<u8>, name: &str, value: &[u8]) {
    for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
        to.extend_from_slice(piece);
    }
}

/// Writes the fields of a message that are for whom it reaches in the end. Trailers are announced if they can come.
fn write_fields(to: &mut Vec<u8>, message: &Request, own: &[&str], chunked: bool) {
    let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
    let connected = has(message, "connection");
    for (name, value) in message.fields() {
        let stays = HOPS.iter().chain(own).any(|hop| is(name, hop))
            || !chunked && is(name, "trailer")
            || connected && is_option(message, name.as_bytes());
        if !stays {
            write_field(to, name, value);
        }
    }
}
