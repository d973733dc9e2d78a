//! Routes, and everything a handler answers with: the same for each way to cut the requests.

mod talk;

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use vk::prelude::*;
use vk_http::types::StatusCode;
use vk_http::{self as http, Limits, Request, Text};

http::routes! {
    /// Answers a request.
    pub api:
    GET "/user/{id}" => user,
    PUT | PATCH "/user/{id}" => update,
    GET "/user/{id}/{part}/of/{*rest}" => parts,
    GET "/squares" => squares,
    GET "/printed" => printed,
    GET "/fields" => fields,
    POST "/trailers" => trailers,
    POST "/form" => form,
    GET "/page" => page,
    GET "/noise" => noise,
    GET "/versions" => version,
    PUT | OPTIONS "/versions" => version,
    GET "/lines" => lines,
    GET "/lines-too-late" => lines_too_late,
    OPTIONS "/own" => own,
    POST "/impatient" => impatient,
    POST "/whole" => whole,
    POST "/whole/small" within SMALL => whole,
    POST "/whole/large" within Limits { body: u64::MAX, ..LIMITS } => whole,
    POST "/streamed/small" within SMALL => streamed,
    POST "/unread/small" within SMALL => unread,
    GET "/files/{*path}" => file,
    GET "/emptied" => emptied,
    GET "/texts/{*path}" => text,
    GET "/below/{*path}" => below,
    GET "/typed" => typed,
    BREW "/typed" => typed,
    GET "/mistaken" => mistaken,
    GET "/host" => host,
    _ => fallback,
}

const LIMITS: Limits = Limits { fields: 20, line: 1000, body: 2000, ..Limits::DEFAULT };
const SMALL: Limits = Limits { body: 10, ..LIMITS };

#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request_within(io, &mut request, &LIMITS)? {
        guarded(io, &mut request)?;
    }
    Ok(())
}

/// Stands around the routes.
#[vk::coroutine]
fn guarded(io: &mut Io, request: &mut Request) -> io::Result<()> {
    if request.get("authorization") == Some("none") {
        http::field(io, request, "WWW-Authenticate", "Basic")?;
        return http::respond_status(io, request, 401);
    }
    api(io, request)
}

#[derive(Serialize)]
struct User<'a> {
    id: u64,
    name: &'a str,
}

#[vk::coroutine]
fn user(io: &mut Io, request: &Request) -> io::Result<()> {
    let id: u64 = match request.param("id").and_then(|id| id.parse().ok()) {
        Some(id) => id,
        None => return http::respond_status(io, request, 404),
    };
    http::json(io, request, 200, &User { id, name: request.query().unwrap_or("no\"body") })
}

#[vk::coroutine]
fn update(io: &mut Io, request: &mut Request) -> io::Result<()> {
    http::read_whole_body(io, request, 100)?;
    let id: Text<20> = own_text(request.param("id"));
    http::field(io, request, "Location", &id)?;
    http::respond(io, request, 201, "", &request.body)
}

fn own_text(text: Option<&str>) -> Text<20> {
    use std::fmt::Write;
    let mut own = Text::new();
    write!(own, "{}", text.unwrap_or("")).unwrap();
    own
}

#[vk::coroutine]
fn parts(io: &mut Io, request: &Request) -> io::Result<()> {
    let names: Text<64> = {
        use std::fmt::Write;
        let mut all = Text::new();
        let part = |name| http::decode(request.param(name).unwrap_or("-"));
        write!(all, "{} {} {} {}", part("id"), part("part"), part("rest"), part("other")).unwrap();
        all
    };
    http::respond(io, request, 200, "", names.as_bytes())
}

#[vk::coroutine]
fn squares(io: &mut Io, request: &Request) -> io::Result<()> {
    let mut page: HeapBytes = io.alloc(4096)?;
    let length: usize = {
        let squares: Vec<u32> = (0..500).map(|n| n * n).collect();
        http::to_json(&squares, &mut page)?
    };
    http::respond(io, request, 200, "application/json", &page[..length])?;
    io.free(&mut page)
}

#[vk::coroutine]
fn printed(io: &mut Io, request: &Request) -> io::Result<()> {
    http::begin(io, request, 200, "text/plain", None)?;
    for n in 0u32..300 {
        http::print(io, request, &format_args!("{n:>20}\n"))?;
    }
    http::print(io, request, &format_args!(""))?;
    http::end(io, request)
}

#[vk::coroutine]
fn fields(io: &mut Io, request: &mut Request) -> io::Result<()> {
    for n in 0u32..50 {
        let value: Text<20> = own_text(Some(if n % 2 == 0 { "even" } else { "odd, with more" }));
        http::field(io, request, "X-Number", &value)?;
    }
    http::respond(io, request, 200, "", b"fields")
}

