//! What is a request for a WebSocket, and what is not.

use crate::frames::{HELLO, echo};
use crate::talk;
use vk::prelude::*;
use vk_http::{self as http, Request, ws};

/// The answers to requests, on one line.
fn answered(requests: &str) -> String {
    let answers = talk::answers::<echo>(requests.as_bytes(), &[]);
    String::from_utf8_lossy(&answers).replace("\r\n", "|")
}

/// The handshake with a line of it replaced by others.
fn with(line: &str, others: &str) -> String {
    assert!(HELLO.contains(line));
    answered(&HELLO.replace(&format!("{line}\r\n"), others))
}

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";
const CONNECTION: &str = "Connection: keep-alive, Upgrade";

#[test]
fn requests_are_checked() {
    for (line, others, status) in [
        (KEY, "", 400),
        (KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n", 400),
        (KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE=\r\n", 400),
        (KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEx\r\n", 400),
        (KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n", 400),
        (KEY, "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n", 101),
        (KEY, "Sec-WebSocket-Key: \r\n", 400),
        (
            KEY,
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            400,
        ),
        (VERSION, "", 400),
        (VERSION, "Sec-WebSocket-Version: 8\r\n", 426),
        (VERSION, "Sec-WebSocket-Version: 013\r\n", 426),
        (CONNECTION, "", 426),
        (CONNECTION, "Connection: close\r\n", 426),
        ("Upgrade: websocket", "Upgrade: h2c\r\n", 426),
        ("Upgrade: websocket", "", 426),
        ("Upgrade: websocket", "Upgrade: h2c, WebSocket\r\n", 101),
        ("GET /chat HTTP/1.1", "POST /chat HTTP/1.1\r\n", 400),
        ("GET /chat HTTP/1.1", "GET /chat HTTP/1.0\r\n", 426),
    ] {
        let answer = with(line, others);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{others}: {answer}");
    }
}

#[test]
fn what_there_is_is_said() {
    let answer = with(VERSION, "Sec-WebSocket-Version: 12\r\n");
    for said in ["|Sec-WebSocket-Version: 13|", "|Upgrade: websocket|", "|Connection: Upgrade|"] {
        assert!(answer.contains(said), "{answer}");
    }
    // The connection goes on.
    let both = HELLO.replace("13\r\n", "12\r\n") + HELLO;
    assert!(answered(&both).contains("HTTP/1.1 101 "));
}

#[test]
fn subprotocols_are_chosen() {
    for (offered, chosen) in [
        ("", ""),
        ("Sec-WebSocket-Protocol: other\r\n", ""),
        ("Sec-WebSocket-Protocol: good\r\n", "|Sec-WebSocket-Protocol: good|"),
        ("Sec-WebSocket-Protocol: other, good,best\r\n", "|Sec-WebSocket-Protocol: best|"),
        (
            "Sec-WebSocket-Protocol: good\r\nSec-WebSocket-Protocol: best\r\n",
            "|Sec-WebSocket-Protocol: best|",
        ),
        ("Sec-WebSocket-Protocol: goo, d, BEST\r\n", ""),
    ] {
        let answer = with(VERSION, &format!("{VERSION}\r\n{offered}"));
        assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains(chosen), "{offered}: {answer}");
        assert_eq!(answer.contains("-Protocol"), !chosen.is_empty(), "{offered}: {answer}");
    }
}

/// Answers whether the request is of the same origin.
#[vk::coroutine]
fn origin(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        let status: u16 = if ws::is_same_origin(&request) { 200 } else { 403 };
        http::respond(io, &request, status, "", b"")?;
    }
    Ok(())
}

#[test]
fn origins_are_compared() {
    for (fields, status) in [
        ("Host: a", 200),
        ("Host: a\r\nOrigin: http://a", 200),
        ("Host: A:8080\r\nOrigin: https://a:8080", 200),
        ("Host: a\r\nOrigin: http://b", 403),
        ("Host: a\r\nOrigin: http://a:81", 403),
        ("Host: a\r\nOrigin: null", 403),
        ("Host: a\r\nOrigin: ", 403),
        ("Host: a\r\nOrigin: http://a\r\nOrigin: http://b", 403),
    ] {
        let request = format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
        let answer = talk::answers::<origin>(request.as_bytes(), &[]);
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{fields}");
    }
}
