//! Programs that others have written get what they ask for, and keep their connections. One that is not installed is
//! left out, and named on standard error.
//!
//! ```text
//!  program ──► Relay, which counts connections ──► server
//! ```

use serde_json::Value;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use vk_try::{App, Browser, command, eventually, left_out, program};

/// The server, and a relay before it.
struct Server {
    app: App,
    relay: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Server {
        let args = ["--listen", "127.0.0.1:0", "--workers", "2"];
        let app = App::start(&mut command(env!("CARGO_BIN_EXE_http_echo"), &args));
        let (server, listener) = (app.address(0), TcpListener::bind("127.0.0.1:0").unwrap());
        let relay = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming() {
                count.fetch_add(1, SeqCst);
                relay_to(server, client.unwrap()).unwrap();
            }
        });
        Server { app, relay, connections }
    }

    /// The address of a page.
    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.relay)
    }

    /// How many connections were made, now that clients are gone.
    #[track_caller]
    fn connections(&self) -> usize {
        assert!(!self.app.log().contains("panic"));
        self.connections.load(SeqCst)
    }
}

/// Copies both ways, until both sides have ended.
fn relay_to(server: SocketAddr, client: TcpStream) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        thread::spawn(move || {
            // One of them may be gone; then so is the connection.
            let ended = io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write));
            if ended.is_err() {
                let _ = from.shutdown(Shutdown::Both);
            }
        });
    }
    Ok(())
}

/// What a program said on standard output, and on standard error.
struct Said {
    output: String,
    errors: String,
}

impl Said {
    #[track_caller]
    fn has(&self, text: &str) {
        assert!(self.output.contains(text), "no {text:?} in {}{}", self.output, self.errors);
    }
}

/// Runs a program to its good end.
#[track_caller]
fn run(program: &Path, args: &[&str]) -> Said {
    let mut timeout = Command::new("timeout");
    let output = timeout.args(["-k", "1", "40"]).arg(program).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let said = Said { output: text(output.stdout), errors: text(output.stderr) };
    assert!(output.status.success(), "{program:?} {}: {}{}", output.status, said.output, said.errors);
    said
}

/// A file with a name of its own.
fn file(name: &str, contents: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, contents).unwrap();
    path
}

fn installed(name: &str) -> Option<PathBuf> {
    program(name).or_else(|| left_out(name))
}

#[test]
fn curl_keeps_its_connection() {
    let Some(curl) = installed("curl") else { return };
    let server = Server::start();
    let urls = ["/1", "/2?a=b", "/plaintext"].map(|target| server.url(target));
    let format = "\n%{http_code} %{num_connects} %{http_version}\n";
    let said = run(&curl, &["-sS", "-w", format, &urls[0], &urls[1], &urls[2]]);
    let expected = "GET /1\n\n200 1 1.1\nGET /2?a=b\n\n200 0 1.1\nHello, World!\n200 0 1.1\n";
    assert_eq!((said.output.as_str(), server.connections()), (expected, 1));
}