#[vk::coroutine]
fn trailers(io: &mut Io, request: &mut Request) -> io::Result<()> {
    http::read_whole_body(io, request, 1000)?;
    http::begin(io, request, 200, "text/plain", None)?;
    http::write(io, request, &request.body)?;
    let count: usize = request.trailers().count();
    for n in 0..count {
        let n: usize = n;
        let mut line: HeapBytes = io.alloc(4000)?;
        let length: usize = {
            let (name, value) = request.trailers().nth(n).unwrap();
            let text = format!("\n{name}={}", value.escape_ascii());
            line[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        };
        http::write(io, request, &line[..length])?;
        io.free(&mut line)?;
    }
    http::end(io, request)
}

#[vk::coroutine]
fn form(io: &mut Io, request: &mut Request) -> io::Result<()> {
    http::read_whole_body(io, request, 1000)?;
    let mut page: HeapBytes = io.alloc(1000)?;
    let length: usize = {
        let pairs: BTreeMap<_, _> = http::pairs(&request.body).collect();
        http::to_json(&pairs, &mut page)?
    };
    http::respond(io, request, 200, "application/json", &page[..length])?;
    io.free(&mut page)
}

const PAGE: &[u8] = &[b'x'; 5000];

#[vk::coroutine]
fn page(io: &mut Io, request: &Request) -> io::Result<()> {
    http::field(io, request, "ETag", "\"p1\"")?;
    http::field(io, request, "X-More", "said")?;
    http::respond_compressed(io, request, 200, "text/plain", PAGE)
}

/// Bytes that no compression makes fewer.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..1100).map(|_| next()).collect()
});

#[vk::coroutine]
fn noise(io: &mut Io, request: &Request) -> io::Result<()> {
    http::respond_compressed(io, request, 200, "", &NOISE)
}

#[vk::coroutine]
fn version(io: &mut Io, request: &mut Request) -> io::Result<()> {
    if let Some(status) = request.condition("\"v7\"", Some(784_111_777)) {
        let status: u16 = status;
        return http::respond_status(io, request, status);
    }
    http::read_whole_body(io, request, 100)?;
    http::field(io, request, "ETag", "\"v7\"")?;
    http::respond(io, request, 200, "", b"seven")
}

/// Leaves HTTP, and sends lines back.
#[vk::coroutine]
fn lines(io: &mut Io, request: &mut Request) -> io::Result<()> {
    if !request.offers("lines") {
        http::field(io, request, "Upgrade", "lines")?;
        return http::respond_status(io, request, 426);
    }
    http::field(io, request, "X-Said", "with it")?;
    http::upgrade(io, request, "lines")?;
    let mut line: Line<64> = Line::new();
    while io.read_line(&mut line)? {
        io.write_all(b"> ")?;
        io.write_all(&line)?;
    }
    Ok(())
}

#[vk::coroutine]
fn lines_too_late(io: &mut Io, request: &mut Request) -> io::Result<()> {
    http::respond(io, request, 200, "", b"no")?;
    http::upgrade(io, request, "lines")
}

#[vk::coroutine]
fn emptied(io: &mut Io, request: &Request) -> io::Result<()> {
    http::respond_status(io, request, 205)
}

#[vk::coroutine]
fn own(io: &mut Io, request: &Request) -> io::Result<()> {
    http::respond(io, request, 200, "", b"own options")
}

#[vk::coroutine]
fn host(io: &mut Io, request: &Request) -> io::Result<()> {
    let host: Text<20> = own_text(Some(request.host()));
    http::respond(io, request, 200, "", host.as_bytes())
}

/// Takes a body that comes at once only.
#[vk::coroutine]
fn impatient(io: &mut Io, request: &mut Request) -> io::Result<()> {
    request.limits.trailers = 10;
    http::field(io, request, "X-Early", "said")?;
    http::read_whole_body(io, request, 1000)?;
    http::respond(io, request, 200, "", &request.body)
}

#[vk::coroutine]
fn whole(io: &mut Io, request: &mut Request) -> io::Result<()> {
    http::read_whole_body(io, request, Limits::WHOLE_BODY)?;
    http::respond(io, request, 200, "", &request.body)
}

#[vk::coroutine]
fn streamed(io: &mut Io, request: &mut Request) -> io::Result<()> {
    let length: Option<u64> = request.body_length();
    http::begin(io, request, 200, "", length)?;
    http::forward_body(io, request)?;
    http::end(io, request)
}

#[vk::coroutine]
fn unread(io: &mut Io, request: &Request) -> io::Result<()> {
    http::respond(io, request, 200, "", b"unread")
}

