//! The receiving side of a connection: what comes is compared as it comes.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use vk_try::{PATIENCE, Random};

/// The most bytes that are read at once.
const MOST: usize = 64 * 1024;

const SILENCE: &str = "nothing has come";
const ENDED: &str = "the connection has ended";

/// What came instead of what had to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where, in bytes from the beginning of the answer.
    pub offset: usize,
    /// What it was.
    pub what: String,
}

impl Wrong {
    /// Whether nothing came, not even an end.
    fn is_silence(&self) -> bool {
        self.what.starts_with(SILENCE)
    }

    /// Whether the connection has ended: the server is neither silent nor says what is wrong.
    pub fn is_cut(&self) -> bool {
        let ends =
            [libc::ECONNRESET, libc::EPIPE].map(|number| io::Error::from_raw_os_error(number).to_string());
        self.what.starts_with(ENDED) || ends.contains(&self.what)
    }
}

/// What comes on a connection.
#[derive(Debug)]
pub struct Incoming {
    stream: Arc<TcpStream>,
    buffer: Vec<u8>,
    /// The bytes of `buffer` that have come and are not looked at yet.
    begin: usize,
    end: usize,
    /// Bytes of this answer that were looked at.
    offset: usize,
    /// Whether it says that it is the last one.
    last: bool,
    /// Set for who reads little at a time, with pauses.
    slow: Option<Random>,
}

