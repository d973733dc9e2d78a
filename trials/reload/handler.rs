//! What all builds have in common: the handler, whose frame holds the build's own [`Session`].

use crate::{Session, TEXT};
use vk::prelude::*;
use vk_http::{self as http, Request};

/// More bytes than the worker may have, where memory is wanting.
const LEAK: usize = 64 << 20;

/// Answers each request of a connection, and counts them in its frame.
#[vk::coroutine]
pub fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    let mut session: Session = Session::new();
    while http::read_request(io, &mut request)? {
        session.count();
        match request.path() {
            "/plaintext" => http::respond(io, &request, 200, "text/plain", b"Hello, World!")?,
            "/text" => http::respond(io, &request, 200, "text/plain", TEXT.as_bytes())?,
            "/state" => {
                let digits: [u8; 8] = session.digits();
                http::respond(io, &request, 200, "text/plain", &digits)?;
            }
            "/sleep" => {
                io.sleep(Duration::from_secs(1))?;
                http::respond(io, &request, 200, "text/plain", b"slept")?;
            }
            "/echo" => echo(io, &mut request)?,
            "/leak" => {
                Box::leak(vec![1_u8; LEAK].into_boxed_slice());
                http::respond_status(io, &request, 204)?;
            }
            _ => http::respond_status(io, &request, 404)?,
        }
    }
    Ok(())
}

/// Streams the body back as it comes.
#[vk::coroutine]
fn echo(io: &mut Io, request: &mut Request) -> io::Result<()> {
    let length: Option<u64> = request.body_length();
    http::begin(io, request, 200, "", length)?;
    http::forward_body(io, request)?;
    http::end(io, request)
}
