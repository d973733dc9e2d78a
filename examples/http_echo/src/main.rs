//! An HTTP server that gives back what it gets.
//!
//! - `GET /plaintext` is answered with `Hello, World!`.
//! - `POST` or `PUT /echo` is answered with the body of the request, of any size.
//! - Anything else is answered with what was asked: `METHOD SP target LF body`.

use vk::prelude::*;
use vk_http::{self as http, Request};

/// The largest body that is taken whole.
const LIMIT: usize = 1024 * 1024;

/// Answers each request of a connection.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        match (request.method(), request.path()) {
            ("GET" | "HEAD", "/plaintext") => {
                http::respond(io, &request, 200, "text/plain", b"Hello, World!")?;
            }
            ("POST" | "PUT", "/echo") => echo(io, &mut request)?,
            _ => describe(io, &mut request)?,
        }
    }
    Ok(())
}

/// Streams the body back as it comes: no more of it is in memory than the connection's buffers hold.
#[vk::coroutine]
fn echo(io: &mut Io, request: &mut Request) -> io::Result<()> {
    let length: Option<u64> = request.body_length();
    http::begin(io, request, 200, request.get("content-type").unwrap_or(""), length)?;
    http::forward_body(io, request)?;
    http::end(io, request)
}

/// Answers with what was asked.
#[vk::coroutine]
fn describe(io: &mut Io, request: &mut Request) -> io::Result<()> {
    http::read_whole_body(io, request, LIMIT)?;
    let length: usize = request.method().len() + request.target().len() + request.body.len() + 2;
    http::begin(io, request, 200, "text/plain", Some(length as u64))?;
    http::write(io, request, request.method().as_bytes())?;
    http::write(io, request, b" ")?;
    http::write(io, request, request.target().as_bytes())?;
    http::write(io, request, b"\n")?;
    http::write(io, request, &request.body)?;
    http::end(io, request)
}

vk_app! {
    name: "http_echo",
    about: "An HTTP server that gives back what it gets",
    listen: "127.0.0.1:8080" => serve,
}
