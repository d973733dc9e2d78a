//! The built server, on a free port of the loopback, as a client sees it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// No wait of these tests is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that ends with the test.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(poller: &str) -> Server {
        let mut process = Command::new(env!("CARGO_BIN_EXE_http_echo"))
            .args(["--listen", "127.0.0.1:0", "--workers", "0", "--poller", poller])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").expect(&line).parse().unwrap();
        // What else it says goes where the test's own output goes.
        thread::spawn(move || log.lines().map_while(Result::ok).for_each(|line| eprintln!("server: {line}")));
        Server { process, address }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    /// Sends `request` on a connection of its own; returns all answers until the server ends it.
    fn ask(&self, request: impl AsRef<[u8]>) -> Vec<Answer> {
        let mut client = self.connect();
        client.send(request);
        client.rest()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a test against a server on each poller.
fn each_poller(test: impl Fn(&Server)) {
    for poller in ["epoll", "uring"] {
        // Sandboxes refuse io_uring; there the server would end at once.
        if poller == "epoll" || has_uring() {
            test(&Server::start(poller));
        }
    }
}

fn has_uring() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|text| text.trim() == "0")
}

struct Client(BufReader<TcpStream>);

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    fn closes(&self) -> bool {
        self.get("connection") == Some("close")
    }
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("no end of line in {line:?}")).to_owned()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn head(&mut self) -> Answer {
        let line = self.line();
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next()).expect(&line);
        let mut answer = Answer { status: status.parse().unwrap(), fields: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").expect(&line);
            answer.fields.push((name.to_lowercase(), value.to_owned()));
        }
        assert!(answer.status < 200 || answer.get("date").is_some_and(|date| date.len() == 29));
        answer
    }

    fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.get("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(&self.line(), 16).unwrap();
                answer.body.extend(self.bytes(size));
                assert_eq!(self.line(), "");
                if size == 0 {
                    break;
                }
            }
        } else if answer.status >= 200 {
            let length = answer.get("content-length").expect("an answer has a length").parse().unwrap();
            answer.body = self.bytes(length);
        }
        answer
    }

    fn is_over(&mut self) -> bool {
        self.0.fill_buf().unwrap().is_empty()
    }

    fn rest(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while !self.is_over() {
            answers.push(self.answer());
        }
        answers
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn post(target: &str, fields: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}")
}

/// Bytes in which each place differs from its neighbourhood.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn keeps_the_connection() {
    each_poller(|server| {
        let mut client = server.connect();
        for _ in 0..3 {
            client.send(get("/plaintext"));
            let answer = client.answer();
            assert_eq!((answer.status, answer.text()), (200, "Hello, World!"));
            assert_eq!(answer.get("content-type"), Some("text/plain"));
            client.send(post("/any?a=b", "Content-Length: 5\r\n", "hello"));
            assert_eq!(client.answer().text(), "POST /any?a=b\nhello");
        }
        client.send("GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = client.answer();
        assert!(answer.closes() && answer.text() == "GET /last\n");
        assert!(client.is_over());
    });
}

#[test]
fn answers_a_pipeline_in_order() {
    each_poller(|server| {
        let mut client = server.connect();
        let requests: String = (0..2000).map(|n| get(&format!("/{n}"))).collect();
        thread::scope(|scope| {
            let mut writer = client.0.get_ref().try_clone().unwrap();
            scope.spawn(move || writer.write_all(requests.as_bytes()).unwrap());
            for n in 0..2000 {
                assert_eq!(client.answer().text(), format!("GET /{n}\n"));
            }
        });
    });
}

#[test]
fn cuts_make_no_difference() {
    let requests = [
        get("/plaintext"),
        post("/a", "Content-Length: 5\r\n", "hello"),
        post(
            "/echo",
            "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n",
            "3;x=\"y\"\r\nabc\r\n1\r\nd\r\n0\r\nT: u\r\n\r\n",
        ),
        "GET /b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
    ]
    .concat();
    each_poller(|server| {
        let texts = ["Hello, World!", "POST /a\nhello", "abcd", "GET /b\n"];
        let check = |answers: Vec<Answer>, cut: usize| {
            assert!(answers.iter().map(Answer::text).eq(texts), "cut at {cut}: {answers:?}");
        };
        for cut in 1..requests.len() {
            let mut client = server.connect();
            client.send(&requests[..cut]);
            // The first part is read before the second is sent, as a rule.
            thread::sleep(Duration::from_micros(300));
            client.send(&requests[cut..]);
            check(client.rest(), cut);
        }
        let mut client = server.connect();
        for byte in requests.bytes() {
            client.send([byte]);
            thread::sleep(Duration::from_micros(100));
        }
        check(client.rest(), 0);
    });
}

