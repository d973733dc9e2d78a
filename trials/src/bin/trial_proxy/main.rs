//! What is tried: a reverse proxy, whose connections to the other server are shared by all who ask.

use std::fmt::Write;
use vk::prelude::*;
use vk_http::client::{self, Client};
use vk_http::{self as http, Request, Text};

/// Has each request of a connection answered by the server on the command line.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut base: Text<100> = Text::new();
    let _ = base.write_str(vk::args().first().map_or("", String::as_str));
    let mut request: Request = Request::new();
    let mut client: Client = Client::new();
    while http::read_request(io, &mut request)? {
        client::relay(io, &mut request, &mut client, &base)?;
    }
    Ok(())
}

vk_app! {
    name: "trial_proxy",
    about: "What is tried: a reverse proxy",
    listen: "127.0.0.1:0" => serve,
    args: "URL",
    heap: 16384,
}
