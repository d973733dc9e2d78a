//! The server against a model: the grammar of RFC 9112, read strictly and written down as plainly as possible. For
//! random and mutated input, cut anywhere, both accept the same requests with the same bodies, and refuse the rest.

mod talk;

use proptest::prelude::*;
use talk::answers;
use vk::prelude::*;
use vk_http::{self as http, Request};

/// Answers with what was asked: `METHOD SP target SP trailers LF body`, with the number of trailers in three columns.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        http::read_whole_body(io, &mut request, 1 << 16)?;
        let trailers: usize = request.trailers().count();
        let length: usize = request.method().len() + request.target().len() + request.body.len() + 6;
        http::begin(io, &request, 200, "", Some(length as u64))?;
        http::print(io, &request, &format_args!("{} {} {trailers:3}\n", request.method(), request.target()))?;
        http::write(io, &request, &request.body)?;
        http::end(io, &request)?;
    }
    Ok(())
}

/// What becomes of a connection: what each request is answered with, and how it ends.
#[derive(Debug, PartialEq, Eq)]
struct Course {
    answers: Vec<Vec<u8>>,
    /// Whether something was refused at the end.
    refused: bool,
}

/// What the model says.
fn model(input: &[u8]) -> Course {
    let (mut answers, mut rest) = (Vec::new(), input);
    loop {
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        }
        if rest.is_empty() {
            return Course { answers, refused: false };
        }
        let Some((message, after)) = message(rest) else { return Course { answers, refused: true } };
        let text = format!("{} {} {:3}\n", message.method, message.target, message.trailers);
        answers.push(if message.method == "HEAD" {
            vec![]
        } else {
            [text.as_bytes(), &message.body].concat()
        });
        if !message.keeps {
            return Course { answers, refused: false };
        }
        rest = after;
    }
}

struct Message {
    method: String,
    target: String,
    body: Vec<u8>,
    trailers: usize,
    keeps: bool,
}

/// `request-line CRLF *( field-line CRLF ) CRLF [ message-body ]`
fn message(input: &[u8]) -> Option<(Message, &[u8])> {
    let (line, mut rest) = line(input)?;
    // method SP request-target SP HTTP-version
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else { return None };
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] = *version else { return None };
    let modern = minor > b'0';
    // Neither a tunnel nor a mirror.
    if !is_token(method) || matches!(method, b"CONNECT" | b"TRACE") || !is_target(method, target) {
        return None;
    }
    let mut fields = Vec::new();
    loop {
        let (line, after) = self::line(rest)?;
        rest = after;
        if line.is_empty() {
            break;
        }
        fields.push(field(line)?);
    }
    let values = |name: &str| -> Vec<&[u8]> {
        fields.iter().filter(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1).collect()
    };
    match values("host")[..] {
        [] if !modern => {}
        [host] if host.is_empty() || is_authority(host) => {}
        _ => return None,
    }
    let options: Vec<String> = values("connection")
        .iter()
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|option| String::from_utf8_lossy(trim(option)).to_lowercase())
        .collect();
    let keeps = !options.contains(&"close".into()) && (modern || options.contains(&"keep-alive".into()));
    if values("expect").iter().any(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
        return None;
    }
    let (body, trailers, rest) = match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) => (Vec::new(), 0, rest),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let length: usize = str::from_utf8(length).ok()?.parse().ok()?;
            let (body, rest) = rest.split_at_checked(length)?;
            (body.to_vec(), 0, rest)
        }
        ([], [coding]) if modern && coding.eq_ignore_ascii_case(b"chunked") => chunked(rest)?,
        _ => return None,
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some((Message { method: text(method)?, target: text(target)?, body, trailers, keeps }, rest))
}

/// Up to a CRLF; neither of the two stands anywhere else.
fn line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = input.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    Some((&input[..end], input[end..].strip_prefix(b"\r\n")?))
}

/// `field-name ":" OWS field-value OWS`
fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = trim(&line[colon + 1..]);
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    (is_token(&line[..colon]) && value.iter().all(is_text))
        .then(|| (str::from_utf8(&line[..colon]).unwrap(), value))
}

/// Without OWS around it.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn is_token(text: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}