/// The directory with files that the tests made.
static ROOT: LazyLock<String> = LazyLock::new(|| {
    use std::os::unix::fs::symlink;
    let base = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("vk-http-handlers");
    let _ = std::fs::remove_dir_all(&base);
    let root = base.join("root");
    std::fs::create_dir_all(root.join("files/sub/empty")).unwrap();
    std::fs::write(base.join("secret"), "secret").unwrap();
    let files = root.join("files");
    std::fs::write(files.join("a b.txt"), "0123456789").unwrap();
    std::fs::write(files.join("none.css"), "").unwrap();
    std::fs::write(files.join(".hidden"), "secret").unwrap();
    std::fs::write(files.join("wednesday"), "0123456789").unwrap();
    std::fs::write(files.join("future"), "").unwrap();
    std::fs::write(files.join("sub/index.html"), "<p>").unwrap();
    std::fs::write(files.join("large.bin"), large()).unwrap();
    symlink("../../secret", files.join("out")).unwrap();
    symlink("/etc/passwd", files.join("far")).unwrap();
    symlink("a b.txt", files.join("in")).unwrap();
    std::fs::create_dir(root.join("texts")).unwrap();
    std::fs::write(root.join("texts/large.js"), large()).unwrap();
    std::fs::write(root.join("texts/small.js"), "1").unwrap();
    std::fs::write(root.join("texts/large.png"), large()).unwrap();
    std::fs::write(root.join("404.html"), "<p>nothing").unwrap();
    for (name, second) in [
        ("a b.txt", 784_111_777),
        ("none.css", 784_111_777),
        ("sub/index.html", 784_111_777),
        ("large.bin", 784_111_777),
        ("wednesday", 1_577_836_800),
        ("future", 10_000_000_000),
    ] {
        let time = std::time::UNIX_EPOCH + Duration::from_secs(second);
        std::fs::File::options().write(true).open(files.join(name)).unwrap().set_modified(time).unwrap();
    }
    root.to_str().unwrap().to_owned()
});

fn large() -> Vec<u8> {
    (0..200_000u32).map(|n| b'a' + (n % 23) as u8).collect()
}

#[vk::coroutine]
fn file(io: &mut Io, request: &Request) -> io::Result<()> {
    http::file(io, request, &ROOT, request.path())
}

#[vk::coroutine]
fn below(io: &mut Io, request: &Request) -> io::Result<()> {
    http::file(io, request, &ROOT, request.param("path").unwrap_or(""))
}

#[vk::coroutine]
fn text(io: &mut Io, request: &Request) -> io::Result<()> {
    http::file_compressed(io, request, &ROOT, request.path())
}

/// Answers with the head as the crate `http` has it.
#[vk::coroutine]
fn typed(io: &mut Io, request: &Request) -> io::Result<()> {
    let mut page: HeapBytes = io.alloc(1000)?;
    let length: usize = {
        let text = match request.head() {
            Ok(head) => {
                let (parts, ()) = head.into_parts();
                let fields = parts
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.as_bytes().escape_ascii()));
                let fields = fields.collect::<Vec<_>>().join(" ");
                format!(
                    "{} {} {:?} {:?} {fields}",
                    parts.method,
                    parts.uri.path(),
                    parts.uri.query(),
                    parts.version
                )
            }
            Err(error) => error.to_string(),
        };
        page[..text.len()].copy_from_slice(text.as_bytes());
        text.len()
    };
    http::respond(io, request, StatusCode::OK.as_u16(), "", &page[..length])?;
    io.free(&mut page)
}

const NO_NAMES: [&str; 9] = [
    "a b",
    "",
    "X\r\nY",
    "Content-Length",
    "transfer-encoding",
    "CONNECTION",
    "Keep-Alive",
    "Date",
    "n\u{e4}",
];
const NO_VALUES: [&str; 5] = ["a\r\nb", "a\nb", "a\0b", "\x7f", "\r"];

/// Says fields that aren't any, and tells how many were refused.
#[vk::coroutine]
fn mistaken(io: &mut Io, request: &mut Request) -> io::Result<()> {
    let mut refused: u32 = 0;
    for n in 0..NO_NAMES.len() {
        let n: usize = n;
        match http::field(io, request, NO_NAMES[n], "v") {
            Ok(()) => {}
            Err(_) => refused += 1,
        }
    }
    for n in 0..NO_VALUES.len() {
        let n: usize = n;
        match http::field(io, request, "X", NO_VALUES[n]) {
            Ok(()) => {}
            Err(_) => refused += 1,
        }
    }
    http::field(io, request, "X-Good", "tab\tand \u{e4}")?;
    http::begin(io, request, 200, "", None)?;
    match http::field(io, request, "X-Late", "v") {
        Ok(()) => {}
        Err(_) => refused += 1,
    }
    http::print(io, request, &format_args!("{refused}"))?;
    http::end(io, request)
}

