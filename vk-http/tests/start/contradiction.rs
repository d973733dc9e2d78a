//! An application whose routes contradict each other, which only a request of `/b` would come across.

use vk::prelude::*;
use vk_http::{self as http, Request};

http::routes! {
    /// Answers a request, by other routes.
    api:
    GET "/a" => http::not_found,
    GET "/b/{*rest}" => inner,
}

http::routes! {
    /// Answers a request of what is below `/b`.
    inner:
    GET "/b/{id}" => http::not_found,
    GET "/b/{name}" => http::not_found,
}

/// Answers each request of a connection.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        api(io, &mut request)?;
    }
    Ok(())
}

vk_app! {
    name: "contradiction",
    listen: "127.0.0.1:0" => serve,
}
