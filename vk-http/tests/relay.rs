//! The reverse proxy between plain clients and servers.
#![allow(missing_docs)]

extern crate vk_core as vk;

mod harness;
mod peer;

use peer::{OK, server};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;
use vk_core::{Io, Line};
use vk_http::client::{self, Client};
use vk_http::{self as http, Request};

/// The first line that comes: the other server's URL.
#[derive(vk_core::Plain)]
struct Base(Line<256>);

impl Base {
    fn target(&self) -> &str {
        str::from_utf8(&self.0).unwrap().trim_end()
    }
}

#[vk::coroutine]
fn proxy(io: &mut Io) -> io::Result<()> {
    let mut base: Base = Base(Line::new());
    io.read_line(&mut base.0)?;
    let mut request: Request = Request::new();
    let mut client: Client = Client::new();
    client.answer_secs = 1;
    while http::read_request(io, &mut request)? {
        if request.path() == "/small" {
            request.limits.body = 4;
        }
        http::field(io, &request, "X-Proxy", "vk")?;
        client::relay(io, &mut request, &mut client, base.target())?;
    }
    Ok(())
}

fn start(base: &str) -> UnixStream {
    let (mut stream, _worker) = harness::serve_in::<proxy>(32768, || ());
    writeln!(stream, "{base}").unwrap();
    stream
}

/// What comes back for `requests`, until the connection ends.
fn answers(base: &str, requests: impl AsRef<[u8]>) -> String {
    let mut stream = start(base);
    stream.write_all(requests.as_ref()).unwrap();
    // A client that is half closed gets its answers nevertheless.
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = Vec::new();
    // A connection that is cut may be reset.
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    let lines = text.split("\r\n").filter(|line| !line.starts_with("Date: "));
    lines.collect::<Vec<_>>().join("|")
}

/// What comes back for one request, and what the server was asked.
fn relayed(request: impl AsRef<[u8]>, answer: &str) -> (String, String) {
    relayed_below("", request, answer)
}

/// As [`relayed`], below a path of the server.
fn relayed_below(path: &str, request: impl AsRef<[u8]>, answer: &str) -> (String, String) {
    let (address, requests) = server(vec![vec![answer.to_owned()]]);
    let answers = answers(&format!("http://{address}{path}"), request);
    let asked = requests.try_recv().unwrap_or_default().replace("\r\n", "|");
    (answers, asked.trim_start_matches("0 ").replace(&address.to_string(), "SERVER"))
}

#[test]
fn fields() {
    let request = "GET /a?b HTTP/1.1\r\nHost: site:80\r\nConnection: keep-alive, X-Hop ,upgrade\r\nX-Hop: a\r\n\
        Keep-Alive: 5\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: websocket\r\nProxy-Connection: x\r\nx-hop: b\r\n\
        Via: 1.0 first\r\nForwarded: for=1.2.3.4\r\nX-End: \u{e9}\r\nAuthorization: secret\r\n\r\n";
    let answer = "HTTP/1.1 200 Whatever\r\nConnection: X-Back\r\nX-Back: a\r\nKeep-Alive: timeout=5\r\nServer: s\r\n\
        Content-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nUpgrade: h2c\r\n\r\nok";
    let (answer, asked) = relayed(request, answer);
    assert_eq!(
        asked,
        "GET /a?b HTTP/1.1|Host: SERVER|Via: 1.0 first|Forwarded: for=1.2.3.4|X-End: \u{e9}|Authorization: secret|\
         Connection: TE|TE: trailers|Via: 1.1 vk|Forwarded: for=unknown;host=\"site:80\";proto=http||"
    );
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK|X-Proxy: vk|Server: s|Set-Cookie: a|Set-Cookie: b|Via: 1.1 vk|Content-Length: 2||ok"
    );
}

