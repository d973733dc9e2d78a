//! Sends each message of a WebSocket back: what the Autobahn test suite, `wstest -m fuzzingclient`, asks of a server.

use vk::prelude::*;
use vk_http::{self as http, Request, ws};

/// Sends each message back.
#[vk::coroutine]
fn echo(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    let mut socket: ws::Socket = ws::Socket::new();
    socket.limits.message = 16 << 20;
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

vk_app! {
    name: "ws_echo",
    about: "Sends each message of a WebSocket back",
    listen: "127.0.0.1:9001" => echo,
}
