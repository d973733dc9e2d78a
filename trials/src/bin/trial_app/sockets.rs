//! WebSocket: messages both ways, whole and in pieces.

use crate::pages::decimal;
use vk::prelude::*;
use vk_http::{self as http, Request, ws};
use vk_trials::{PIECE, change};

/// The largest message.
const LARGEST: u32 = 256 * 1024;

/// Answers each message with its number, counted in the frame, and with itself: a text as it is, anything else in pieces
/// and changed by its place among all such bytes.
#[vk::coroutine]
pub fn talk(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    let mut socket: ws::Socket = ws::Socket::new();
    socket.limits.message = LARGEST;
    let mut count: u64 = 0;
    let mut at: u64 = 0;
    while http::read_request(io, &mut request)? {
        if !ws::accept(io, &request, &mut socket, &[])? {
            continue;
        }
        while let Some(kind) = ws::recv(io, &mut socket)? {
            let kind: ws::Kind = kind;
            count += 1;
            let number: Line<20> = decimal(count);
            ws::send(io, &socket, ws::Kind::Text, &number)?;
            match kind {
                ws::Kind::Text => ws::send(io, &socket, kind, &socket.message)?,
                ws::Kind::Binary => pieces(io, &socket, &mut at)?,
            }
        }
    }
    Ok(())
}

/// Sends the message that was received last back, changed.
#[vk::coroutine]
fn pieces(io: &mut Io, socket: &ws::Socket, at: &mut u64) -> io::Result<()> {
    let mut piece: Line<PIECE> = Line::new();
    let mut from: usize = 0;
    ws::begin(io, socket, ws::Kind::Binary)?;
    while from < socket.message.len() {
        let to: usize = socket.message.len().min(from + PIECE);
        piece.clear();
        piece.extend(&socket.message[from..to]).expect("it has room for a piece");
        change(&mut piece, *at);
        *at += piece.len() as u64;
        ws::write(io, socket, &piece)?;
        from = to;
    }
    ws::end(io, socket)
}