#[test]
fn bodies_that_are_too_large_stay_here() {
    let request = |body: &str| format!("POST /small HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{body}");
    let (answer, asked) = relayed(request("Content-Length: 4\r\n\r\nabcd"), OK);
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue||HTTP/1.1 200 ") && asked.ends_with("||abcd"),
        "{answer}"
    );
    let (answer, asked) = relayed(request("Content-Length: 5\r\n\r\nabcde"), OK);
    assert!(answer.starts_with("HTTP/1.1 413 ") && asked.is_empty(), "{answer}");
    let chunked = request("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let (answer, asked) = relayed(&chunked, OK);
    assert!(answer.contains("HTTP/1.1 413 "), "{answer}");
    assert!(!asked.contains("de") && !asked.ends_with("|0||"), "{asked}");
}

#[test]
fn bodies() {
    let head = "X-Proxy: vk|";
    for (request, asked, answer, expected) in [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "Content-Length: 5||hello",
            "HTTP/1.1 201 \r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
            format!("HTTP/1.1 201 Created|{head}Via: 1.1 vk|Transfer-Encoding: chunked||5|hello|0||"),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
            "Transfer-Encoding: chunked||5|hello|0|A: b||",
            "HTTP/1.1 200 OK\r\n\r\nuntil the end",
            format!("HTTP/1.1 200 OK|{head}Via: 1.1 vk|Transfer-Encoding: chunked||d|until the end|0||"),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "Content-Length: 0||",
            "HTTP/1.1 204 No\r\n\r\n",
            format!("HTTP/1.1 204 No Content|{head}Via: 1.1 vk||"),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "proto=http||",
            "HTTP/1.1 205 Again\r\nContent-Length: 5\r\n\r\nhello",
            format!("HTTP/1.1 205 Reset Content|{head}Via: 1.1 vk|Content-Length: 0||"),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "proto=http||",
            "HTTP/1.1 205 Again\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            format!("HTTP/1.1 205 Reset Content|{head}Via: 1.1 vk|Content-Length: 0||"),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: x-hop\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Hop: a\r\n\r\n",
            "Transfer-Encoding: chunked||0||",
            "HTTP/1.1 200 OK\r\nConnection: x-back\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Back: a\r\nX: b\r\nIf-Match: c\r\n\r\n",
            format!("HTTP/1.1 200 OK|{head}Via: 1.1 vk|Transfer-Encoding: chunked||0|X: b||"),
        ),
        (
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            "proto=http||",
            "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
            format!("HTTP/1.1 200 OK|{head}Via: 1.1 vk|Content-Length: 500||"),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: x\r\n\r\n",
            "proto=http||",
            "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
            format!("HTTP/1.1 304 Not Modified|{head}ETag: x|Via: 1.1 vk||"),
        ),
        (
            "GET / HTTP/1.0\r\n\r\n",
            "Via: 1.0 vk|Forwarded: for=unknown;host=\"\";proto=http||",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            format!("HTTP/1.1 200 OK|{head}Via: 1.1 vk|Connection: close||hello"),
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "proto=http||",
            "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
            format!("HTTP/1.1 103 Early Hints|Link: x||HTTP/1.1 299 |{head}Via: 1.1 vk|Content-Length: 0||"),
        ),
        // Who doesn't know of such things isn't told.
        (
            "GET / HTTP/1.0\r\n\r\n",
            "proto=http||",
            "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            format!("HTTP/1.1 200 OK|{head}Via: 1.1 vk|Content-Length: 0|Connection: close||"),
        ),
        // Trailers, both ways, but for those that would say something about the message.
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTE: deflate;q=0.5, trailers\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
             1\r\nx\r\n0\r\nSum: 1\r\nHost: b\r\nContent-Length: 5\r\nSign: \u{e9}\r\n\r\n",
            "Transfer-Encoding: chunked||1|x|0|Sum: 1|Sign: \u{e9}||",
            "HTTP/1.1 200 OK\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSum: 2\r\nTransfer-Encoding: x\r\n\r\n",
            format!("HTTP/1.1 200 OK|{head}Trailer: Sum|Via: 1.1 vk|Transfer-Encoding: chunked||0|Sum: 2||"),
        ),
        (
            "GET / HTTP/1.0\r\n\r\n",
            "proto=http||",
            "HTTP/1.1 200 OK\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSum: 2\r\n\r\n",
            format!("HTTP/1.1 200 OK|{head}Via: 1.1 vk|Connection: close||x"),
        ),
        (
            "OPTIONS /a HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n",
            "SERVER|Max-Forwards: 6|Via: 1.1 vk|Forwarded: for=unknown;host=\"a\";proto=http||",
            OK,
            format!("HTTP/1.1 200 OK|{head}Via: 1.1 vk|Content-Length: 2||ok"),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
            "SERVER|Max-Forwards: 0|Via: 1.1 vk|Forwarded: for=unknown;host=\"a\";proto=http||",
            OK,
            format!("HTTP/1.1 200 OK|{head}Via: 1.1 vk|Content-Length: 2||ok"),
        ),
    ] {
        let (came, was_asked) = relayed(request, answer);
        assert_eq!(came, expected, "{request:?}");
        assert!(was_asked.ends_with(asked), "{was_asked}");
    }
}

