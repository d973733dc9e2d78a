//! A handler that answers wrongly gets an error, and its client a closed connection rather than one that is
//! out of step.

mod harness;

use std::io::{Read, Write};
use vk::prelude::*;
use vk_http::{self as http, Request};

#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        match request.path() {
            "/silent" => {}
            "/short" => {
                http::begin(io, &request, 200, "", Some(5))?;
                http::write(io, &request, b"abc")?;
                http::end(io, &request)?;
            }
            "/long" => {
                http::begin(io, &request, 200, "", Some(2))?;
                http::write(io, &request, b"abc")?;
            }
            "/unended" => {
                http::begin(io, &request, 200, "", None)?;
                http::write(io, &request, b"abc")?;
            }
            "/twice" => {
                http::respond(io, &request, 200, "", b"abc")?;
                http::respond(io, &request, 200, "", b"def")?;
            }
            "/split" => http::respond(io, &request, 200, "a/b\r\nSet-Cookie: c", b"abc")?,
            "/ended" => {
                http::respond(io, &request, 200, "", b"abc")?;
                http::write(io, &request, b"def")?;
            }
            _ => http::respond(io, &request, 200, "", b"fine")?,
        }
    }
    Ok(())
}

/// What the client gets for a request of `path` and one more, without dates, and whether the handler ended
/// without an error.
fn ask(path: &str) -> (String, bool) {
    let (mut client, worker) = harness::serve::<serve>(|| ());
    write!(client, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let lines = answer.split("\r\n").filter(|line| !line.starts_with("Date: "));
    (lines.collect::<Vec<_>>().join("|"), worker.join().unwrap())
}

#[test]
fn mistakes_end_the_connection() {
    let fine = "HTTP/1.1 200 OK|Content-Length: 4||fine";
    assert_eq!(ask("/"), (format!("{fine}{fine}"), true));
    for (path, answer) in [
        ("/short", "HTTP/1.1 200 OK|Content-Length: 5||abc"),
        ("/long", "HTTP/1.1 200 OK|Content-Length: 2||"),
        ("/unended", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||3|abc|"),
        ("/twice", "HTTP/1.1 200 OK|Content-Length: 3||abc"),
        ("/split", ""),
        ("/ended", "HTTP/1.1 200 OK|Content-Length: 3||abc"),
    ] {
        assert_eq!(ask(path), (answer.to_owned(), false), "{path}");
    }
    let (answer, fine) = ask("/silent");
    assert!(
        answer.starts_with("HTTP/1.1 500 Internal Server Error|") && answer.contains("|Connection: close|")
    );
    assert!(answer.ends_with("||Internal Server Error\n") && !fine, "{answer}");
}
