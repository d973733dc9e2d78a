//! A body in chunks is the same body, or no body, however it is cut and by whichever means it is read: whole, piece by
//! piece, or straight into the answer.
#![no_main]

extern crate vk_core as vk;

use libfuzzer_sys::fuzz_target;
use std::io;
use vk_core::Io;
use vk_http::{self as http, Limits, Request};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// So small that a small input meets them.
const LIMITS: Limits = Limits { line: 100, extensions: 60, trailers: 100, ..Limits::DEFAULT };

/// More than an input has.
const LIMIT: usize = 1 << 16;

/// Answers with the body, and how many trailers came behind it; reads it whole.
#[vk::coroutine]
fn whole(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    if http::read_request_within(io, &mut request, &LIMITS)? {
        http::read_whole_body(io, &mut request, LIMIT)?;
        http::begin(io, &request, 200, "", None)?;
        http::write(io, &request, &request.body)?;
        conclude(io, &request)?;
    }
    Ok(())
}

/// As [`whole`], piece by piece.
#[vk::coroutine]
fn pieces(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    let mut piece: [u8; 13] = [0; 13];
    if http::read_request_within(io, &mut request, &LIMITS)? {
        http::begin(io, &request, 200, "", None)?;
        loop {
            let count: usize = http::read_body(io, &mut request, &mut piece)?;
            if count == 0 {
                break;
            }
            http::write(io, &request, &piece[..count])?;
        }
        conclude(io, &request)?;
    }
    Ok(())
}

/// As [`whole`], straight from the request into the answer.
#[vk::coroutine]
fn straight(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    if http::read_request_within(io, &mut request, &LIMITS)? {
        http::begin(io, &request, 200, "", None)?;
        http::forward_body(io, &mut request)?;
        conclude(io, &request)?;
    }
    Ok(())
}

/// Ends an answer with the number of trailers.
#[vk::coroutine]
fn conclude(io: &mut Io, request: &Request) -> io::Result<()> {
    let trailers: usize = request.trailers().count();
    http::print(io, request, &format_args!("\n{trailers}"))?;
    http::end(io, request)
}

/// The body of an answer; None of a refusal, or if it isn't whole.
fn body(answer: &[u8]) -> Option<Vec<u8>> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("the head of an answer");
    let (mut body, mut rest) = (Vec::new(), &answer[end + 4..]);
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return None;
    }
    loop {
        let line = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = usize::from_str_radix(str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let (chunk, after) = rest[line + 2..].split_at_checked(size)?;
        rest = after.strip_prefix(b"\r\n")?;
        if size == 0 {
            assert!(rest.is_empty(), "something comes behind the answer");
            return Some(body);
        }
        body.extend(chunk);
    }
}

fuzz_target!(|input: &[u8]| {
    let whole = vk_fuzz::answers::<whole>(HEAD, input);
    let expected = body(&whole[0]);
    let others = [vk_fuzz::answers::<pieces>(HEAD, input), vk_fuzz::answers::<straight>(HEAD, input)];
    for answer in whole.iter().chain(others.iter().flatten()) {
        let (found, expected) = (body(answer), &expected);
        assert!(found == *expected, "{found:?} and {expected:?}: {}", answer.escape_ascii());
    }
    // What it is refused with doesn't depend on the cuts either.
    let status = |answer: &[u8]| answer[..answer.len().min(12)].to_vec();
    assert!(whole.iter().all(|answer| status(answer) == status(&whole[0])));
});
