//! Serves a directory: `static_site DIR`, or the small site beside this source if none is named.

use std::path::Path;
use std::sync::LazyLock;
use vk::prelude::*;
use vk_http::{self as http, Request};

/// The directory.
static ROOT: LazyLock<&str> = LazyLock::new(|| {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/site");
    vk::args().first().map_or(own, String::as_str)
});

/// Answers each request of a connection with a file.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        // A browser keeps what it gets, and asks each time whether that is still the present one: mostly, 304.
        http::field(io, &request, "Cache-Control", "no-cache")?;
        http::field(io, &request, "X-Content-Type-Options", "nosniff")?;
        http::file_compressed(io, &request, &ROOT, request.path())?;
    }
    Ok(())
}

/// Whether there is a directory.
fn check() -> Result<(), String> {
    let is_there = Path::new(*ROOT).is_dir();
    if is_there { Ok(()) } else { Err(format!("{} is no directory", *ROOT)) }
}

vk_app! {
    name: "static_site",
    about: "Serves a directory",
    listen: "127.0.0.1:8080" => serve,
    args: "DIR",
    check: check,
    opens_files: true,
}