/// `origin-form / absolute-form / asterisk-form`; visible ASCII but `#` is let through, as browsers send it.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    let visible = target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    let text = str::from_utf8(target).unwrap_or_default().to_owned();
    let form = match text.to_lowercase().strip_prefix("http://") {
        _ if text.starts_with('/') => true,
        _ if text == "*" => method == b"OPTIONS",
        Some(rest) => is_authority(rest.split(['/', '?']).next().unwrap().as_bytes()),
        None => false,
    };
    visible && form
}

/// `uri-host [ ":" port ]`, with a host that isn't empty.
fn is_authority(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else { return false };
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() || !(rest.is_empty() || rest.starts_with(':')) {
                return false;
            }
            ("address", rest.strip_prefix(':').unwrap_or(""))
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let mut name = host.bytes();
    while let Some(byte) = name.next() {
        let hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
        let fits = match byte {
            b'%' => hex(name.next()) && hex(name.next()),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    !host.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// `*chunk last-chunk trailer-section CRLF`
fn chunked(mut rest: &[u8]) -> Option<(Vec<u8>, usize, &[u8])> {
    let mut body = Vec::new();
    loop {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        // Sixteen digits, and half of what 64 bits hold.
        let size = u64::from_str_radix(str::from_utf8(&rest[..digits]).ok()?, 16).ok()?;
        if digits > 16 || size > i64::MAX as u64 {
            return None;
        }
        rest = extensions(&rest[digits..])?.strip_prefix(b"\r\n")?;
        if size == 0 {
            break;
        }
        let (data, after) = rest.split_at_checked(size as usize)?;
        body.extend_from_slice(data);
        rest = after.strip_prefix(b"\r\n")?;
    }
    let mut trailers = 0;
    loop {
        let (line, after) = line(rest)?;
        rest = after;
        if line.is_empty() {
            return Some((body, trailers, rest));
        }
        field(line)?;
        trailers += 1;
    }
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`
fn extensions(mut rest: &[u8]) -> Option<&[u8]> {
    let bws = |text: &'_ [u8]| text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let token = |text: &[u8]| text.iter().take_while(|byte| is_token(&[**byte])).count();
    while let Some(after) = rest[bws(rest)..].strip_prefix(b";") {
        let name = &after[bws(after)..];
        let length = token(name);
        if length == 0 {
            return None;
        }
        rest = &name[length..];
        let Some(after) = rest[bws(rest)..].strip_prefix(b"=") else { continue };
        let value = &after[bws(after)..];
        rest = match value.strip_prefix(b"\"") {
            Some(text) => quoted(text)?,
            None if token(value) > 0 => &value[token(value)..],
            None => return None,
        };
    }
    Some(rest)
}

/// `*( qdtext / quoted-pair ) DQUOTE`
fn quoted(mut text: &[u8]) -> Option<&[u8]> {
    let is_text = |byte: u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', escaped, rest @ ..] if is_text(*escaped) => rest,
            [byte, rest @ ..] if *byte != b'\\' && is_text(*byte) => rest,
            _ => return None,
        };
    }
}

/// What the server's bytes say; `heads` tells which of its answers have no body.
fn course(mut rest: &[u8], heads: &[bool]) -> Course {
    let mut course = Course { answers: Vec::new(), refused: false };
    while !rest.is_empty() {
        assert!(!course.refused, "something comes after a refusal");
        let (head, after) = split(rest, b"\r\n\r\n");
        rest = after;
        let head = str::from_utf8(head).unwrap();
        if head.starts_with("HTTP/1.1 100 ") {
            continue;
        }
        let length = head.split_once("Content-Length: ").unwrap().1.split("\r\n").next().unwrap();
        let length = length.parse().unwrap();
        if !head.starts_with("HTTP/1.1 200 ") {
            assert!(head.contains("\r\nConnection: close"), "{head}");
            // To a `HEAD` there is no page.
            rest = rest.get(length..).unwrap_or(b"");
            course.refused = true;
            continue;
        }
        let is_head = heads.get(course.answers.len()) == Some(&true);
        let (body, after) = rest.split_at(if is_head { 0 } else { length });
        rest = after;
        course.answers.push(body.to_vec());
    }
    course
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> (&'a [u8], &'a [u8]) {
    let found = text.windows(at.len()).position(|bytes| bytes == at).expect("an answer is whole");
    (&text[..found], &text[found + at.len()..])
}

fn check(input: &[u8], cuts: &[usize]) {
    let expected = model(input);
    let said = answers::<serve>(input, cuts);
    let heads: Vec<bool> = expected.answers.iter().map(Vec::is_empty).collect();
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let (input, found) = (text(input), course(&said, &heads));
    assert_eq!(found, expected, "{input} cut at {cuts:?} was answered with {}", text(&said));
}

#[test]
fn model_and_server_agree_on_what_is_clear() {
    for (input, answers, refused) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, false),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n", 1, false),
        ("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", 1, false),
        (
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\nnonsense",
            2,
            false,
        ),
        ("POST * HTTP/1.1\r\nHost: a\r\n\r\n", 0, true),
        ("OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 1, false),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 ;a=\"\\\"\"\r\nx\r\n0\r\nA: b\r\n\r\n",
            1,
            false,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
            0,
            true,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcGET", 1, true),
    ] {
        let course = model(input.as_bytes());
        assert_eq!((course.answers.len(), course.refused), (answers, refused), "{input}");
        check(input.as_bytes(), &[]);
    }
}

/// Mostly a request.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let one_of = |choices: &[&'static str]| prop::sample::select(choices.to_vec());
    let method =
        one_of(&["GET", "POST", "POST", "HEAD", "OPTIONS", "PUT", "X-!~", "TRACE", "CONNECT", "get"]);
    let target = one_of(&[
        "/",
        "/a?b",
        "/%zz",
        "*",
        "http://a",
        "http://a:1/b?c",
        "HTTPS://[::1]/",
        "http://u@a/",
        "//",
        "/{|}\"",
        "a",
        "/\u{e9}",
        "/#",
    ]);
    let version = one_of(&[
        "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1",
    ]);
    let host = one_of(&[
        "Host: a\r\n",
        "Host: a\r\n",
        "Host: a\r\n",
        "host:a:80 \r\n",
        "Host:\r\n",
        "Host: a b\r\n",
        "",
        "Host: [::1]:8\r\n",
    ]);
    let other = one_of(&[
        "X: y\r\n",
        "X:\r\n",
        "X: \t y \t\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive, x\r\n",
        "Expect: 100-continue\r\n",
        "X : y\r\n",
        " X: y\r\n",
        "X: a\r\n b\r\n",
        "X: \u{e9}\r\n",
        "X: \u{1}\r\n",
        ": y\r\n",
        "X\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Host: b\r\n",
        "Expect: x\r\n",
        "Connection: upgrade\r\nUpgrade: z\r\n",
    ]);
    let body = one_of(&[
        "\r\n",
        "\r\n",
        "Content-Length: 3\r\n\r\nabc",
        "Content-Length: 03\r\n\r\nabc",
        "Content-Length: 3, 3\r\n\r\nabc",
        "Content-Length: 5\r\n\r\nabc",
        "Content-Length: +3\r\n\r\nabc",
        "Content-Length: 18446744073709551616\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n00\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n1 ; c = \"d;\\\"\" ;e\r\nx\r\n0\r\nT: u\r\nV:\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\nT\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n",
        "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ]);
    let others = prop::collection::vec(other, 0..3);
    (method, target, version, host, others, body).prop_map(|(method, target, version, host, others, body)| {
        format!("{method} {target} {version}\r\n{host}{}{body}", others.concat()).into_bytes()
    })
}

/// Whatever may be put in place of a byte, or before it.
const SPLINTERS: [&[u8]; 16] = [
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b";",
    b"\"",
    b"\\",
    b"0",
    b"f",
    b"\x7f",
    b"\xff",
    b"\r\n\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn model_and_server_agree(
        requests in prop::collection::vec(request(), 1..4),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, prop::sample::select(SPLINTERS.to_vec())), 0..3),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut input = requests.concat();
        for (at, kind, splinter) in mutations {
            let at = at.index(input.len().max(1)).min(input.len());
            let end = (at + usize::from(kind < 2)).min(input.len());
            input.splice(at..end, if kind == 0 { Vec::new() } else { splinter.to_vec() });
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        check(&input, &cuts);
    }
}
