//! A WebSocket answers any frames, the same way however they are cut.
#![no_main]

extern crate vk_core as vk;

use libfuzzer_sys::fuzz_target;
use std::io;
use vk_core::Io;
use vk_http::{self as http, Request, ws};

const HELLO: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Sends each message back.
#[vk::coroutine]
fn echo(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    let mut socket: ws::Socket = ws::Socket::new();
    socket.limits.message = 1000;
    while http::read_request(io, &mut request)? {
        if ws::accept(io, &request, &mut socket, &[])? {
            while let Some(kind) = ws::recv(io, &mut socket)? {
                let kind: ws::Kind = kind;
                ws::send(io, &socket, kind, &socket.message)?;
            }
        }
    }
    Ok(())
}

/// The frames in what a server sends: each one's first byte and payload.
///
/// # Panics
/// If there is something else.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            0..126 => (usize::from(*length), rest),
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            _ => panic!("a masked frame, or one larger than any message"),
        };
        let (payload, after) = rest.split_at(length);
        frames.push((*first, payload));
        bytes = after;
    }
    assert!(bytes.is_empty(), "half a frame");
    frames
}

fuzz_target!(|input: &[u8]| {
    let answer = vk_fuzz::answer::<echo>(HELLO, input);
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("an answer to the handshake");
    let frames = frames(&answer[head + 4..]);
    for (first, payload) in &frames {
        match first {
            0x81 => drop(str::from_utf8(payload).expect("text")),
            0x82 => {}
            0x88 | 0x8a => assert!(payload.len() < 126),
            other => panic!("a frame that begins with {other:#x}"),
        }
    }
    let close = frames.iter().position(|(first, _)| *first == 0x88);
    assert!(close.is_none_or(|at| at + 1 == frames.len()), "something is said after the close");
});
