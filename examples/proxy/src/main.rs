//! A reverse proxy: what it is asked, it asks another server, `proxy http://127.0.0.1:8081`.

use std::fmt::Write;
use vk::prelude::*;
use vk_http::client::{self, Client};
use vk_http::{self as http, Request, Text};

/// Bytes of the other server's URL.
const LONGEST: usize = 256;

/// Has each request of a connection answered by the other server.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let base: Text<LONGEST> = base()?;
    let mut request: Request = Request::new();
    let mut client: Client = Client::new();
    while http::read_request(io, &mut request)? {
        client::relay(io, &mut request, &mut client, &base)?;
    }
    Ok(())
}

/// The URL on the command line.
fn base() -> io::Result<Text<LONGEST>> {
    let url = vk::args().first().map_or("http://127.0.0.1:8081", String::as_str);
    client::check_url(url)?;
    let mut base = Text::new();
    base.write_str(url).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the URL is too long"))?;
    Ok(base)
}

/// Whether there is such a URL.
fn check() -> Result<(), String> {
    base().map(|_| ()).map_err(|error| error.to_string())
}

vk_app! {
    name: "proxy",
    about: "A reverse proxy",
    listen: "127.0.0.1:8080" => serve,
    args: "URL",
    check: check,
    heap: 16384,
}