#[test]
fn echoes_some_megabytes() {
    let body = pattern(5_000_011);
    each_poller(|server| {
        let mut client = server.connect();
        let mut writer = client.0.get_ref().try_clone().unwrap();
        thread::scope(|scope| {
            let body = &body;
            scope.spawn(move || {
                write!(
                    writer,
                    "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                )
                .unwrap();
                writer.write_all(body).unwrap();
                write!(writer, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                    .unwrap();
                for (n, chunk) in body.chunks(70_001).enumerate() {
                    // Small chunks among the large ones.
                    let (small, large) = chunk.split_at(n % 40);
                    for part in [small, large].into_iter().filter(|part| !part.is_empty()) {
                        write!(writer, "{:x}\r\n", part.len()).unwrap();
                        writer.write_all(part).unwrap();
                        writer.write_all(b"\r\n").unwrap();
                    }
                }
                writer.write_all(b"0\r\n\r\n").unwrap();
                writer.write_all(get("/after").as_bytes()).unwrap();
            });
            let answer = client.answer();
            assert_eq!((answer.get("content-type"), answer.body == *body), (Some("x/y"), true));
            let answer = client.answer();
            assert_eq!(answer.get("transfer-encoding"), Some("chunked"));
            assert!(answer.body == *body);
            assert_eq!(client.answer().text(), "GET /after\n");
        });
    });
}

#[test]
fn takes_a_mebibyte_whole() {
    const LIMIT: usize = 1 << 20;
    each_poller(|server| {
        let body = "x".repeat(LIMIT);
        let mut client = server.connect();
        for fields in [format!("Content-Length: {LIMIT}\r\n"), "Transfer-Encoding: chunked\r\n".into()] {
            let chunked = format!("{LIMIT:x}\r\n{body}\r\n0\r\n\r\n");
            client.send(post("/", &fields, if fields.starts_with('C') { &body } else { &chunked }));
            assert!(client.answer().text().strip_prefix("POST /\n") == Some(&body));
        }
        let large = [
            post("/", &format!("Content-Length: {}\r\n", LIMIT + 1), &body),
            post("/", "Transfer-Encoding: chunked\r\n", &format!("{:x}\r\n{body}x\r\n", LIMIT + 1)),
        ];
        for request in large {
            let answers = server.ask(request);
            assert!(answers.len() == 1 && answers[0].status == 413 && answers[0].closes(), "{answers:?}");
        }
    });
}

#[test]
fn refuses_with_a_status_and_closes() {
    let refusals = [
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "nonsense\r\n".to_owned()),
        (400, "GET / HTTP/1.1\nHost: a\n\n".to_owned()),
        (400, post("/", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        (400, post("/", "Transfer-Encoding: chunked\r\n", "x\r\n")),
        (414, get(&"/".repeat(9000))),
        (417, post("/", "Content-Length: 5\r\nExpect: miracles\r\n", "")),
        (431, post("/", &format!("X: {}\r\n", "y".repeat(20_000)), "")),
        (431, post("/", &"X: y\r\n".repeat(101), "")),
        (431, post("/", "Transfer-Encoding: chunked\r\n", &format!("0\r\n{}", "X: y\r\n".repeat(100_000)))),
        (501, post("/", "Transfer-Encoding: gzip, chunked\r\n", "")),
        (501, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned()),
        (505, "GET / HTTP/3.0\r\n\r\n".to_owned()),
    ];
    each_poller(|server| {
        for (status, request) in &refusals {
            // What follows must not be answered.
            let answers = server.ask(format!("{}{request}{}", get("/first"), get("/evil")));
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [200, *status], "{:?}", &request[..60.min(request.len())]);
            assert!(answers[1].closes());
        }
        // Half a body, and the client has gone.
        let mut client = server.connect();
        client.send(post("/", "Content-Length: 5\r\n", "hel"));
        client.0.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.answer().status, 400);
        assert!(client.is_over());
    });
}

#[test]
fn head_has_no_body() {
    each_poller(|server| {
        let mut client = server.connect();
        for (target, length) in [("/plaintext", "13"), ("/x", "8")] {
            client.send(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let answer = client.head();
            assert_eq!((answer.status, answer.get("content-length")), (200, Some(length)));
        }
        client.send(get("/next"));
        assert_eq!(client.answer().text(), "GET /next\n");
    });
}

#[test]
fn says_that_the_body_may_come() {
    each_poller(|server| {
        for target in ["/", "/echo"] {
            let mut client = server.connect();
            client.send(post(target, "Expect: 100-continue\r\nContent-Length: 5\r\n", ""));
            assert_eq!(client.head().status, 100);
            client.send("hello");
            assert!(client.answer().text().ends_with("hello"));
            client.send(get("/next"));
            assert_eq!(client.answer().text(), "GET /next\n");
        }
    });
}

#[test]
fn serves_http_1_0() {
    each_poller(|server| {
        let answers = server.ask("GET /old HTTP/1.0\r\n\r\n");
        assert!(answers.len() == 1 && answers[0].closes() && answers[0].text() == "GET /old\n");
        let mut client = server.connect();
        for _ in 0..2 {
            client.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            let answer = client.answer();
            assert_eq!((answer.get("connection"), answer.text()), (Some("keep-alive"), "GET /old\n"));
        }
    });
}

#[test]
fn skips_what_is_not_read() {
    each_poller(|server| {
        let mut client = server.connect();
        let body = "x".repeat(10_000);
        client.send(format!("GET /plaintext HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n{body}"));
        assert_eq!(client.answer().text(), "Hello, World!");
        client.send(get("/next"));
        assert_eq!(client.answer().text(), "GET /next\n");
        // Too much of it ends the connection, in order.
        client.send(format!("GET /plaintext HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{body}"));
        assert!(client.answer().closes());
        assert!(client.is_over());
    });
}

#[test]
fn survives_clients_that_vanish() {
    each_poller(|server| {
        let request = post("/echo", "Content-Length: 100000\r\n", &"x".repeat(5000));
        for cut in [0, 1, 20, request.len()] {
            let mut client = server.connect();
            client.send(&request[..cut]);
        }
        // One that sends much and never reads, then goes.
        let client = server.connect();
        client.0.get_ref().set_nonblocking(true).unwrap();
        let requests = get("/plaintext").repeat(1000);
        for _ in 0..200 {
            match client.0.get_ref().write(requests.as_bytes()) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        drop(client);
        assert_eq!(server.ask("GET / HTTP/1.0\r\n\r\n")[0].status, 200);
    });
}
