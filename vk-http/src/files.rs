//! Files of a directory.
//!
//! ```text
//!   path ── decode, judge ──► openat2(root, RESOLVE_BENEATH) ──► facts ──► fields, conditions, range
//!                                      ▲                                        │
//!                                      └──── again for each 64 KiB ◄────────────┘
//! ```
//!
//! A descriptor is no plain data: it would not outlive the worker, and the frame does. So none is kept. Each piece opens
//! its file anew, and makes sure that it is still the one that was announced: the same inode, size and time of change.
//! Where it isn't, the connection ends rather than that two versions are mixed.

use crate::answer::{announce, end, respond_status, write};
use crate::close::refuse;
use crate::conditions::Asked;
use crate::gzip::{self, Gzip};
use crate::made::WORTHWHILE;
use crate::redirect::redirect;
use crate::said::field;
use crate::scratch::{fill, keep};
use crate::text::Text;
use crate::{Request, accepts, date};
use look::{Facts, Found, is_text, kind, look, read, text};
use std::io;
use vk_core::{HeapBytes, Io};

mod look;

/// What is shown where nothing is.
const PAGE: &str = "/404.html";

/// Bytes that are read at once.
const PIECE: u64 = 64 * 1024;

/// Answers with a file below the directory `root`: the one that `path` names, as it stands in a target, encoded.
///
/// - `GET` and `HEAD`, else 405; conditions (304, 412), a range (206, 416), `If-Range`;
/// - `ETag` and `Last-Modified` from the file's time of change and size, `Content-Type` from its name (text is said to
///   be UTF-8);
/// - for a path that ends with a slash, `index.html` there; a directory without one is redirected to (301);
/// - 404, with `404.html` of `root` as its page if there is one, for what isn't there, no regular file or not readable; for
///   what begins with a dot, so that neither `..` nor `.git` is found; for symbolic links that lead out of `root`
///   (`openat2`'s `RESOLVE_BENEATH`).
///
/// A worker under `--confine strict` may open no file: an application that serves some says `opens_files: true` in
/// `vk_app!`, and does not begin there.
///
/// Memory is 64 KiB at most. Reading from the disk holds the worker up; what is read often is in the page cache.
///
/// ```
/// # use vk::prelude::*;
/// # use vk_http::{self as http, Request};
/// #[vk::coroutine]
/// fn assets(io: &mut Io, request: &Request) -> io::Result<()> {
///     http::field(io, request, "Cache-Control", "max-age=60")?;
///     http::file(io, request, "/srv/www", request.path())
/// }
/// ```
///
/// # Errors
/// `InvalidData` if the file changes while it is sent; those of [`begin`](struct@crate::begin) and [`write`](struct@write).
#[vk::coroutine]
pub fn file(io: &mut Io, request: &Request, root: &str, path: &str) -> io::Result<()> {
    find(io, request, root, path, false)
}

/// As [`file`](struct@file), compressed with gzip where it is text of 1 KiB or more and the client asks for that. `Vary`
/// says so, and the `ETag` of what is compressed is weak, as the same file may be compressed to other bytes: so it is sent
/// whole to whoever asks for a part of it.
///
/// Each request compresses anew, some 2 ms for each 64 KiB, and nothing else runs on this worker meanwhile. Memory is
/// 128 KiB at most.
///
/// # Errors
/// As [`file`](struct@file).
#[vk::coroutine]
pub fn file_compressed(io: &mut Io, request: &Request, root: &str, path: &str) -> io::Result<()> {
    find(io, request, root, path, true)
}

