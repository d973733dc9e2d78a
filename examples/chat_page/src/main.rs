//! A page on which people in several browsers talk.
//!
//! - `GET /` is the page.
//! - `GET /chat` is its WebSocket: each message goes to everybody.
//!
//! What is said goes through a file, the argument, `chat.log` if there is none: so it reaches the connections of all
//! workers, and those of a worker that comes after one that was killed. One micro-process can't wake another, so each
//! connection looks at the file's length every 50 ms: some thousand talkers keep a worker busy with that.

mod log;

use log::{LONGEST, Line, Place};
use vk::prelude::*;
use vk_http::{self as http, Request, ws};

/// How long a message of somebody else may take to be seen.
const TURN: Duration = Duration::from_millis(50);

http::routes! {
    /// Answers a request.
    site:
    GET "/" => page,
    GET "/chat" => chat,
}

/// Answers each request of a connection.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        site(io, &mut request)?;
    }
    Ok(())
}

/// Answers with the page.
#[vk::coroutine]
fn page(io: &mut Io, request: &Request) -> io::Result<()> {
    http::respond(io, request, 200, "text/html; charset=utf-8", include_bytes!("page.html"))
}

/// Talks with one person: hears, writes down, and shows what anybody has said, by turns.
#[vk::coroutine]
fn chat(io: &mut Io, request: &Request) -> io::Result<()> {
    if !ws::is_same_origin(request) {
        return http::respond_status(io, request, 403);
    }
    // Before the answer, so that the client is told if that is not to be had.
    let mut place: Place = Place::at_the_end()?;
    let mut socket: ws::Socket = ws::Socket::new();
    socket.limits.message = LONGEST as u32;
    if !ws::accept(io, request, &mut socket, &[])? {
        return Ok(());
    }
    // From here on it is known who this is, whatever happens to the worker.
    io.flush()?;
    let mut line: Line = Line::new();
    loop {
        match hear(io, &mut socket) {
            Ok(Some(_)) => place.write(socket.message.as_str())?,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => return Err(error),
        }
        while place.read(&mut line)? {
            ws::send(io, &socket, ws::Kind::Text, &line)?;
        }
    }
}

/// Waits for a message, but not for long.
#[vk::coroutine]
fn hear(io: &mut Io, socket: &mut ws::Socket) -> io::Result<Option<ws::Kind>> {
    io.deadline(TURN)?;
    ws::recv(io, socket)
}

vk_app! {
    name: "chat_page",
    about: "A page on which people in several browsers talk",
    listen: "127.0.0.1:8080" => serve,
    args: "FILE",
    opens_files: true,
    heap: 8192,
}
