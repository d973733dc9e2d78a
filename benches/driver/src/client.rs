//! Our own client: asks once and checks the answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Failure;

/// What is asked for.
pub const PATH: &str = "/plaintext";
const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";
const STATUS: &[u8] = b"HTTP/1.1 200 ";
const BODY: &[u8] = b"\r\n\r\nHello, World!";
/// More than the longest answer.
const ANSWER: usize = 1024;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

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
    while !answer[..len].ends_with(BODY) {
        match stream.read(&mut answer[len..]).map_err(world)? {
            0 => return Err(format!("a wrong answer: {:?}", String::from_utf8_lossy(&answer[..len]))),
            read => len += read,
        }
    }
    if answer.starts_with(STATUS) { Ok(()) } else { Err("the answer's status is not 200".into()) }
}
