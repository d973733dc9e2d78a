//! What is said on a connection: numbered requests, each with the answer that it must have.

use crate::{Incoming, Wrong, talk};
use vk_try::Random;

/// What is spoken, in the order of the trial application's listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each byte comes back.
    Raw,
    /// Requests and responses.
    Http,
    /// Each byte comes back changed by its place: see [`change`].
    Changed,
    /// Each line comes back.
    Lines,
    /// Messages, each answered with its number and itself.
    Socket,
}

impl Kind {
    /// All.
    pub const ALL: [Kind; 5] = [Kind::Raw, Kind::Http, Kind::Changed, Kind::Lines, Kind::Socket];
}

/// Changes each byte by its place, the first of which is `at`: what is done twice, or at another place, is seen.
pub fn change(bytes: &mut [u8], at: u64) {
    for (place, byte) in (at..).zip(bytes) {
        *byte ^= (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 | 1;
    }
}

/// What must come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A response with status 200 and this body.
    Body(Vec<u8>),
    /// Another protocol from here on: a WebSocket, with this proof.
    Upgrade(String),
}

/// A request, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Counted from 0 on each connection.
    pub number: u64,
    /// What is sent.
    pub request: Vec<u8>,
    /// What must come back.
    pub answer: Answer,
}

impl Answer {
    /// Expects it.
    ///
    /// # Errors
    /// If something else comes.
    pub fn expect(&self, from: &mut Incoming) -> Result<(), Wrong> {
        from.answer();
        match self {
            Answer::Bytes(bytes) => from.bytes(bytes),
            Answer::Body(body) => {
                let length = from.head(200)?;
                from.body(length, body)
            }
            Answer::Upgrade(proof) => from.upgrade(proof),
        }
    }
}

/// One side of a conversation: it makes up requests.
#[derive(Debug)]
pub struct Dialogue {
    kind: Kind,
    random: Random,
    /// Requests so far.
    count: u64,
    /// Bytes so far.
    at: u64,
}

impl Dialogue {
    /// The same for the same seed.
    pub fn new(kind: Kind, seed: u64) -> Dialogue {
        Dialogue { kind, random: Random(seed), count: 0, at: 0 }
    }

    /// From 1 byte to 200 KB, mostly small.
    fn size(&mut self) -> usize {
        let most = match self.random.below(100) {
            0..50 => 100,
            50..80 => 2000,
            80..95 => 20_000,
            _ => 200_000,
        };
        1 + self.random.below(most) as usize
    }

    fn payload(&mut self) -> Vec<u8> {
        let size = self.size();
        let words = std::iter::repeat_with(|| self.random.number().to_le_bytes());
        words.flatten().take(size).collect()
    }

    /// The next request.
    pub fn exchange(&mut self) -> Exchange {
        let number = self.count;
        self.count += 1;
        let (request, answer) = match self.kind {
            Kind::Http => self.http(),
            Kind::Socket if number == 0 => talk::hello(),
            Kind::Socket => {
                let payload = self.payload();
                talk::message(number, &payload, &mut self.at, &mut self.random)
            }
            kind => {
                let mut bytes = self.payload();
                if kind == Kind::Lines {
                    self.cut_into_lines(&mut bytes);
                }
                let mut answer = bytes.clone();
                if kind == Kind::Changed {
                    change(&mut answer, self.at);
                }
                self.at += bytes.len() as u64;
                (bytes, Answer::Bytes(answer))
            }
        };
        Exchange { number, request, answer }
    }

    /// What is said before the end, if something is.
    pub fn last(&mut self) -> Option<Exchange> {
        let says_goodbye = self.kind == Kind::Socket && self.count > 0;
        let (request, answer) = says_goodbye.then(|| talk::goodbye(&mut self.random))?;
        Some(Exchange { number: self.count, request, answer })
    }

    /// Lines of random lengths that the server takes, the last one ended, too.
    fn cut_into_lines(&mut self, bytes: &mut [u8]) {
        const LONGEST: u64 = 1024;
        bytes.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        let mut at = 0;
        while at < bytes.len() {
            at = bytes.len().min(at + 1 + self.random.below(LONGEST) as usize);
            bytes[at - 1] = b'\n';
        }
    }

    fn http(&mut self) -> (Vec<u8>, Answer) {
        let get = |target: &str, body: &[u8]| {
            let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            (head.into_bytes(), Answer::Body(body.to_vec()))
        };
        match self.random.below(11) {
            0 => get("/plaintext", b"Hello, World!"),
            1 | 2 => get("/state", self.count.to_string().as_bytes()),
            3 => get(&format!("/sleep?ms={}", self.random.below(30)), b"slept"),
            10 => {
                let limit = self.random.below(2000);
                let body: String = (0..limit).map(|n| format!("{n}\n")).collect();
                get(&format!("/numbers?to={limit}"), body.as_bytes())
            }
            4 | 5 => {
                let body = self.payload();
                let mut answer = body.clone();
                change(&mut answer, 0);
                (with_length("/change", &body), Answer::Body(answer))
            }
            6 | 7 => {
                let body = self.payload();
                (with_length("/echo", &body), Answer::Body(body))
            }
            _ => {
                let body = self.payload();
                (self.in_chunks("/echo", &body), Answer::Body(body))
            }
        }
    }

    fn in_chunks(&mut self, target: &str, body: &[u8]) -> Vec<u8> {
        let mut request =
            format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
                .into_bytes();
        let mut rest = body;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(self.random.chunk().min(rest.len()));
            request.extend(format!("{:x}\r\n", chunk.len()).bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
            rest = after;
        }
        request.extend(b"0\r\n\r\n");
        request
    }
}

/// A request with a body of known length.
pub fn with_length(target: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}