#[test]
fn curl_asks_before_it_sends() {
    let Some(curl) = installed("curl") else { return };
    let server = Server::start();
    let body: Vec<u8> = (0..3_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (upload, echoed) = (file("upload", &body), file("echoed", b""));
    let (from, to, url) = (upload.to_str().unwrap(), echoed.to_str().unwrap(), server.url("/echo"));
    for more in ["Content-Type: a/b", "Transfer-Encoding: chunked"] {
        let expect = "Expect: 100-continue";
        let said = run(&curl, &["-sSv", "-T", from, "-H", expect, "-H", more, "-o", to, &url]);
        assert!(said.errors.contains("< HTTP/1.1 100 Continue"), "{}", said.errors);
        assert!(said.errors.contains("< HTTP/1.1 200 OK"), "{}", said.errors);
        assert!(std::fs::read(&echoed).unwrap() == body, "another body came back");
    }
    let refused = ["-sS", "-o", to, "-w", "%{http_code}", "-T", from, "-H", "Expect: miracles", &url];
    assert_eq!(run(&curl, &refused).output, "417");
}

#[test]
fn curl_asks_for_heads() {
    let Some(curl) = installed("curl") else { return };
    let server = Server::start();
    let said = run(&curl, &["-sS", "-I", &server.url("/plaintext"), &server.url("/plaintext")]);
    let heads: Vec<&str> = said.output.split_terminator("\r\n\r\n").collect();
    assert_eq!((heads.len(), server.connections()), (2, 1), "{}", said.output);
    for head in heads {
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\nContent-Length: 13"), "{head}");
    }
}

#[test]
fn curl_of_old() {
    let Some(curl) = installed("curl") else { return };
    let server = Server::start();
    let said = run(&curl, &["-sS", "-0", "-i", "-d", "a=b", &server.url("/1"), &server.url("/2")]);
    let answers: Vec<&str> = said.output.split_inclusive("\na=b").collect();
    assert_eq!((answers.len(), server.connections()), (2, 2), "{}", said.output);
    for (answer, number) in answers.into_iter().zip(1..) {
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\nPOST /{number}\na=b")), "{answer}");
    }
}

#[test]
fn wrk_finds_no_error() {
    /// Counts what isn't as it should be, and prints it.
    const SCRIPT: &str = r#"
        local threads = {}
        function setup(thread) table.insert(threads, thread) end
        function init() wrong = 0 end
        function response(status, headers, body)
            if status ~= 200 or body ~= "Hello, World!" then wrong = wrong + 1 end
        end
        function done(summary)
            local errors, wrong = summary.errors, 0
            for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
            local sum = errors.connect + errors.read + errors.write + errors.status + errors.timeout
            print(string.format("enough %s, errors %d, wrong %d", summary.requests > 100, sum, wrong))
        end
    "#;
    let Some(wrk) = installed("wrk") else { return };
    let server = Server::start();
    let script = file("wrk.lua", SCRIPT.as_bytes());
    let url = server.url("/plaintext");
    run(&wrk, &["-t1", "-c8", "-d1s", "-s", script.to_str().unwrap(), &url])
        .has("enough true, errors 0, wrong 0");
    // It tries the address once before.
    assert_eq!(server.connections(), 9);
}

#[test]
fn h2load_finds_no_error() {
    let Some(h2load) = installed("h2load") else { return };
    let server = Server::start();
    // Four requests of each connection are under way at a time.
    let said = run(&h2load, &["--h1", "-n", "2000", "-c", "8", "-m", "4", &server.url("/plaintext")]);
    said.has("2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout");
    said.has("status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx");
    said.has(&format!("({}) data", 2000 * "Hello, World!".len()));
    assert_eq!(server.connections(), 8);
}

#[test]
fn ab_keeps_its_connections() {
    let Some(ab) = installed("ab") else { return };
    let server = Server::start();
    let said = run(&ab, &["-k", "-q", "-n", "2000", "-c", "8", &server.url("/plaintext")]);
    for (name, number) in [
        ("Complete requests", 2000),
        ("Failed requests", 0),
        ("Keep-Alive requests", 2000),
        ("HTML transferred", 2000 * "Hello, World!".len()),
    ] {
        let line = said.output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let found = line.and_then(|line| line.split_whitespace().next()).map(str::to_owned);
        assert_eq!(found, Some(number.to_string()), "{name}: {}", said.output);
    }
    assert!(!said.output.contains("Non-2xx"), "{}", said.output);
    assert_eq!(server.connections(), 8);
}

/// Runs a script of Python, with an interpreter that has `module`.
fn python(module: &str, script: &str) {
    let import = format!("import {module}");
    let has = |python: &PathBuf| {
        Command::new(python).args(["-c", &import]).output().is_ok_and(|output| output.status.success())
    };
    // The one that comes first may not be the one that Debian's packages are for.
    let candidates = program("python3").into_iter().chain([PathBuf::from("/usr/bin/python3")]);
    let found: Option<PathBuf> = candidates.into_iter().find(has);
    let Some(python) = found.or_else(|| left_out(&format!("Python with {module}"))) else { return };
    let server = Server::start();
    run(&python, &["-c", script, &server.relay.to_string()]).has("all is well");
    assert_eq!(server.connections(), 1);
}

#[test]
fn python_http_client() {
    python(
        "http.client",
        r#"
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=15)
def ask(*args, **more):
    connection.request(*args, **more)
    answer = connection.getresponse()
    assert (answer.status, answer.version) == (200, 11), (answer.status, answer.version)
    return answer, answer.read()
body = bytes(range(256)) * 1000
for n in range(10):
    assert ask("GET", f"/{n}")[1] == b"GET /%d\n" % n
assert ask("POST", "/echo", body)[1] == body
assert ask("PUT", "/echo", (body[at:at + 777] for at in range(0, len(body), 777)), encode_chunked=True,
    headers={"Transfer-Encoding": "chunked"})[1] == body
answer, nothing = ask("HEAD", "/plaintext")
assert (answer.getheader("Content-Length"), nothing) == ("13", b"")
assert ask("GET", "/plaintext")[1] == b"Hello, World!"
print("all is well")
"#,
    );
}

