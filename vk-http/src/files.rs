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

use crate::answer::{begin, end, respond_status, write};
use crate::close::refuse;
use crate::conditions::Asked;
use crate::said::{field, field_of};
use crate::text::Text;
use crate::{Request, date};
use percent_encoding::percent_decode_str;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;
use std::borrow::Cow;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use vk_core::{HeapBytes, Io, Plain};

/// Bytes that are read at once.
const PIECE: u64 = 64 * 1024;

/// Answers with a file below the directory `root`: the one that `path` names, as it stands in a target, encoded.
///
/// - `GET` and `HEAD`, else 405; conditions (304, 412), a range (206, 416), `If-Range`;
/// - `ETag` and `Last-Modified` from the file's time of change and size, `Content-Type` from its name (text is said to
///   be UTF-8);
/// - for a path that ends with a slash, `index.html` there; a directory without one is redirected to (301);
/// - 404 for what isn't there, no regular file or not readable; for what begins with a dot, so that neither `..` nor
///   `.git` is found; for symbolic links that lead out of `root` (`openat2`'s `RESOLVE_BENEATH`).
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
/// `InvalidData` if the file changes while it is sent; those of [`begin`] and [`write`](struct@write).
#[vk::coroutine]
pub fn file(io: &mut Io, request: &Request, root: &str, path: &str) -> io::Result<()> {
    if !matches!(request.method(), "GET" | "HEAD") {
        field(io, request, "Allow", "GET, HEAD")?;
        return respond_status(io, request, 405);
    }
    let facts: Facts = match look(root, path) {
        Found::File(_, facts) => facts,
        Found::Directory => return redirect(io, request),
        Found::Nothing(status) => {
            let status: u16 = status;
            return respond_status(io, request, status);
        }
    };
    let tag: Text<48> = facts.tag();
    say(io, request, &facts, &tag)?;
    if let Some(status) = request.condition(&tag, Some(facts.second())) {
        let status: u16 = status;
        begin(io, request, status, "", Some(0))?;
        return end(io, request);
    }
    let size: u64 = facts.size;
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
    field(io, request, "Last-Modified", &modified)?;
    field(io, request, "Accept-Ranges", "bytes")
}

/// Sends a directory's client to the path with a slash.
#[vk::coroutine]
fn redirect(io: &mut Io, request: &Request) -> io::Result<()> {
    match request.query() {
        None => field_of(io, request, "Location", &[request.path(), "/"])?,
        Some(_) => {
            field_of(io, request, "Location", &[request.path(), "/?", request.query().unwrap_or("")])?;
        }
    }
    respond_status(io, request, 301)
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
    begin(io, request, status, &kind, Some(length))?;
    let mut at: u64 = from;
    while at < stop {
        let count: usize = (stop - at).min(PIECE) as usize;
        read(root, path, facts, at, &mut place[..count])?;
        write(io, request, &place[..count])?;
        at += count as u64;
    }
    io.free(&mut place)?;
    end(io, request)
}

/// What makes a file the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
struct Facts {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds from 1970 to its last change.
    modified: u64,
}

impl Facts {
    fn second(&self) -> u64 {
        self.modified / 1_000_000_000
    }

    /// The entity tag: the same on each machine that has the file with its time.
    fn tag(&self) -> Text<48> {
        text(format_args!("\"{:x}-{:x}\"", self.modified, self.size))
    }
}

/// What a path leads to.
enum Found {
    File(File, Facts),
    /// A directory, named without a slash.
    Directory,
    /// Nothing to be had; answered with this status.
    Nothing(u16),
}

/// Opens the file that `path` names below `root`.
fn look(root: &str, path: &str) -> Found {
    let Some(name) = name(path) else { return Found::Nothing(404) };
    match open_below(root, &name) {
        Ok(file) => match fstat(&file) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {
                    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
                    let facts = Facts {
                        device: stat.st_dev,
                        inode: stat.st_ino,
                        size: stat.st_size as u64,
                        modified: seconds.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec),
                    };
                    Found::File(file.into(), facts)
                }
                FileType::Directory if !path.ends_with('/') => Found::Directory,
                _ => Found::Nothing(404),
            },
            Err(_) => Found::Nothing(500),
        },
        Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN) => Found::Nothing(503),
        Err(Errno::IO | Errno::NOSYS | Errno::INVAL) => Found::Nothing(500),
        Err(_) => Found::Nothing(404),
    }
}

fn open_below(root: &str, name: &[u8]) -> Result<OwnedFd, Errno> {
    let root =
        open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).inspect_err(|error| {
            tracing::error!("the directory {root} of files to be served: {error}");
        });
    // Without `NONBLOCK` a named pipe would hold the worker up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let root = root.map_err(|_| Errno::IO)?;
    openat2(&root, name, flags, Mode::empty(), within)
}

/// The name of a file below the root; None for one that isn't served.
fn name(path: &str) -> Option<Cow<'_, [u8]>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let decoded = Cow::from(percent_decode_str(path));
    let slashes = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'/').count();
    // An encoded slash is part of a name, and no file has such a name.
    if decoded.contains(&0) || slashes(&decoded) > slashes(path.as_bytes()) {
        return None;
    }
    let mut parts = decoded.split(|byte| *byte == b'/').rev();
    let last = parts.next().unwrap_or_default();
    if last.starts_with(b".") || parts.any(|part| part.is_empty() || part.starts_with(b".")) {
        return None;
    }
    Some(if last.is_empty() { [&decoded, &b"index.html"[..]].concat().into() } else { decoded })
}

/// Reads from a file that was looked at.
fn read(root: &str, path: &str, facts: &Facts, at: u64, to: &mut [u8]) -> io::Result<()> {
    match look(root, path) {
        Found::File(file, now) if now == *facts => file.read_exact_at(to, at),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the file has changed while it was sent")),
    }
}

/// The content type that a path's name suggests; "" if none.
fn kind(path: &str) -> Text<96> {
    let path = if path.is_empty() || path.ends_with('/') { "index.html" } else { path };
    let kind = mime_guess::from_path(path).first_raw().unwrap_or("");
    let charset = if kind.starts_with("text/") { "; charset=utf-8" } else { "" };
    text(format_args!("{kind}{charset}"))
}

/// Text that is known to be short enough.
fn text<const N: usize>(pieces: std::fmt::Arguments<'_>) -> Text<N> {
    let mut text = Text::new();
    text.write_fmt(pieces).expect("it has a known greatest length");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (path, expected) in [
            ("/a/b.txt", Some("a/b.txt")),
            ("a%20b", Some("a b")),
            ("/", Some("index.html")),
            ("", Some("index.html")),
            ("/a/", Some("a/index.html")),
            ("/a%zz", Some("a%zz")),
            ("/..", None),
            ("/a/../b", None),
            ("/%2e%2e/b", None),
            ("/.git/config", None),
            ("/a/.b", None),
            ("/a%2fb", None),
            ("/a%00", None),
            ("//a", None),
            ("/a//b", None),
            ("//", None),
        ] {
            assert_eq!(name(path).as_deref(), expected.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn kinds() {
        assert_eq!(kind("/a.html").as_str(), "text/html; charset=utf-8");
        assert_eq!(kind("/a/").as_str(), "text/html; charset=utf-8");
        assert_eq!(kind("/a.png").as_str(), "image/png");
        assert_eq!(kind("/a").as_str(), "");
    }
}