#[test]
fn servers_that_fail() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(answers(&format!("http://{gone}"), request).starts_with("HTTP/1.1 502 "));
    for (answer, expected) in [
        ("wait", "HTTP/1.1 504 Gateway Timeout|X-Proxy: vk|"),
        ("", "HTTP/1.1 502 Bad Gateway|X-Proxy: vk|"),
        ("nonsense\r\n\r\n", "HTTP/1.1 502 "),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", "HTTP/1.1 502 "),
        ("HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 502 "),
        ("HTTP/1.1 200 OK\r\nA", "HTTP/1.1 502 "),
    ] {
        let (came, _) = relayed(request, answer);
        assert!(came.starts_with(expected), "{came}");
        let (came, _) = relayed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", answer);
        assert!(came.starts_with(expected), "{came}");
    }
    // After a failure the next request finds another server, or the same again.
    let (address, _requests) = server(vec![vec!["nonsense\r\n\r\n".into()], vec![OK.into()]]);
    let came = answers(&format!("http://{address}"), request.repeat(2));
    assert!(came.starts_with("HTTP/1.1 502 ") && came.ends_with("||ok"), "{came}");
}

/// What breaks off must not look whole.
#[test]
fn answers_that_break_off() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel";
    let (came, _) = relayed(request.repeat(2), chunked);
    assert!(came.starts_with("HTTP/1.1 200 OK|") && !came.contains("|0||"), "{came}");
    let (came, _) = relayed(request.repeat(2), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    assert!(came.matches("HTTP/1.1").count() == 1, "{came}");
}

#[test]
fn one_connection_serves_many_requests() {
    // The second connection is found ended, and the request made again or not.
    let (address, requests) = server(vec![vec![OK.into(); 3], vec![OK.into()], vec![OK.into()]]);
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    let came = answers(&format!("http://{address}"), [get, post, get, get].concat());
    assert_eq!(came.matches("||ok").count(), 4, "{came}");
    let numbers: String = requests.try_iter().map(|request| request.chars().next().unwrap()).collect();
    assert_eq!(numbers, "0001");
}

/// A request that must not be made twice doesn't go out on a connection that has ended.
#[test]
fn a_kept_connection_that_has_ended() {
    let (address, requests) = server(vec![vec![OK.into()], vec![OK.into()]]);
    let mut stream = start(&format!("http://{address}"));
    for request in
        ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"]
    {
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\nok") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
            assert!(!text.starts_with(b"HTTP/1.1 5"));
        }
        // The server hangs up meanwhile.
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(requests.try_iter().count(), 2);
}

/// The server's time to answer begins when it has the request.
#[test]
fn slow_bodies() {
    let (address, _requests) = server(vec![vec![OK.into()]]);
    let mut stream = start(&format!("http://{address}"));
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n").unwrap();
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(400));
        stream.write_all(b"x").unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("ok"), "{text}");
}

