//! The application as its users run it.

mod beside;
mod browser;
mod files;
mod kills;

use std::io::{Read, Write};
use vk_try::{App, command};

/// The site that is served if nobody says otherwise.
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/site");

/// The application, which serves `site` if one is named, and says in its log whatever it answers.
fn start(site: Option<&str>) -> App {
    let mut args = vec!["--listen", "127.0.0.1:0", "--workers", "2", "--log", "info,access=debug"];
    args.extend(site);
    App::start(&mut command(env!("CARGO_BIN_EXE_static_site"), &args))
}

/// An answer: its status, its fields, its body, out of its chunks if it has any.
#[derive(Debug)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// What is answered on `stream` to one request, with these lines of fields.
    fn get(mut stream: impl Read + Write, method: &str, target: &str, fields: &[&str]) -> Answer {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n{fields}\r\n")
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        let mut lines = str::from_utf8(&answer[..end]).unwrap().split("\r\n");
        let status = lines.next().unwrap()["HTTP/1.1 ".len()..][..3].parse().unwrap();
        let fields = lines.map(|line| line.split_once(": ").expect("a field"));
        let fields = fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let mut answer = Answer { status, fields, body: answer[end + 4..].to_vec() };
        if answer.field("transfer-encoding") == Some("chunked") && method != "HEAD" {
            answer.body = unchunked(&answer.body);
        }
        answer
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
        let size = usize::from_str_radix(str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[line + 2..][..size]);
        rest = &rest[line + 2 + size + 2..];
    }
    body
}

/// What a compressed body was.
fn decompressed(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    plain
}
