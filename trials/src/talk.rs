//! What is said over a WebSocket (RFC 6455): numbered messages in fragments, with pings between them.

use crate::dialogue::{Answer, change};
use vk_try::Random;

/// Bytes of the pieces in which the trial application answers to what is no text.
pub const PIECE: usize = 1000;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The RFC's own example of a key (1.3), and what it is answered with.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What a connection begins with, and its answer.
pub(crate) fn hello() -> (Vec<u8>, Answer) {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    (head.into_bytes(), Answer::Upgrade(ACCEPT.to_owned()))
}

/// What it ends with, and its answer.
pub(crate) fn goodbye(random: &mut Random) -> (Vec<u8>, Answer) {
    let normal = 1000_u16.to_be_bytes();
    (masked(true, CLOSE, &normal, random), Answer::Bytes(frame(true, CLOSE, &normal)))
}

/// The message with this number, counted from 1, and its answer; `at` counts the bytes of binary ones.
pub(crate) fn message(number: u64, payload: &[u8], at: &mut u64, random: &mut Random) -> (Vec<u8>, Answer) {
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    let kind = if random.below(2) == 0 { TEXT } else { BINARY };
    let letters: Vec<u8> = payload.iter().map(|byte| b'a' + byte % 26).collect();
    let payload = if kind == TEXT { &letters } else { payload };
    let (mut rest, mut opcode) = (payload, kind);
    loop {
        if random.below(4) == 0 {
            let ping = random.number().to_le_bytes();
            request.extend(masked(true, PING, &ping, random));
            answer.extend(frame(true, PONG, &ping));
        }
        let cut = if random.below(3) == 0 { random.chunk().min(rest.len()) } else { rest.len() };
        let (piece, after) = rest.split_at(cut);
        request.extend(masked(after.is_empty(), opcode, piece, random));
        if after.is_empty() {
            break;
        }
        (rest, opcode) = (after, CONTINUATION);
    }
    answer.extend(frame(true, TEXT, number.to_string().as_bytes()));
    if kind == TEXT {
        answer.extend(frame(true, TEXT, payload));
    } else {
        let mut opcode = BINARY;
        for piece in payload.chunks(PIECE) {
            let mut piece = piece.to_vec();
            change(&mut piece, *at);
            *at += piece.len() as u64;
            answer.extend(frame(false, opcode, &piece));
            opcode = CONTINUATION;
        }
        answer.extend(frame(true, opcode, &[]));
    }
    (request, Answer::Bytes(answer))
}

/// A server's frame.
fn frame(is_last: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    [head(is_last, opcode, payload.len(), 0), payload.to_vec()].concat()
}

/// A client's frame.
fn masked(is_last: bool, opcode: u8, payload: &[u8], random: &mut Random) -> Vec<u8> {
    let mask = (random.number() as u32).to_le_bytes();
    let mut frame = head(is_last, opcode, payload.len(), 0x80);
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn head(is_last: bool, opcode: u8, length: usize, masked: u8) -> Vec<u8> {
    let mut head = vec![opcode | if is_last { 0x80 } else { 0 }];
    match length {
        0..126 => head.push(masked | length as u8),
        126..0x1_0000 => {
            head.push(masked | 126);
            head.extend((length as u16).to_be_bytes());
        }
        _ => {
            head.push(masked | 127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head
}
