//! The client against servers of plain threads, which say what they are told to.
#![allow(missing_docs)]

extern crate vk_core as vk;

mod harness;
mod peer;

use peer::{OK, server};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use vk_core::{Io, Line};
use vk_http::client::{self, Client};

/// What a line asks for: `METHOD URL redirects [body]`.
#[derive(vk_core::Plain)]
struct Ask {
    line: Line<8192>,
}

impl Ask {
    fn word(&self, at: usize) -> &str {
        str::from_utf8(&self.line).unwrap().trim_end().splitn(4, ' ').nth(at).unwrap_or("")
    }

    fn method(&self) -> &str {
        self.word(0)
    }

    fn target(&self) -> &str {
        self.word(1)
    }

    fn body(&self) -> &[u8] {
        self.word(3).as_bytes()
    }
}

/// Asks for each line, and answers with what came of it.
#[vk::coroutine]
fn asker(io: &mut Io) -> io::Result<()> {
    let mut client: Client = Client::new();
    client.connect_secs = 2;
    client.answer_secs = 1;
    client.limits.body_secs = 1;
    client.limits.body_rate = 0;
    let mut ask: Ask = Ask { line: Line::new() };
    while io.read_line(&mut ask.line)? {
        client.redirects = ask.word(2).parse().unwrap();
        if let Err(error) = once(io, &mut client, &ask) {
            let kind: io::ErrorKind = error.kind();
            writeln!(io, "{kind:?}")?;
        }
    }
    Ok(())
}

#[vk::coroutine]
fn once(io: &mut Io, client: &mut Client, ask: &Ask) -> io::Result<()> {
    client::field(io, client, "Authorization", "secret")?;
    client::field(io, client, "X-Other", "told")?;
    if ask.target().ends_with("/x/y") {
        client::field(io, client, "Content-Language", "de")?;
    }
    if ask.method() == "STREAM" {
        client::begin(io, client, "POST", ask.target(), "", None)?;
        for at in 0..ask.body().len() {
            client::write(io, client, &ask.body()[at..at + 1])?;
        }
        client::end(io, client)?;
    } else {
        client::send(io, client, ask.method(), ask.target(), "text/plain", ask.body())?;
    }
    client::read_whole(io, client, 100_000)?;
    let trailers: usize = client.trailers().count();
    let fields: usize = client.head().unwrap().headers().len();
    assert_eq!(fields, client.fields().count());
    let status: u16 = client.head().unwrap().status().as_u16();
    write!(io, "{status} {fields}+{trailers} ")?;
    io.write_all(client.body())?;
    io.write_all(b"\n")
}

/// What came of each line.
fn ask(lines: &[String]) -> Vec<String> {
    let (mut stream, worker) = harness::serve_in::<asker>(32768, || ());
    stream.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answers = BufReader::new(stream).lines().map(Result::unwrap).collect();
    assert!(worker.join().unwrap());
    answers
}

/// What comes of one answer to `method`.
fn outcome(method: &str, answer: &str) -> String {
    let (address, _requests) = server(vec![vec![answer.to_owned()]]);
    ask(&[format!("{method} http://{address}/ 0")]).concat()
}

#[test]
fn answers() {
    for (method, answer, expected) in [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 1+0 hello"),
        ("GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 1+0 "),
        ("GET", "HTTP/1.1 299 \r\nA: b\r\n\r\nuntil the end", "299 1+0 until the end"),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nuntil the end", "200 0+0 until the end"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\nC: d\r\n\r\n",
            "200 1+2 abcde",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200 1+0 "),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 1+0 "),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "204 1+0 "),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 1+0 "),
        (
            "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "200 1+0 x",
        ),
        // What is none.
        ("GET", "", "UnexpectedEof"),
        ("GET", "wait", "TimedOut"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-", "InvalidData"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "InvalidData"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "InvalidData"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "InvalidData"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "InvalidData",
        ),
        ("GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "InvalidData"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "InvalidData"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "InvalidData"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "InvalidData"),
        ("GET", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "InvalidData"),
        ("GET", "HTTP/1.1 099 Low\r\n\r\n", "InvalidData"),
        ("GET", "HTTP/1.1 20 OK\r\n\r\n", "InvalidData"),
        ("GET", "HTTP/1.1 2000 OK\r\n\r\n", "InvalidData"),
        ("GET", "HTTP/2 200 OK\r\n\r\n", "InvalidData"),
        ("GET", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "InvalidData"),
        ("GET", "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", "InvalidData"),
        ("GET", "SSH-2.0-OpenSSH_9.6\r\n", "InvalidData"),
    ] {
        assert_eq!(outcome(method, answer), expected, "{method} {answer:?}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(9000));
    assert_eq!(outcome("GET", &long), "InvalidData");
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n{}", "b".repeat(100_001));
    assert_eq!(outcome("GET", &large), "FileTooLarge");
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "b".repeat(100_000));
    assert_eq!(outcome("GET", &large).len(), 100_000 + "200 1+0 ".len());
}