impl Incoming {
    /// What comes on `stream`: read slowly, at random, if there is a seed for it.
    ///
    /// # Errors
    /// If the stream takes no timeout.
    pub fn new(stream: Arc<TcpStream>, slow: Option<u64>) -> io::Result<Incoming> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let most = if slow.is_some() { 512 } else { MOST };
        Ok(Incoming {
            stream,
            buffer: vec![0; most],
            begin: 0,
            end: 0,
            offset: 0,
            last: false,
            slow: slow.map(Random),
        })
    }

    /// Ends the connection for whoever sends on it, too.
    pub fn abandon(&self) {
        // It may be over already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether the answer whose [`head`](Incoming::head) came last says `Connection: close`.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Begins another answer.
    pub fn answer(&mut self) {
        self.offset = 0;
    }

    fn wrong<T>(&self, what: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong { offset: self.offset, what: what.into() })
    }

    /// What has come, at least a byte; nothing at the end.
    fn some(&mut self) -> Result<&[u8], Wrong> {
        if self.begin == self.end {
            if let Some(random) = &mut self.slow
                && random.below(3) == 0
            {
                thread::sleep(Duration::from_micros(random.below(2000)));
            }
            let count = loop {
                match (&*self.stream).read(&mut self.buffer) {
                    Ok(count) => break count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        return self.wrong(format!("{SILENCE} for {PATIENCE:?}"));
                    }
                    Err(error) => return self.wrong(error.to_string()),
                }
            };
            (self.begin, self.end) = (0, count);
        }
        Ok(&self.buffer[self.begin..self.end])
    }

    fn used(&mut self, count: usize) {
        self.begin += count;
        self.offset += count;
    }

    /// Waits until something has come.
    ///
    /// # Errors
    /// If the connection ends instead.
    pub fn begins(&mut self) -> Result<(), Wrong> {
        if self.some()?.is_empty() { self.wrong(ENDED) } else { Ok(()) }
    }

    /// Expects exactly these bytes.
    ///
    /// # Errors
    /// If others come, or too few.
    pub fn bytes(&mut self, expected: &[u8]) -> Result<(), Wrong> {
        let mut at = 0;
        while at < expected.len() {
            let there = self.some()?;
            if there.is_empty() {
                return self.wrong(format!("{ENDED} {} bytes too early", expected.len() - at));
            }
            let count = there.len().min(expected.len() - at);
            if let Some(first) = (0..count).find(|&n| there[n] != expected[at + n]) {
                let what = explain(&there[first..], expected, at + first);
                self.offset += first;
                return self.wrong(what);
            }
            self.used(count);
            at += count;
        }
        Ok(())
    }

    /// Reads a line that ends with CR LF, and returns it without.
    ///
    /// # Errors
    /// If there is none.
    pub fn line(&mut self) -> Result<String, Wrong> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let Some(&byte) = self.some()?.first() else {
                return self.wrong(format!("{ENDED} within a head"));
            };
            line.push(byte);
            self.used(1);
            if line.len() > 8192 {
                return self.wrong("a line without end");
            }
        }
        match str::from_utf8(&line).ok().and_then(|line| line.strip_suffix("\r\n")) {
            Some(line) => Ok(line.to_owned()),
            None => self.wrong(format!("{:?} where a line was to come", line.escape_ascii().to_string())),
        }
    }

    /// Expects the head of a response with this status; returns the length of its body, None if it is chunked.
    ///
    /// # Errors
    /// If something else comes.
    pub fn head(&mut self, status: u16) -> Result<Option<usize>, Wrong> {
        let line = self.line()?;
        if line.split(' ').nth(1) != Some(&status.to_string()) || !line.starts_with("HTTP/1.1 ") {
            return self.wrong(format!("{line:?} where {status} was to come"));
        }
        let (mut length, mut chunked) = (None, false);
        self.last = false;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            match line.to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().ok(),
                Some(("transfer-encoding", "chunked")) => chunked = true,
                Some(("connection", "close")) => self.last = true,
                Some(_) => {}
                None => return self.wrong(format!("{line:?} where a field was to come")),
            }
        }
        if chunked == length.is_some() { self.wrong("a response with no length, or two") } else { Ok(length) }
    }

    /// Expects the head that makes the connection a WebSocket, with this proof.
    ///
    /// # Errors
    /// If something else comes.
    pub fn upgrade(&mut self, proof: &str) -> Result<(), Wrong> {
        let mut lines = vec![self.line()?];
        while lines.last().is_some_and(|line| !line.is_empty()) {
            lines.push(self.line()?);
        }
        let is_one = lines[0].starts_with("HTTP/1.1 101 ")
            && lines.contains(&format!("Sec-WebSocket-Accept: {proof}"));
        if is_one { Ok(()) } else { self.wrong(format!("{lines:?} where a WebSocket was to begin")) }
    }

    /// Expects a body, of the length or in the chunks that [`head`](Incoming::head) has told of.
    ///
    /// # Errors
    /// If another one comes.
    pub fn body(&mut self, length: Option<usize>, expected: &[u8]) -> Result<(), Wrong> {
        let mut at = 0;
        if let Some(length) = length {
            if length != expected.len() {
                return self.wrong(format!("a body of {length} bytes, not of {}", expected.len()));
            }
            return self.bytes(expected);
        }
        loop {
            let line = self.line()?;
            let Ok(size) = usize::from_str_radix(&line, 16) else {
                return self.wrong(format!("{line:?} where a chunk was to begin"));
            };
            if size > expected.len() - at || size == 0 && at < expected.len() {
                let left = expected.len() - at;
                return self.wrong(format!("a chunk of {size} bytes, and {left} are left of the body"));
            }
            self.bytes(&expected[at..at + size])?;
            self.bytes(b"\r\n")?;
            at += size;
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Passes over what comes, until the end or a reset.
    ///
    /// # Errors
    /// If it goes on for too long, or is silent for too long.
    pub fn is_over(&mut self) -> Result<(), Wrong> {
        const LONGEST: usize = 1 << 20;
        while self.offset < LONGEST {
            match self.some() {
                Ok([]) => return Ok(()),
                Ok(there) => {
                    let count = there.len();
                    self.used(count);
                }
                Err(wrong) if wrong.is_silence() => return Err(wrong),
                Err(_) => return Ok(()),
            }
        }
        self.wrong("it does not end")
    }

    /// Expects the end of the stream.
    ///
    /// # Errors
    /// If a byte comes, or a reset.
    pub fn end(&mut self) -> Result<(), Wrong> {
        let count = self.some()?.len();
        if count > 0 { self.wrong(format!("{count} bytes too many, or more")) } else { Ok(()) }
    }
}

/// Says what `there` is, which came instead of `expected[at..]`.
fn explain(there: &[u8], expected: &[u8], at: usize) -> String {
    // Fewer could be anywhere by chance.
    const TELLING: usize = 8;
    let sample = &there[..there.len().min(2 * TELLING)];
    let found = (sample.len() >= TELLING)
        .then(|| expected.windows(sample.len()).position(|window| window == sample))
        .flatten();
    match found {
        Some(from) if from < at => format!("{} bytes have come twice", at - from),
        Some(from) => format!("{} bytes are lost", from - at),
        None => format!("wrong bytes: \"{}\"", sample.escape_ascii()),
    }
}
