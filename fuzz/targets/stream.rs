//! A server answers any stream of requests, and the same bytes the same way however they are cut: it never panics,
//! hangs, or leaves anything behind.
#![no_main]

extern crate vk_core as vk;

use libfuzzer_sys::fuzz_target;
use std::io;
use vk_core::Io;
use vk_http::{self as http, Request};

/// Answers with the body: streamed for `/echo` if its length is known (chunks would be cut as they come), not at all
/// for `/skip`, otherwise whole.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        let length: Option<u64> = request.body_length();
        if request.path() == "/echo" && length.is_some() {
            http::begin(io, &request, 200, "", length)?;
            http::forward_body(io, &mut request)?;
            http::end(io, &request)?;
        } else if request.path() == "/skip" {
            http::respond_status(io, &request, 404)?;
        } else {
            http::read_whole_body(io, &mut request, 1000)?;
            http::respond(io, &request, 200, "", &request.body)?;
        }
    }
    Ok(())
}

fuzz_target!(|input: &[u8]| {
    vk_fuzz::answer::<serve>(b"", input);
});
