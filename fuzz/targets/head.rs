//! The head of a request is taken or refused, and says the same however it is cut; its limits hold.
#![no_main]

extern crate vk_core as vk;

use libfuzzer_sys::fuzz_target;
use std::fmt;
use std::io;
use vk_core::Io;
use vk_http::{self as http, Limits, Request};

/// So small that a small input meets them.
const LIMITS: Limits = Limits { line: 100, head: 400, fields: 20, ..Limits::DEFAULT };

/// All that a head says.
struct Said<'a>(&'a Request);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = self.0;
        writeln!(f, "{} {} 1.{}", request.method(), request.target(), request.minor_version())?;
        writeln!(f, "{:?} {} {:?}", request.host(), http::decode(request.path()), request.body_length())?;
        for (name, value) in http::pairs(request.query().unwrap_or_default().as_bytes()) {
            writeln!(f, "{name}={value}")?;
        }
        for (name, value) in request.fields() {
            writeln!(f, "{name}: {}", value.escape_ascii())?;
        }
        writeln!(f, "{:?} {}", request.condition("\"v1\"", Some(784_111_777)), request.offers("a"))
    }
}

/// Answers the first request with all that its head says.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    if http::read_request_within(io, &mut request, &LIMITS)? {
        http::begin(io, &request, 200, "", None)?;
        http::print(io, &request, &format_args!("{}", Said(&request)))?;
        http::end(io, &request)?;
    }
    Ok(())
}

fuzz_target!(|input: &[u8]| {
    let answer = vk_fuzz::answer::<serve>(b"", input);
    let last = answer.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
    let known = [&b""[..], b"HTTP/1.1 200 ", b"HTTP/1.1 4", b"HTTP/1.1 5"];
    assert!(known.iter().any(|known| last.starts_with(known)), "{}", answer.escape_ascii());
    assert!(answer.len() < 10_000, "more is said of a head than is in it");
});
