//! Answers made of values: JSON, formatted text, and what is compressed.

use crate::answer::{respond, write};
use crate::said::field;
use crate::scratch::{fill, keep};
use crate::{Request, accepts};
use erased_serde::Serialize;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt;
use std::io::{self, Write};
use vk_core::{HeapBytes, Io};

/// Answers a request with a status and a value as JSON.
///
/// `value` is an argument of a blocking call: it is given again when that resumes. So it is a plain variable, or is
/// made in place, of literals and views. What is neither, a `Vec` say, is written with [`to_json`] before.
///
/// ```
/// # use vk::prelude::*;
/// # use vk_http::{self as http, Request};
/// #[derive(serde::Serialize)]
/// struct User<'a> {
///     id: u64,
///     agent: &'a str,
/// }
///
/// #[vk::coroutine]
/// fn user(io: &mut Io, request: &Request) -> io::Result<()> {
///     let id: u64 = match request.param("id").and_then(|id| id.parse().ok()) {
///         Some(id) => id,
///         None => return http::respond_status(io, request, 404),
///     };
///     http::json(io, request, 200, &User { id, agent: request.get("user-agent").unwrap_or("") })
/// }
/// ```
///
/// # Errors
/// `InvalidInput` if the value can't be JSON (a map whose keys aren't text); `OutOfMemory` if the micro-heap is full;
/// those of [`respond`].
#[vk::coroutine]
pub fn json(io: &mut Io, request: &Request, status: u16, value: &dyn Serialize) -> io::Result<()> {
    fill(|scratch| Ok(serde_json::to_writer(scratch, value)?))?;
    let mut body: HeapBytes = keep(io)?;
    respond(io, request, status, "application/json", &body)?;
    io.free(&mut body)
}

/// Writes a value as JSON to the beginning of `to`, and returns its length. It doesn't block: for values that may not
/// live across a blocking call.
///
/// ```
/// # use vk::prelude::*;
/// # use vk_http::{self as http, Request};
/// #[vk::coroutine]
/// fn squares(io: &mut Io, request: &Request) -> io::Result<()> {
///     let mut page: HeapBytes = io.alloc(4096)?;
///     let length: usize = {
///         let squares: Vec<u32> = (0..100).map(|n| n * n).collect();
///         http::to_json(&squares, &mut page)?
///     };
///     http::respond(io, request, 200, "application/json", &page[..length])?;
///     io.free(&mut page)
/// }
/// ```
///
/// # Errors
/// `WriteZero` if there is no room; `InvalidInput` if the value can't be JSON.
pub fn to_json(value: &dyn Serialize, to: &mut [u8]) -> io::Result<usize> {
    let mut cursor = io::Cursor::new(to);
    serde_json::to_writer(&mut cursor, value)?;
    Ok(cursor.position() as usize)
}

/// Writes formatted text as a piece of the body of the answer that [`begin`](crate::begin) began:
/// `http::print(io, request, &format_args!("{n} bytes\n"))?`.
///
/// # Errors
/// `InvalidInput` if a value's own formatting fails; `OutOfMemory` if the micro-heap is full; those of
/// [`write`](struct@write).
#[vk::coroutine]
pub fn print(io: &mut Io, request: &Request, text: &fmt::Arguments<'_>) -> io::Result<()> {
    fill(|scratch| scratch.write_fmt(*text).map_err(|_| io::ErrorKind::InvalidInput.into()))?;
    let mut piece: HeapBytes = keep(io)?;
    write(io, request, &piece)?;
    io.free(&mut piece)
}

/// [Answers](respond) with a whole body, which is compressed with gzip if the client asks for it and it becomes
/// smaller, or if it takes nothing else. `Vary: Accept-Encoding` is said in any case (RFC 9110, 12.5.3 and 12.5.5). An
/// `ETag` that was said becomes weak where the body is compressed: a strong one is of other bytes (8.8.3.3).
///
/// Nothing else runs on this worker meanwhile: for what is large or asked for often, keep it compressed.
///
/// # Errors
/// `OutOfMemory` if the micro-heap is full; those of [`respond`].
#[vk::coroutine]
pub fn respond_compressed(
    io: &mut Io,
    request: &Request,
    status: u16,
    content_type: &str,
    body: &[u8],
) -> io::Result<()> {
    field(io, request, "Vary", "Accept-Encoding")?;
    let needed: bool = accepts::encoding(request, "identity") == Some(false);
    let asked: bool =
        (needed || body.len() >= WORTHWHILE) && accepts::encoding(request, "gzip") == Some(true);
    if !asked {
        return respond(io, request, status, content_type, body);
    }
    fill(|scratch| gzip(body, scratch))?;
    let mut smaller: HeapBytes = keep(io)?;
    if needed || smaller.len() < body.len() {
        request.said.weaken();
        field(io, request, "Content-Encoding", "gzip")?;
        respond(io, request, status, content_type, &smaller)?;
    } else {
        respond(io, request, status, content_type, body)?;
    }
    io.free(&mut smaller)
}

/// Bytes from which on it is worth while to compress: less fits into one packet anyway.
pub(crate) const WORTHWHILE: usize = 1024;

fn gzip(body: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = GzEncoder::new(to, Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()?;
    Ok(())
}
