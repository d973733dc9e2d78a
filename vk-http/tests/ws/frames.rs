//! Frames as a client sends them, and what a server answers.

use crate::talk;
use vk::prelude::*;
use vk_http::{self as http, Request, ws};

pub const LIMIT: u32 = 300_000;

/// Sends each message back.
#[vk::coroutine]
pub fn echo(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    let mut socket: ws::Socket = ws::Socket::new();
    socket.limits.message = LIMIT;
    while http::read_request(io, &mut request)? {
        if ws::accept(io, &request, &mut socket, &["best", "good"])? {
            while let Some(kind) = ws::recv(io, &mut socket)? {
                let kind: ws::Kind = kind;
                ws::send(io, &socket, kind, &socket.message)?;
            }
        }
    }
    Ok(())
}

pub const HELLO: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

pub const WELCOME: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// A frame without a mask, as a server sends it.
pub fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// A frame as a client sends it.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = plain(first, payload);
    let head = frame.len() - payload.len();
    frame[1] |= 0x80;
    frame[head..].iter_mut().zip(MASK.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    frame.splice(head..head, MASK);
    frame
}

/// A server's close.
pub fn close(code: u16) -> Vec<u8> {
    plain(0x88, &code.to_be_bytes())
}

/// What is answered to a client that sends `input` behind its handshake, and then ends.
pub fn answers(input: &[u8], cuts: &[usize]) -> Vec<u8> {
    let cuts: Vec<usize> = cuts.iter().map(|cut| HELLO.len() + cut).collect();
    let answers = talk::answers::<echo>(&[HELLO.as_bytes(), input].concat(), &cuts);
    answers.strip_prefix(WELCOME.as_bytes()).expect("the handshake is answered").to_vec()
}

/// Asserts what is answered to `input`, whole, byte by byte, and in two pieces, for each place to cut it.
#[track_caller]
pub fn check(name: &str, input: &[u8], expected: &[u8]) {
    let bytes: Vec<usize> = (0..input.len().min(2000)).collect();
    let few = if input.len() > 5000 { 20 } else { 200 };
    let cuts = bytes.iter().take(few).map(std::slice::from_ref);
    for cuts in [&[][..], &bytes].into_iter().chain(cuts) {
        let answered = answers(input, cuts);
        let shown = |bytes: &[u8]| bytes[..bytes.len().min(300)].escape_ascii().to_string();
        assert!(
            answered == expected,
            "{name}, cut at {cuts:?}:\n{}\nis not\n{}",
            shown(&answered),
            shown(expected)
        );
    }
}