/// A server that answers before it has the whole request.
#[test]
fn early_answers() {
    let (address, _requests) = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (
            address,
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 100]);
                let _ = stream.write_all(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno");
                thread::sleep(Duration::from_secs(2));
            }),
        )
    };
    let mut stream = start(&format!("http://{address}"));
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\nbegin").unwrap();
    let mut reader = stream.try_clone().unwrap();
    let reading = thread::spawn(move || {
        let mut text = String::new();
        let _ = reader.read_to_string(&mut text);
        text
    });
    // Until it hears that nobody listens.
    while stream.write_all(&[b'x'; 10000]).is_ok() && !reading.is_finished() {}
    let text = reading.join().unwrap();
    assert!(text.starts_with("HTTP/1.1 413 ") && text.ends_with("\r\n\r\nno"), "{text}");
}

/// A client that breaks off, or sends no body at all but nonsense.
#[test]
fn bodies_that_break_off() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nbegin",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx",
    ] {
        let (came, _) = relayed(request, OK);
        assert!(came.starts_with("HTTP/1.1 400 ") && came.contains("|Connection: close|"), "{came}");
    }
}

/// An option of a connection is one whatever stands beside it.
#[test]
fn options_that_are_not_text() {
    let request =
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: \xff\r\nConnection: x-hop\r\nX-Hop: secret\r\n\r\n";
    let (_, asked) = relayed(request, OK);
    assert!(asked.starts_with("GET / ") && !asked.contains("secret"), "{asked}");
}

#[test]
fn paths_below_another() {
    for (target, expected) in [
        ("/a?b", Some("/app/a?b")),
        ("/a/..b/...", Some("/app/a/..b/...")),
        ("http://a?b", Some("/app/?b")),
        ("/../b", None),
        ("/a/%2e%2E/%2e./b", None),
        ("/..", None),
        ("/..%2fadmin", None),
        ("/a/..%5c..;x=1", None),
    ] {
        let (came, asked) = relayed_below("/app/", format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), OK);
        match expected {
            Some(path) => assert!(asked.starts_with(&format!("GET {path} HTTP/1.1|")), "{target}: {asked}"),
            None => assert!(came.starts_with("HTTP/1.1 400 ") && asked.is_empty(), "{target}: {asked}"),
        }
    }
    // What is below nothing is the server's to judge (RFC 9112, 3.2.1).
    let (_, asked) = relayed("GET /../b HTTP/1.1\r\nHost: a\r\n\r\n", OK);
    assert!(asked.starts_with("GET /../b "), "{asked}");
    // RFC 9112, 3.2.4.
    let (_, asked) = relayed_below("/app", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", OK);
    assert!(asked.starts_with("OPTIONS * HTTP/1.1|"), "{asked}");
}

/// Requests that go no further.
#[test]
fn the_last_one_to_be_asked() {
    for (method, forwards, expected) in [
        ("OPTIONS", "0", "HTTP/1.1 204 No Content|"),
        ("OPTIONS", "+1", "HTTP/1.1 400 "),
        ("OPTIONS", "99999999999999999999", "HTTP/1.1 400 "),
    ] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {forwards}\r\n\r\n");
        let (came, asked) = relayed(&request, OK);
        assert!(came.starts_with(expected) && asked.is_empty(), "{came}, {asked}");
    }
}

/// Both ways at once: the server sends back what it gets, and nobody waits for the whole.
#[test]
fn streams_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    const LENGTH: usize = 20_000_000;
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = io::BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            io::BufRead::read_line(&mut stream, &mut line).unwrap();
        }
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
        let mut to = stream.get_ref().try_clone().unwrap();
        io::copy(&mut stream, &mut to).unwrap();
    });
    let mut stream = start(&format!("http://{address}"));
    let data: Vec<u8> = (0..LENGTH).map(|at| (at * 7 + at / 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = data.clone();
    let writing = thread::spawn(move || {
        write!(writer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut came = Vec::new();
    stream.read_to_end(&mut came).unwrap();
    writing.join().unwrap();
    assert!(came.ends_with(&data));
}
