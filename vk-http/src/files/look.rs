//! What a path leads to, below a directory.

use crate::date;
use crate::text::Text;
use percent_encoding::percent_decode_str;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use vk_core::Plain;

/// What makes a file the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(super) struct Facts {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    /// Nanoseconds from 1970 to its last change.
    modified: u64,
}

impl Facts {
    /// The second of the last change, but none that is still to come (RFC 9110, 8.8.2.1).
    pub(super) fn second(&self) -> u64 {
        (self.modified / 1_000_000_000).min(date::now())
    }

    /// The entity tag: the same on each machine that has the file with its time. Weak for what says the same in other
    /// bytes, compressed by whatever version of the compressor.
    pub(super) fn tag(&self, weak: bool) -> Text<48> {
        let weak = if weak { "W/" } else { "" };
        text(format_args!("{weak}\"{:x}-{:x}\"", self.modified, self.size))
    }
}

/// What a path leads to.
pub(super) enum Found {
    File(File, Facts),
    /// A directory, named without a slash.
    Directory,
    /// Nothing to be had; answered with this status.
    Nothing(u16),
}

/// Opens the file that `path` names below `root`.
pub(super) fn look(root: &str, path: &str) -> Found {
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
pub(super) fn read(root: &str, path: &str, facts: &Facts, at: u64, to: &mut [u8]) -> io::Result<()> {
    match look(root, path) {
        Found::File(file, now) if now == *facts => file.read_exact_at(to, at),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the file has changed while it was sent")),
    }
}

/// The content type that a path's name suggests; "" if none.
pub(super) fn kind(path: &str) -> Text<96> {
    let name = name(path).unwrap_or_default();
    let kind = mime_guess::from_path(OsStr::from_bytes(&name)).first_raw().unwrap_or("");
    let charset = if kind.starts_with("text/") { "; charset=utf-8" } else { "" };
    text(format_args!("{kind}{charset}"))
}

/// Whether files of a content type are worth compressing: text, by whatever name. What else there is, pictures and
/// archives, mostly is compressed already.
pub(super) fn is_text(kind: &str) -> bool {
    kind.starts_with("text/") || ["json", "xml", "javascript"].iter().any(|end| kind.ends_with(end))
}

/// Text that is known to be short enough.
pub(super) fn text<const N: usize>(pieces: std::fmt::Arguments<'_>) -> Text<N> {
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
        assert_eq!(kind("/a.svg%67/").as_str(), "text/html; charset=utf-8");
        assert_eq!(kind("/a.sv%67").as_str(), "image/svg+xml");
        let texts = ["/a.html", "/a.css", "/a.js", "/a.svg", "/a.json", "/a.xml", "/a.txt"];
        assert!(texts.iter().all(|path| is_text(&kind(path))));
        assert!(!["/a.png", "/a.gz", "/a.woff2", "/a"].iter().any(|path| is_text(&kind(path))));
    }
}
