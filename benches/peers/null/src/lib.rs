//! What a server does at least: find the ends of the requests, owe an answer for each, send what is owed.
//!
//! ```text
//! bytes ── Ends::count ──> requests ── × Answers::size ──> owed ── Answers::next ──> one write per batch
//! ```
//!
//! Nothing is parsed: a blank line ends a request, whatever stands before it.

use memchr::memmem::Finder;

/// Answers kept ready to leave in one write: more than any scenario pipelines.
const READY: usize = 64;

/// The options of both null servers.
#[derive(clap::Parser)]
pub struct Options {
    /// Where to listen
    #[command(flatten)]
    pub listen: peer_listen::Listen,
    /// Close each connection after its first batch of answers (a server that parses nothing has to be told)
    #[arg(long)]
    pub close: bool,
}

/// The ready answers, one after the other.
pub struct Answers {
    ready: Vec<u8>,
    size: usize,
}

impl Answers {
    /// Answers of 13 bytes with the headers of a real one; `close` adds `Connection: close`.
    #[must_use]
    pub fn new(close: bool) -> Self {
        let connection = if close { "Connection: close\r\n" } else { "" };
        let one = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\
             Date: Fri, 20 Nov 2026 12:00:00 GMT\r\n{connection}\r\nHello, World!"
        );
        Self { ready: one.repeat(READY).into_bytes(), size: one.len() }
    }

    /// Bytes of one answer.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The bytes to send next to a client who is still owed `owed` bytes: all of them, up to 64 answers.
    #[must_use]
    pub fn next(&self, owed: usize) -> &[u8] {
        let sent_of_first = (self.size - owed % self.size) % self.size;
        let end = self.ready.len().min(sent_of_first + owed);
        &self.ready[sent_of_first..end]
    }
}

/// Finds blank lines.
pub struct Ends(Finder<'static>);

/// How much of a blank line a connection's last bytes were: 0 to 3 bytes of `\r\n\r\n`.
#[derive(Clone, Copy, Default)]
pub struct Seam(u8);

const BLANK_LINE: &[u8; 4] = b"\r\n\r\n";

impl Ends {
    /// The searcher, built once.
    #[must_use]
    pub fn new() -> Self {
        Self(Finder::new(BLANK_LINE))
    }

    /// How many requests end in `bytes`, the next ones of a stream that `seam` remembers.
    #[inline]
    pub fn count(&self, seam: &mut Seam, mut bytes: &[u8]) -> usize {
        let mut ends = 0;
        while seam.0 > 0
            && let Some((&first, rest)) = bytes.split_first()
        {
            ends += usize::from(seam.step(first));
            bytes = rest;
        }
        let mut next = 0;
        for start in self.0.find_iter(bytes) {
            ends += 1;
            next = start + BLANK_LINE.len();
        }
        for &byte in &bytes[next.max(bytes.len().saturating_sub(3))..] {
            seam.step(byte);
        }
        ends
    }
}

impl Default for Ends {
    fn default() -> Self {
        Self::new()
    }
}

impl Seam {
    /// Takes one byte; true when it ends a blank line.
    fn step(&mut self, byte: u8) -> bool {
        self.0 = match (self.0, byte) {
            (2, b'\r') => 3,
            (_, b'\r') => 1,
            (1, b'\n') => 2,
            (3, b'\n') => 4,
            _ => 0,
        };
        let ended = self.0 == 4;
        self.0 %= 4;
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cut of a stream into three pieces finds the same requests.
    #[test]
    fn count_is_blind_to_chunking() {
        let stream = b"GET / HTTP/1.1\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\n\r\r\n\r\nG";
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let (ends, mut seam) = (Ends::new(), Seam::default());
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                let found: usize = pieces.iter().map(|piece| ends.count(&mut seam, piece)).sum();
                assert_eq!(found, 3, "cut at {first} and {second}");
            }
        }
    }

    /// Sent in writes of any size, the bytes are whole answers one after the other.
    #[test]
    fn owed_bytes_leave_in_order() {
        let answers = Answers::new(false);
        for step in [1, 7, 100, 5000, usize::MAX] {
            let (mut owed, mut sent) = (100 * answers.size(), Vec::new());
            while owed > 0 {
                let next = answers.next(owed);
                let taken = &next[..next.len().min(step)];
                sent.extend_from_slice(taken);
                owed -= taken.len();
            }
            assert_eq!(sent, answers.ready[..answers.size()].repeat(100));
        }
    }
}