#[test]
fn python_requests() {
    python(
        "requests",
        r#"
import requests, sys
url = "http://" + sys.argv[1]
with requests.Session() as session:
    session.trust_env = False
    def ask(*args, **more):
        answer = session.request(*args, timeout=15, **more)
        answer.raise_for_status()
        return answer
    for n in range(10):
        assert ask("GET", url + "/a", params={"n": n}).text == f"GET /a?n={n}\n"
    assert ask("POST", url + "/form", data={"a": "b c"}).text == "POST /form\na=b+c"
    answer = ask("POST", url + "/echo", json={"a": [1, None]})
    assert answer.json() == {"a": [1, None]} and answer.headers["content-type"] == "application/json"
    body = bytes(range(256)) * 1000
    assert ask("PUT", url + "/echo", data=body).content == body
    assert ask("PUT", url + "/echo", data=(body[at:at + 777] for at in range(0, len(body), 777))).content == body
    assert ask("HEAD", url + "/plaintext").headers["content-length"] == "13"
print("all is well")
"#,
    );
}

/// What both Node and a browser run, given where the server is.
const FETCH: &str = r#"
    const check = (found, expected) => { if (found !== expected) throw new Error(`${found} is not ${expected}`) };
    for (let n = 0; n < 30; n++) {
        const answer = await fetch(`${url}/${n}?a=ü`);
        check(answer.status, 200);
        check(await answer.text(), `GET /${n}?a=%C3%BC\n`);
    }
    const body = new Uint8Array(300_000).map((_, n) => n * n / 7);
    const answer = await fetch(`${url}/echo`, { method: "POST", body, headers: { "Content-Type": "a/b" } });
    check(answer.headers.get("content-type"), "a/b");
    check(new Uint8Array(await answer.arrayBuffer()).join(), body.join());
    check(await (await fetch(`${url}/form`, { method: "PUT", body: new URLSearchParams({ a: "b" }) })).text(),
        "PUT /form\na=b");
    const head = await fetch(`${url}/plaintext`, { method: "HEAD" });
    check(head.headers.get("content-length") + await head.text(), "13");
"#;

#[test]
fn node_fetches() {
    const STREAM: &str = r#"
    const pieces = new ReadableStream({
        async start(to) {
            for (let n = 0; n < 100; n++) to.enqueue(body.subarray(n * 3000, n * 3000 + 3000));
            to.close();
        }
    });
    const streamed = await fetch(`${url}/echo`, { method: "POST", body: pieces, duplex: "half" });
    check(new Uint8Array(await streamed.arrayBuffer()).join(), body.join());
    "#;
    let Some(node) = installed("node") else { return };
    let server = Server::start();
    let url = server.url("");
    let script = format!("const url = '{url}'; {FETCH} {STREAM} console.log('all is well');");
    run(&node, &["--input-type=module", "-e", &script]).has("all is well");
    // It ends a connection itself after a HEAD: some servers send a body.
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_browser_fetches() {
    let Some(mut browser) = Browser::start(Path::new(env!("CARGO_TARGET_TMPDIR"))) else { return };
    let server = Server::start();
    let page = browser.open(&format!("http://{}/", server.relay));
    eventually("the page is there", || browser.evaluate(&page, "document.body?.innerText") == "GET /\n");
    let script = format!(
        "(async () => {{ const url = location.origin; {FETCH} return 'all is well' }})().catch(error => `${{error}}`)"
    );
    assert_eq!(browser.evaluate(&page, &script), Value::from("all is well"));
    // A browser opens some ahead, and takes up to six for one server.
    assert!((1..=6).contains(&server.connections()), "{} connections", server.connections());
}
