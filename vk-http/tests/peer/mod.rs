//! Servers of plain threads, which say what they are told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// A short answer.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Reads a request with its body, in chunks even; None at the end.
pub fn read_request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        if stream.read_line(&mut text).unwrap_or(0) == 0 {
            return None;
        }
    }
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    text += str::from_utf8(&body).unwrap();
    if text.contains("Transfer-Encoding: chunked") {
        while !(text.contains("\r\n0\r\n") && text.ends_with("\r\n\r\n")) {
            if stream.read_line(&mut text).ok()? == 0 {
                return None;
            }
        }
    }
    Some(text)
}

/// Serves connection after connection, each with its answers, and then hangs up; an answer of "wait" is none for two
/// seconds. What was asked comes out, with the number of the connection before it.
pub fn server(connections: Vec<Vec<String>>) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = channel();
    thread::spawn(move || {
        for (n, answers) in connections.into_iter().enumerate() {
            let Ok((stream, _)) = listener.accept() else { return };
            let mut stream = BufReader::new(stream);
            for answer in answers {
                let Some(request) = read_request(&mut stream) else { break };
                let _ = asked.send(format!("{n} {request}"));
                match answer.as_str() {
                    "wait" => thread::sleep(Duration::from_secs(2)),
                    answer => _ = stream.get_mut().write_all(answer.as_bytes()),
                }
            }
        }
    });
    (address, requests)
}
