//! A handler that answers wrongly gets an error, and its client a closed connection rather than one that is
//! out of step. One that fails before it answers is answered for.

mod harness;

use std::io::{Read, Write};
use vk::prelude::*;
use vk_http::{self as http, Request};

/// More than all rings and buffers on the way hold.
static LARGE: [u8; 4 << 20] = [b'x'; 4 << 20];

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
            "/large" => http::respond(io, &request, 200, "", &LARGE)?,
            "/panic" => panic!("asked to"),
            "/panic/in" => {
                http::begin(io, &request, 200, "", Some(5))?;
                io.flush()?;
                panic!("asked to");
            }
            "/panic/after" => {
                http::respond(io, &request, 200, "", b"abc")?;
                io.flush()?;
                panic!("asked to");
            }
            "/panic/while" => {
                io.sleep(Duration::from_millis(1))?;
                panic!("asked to");
            }
            "/error" => Err(io::Error::other("asked to"))?,
            "/panic/body" => {
                let mut byte: [u8; 1] = [0];
                http::read_body(io, &mut request, &mut byte)?;
                io.sleep(Duration::from_millis(1))?;
                panic!("asked to");
            }
            _ => http::respond(io, &request, 200, "", b"fine")?,
        }
    }
    Ok(())
}

/// What the client gets for a request of `path` and one more, without dates, and whether the handler ended
/// without an error.
fn ask(path: &str) -> (String, bool) {
    say(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"))
}

/// What the client gets who says that, and then nothing more.
fn say(requests: &str) -> (String, bool) {
    let (mut client, worker) = harness::serve::<serve>(|| ());
    client.write_all(requests.as_bytes()).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    (read(&mut client), worker.join().unwrap())
}

/// What comes until the end, without dates.
fn read(client: &mut impl Read) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let lines = answer.split("\r\n").filter(|line| !line.starts_with("Date: "));
    lines.collect::<Vec<_>>().join("|")
}

/// What is said for a handler that failed.
const FAILURE: &str = "HTTP/1.1 500 Internal Server Error|Content-Length: 0|Connection: close||";
const FINE: &str = "HTTP/1.1 200 OK|Content-Length: 4||fine";

#[test]
fn mistakes_end_the_connection() {
    assert_eq!(ask("/"), (format!("{FINE}{FINE}"), true));
    for (path, answer) in [
        ("/short", "HTTP/1.1 200 OK|Content-Length: 5||abc"),
        ("/long", "HTTP/1.1 200 OK|Content-Length: 2||"),
        ("/unended", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||3|abc|"),
        ("/twice", "HTTP/1.1 200 OK|Content-Length: 3||abc"),
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

#[test]
fn a_handler_that_fails_is_answered_for() {
    for path in ["/panic", "/panic/while", "/error", "/split"] {
        assert_eq!(ask(path), (FAILURE.to_owned(), false), "{path}");
    }
    assert_eq!(say("HEAD /panic HTTP/1.1\r\nHost: a\r\n\r\n"), (FAILURE.to_owned(), false));
    assert_eq!(say("GET /panic HTTP/1.0\r\n\r\n"), (FAILURE.to_owned(), false));
}

#[test]
fn an_answer_that_has_begun_is_not_answered_for() {
    assert_eq!(ask("/panic/in"), ("HTTP/1.1 200 OK|Content-Length: 5||".to_owned(), false));
    // The next request has not been looked at.
    assert_eq!(ask("/panic/after"), ("HTTP/1.1 200 OK|Content-Length: 3||abc".to_owned(), false));
}

/// The last commit is within the first answer: whatever was written behind it is undone, and nothing can follow.
#[test]
fn half_of_an_answer_is_not_answered_for() {
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let (answer, _) = say(&[get("/large"), get("/panic")].concat());
    let (head, body) = answer.split_once("||").unwrap();
    assert_eq!(head, format!("HTTP/1.1 200 OK|Content-Length: {}", LARGE.len()));
    assert!(
        body.len() <= LARGE.len() && body.bytes().all(|byte| byte == b'x'),
        "{}",
        &body[body.len() - 99..]
    );
}

/// Whatever was answered in the dispatch in which the handler failed has not happened: the first request that has no
/// answer gets the 500.
#[test]
fn pipelined_requests_are_not_answered_twice() {
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let (answer, _) = say(&[get("/"), get("/panic"), get("/")].concat());
    assert_eq!(answer, FAILURE);
    let (answer, _) = say(&[get("/"), get("/panic/while"), get("/")].concat());
    assert_eq!(answer, format!("{FINE}{FAILURE}"));
}

#[test]
fn a_body_that_is_on_its_way_does_not_drown_the_answer() {
    const LENGTH: usize = 3 << 20;
    let (mut client, worker) = harness::serve::<serve>(|| ());
    write!(client, "POST /panic/body HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n").unwrap();
    client.write_all(b"Expect: 100-continue\r\n\r\n").unwrap();
    let mut interim = [0; 25];
    client.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(&vec![b'x'; LENGTH]).unwrap();
    assert_eq!(read(&mut client), FAILURE);
    drop(client);
    assert!(!worker.join().unwrap());
}

#[vk::coroutine]
fn ends_badly(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        http::respond(io, &request, 200, "", b"fine")?;
    }
    match request.path() {
        "/" => panic!("asked to"),
        _ => Err(io::ErrorKind::Other.into()),
    }
}

#[test]
fn who_asks_nothing_is_told_nothing() {
    for path in ["/", "/error"] {
        let (mut client, worker) = harness::serve::<ends_badly>(|| ());
        write!(client, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!((read(&mut client), worker.join().unwrap()), (FINE.to_owned(), false));
    }
}