#[vk::coroutine]
fn fallback(io: &mut Io, request: &mut Request) -> io::Result<()> {
    http::respond(io, request, 404, "", request.path().as_bytes())
}

fn answers<C: vk_core::rt::Coroutine<Args = (), Output = io::Result<()>>>(
    input: &[u8],
    cuts: &[usize],
) -> String {
    String::from_utf8_lossy(&talk::answers::<C>(input, cuts)).into_owned()
}

/// What is answered to `requests`, on one line, and the same for all cuts.
fn ask(requests: &str) -> String {
    let bytes = requests.as_bytes();
    let whole = answers::<serve>(bytes, &[]);
    for cut in 1..bytes.len() {
        assert_eq!(answers::<serve>(bytes, &[cut]), whole, "cut at {cut}");
    }
    for step in [1, 2, 7] {
        assert_eq!(
            answers::<serve>(bytes, &(step..bytes.len()).step_by(step).collect::<Vec<_>>()),
            whole,
            "each {step}"
        );
    }
    whole.replace("\r\n", "|")
}

fn get(target: &str) -> String {
    ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
}

fn get_with(target: &str, fields: &str) -> String {
    ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"))
}

/// The answer's status and body.
fn brief(answer: &str) -> (&str, &str) {
    (&answer["HTTP/1.1 ".len()..][..3], answer.split_once("||").unwrap().1)
}

