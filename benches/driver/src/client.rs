//! Our own client: asks once and checks the answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Failure;

/// What is asked for.
pub const PATH: &str = "/plaintext";
/// How.
pub const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";
const STATUS: &[u8] = b"HTTP/1.1 200 ";
const BODY: &[u8] = b"\r\n\r\nHello, World!";
/// More than the longest answer.
pub const ANSWER: usize = 1024;
/// What an answer says that is the connection's last, whatever the case of its letters.
const LAST: &[u8] = b"\r\nconnection: close\r\n";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A whole answer, as it must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The connection stays.
    Next,
    /// The server says that it closes the connection.
    Last,
}

impl Answer {
    /// What has come of an answer; none until all of it has.
    ///
    /// # Errors
    /// It is not the 200 with `Hello, World!` that every server must give.
    pub fn of(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        if !bytes.ends_with(BODY) {
            return match bytes.len() < ANSWER {
                true => Ok(None),
                false => Err(wrong(bytes)),
            };
        }
        if !bytes.starts_with(STATUS) {
            return Err(wrong(bytes));
        }
        let is_last = bytes.windows(LAST.len()).any(|part| part.eq_ignore_ascii_case(LAST));
        Ok(Some(if is_last { Self::Last } else { Self::Next }))
    }
}

fn wrong(answer: &[u8]) -> Failure {
    format!("a wrong answer: {:?}", String::from_utf8_lossy(answer))
}

/// Sends one request and reads its whole answer.
///
/// # Errors
/// No answer in time, or one that is not the 200 with `Hello, World!` that every server must give.
pub fn ask(stream: &mut TcpStream) -> Result<(), Failure> {
    let world = |error| format!("no answer: {error}");
    stream.set_read_timeout(Some(PATIENCE)).map_err(world)?;
    stream.write_all(REQUEST).map_err(world)?;
    let mut answer = [0; ANSWER];
    let mut len = 0;
    while Answer::of(&answer[..len])?.is_none() {
        match stream.read(&mut answer[len..]).map_err(world)? {
            0 => return Err(wrong(&answer[..len])),
            read => len += read,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let of = |text: &str| Answer::of(text.as_bytes());
        assert_eq!(of("HTTP/1.1 200 OK\r\n\r\nHello, World!"), Ok(Some(Answer::Next)));
        assert_eq!(of("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nHello, World!"), Ok(Some(Answer::Last)));
        assert_eq!(of("HTTP/1.1 200 OK\r\n\r\nHello"), Ok(None));
        assert!(of("HTTP/1.1 500 No\r\n\r\nHello, World!").is_err());
        assert!(of(&"x".repeat(ANSWER)).is_err());
    }
}
