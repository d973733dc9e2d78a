//! HTTP: what keeps state while it waits, and what goes wrong on request.

use crate::{attacks, faults};
use vk::prelude::*;
use vk_http::{self as http, Request};
use vk_trials::change;

/// The largest body that is changed in place.
const LARGEST: usize = 200 * 1024;

/// Answers each request of a connection, and counts them in its frame.
#[vk::coroutine]
pub fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    let mut count: u64 = 0;
    while http::read_request(io, &mut request)? {
        count += 1;
        match request.path() {
            "/plaintext" => http::respond(io, &request, 200, "text/plain", b"Hello, World!")?,
            "/echo" => echo(io, &mut request)?,
            "/change" => changed(io, &mut request)?,
            "/state" => {
                let text: Line<20> = decimal(count);
                http::respond(io, &request, 200, "text/plain", &text)?;
            }
            "/sleep" => {
                let time: Duration = Duration::from_millis(number(&request, "ms="));
                io.sleep(time)?;
                http::respond(io, &request, 200, "text/plain", b"slept")?;
            }
            "/work-and-sleep" => {
                faults::commit("/block", &mut count);
                io.sleep(faults::BLOCKED)?;
                http::respond(io, &request, 200, "text/plain", b"slept")?;
            }
            "/numbers" => numbers(io, &request)?,
            "/heap" => exhaust(io, &request)?,
            path if path.starts_with("/attack=") => {
                let victim: i32 = path["/attack=".len()..].parse().unwrap_or(0);
                let mut succeeded: Line<1024> = Line::new();
                succeeded.extend(attacks::on(victim).as_bytes())?;
                http::respond(io, &request, 200, "text/plain", &succeeded)?;
            }
            "/error" => return Err(io::Error::other("asked for")),
            _ => {
                faults::commit(request.path(), &mut count);
                http::respond_status(io, &request, 404)?;
            }
        }
    }
    Ok(())
}

/// Streams the body back as it comes.
#[vk::coroutine]
fn echo(io: &mut Io, request: &mut Request) -> io::Result<()> {
    let length: Option<u64> = request.body_length();
    http::begin(io, request, 200, "", length)?;
    http::forward_body(io, request)?;
    http::end(io, request)
}

/// Streams the numbers below a limit, as they are counted: each leaves by itself now and then.
#[vk::coroutine]
fn numbers(io: &mut Io, request: &Request) -> io::Result<()> {
    let limit: u64 = number(request, "to=");
    http::begin(io, request, 200, "text/plain", None)?;
    for n in 0..limit {
        let n: u64 = n;
        http::print(io, request, &format_args!("{n}\n"))?;
        match n % 64 {
            0 => io.sleep(Duration::from_millis(1))?,
            1 => io.flush()?,
            _ => {}
        }
    }
    http::end(io, request)
}

/// Reads the body into memory and changes it there as it comes, then answers with it: a change that was made
/// twice, or not at all, shows.
#[vk::coroutine]
fn changed(io: &mut Io, request: &mut Request) -> io::Result<()> {
    let length: usize = request.body_length().unwrap_or(0) as usize;
    if length > LARGEST {
        return http::respond_status(io, request, 413);
    }
    let mut bytes: HeapBytes = io.alloc(length)?;
    let mut at: usize = 0;
    while at < length {
        let count: usize = http::read_body(io, request, &mut bytes[at..])?;
        change(&mut bytes[at..at + count], at as u64);
        at += count;
    }
    http::respond(io, request, 200, "", &bytes)?;
    io.free(&mut bytes)
}

/// Takes memory until there is none, and says so.
#[vk::coroutine]
fn exhaust(io: &mut Io, request: &Request) -> io::Result<()> {
    loop {
        match io.alloc(1000) {
            Ok(_) => {}
            Err(_) => break,
        }
    }
    http::respond_status(io, request, 503)
}

/// A number as text.
pub fn decimal(number: u64) -> Line<20> {
    let mut text = Line::new();
    text.extend(number.to_string().as_bytes()).expect("2^64 has 20 digits");
    text
}

/// The number in the query, behind `name`.
fn number(request: &Request, name: &str) -> u64 {
    let query = request.query().and_then(|query| query.strip_prefix(name));
    query.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