#[test]
fn routes_lead_to_handlers() {
    let json = "HTTP/1.1 200 OK|Content-Type: application/json|Content-Length: ";
    assert_eq!(get("/user/7?me"), format!("{json}20||{{\"id\":7,\"name\":\"me\"}}"));
    assert_eq!(get("http://a/user/8"), format!("{json}26||{{\"id\":8,\"name\":\"no\\\"body\"}}"));
    assert_eq!(ask("HEAD /user/7?me HTTP/1.1\r\nHost: a\r\n\r\n"), format!("{json}20||"));
    assert_eq!(brief(&get("/user/seven")).0, "404");
    assert_eq!(
        ask("PATCH /user/x%20y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        "HTTP/1.1 201 Created|Location: x%20y|Content-Length: 3||abc"
    );
    assert_eq!(brief(&get("/user/a%20b/c/of/d/e")), ("200", "a b c d/e -"));
    assert_eq!(brief(&get("/host")), ("200", "a"));
    assert_eq!(brief(&get("http://b:8/host?q")), ("200", "b:8"));
    assert_eq!(brief(&ask("GET /host HTTP/1.0\r\n\r\n")), ("200", ""));
    assert_eq!(brief(&get("/user/")), ("404", "/user/"));
    assert_eq!(brief(&get("/")), ("404", "/"));
    assert_eq!(brief(&get_with("/user/7", "Authorization: none")).0, "401");
    let answer = get("/%75ser/%7e%20?%61");
    assert!(answer.starts_with("HTTP/1.1 308 Permanent Redirect|Location: /user/~%20?%61|"), "{answer}");
    assert_eq!(brief(&get("//b/%75ser")).0, "404");
}

#[test]
fn methods_are_dismissed() {
    let ask = |method: &str, target: &str| ask(&format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let answer = ask("DELETE", "/user/7");
    assert!(
        answer.starts_with("HTTP/1.1 405 Method Not Allowed|Allow: GET, PUT, PATCH, HEAD, OPTIONS|"),
        "{answer}"
    );
    assert!(ask("POST", "/squares").contains("|Allow: GET, HEAD, OPTIONS|"));
    assert_eq!(brief(&ask("BREW", "/squares")).0, "501");
    assert_eq!(ask("OPTIONS", "/trailers"), "HTTP/1.1 204 No Content|Allow: POST, OPTIONS||");
    assert!(ask("OPTIONS", "*").contains("|Allow: BREW, GET, OPTIONS, PATCH, POST, PUT, HEAD|"));
    assert_eq!(brief(&ask("OPTIONS", "/own")), ("200", "own options"));
    assert_eq!(brief(&ask("HEAD", "/trailers")).0, "405");
}

#[test]
fn a_205_has_no_content() {
    let emptied = "HTTP/1.1 205 Reset Content|Content-Type: text/plain|Content-Length: 0";
    assert_eq!(get("/emptied"), format!("{emptied}||"));
    let old = ask("GET /emptied HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(old, format!("{emptied}|Connection: keep-alive||"));
}

#[test]
fn head_is_refused_without_content() {
    for (request, status) in [
        ("HEAD / HTTP/1.1\r\n\r\n".into(), "400"),
        ("\r\nHEAD / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n".into(), "417"),
        (format!("HEAD /{} HTTP/1.1\r\n\r\n", "x".repeat(1000)), "414"),
        (format!("HEAD / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(21)), "431"),
    ] {
        let answer = answers::<serve>(request.as_bytes(), &[]).replace("\r\n", "|");
        assert_eq!(brief(&answer), (status, ""), "{request}");
    }
}

#[test]
fn answers_are_made_of_values() {
    let squares = get("/squares");
    assert!(squares.ends_with(",248004,249001]") && squares.contains("||[0,1,4,9,"));
    let printed = get("/printed");
    let lines: usize = printed.matches("|15|").count();
    assert_eq!((lines, printed.ends_with("                 299\n|0||")), (300, true));
    let fields = get("/fields");
    assert_eq!(
        fields.matches("|X-Number: even|").count() + fields.matches("|X-Number: odd, with more|").count(),
        50
    );
    assert_eq!(
        ask("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\na=b+c&d=%26&e="),
        "HTTP/1.1 200 OK|Content-Type: application/json|Content-Length: 28||{\"a\":\"b c\",\"d\":\"&\",\"e\":\"\"}"
            .replace("28", "26")
    );
}

#[test]
fn fields_are_fields() {
    let answer = get("/mistaken");
    assert_eq!(answer, "HTTP/1.1 200 OK|X-Good: tab\tand \u{e4}|Transfer-Encoding: chunked||2|15|0||");
}

#[test]
fn trailers_are_seen() {
    let post = |trailers: &str| {
        ask(&format!(
            "POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{trailers}\r\nGET /own HTTP/1.1\r\nHost: a\r\n\r\n"
        ))
    };
    assert!(post("").contains("|3|abc|0||HTTP/1.1 405"));
    assert!(
        post("Sum: 1\r\nContent-Length:\t7 \r\n")
            .contains("|3|abc|6|\nSum=1|11|\nContent-Length=7|0||HTTP/1.1 405")
    );
    let long = "x".repeat(2000);
    assert!(post(&format!("A: b\r\nLong: {long}\r\n")).contains(&format!("\nLong={long}|0||HTTP/1.1 405")));
    let impatient = ask(
        "POST /impatient HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: 0123456789\r\n\r\n",
    );
    // What was said of the handler's answer isn't said of the refusal.
    assert!(impatient.starts_with("HTTP/1.1 431 ") && !impatient.contains("X-Early"), "{impatient}");
}

#[test]
fn bodies_are_compressed_if_asked_for() {
    use std::io::Read;
    let plain = get("/page");
    assert!(plain.contains("|Vary: Accept-Encoding|") && !plain.contains("gzip"));
    assert!(plain.contains("|ETag: \"p1\"|X-More: said|"), "{plain}");
    for (accept, gzip) in [
        ("gzip", true),
        ("deflate, GZIP;q=0.5", true),
        ("*", true),
        ("x-gzip", true),
        ("br;q=1.0, *;q=0.1", true),
        ("gzip;q=0", false),
        ("gzip; q=0.000, *", false),
        ("identity", false),
        ("*;q=0, gzip", true),
        ("", false),
    ] {
        let request = format!("GET /page HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\n\r\n");
        assert_eq!(
            answers::<serve>(request.as_bytes(), &[]).contains("Content-Encoding: gzip\r\n"),
            gzip,
            "{accept}"
        );
    }
    let noise = answers::<serve>(b"GET /noise HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", &[]);
    assert!(!noise.contains("gzip") && noise.contains("Content-Length: 1100\r\n"));
    let needed = b"GET /noise HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, identity;q=0\r\n\r\n";
    assert!(answers::<serve>(needed, &[]).contains("\r\nContent-Encoding: gzip\r\n"));
    let answer =
        talk::answers::<serve>(b"GET /page HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", &[]);
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let fields = String::from_utf8_lossy(&answer[..head]);
    // A strong tag would say that the bytes are the same.
    assert!(fields.contains("\r\nETag: W/\"p1\"\r\nX-More: said\r\n"), "{fields}");
    let mut decoded = Vec::new();
    flate2::read::GzDecoder::new(&answer[head + 4..]).read_to_end(&mut decoded).unwrap();
    assert_eq!(decoded, PAGE);
}

#[test]
fn conditions_decide() {
    let ask = |method: &str, fields: &str| {
        let answer = ask(&format!("{method} /versions HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"));
        brief(&answer).0.to_owned()
    };
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (method, fields, status) in [
        ("GET", "X: y".into(), "200"),
        ("GET", "If-None-Match: \"v7\"".into(), "304"),
        ("GET", "If-None-Match: \"v6\", W/\"v7\"".into(), "304"),
        ("GET", "If-None-Match: \"v6\"\r\nIf-None-Match: \"v7\"".into(), "304"),
        ("GET", "If-None-Match: *".into(), "304"),
        ("GET", "If-None-Match: \"v6\"".into(), "200"),
        ("PUT", "If-None-Match: *".into(), "412"),
        ("PUT", "If-Match: \"v7\"".into(), "200"),
        ("PUT", "If-Match: *".into(), "200"),
        ("PUT", "If-Match: W/\"v7\"".into(), "412"),
        ("PUT", "If-Match: \"v6\"".into(), "412"),
        ("GET", format!("If-Modified-Since: {THEN}"), "304"),
        ("PUT", format!("If-Modified-Since: {THEN}"), "200"),
        ("GET", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT".into(), "200"),
        ("GET", "If-Modified-Since: yesterday".into(), "200"),
        ("GET", format!("If-Modified-Since: {THEN}\r\nIf-Modified-Since: {THEN}"), "200"),
        ("OPTIONS", "If-Match: \"v6\"".into(), "200"),
        ("GET", format!("If-None-Match: \"v6\"\r\nIf-Modified-Since: {THEN}"), "200"),
        ("GET", format!("If-Unmodified-Since: {THEN}"), "200"),
        ("GET", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT".into(), "412"),
        ("GET", "If-Match: \"v7\"\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT".into(), "200"),
    ] {
        assert_eq!(ask(method, &fields), status, "{method} {fields}");
    }
}

#[test]
fn protocols_change() {
    let offer = "Connection: keep-alive, Upgrade\r\nUpgrade: other/1, LINES";
    let answer = ask(&format!("GET /lines HTTP/1.1\r\nHost: a\r\n{offer}\r\n\r\nfirst\nsecond\nthird"));
    assert_eq!(
        answer,
        "HTTP/1.1 101 Switching Protocols|X-Said: with it|Connection: Upgrade|Upgrade: lines||> first\n> second\n> third"
    );
    assert!(get("/lines").starts_with("HTTP/1.1 426 Upgrade Required|Connection: Upgrade|Upgrade: lines|"));
    assert_eq!(brief(&get_with("/lines", "Upgrade: lines")).0, "426");
    assert_eq!(brief(&get_with("/lines-too-late", offer)), ("200", "no"));
    // The body would be taken for the protocol's first bytes.
    assert_eq!(
        brief(&ask(&format!("GET /lines HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n{offer}\r\n\r\nabc"))).0,
        "426"
    );
}

#[test]
fn limits_are_the_applications() {
    assert_eq!(brief(&get(&format!("/{}", "x".repeat(1000)))).0, "414");
    let fields = |count: usize| "X: y\r\n".repeat(count);
    assert_eq!(
        brief(
            &answers::<serve>(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(19)).as_bytes(), &[])
                .replace("\r\n", "|")
        )
        .0,
        "404"
    );
    assert_eq!(
        brief(
            &answers::<serve>(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(20)).as_bytes(), &[])
                .replace("\r\n", "|")
        )
        .0,
        "431"
    );
}

#[test]
fn bodies_have_a_limit() {
    let post = |path: &str, fields: &str, body: &str| {
        ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}\
             OPTIONS /own HTTP/1.1\r\nHost: a\r\n\r\n"
        ))
    };
    let sized = |path: &str, size: usize| {
        post(path, &format!("Content-Length: {size}"), &"x".repeat(size)).replace("HTTP/1.1 ", "~")
    };
    let next = "~200 OK|Content-Length: 11||own options";
    let refused = |answer: &str| {
        answer.starts_with("~413 Content Too Large|")
            && answer.ends_with("|Connection: close||Content Too Large\n")
    };
    for path in ["/whole/small", "/streamed/small", "/unread/small"] {
        let answer = sized(path, 10);
        assert!(answer.starts_with("~200 ") && answer.ends_with(next), "{answer}");
    }
    for path in ["/whole/small", "/streamed/small"] {
        assert!(refused(&sized(path, 11)));
    }
    assert!(sized("/unread/small", 11).ends_with(next));
    // The application's own, and a route that is exempt from it.
    assert!(sized("/whole", 2000).ends_with(next));
    assert!(refused(&sized("/whole", 2001)));
    assert!(sized("/whole/large", 2001).ends_with(next));
    // Nobody is asked to send what is refused.
    for path in ["/whole/small", "/streamed/small"] {
        let expecting = |size: usize| {
            post(path, &format!("Expect: 100-continue\r\nContent-Length: {size}"), "")
                .replace("HTTP/1.1 ", "~")
        };
        assert!(expecting(10).starts_with("~100 Continue||"));
        assert!(refused(&expecting(11)));
    }
    let unread = post("/unread/small", "Expect: 100-continue\r\nContent-Length: 11", "");
    assert!(
        unread.starts_with("HTTP/1.1 200 ") && unread.ends_with("|Connection: close||unread"),
        "{unread}"
    );
    // A chunk that is too much is refused by its size, and nothing of it is waited for.
    let chunks = |path: &str, body: &str| {
        ask(&format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"))
            .replace("HTTP/1.1 ", "~")
    };
    assert!(chunks("/whole/small", "6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n").ends_with("||0123456789"));
    assert!(refused(&chunks("/whole/small", "6\r\n012345\r\n5\r\n")));
    assert!(refused(&chunks("/whole/small", "b\r\n")));
    let begun = "POST /streamed/small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 6\r\n012345\r\n5\r\n6789a\r\n0\r\n\r\n";
    assert!(answers::<serve>(begun.as_bytes(), &[]).ends_with("\r\n\r\n6\r\n012345\r\n"));
}

#[test]
fn files_are_served() {
    let tag = format!("\"{:x}-a\"", 784_111_777_000_000_000u64);
    let validators = format!("|ETag: {tag}|Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT");
    let file = format!("{validators}|Accept-Ranges: bytes");
    let kind = "|Content-Type: text/plain; charset=utf-8";
    assert_eq!(
        get("/files/a%20b.txt?q"),
        format!("HTTP/1.1 200 OK{file}{kind}|Content-Length: 10||0123456789")
    );
    assert_eq!(
        ask("HEAD /files/a%20b.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\n\r\n"),
        format!("HTTP/1.1 200 OK{file}{kind}|Content-Length: 10||")
    );
    assert_eq!(
        get_with("/files/a%20b.txt", "Range: bytes=2-4"),
        format!(
            "HTTP/1.1 206 Partial Content{file}|Content-Range: bytes 2-4/10{kind}|Content-Length: 3||234"
        )
    );
    let answer = get_with("/files/a%20b.txt", "Range: bytes=10-");
    assert!(
        answer.starts_with("HTTP/1.1 416 ") && answer.contains("|Content-Range: bytes */10|"),
        "{answer}"
    );
    let not_modified = format!("HTTP/1.1 304 Not Modified{validators}||");
    assert_eq!(get_with("/files/a%20b.txt", &format!("If-None-Match: {tag}")), not_modified);
    for (validator, status) in [
        (tag.as_str(), "206"),
        ("\"other\"", "200"),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "206"),
        ("Sun, 06 Nov 1994 08:49:38 GMT", "200"),
        ("W/\"other\"", "200"),
    ] {
        let fields = format!("Range: bytes=2-4\r\nIf-Range: {validator}");
        assert_eq!(brief(&get_with("/files/a%20b.txt", &fields)).0, status, "{validator}");
    }
    let wednesday = "Range: bytes=2-4\r\nIf-Range: Wed, 01 Jan 2020 00:00:00 GMT";
    assert_eq!(brief(&get_with("/files/wednesday", wednesday)), ("206", "234"));
    assert_eq!(brief(&get_with("/files/a%20b.txt", "Range: bytes=0-1,3-4")), ("200", "0123456789"));
    assert_eq!(brief(&get_with("/files/a%20b.txt", "Range: bytes=0-1\r\nRange: bytes=2-3")).0, "200");
    let no_text = b"GET /files/in HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nIf-Range: \xff\r\n\r\n";
    assert!(answers::<serve>(no_text, &[]).starts_with("HTTP/1.1 200 "));
    // No change is still to come.
    assert!(!get("/files/future").contains(" 2286 "), "{}", get("/files/future"));
    // Who waits before sending what nobody reads isn't told to send it.
    let waiting = "Content-Length: 1000000\r\nExpect: 100-continue";
    let answer = get_with("/files/a%20b.txt", waiting);
    assert!(answer.starts_with("HTTP/1.1 200 OK|") && answer.contains("|Connection: close|"), "{answer}");
    assert_eq!(brief(&get("/files/in")), ("200", "0123456789"));
    assert_eq!(brief(&get("/files/none.css")), ("200", ""));
    assert_eq!(brief(&get("/files/sub/")), ("200", "<p>"));
    let answer = get("/files/sub?q=1");
    assert!(
        answer.starts_with("HTTP/1.1 301 ") && answer.contains("|Location: /files/sub/?q=1|"),
        "{answer}"
    );
    for missing in [
        "out",
        "far",
        ".hidden",
        "../../secret",
        "sub/../../../secret",
        "nothing",
        "a%20b.txt/",
        "sub/empty/",
        "..%2f..%2fsecret",
        "sub//index.html",
        "a%20b.txt%00",
    ] {
        assert_eq!(brief(&get(&format!("/files/{missing}"))).0, "404", "{missing}");
    }
    assert!(get("/files/%2e%2e/%2E%2e/secret").contains("|Location: /files/../../secret|"));
    // Two slashes are not what a pattern for the path with one would have seen.
    assert_eq!(brief(&get("/below/files/a%20b.txt")).0, "200");
    assert_eq!(brief(&get("/below//files/a%20b.txt")).0, "404");
    let large = String::from_utf8(large()).unwrap();
    let request = "GET /files/large.bin HTTP/1.1\r\nHost: a\r\n\r\n";
    let whole = answers::<serve>(request.as_bytes(), &[]);
    assert!(whole.ends_with(&large) && whole.contains("Content-Type: application/octet-stream\r\n"));
    let request = "GET /files/large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=65535-199998\r\n\r\n";
    assert!(
        answers::<serve>(request.as_bytes(), &[]).ends_with(&format!("\r\n\r\n{}", &large[65535..199_999]))
    );
}

#[test]
fn what_is_missing_has_a_page() {
    let page = "HTTP/1.1 404 Not Found|Content-Type: text/html; charset=utf-8|Content-Length: 10||";
    assert_eq!(get("/files/nothing"), format!("{page}<p>nothing"));
    assert_eq!(
        get_with("/texts/nothing", "Range: bytes=0-1\r\nIf-None-Match: *"),
        format!("{page}<p>nothing")
    );
    assert_eq!(ask("HEAD /files/nothing HTTP/1.1\r\nHost: a\r\n\r\n"), page);
}

#[test]
fn texts_are_compressed() {
    use std::io::Read;
    /// The head's lines and the body of an answer, out of its chunks.
    fn fetch(method: &str, name: &str, fields: &str) -> (Vec<String>, Vec<u8>) {
        let request = format!("{method} /texts/{name} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        let answer = talk::answers::<serve>(request.as_bytes(), &[]);
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = str::from_utf8(&answer[..end]).unwrap().split("\r\n").map(str::to_owned).collect();
        let (mut rest, mut body) = (&answer[end + 4..], Vec::new());
        if !answer[..end].ends_with(b"chunked") {
            return (head, rest.to_vec());
        }
        while let Some(line) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
            let size = usize::from_str_radix(str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            body.extend_from_slice(&rest[line + 2..][..size]);
            rest = &rest[line + 2 + size + 2..];
        }
        (head, body)
    }
    let has = |head: &[String], line: &str| head.iter().any(|other| other.starts_with(line));
    let (head, body) = fetch("GET", "large.js", "Accept-Encoding: gzip");
    for line in [
        "HTTP/1.1 200 OK",
        "Content-Encoding: gzip",
        "Vary: Accept-Encoding",
        "ETag: W/\"",
        "Last-Modified: ",
    ] {
        assert!(has(&head, line), "{line} in {head:?}");
    }
    assert!(has(&head, "Content-Type: text/javascript; charset=utf-8") && !has(&head, "Accept-Ranges"));
    assert!(body.len() < 10_000);
    let mut decoded = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut decoded).unwrap();
    assert_eq!(decoded, large());
    assert_eq!(fetch("HEAD", "large.js", "Accept-Encoding: gzip"), (head.clone(), Vec::new()));

    // Each of the two is known again, and by the other's tag, too.
    let tag = head.iter().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    for tag in [tag, &tag[2..]] {
        for accept in ["gzip", "identity"] {
            let fields = format!("Accept-Encoding: {accept}\r\nIf-None-Match: {tag}");
            let (head, body) = fetch("GET", "large.js", &fields);
            assert_eq!(head[0], "HTTP/1.1 304 Not Modified");
            assert!(body.is_empty() && has(&head, "Vary: ") && !has(&head, "Content-Encoding"));
        }
    }

    let (head, body) = fetch("GET", "large.js", "Accept-Encoding: gzip;q=0");
    assert!(has(&head, "Vary: ") && has(&head, "ETag: \"") && body == large());
    assert_eq!(fetch("GET", "large.js", "Range: bytes=1-3").1, &large()[1..4]);
    let (head, _) = fetch("GET", "large.js", "Accept-Encoding: gzip\r\nRange: bytes=1-3");
    assert_eq!(head[0], "HTTP/1.1 200 OK");
    for (name, size) in [("large.png", large().len()), ("small.js", 1)] {
        let (head, body) = fetch("GET", name, "Accept-Encoding: gzip");
        assert!(!has(&head, "Vary") && !has(&head, "Content-Encoding") && body.len() == size, "{head:?}");
    }
}

#[test]
fn heads_are_typed() {
    let answer = get_with("/typed?q=%20", "X-A: 1\r\nx-b: \u{e9}\r\nX-a:2\r\nX-Empty:");
    assert_eq!(
        brief(&answer).1,
        r#"GET /typed Some("q=%20") HTTP/1.1 host=a x-a=1 x-a=2 x-b=\xc3\xa9 x-empty="#
    );
    let answer = ask("BREW http://other:8/typed HTTP/1.0\r\n\r\n");
    assert_eq!(brief(&answer).1, "BREW /typed None HTTP/1.0 ");
    assert_eq!(brief(&get("/typed?<")).1, "invalid uri character");
}