#[test]
fn requests() {
    let answers = vec![vec![OK.into(); 4]];
    let (address, requests) = server(answers);
    let lines = [
        format!("GET http://{address}?q 0"),
        format!("POST http://{address}/a/b#c 0 body"),
        format!("STREAM http://{address}/ 0 abc"),
        format!("DELETE http://{address}/ 0"),
    ];
    assert_eq!(ask(&lines), ["200 1+0 ok"; 4]);
    let said = "Authorization: secret|X-Other: told|";
    let expected = [
        format!("0 GET /?q HTTP/1.1|Host: {address}|{said}Content-Type: text/plain||"),
        format!(
            "0 POST /a/b HTTP/1.1|Host: {address}|{said}Content-Type: text/plain|Content-Length: 4||body"
        ),
        format!("0 POST / HTTP/1.1|Host: {address}|{said}Transfer-Encoding: chunked||1|a|1|b|1|c|0||"),
        format!("0 DELETE / HTTP/1.1|Host: {address}|{said}Content-Type: text/plain||"),
    ];
    for expected in expected {
        assert_eq!(requests.recv().unwrap().replace("\r\n", "|"), expected);
    }
}

#[test]
fn connections() {
    let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    // Kept, and ended by the server without a word; then with one; then by its nature.
    let answers = [vec![OK, OK], vec![OK, close, "never"], vec!["HTTP/1.0 200 OK\r\n\r\nok"], vec![OK]];
    let (address, requests) =
        server(answers.map(|list| list.into_iter().map(str::to_owned).collect()).into());
    let line = format!("GET http://{address}/ 0");
    let answers = ask(&vec![line; 6]);
    assert_eq!(answers, ["200 1+0 ok", "200 1+0 ok", "200 1+0 ok", "200 2+0 ok", "200 0+0 ok", "200 1+0 ok"]);
    let numbers: String = requests.try_iter().map(|request| request.chars().next().unwrap()).collect();
    assert_eq!(numbers, "001123");
}

#[test]
fn redirects() {
    let to = |status: u16, place: &str| {
        format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {place}\r\nContent-Length: 4\r\n\r\nmove")
    };
    let (other, others) = server(vec![vec![OK.into()]]);
    let answers = [
        to(301, "/b"),
        OK.into(),
        to(303, "c?d"),
        OK.into(),
        to(302, "//"),
        to(307, "../e"),
        OK.into(),
        to(308, "/1"),
        to(308, "/2"),
        to(308, "/3"),
        to(302, &format!("http://{other}/f")),
        to(302, "https://a/"),
    ];
    let (address, requests) = server(vec![answers.into()]);
    let lines = [
        format!("GET http://{address}/a 1"),
        format!("POST http://{address}/x/y 1 body"),
        format!("GET http://{address}/ 0"),
        format!("POST http://{address}/x/y 1 body"),
        format!("GET http://{address}/0 2"),
        format!("POST http://{address}/ 5 body"),
        format!("GET http://{address}/ 1"),
    ];
    let answers = ask(&lines);
    let expected = ["200 1+0 ok", "200 1+0 ok", "302 2+0 move", "200 1+0 ok", "308 2+0 move", "200 1+0 ok"];
    assert_eq!(answers[..6], expected);
    let asked: Vec<String> = requests.try_iter().collect();
    let lines: Vec<&str> = asked.iter().map(|request| request[2..].split(" HTTP").next().unwrap()).collect();
    let expected = [
        "GET /a",
        "GET /b",
        "POST /x/y",
        "GET /x/c?d",
        "GET /",
        "POST /x/y",
        "POST /e",
        "GET /0",
        "GET /1",
        "GET /2",
        "POST /",
    ];
    assert_eq!(lines[..expected.len()], expected);
    assert!(asked[6].ends_with("\r\n\r\nbody") && !asked[3].ends_with("body"));
    assert!(asked[2].contains("Content-Language: de") && asked[5].contains("Content-Language: de"));
    assert!(asked[3].contains("Authorization: secret") && !asked[3].contains("Content-"));
    let other = others.recv().unwrap();
    assert!(other.starts_with("0 GET /f HTTP/1.1\r\n"), "{other}");
    assert!(other.contains("X-Other: told\r\n") && !other.contains("Authorization"), "{other}");
}

#[test]
fn what_can_not_be_reached() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (address, _requests) = server(vec![vec![OK.into()]]);
    let port = address.port();
    let lines = [
        format!("GET http://{gone}/ 0"),
        "GET http://no-such-host.invalid/ 0".into(),
        "GET https://127.0.0.1/ 0".into(),
        "GET nothing 0".into(),
        "G@T http://127.0.0.1/ 0".replace('@', "("),
        // ::1 refuses, 127.0.0.1 doesn't.
        format!("GET http://localhost:{port}/ 0"),
    ];
    let expected =
        ["ConnectionRefused", "NotFound", "Unsupported", "InvalidInput", "InvalidInput", "200 1+0 ok"];
    assert_eq!(ask(&lines), expected);
}