#[vk::coroutine]
fn find(io: &mut Io, request: &Request, root: &str, path: &str, compress: bool) -> io::Result<()> {
    if !matches!(request.method(), "GET" | "HEAD") {
        field(io, request, "Allow", "GET, HEAD")?;
        return respond_status(io, request, 405);
    }
    request.leaves_rest();
    // What a pattern has made of it may look right: `private/x` of `/files//private/x`, which is no `/files/private/x`.
    if request.path().contains("//") {
        return miss(io, request, root);
    }
    let facts: Facts = match look(root, path) {
        Found::File(_, facts) => facts,
        Found::Directory => return redirect(io, request, 301, request.path(), "/"),
        Found::Nothing(404) => return miss(io, request, root),
        Found::Nothing(status) => {
            let status: u16 = status;
            return respond_status(io, request, status);
        }
    };
    let varies: bool = compress && facts.size >= WORTHWHILE as u64 && is_text(&kind(path));
    let smaller: bool = varies && accepts::encoding(request, "gzip") == Some(true);
    if varies {
        field(io, request, "Vary", "Accept-Encoding")?;
    }
    let tag: Text<48> = facts.tag(smaller);
    say(io, request, &facts, &tag)?;
    if let Some(status) = request.condition(&tag, Some(facts.second())) {
        let status: u16 = status;
        announce(io, request, status, "", Some(0))?;
        return end(io, request);
    }
    if smaller {
        return send_compressed(io, request, root, path, &facts);
    }
    let size: u64 = facts.size;
    field(io, request, "Accept-Ranges", "bytes")?;
    match request.range(size, &tag, facts.second()) {
        Asked::Whole => send(io, request, root, path, &facts, 200, 0, size),
        Asked::Part(from, to) => {
            let from: u64 = from;
            let to: u64 = to;
            let range: Text<72> = text(format_args!("bytes {from}-{}/{size}", to - 1));
            field(io, request, "Content-Range", &range)?;
            send(io, request, root, path, &facts, 206, from, to)
        }
        Asked::Nothing => {
            let range: Text<32> = text(format_args!("bytes */{size}"));
            field(io, request, "Content-Range", &range)?;
            respond_status(io, request, 416)
        }
    }
}

/// Says the fields of a file's answer.
#[vk::coroutine]
fn say(io: &mut Io, request: &Request, facts: &Facts, tag: &str) -> io::Result<()> {
    let modified: Text<32> = text(format_args!("{}", date::text(facts.second()).escape_ascii()));
    field(io, request, "ETag", tag)?;
    field(io, request, "Last-Modified", &modified)
}

/// Answers with 404, and the page that the directory has for it.
#[vk::coroutine]
fn miss(io: &mut Io, request: &Request, root: &str) -> io::Result<()> {
    let page: Option<Facts> = match look(root, PAGE) {
        Found::File(_, facts) => Some(facts),
        _ => None,
    };
    let Some(facts) = page else { return respond_status(io, request, 404) };
    let facts: Facts = facts;
    let size: u64 = facts.size;
    send(io, request, root, PAGE, &facts, 404, 0, size)
}

/// Answers with the bytes of a file from `from` to before `to`.
#[vk::coroutine]
fn send(
    io: &mut Io,
    request: &Request,
    root: &str,
    path: &str,
    facts: &Facts,
    status: u16,
    from: u64,
    to: u64,
) -> io::Result<()> {
    let length: u64 = to - from;
    let stop: u64 = if request.head.is_head { from } else { to };
    let mut place: HeapBytes = match io.alloc((stop - from).min(PIECE) as usize) {
        Ok(place) => place,
        Err(_) => return refuse(io, request, 503),
    };
    let kind: Text<96> = kind(path);
    announce(io, request, status, &kind, Some(length))?;
    let mut at: u64 = from;
    while at < stop {
        let count: usize = (stop - at).min(PIECE) as usize;
        // Not as vacant: a worker that dies now goes back to where the piece before was being written.
        read(root, path, facts, at, &mut place[..count])?;
        write(io, request, &place[..count])?;
        at += count as u64;
    }
    io.free(&mut place)?;
    end(io, request)
}

/// Answers with a file, compressed.
#[vk::coroutine]
fn send_compressed(io: &mut Io, request: &Request, root: &str, path: &str, facts: &Facts) -> io::Result<()> {
    let size: u64 = facts.size;
    let mut place: HeapBytes = match io.alloc(size.min(PIECE) as usize) {
        Ok(place) => place,
        Err(_) => return refuse(io, request, 503),
    };
    let kind: Text<96> = kind(path);
    field(io, request, "Content-Encoding", "gzip")?;
    announce(io, request, 200, &kind, None)?;
    let stop: u64 = if request.head.is_head { 0 } else { size };
    let mut gzip: Gzip = Gzip::default();
    write(io, request, &gzip::HEAD)?;
    let mut at: u64 = 0;
    while at < stop {
        let count: usize = (stop - at).min(PIECE) as usize;
        // As vacant: nobody looks at the piece before once it is compressed.
        read(root, path, facts, at, place.vacant(0..count))?;
        fill(|scratch| gzip.piece(&place[..count], scratch))?;
        let mut smaller: HeapBytes = keep(io)?;
        write(io, request, &smaller)?;
        io.free(&mut smaller)?;
        at += count as u64;
    }
    let tail: [u8; 10] = gzip.tail();
    write(io, request, &tail)?;
    io.free(&mut place)?;
    end(io, request)
}
