//! After warm-up a request costs no allocation: neither in this crate nor in what is below it.

mod counting;
mod harness;

use counting::{COUNT, COUNTED};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;
use vk::prelude::*;
use vk_http::{self as http, Request};

#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        match request.path() {
            "/stream" => {
                http::begin(io, &request, 200, request.get("content-type").unwrap_or(""), None)?;
                http::forward_body(io, &mut request)?;
                http::end(io, &request)?;
            }
            "/routed/7" => routed(io, &mut request)?,
            _ => {
                http::read_whole_body(io, &mut request, 100_000)?;
                http::respond(io, &request, 200, "text/plain", &request.body)?;
            }
        }
    }
    Ok(())
}

http::routes! {
    /// Answers by routes.
    routed:
    GET "/routed/{id}" => answer,
    PUT "/routed/{id}" => answer,
}

#[derive(serde::Serialize)]
struct Answer {
    id: u64,
}

#[vk::coroutine]
fn answer(io: &mut Io, request: &Request) -> io::Result<()> {
    let id: u64 = request.param("id").and_then(|id| id.parse().ok()).unwrap_or(0);
    http::field(io, request, "ETag", "\"7\"")?;
    http::json(io, request, 200, &Answer { id })
}

const REQUESTS: [(&str, &str); 5] = [
    ("GET /routed/7 HTTP/1.1\r\nHost: localhost\r\n\r\n", "{\"id\":7}"),
    ("GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n", "\r\n\r\n"),
    ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", "\r\n\r\nhello"),
    (
        "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: a/b\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
    ),
    ("GET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "\r\n\r\n"),
];

fn round(client: &mut UnixStream) {
    for (request, end) in REQUESTS {
        client.write_all(request.as_bytes()).unwrap();
        let (mut answer, mut length) = ([0; 1024], 0);
        while !answer[..length].ends_with(end.as_bytes()) {
            let count = client.read(&mut answer[length..]).unwrap();
            assert!(count > 0);
            length += count;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn requests_cost_no_allocation() {
    let (mut client, worker) = harness::serve::<serve>(|| COUNTED.set(true));
    (0..10).for_each(|_| round(&mut client));
    let before = COUNT.load(Relaxed);
    assert!(before > 0, "the worker's preparations are counted");
    (0..1000).for_each(|_| round(&mut client));
    assert_eq!(COUNT.load(Relaxed), before);
    drop(client);
    worker.join().unwrap();
}
