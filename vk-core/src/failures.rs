//! Failures of coroutines that the log tells of: one line a second for each coroutine and kind, so that a client that makes a
//! handler fail again and again can't fill a disk.

use crate::{Entry, Nanos};
use std::io::{self, ErrorKind};

/// The least time between two lines of a coroutine.
const PAUSE: Nanos = 1_000_000_000;

/// What a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The other end is gone, or too slow: part of a server's day.
    Peer,
    /// The coroutine ended with another error, or said that it has failed.
    Own,
    /// The coroutine ran for long without blocking, and its worker served no other connection meanwhile.
    Slow,
}

impl Kind {
    /// The kind of an error that a coroutine ended with.
    pub fn of(error: &io::Error) -> Kind {
        match error.kind() {
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::TimedOut
            | ErrorKind::UnexpectedEof => Kind::Peer,
            _ => Kind::Own,
        }
    }
}

/// One failure.
#[derive(Debug)]
pub struct Failure {
    /// What it is.
    pub kind: Kind,
    /// The coroutine's path.
    pub coroutine: &'static str,
    /// The file and line of the blocking call at which the coroutine stood last; none at its beginning.
    pub at: Option<(&'static str, u32)>,
    /// The cause.
    pub cause: String,
    /// Failures of the coroutine since its last line that have none.
    pub left_out: u64,
}

/// When a coroutine had its last line of a kind.
#[derive(Debug)]
struct Seen {
    coroutine: &'static str,
    kind: Kind,
    next: Nanos,
    left_out: u64,
}

/// What is to be told, and what was.
#[derive(Debug, Default)]
pub struct Failures {
    seen: Vec<Seen>,
    untold: Vec<Failure>,
}

impl Failures {
    /// Notes a failure of a coroutine that stood at `pc`. The cause is asked for only if the log tells of it.
    pub fn note(
        &mut self,
        now: Nanos,
        kind: Kind,
        entry: &'static Entry,
        pc: u32,
        cause: impl FnOnce() -> String,
    ) {
        let coroutine = entry.name();
        let seen = self.seen.iter().position(|seen| (seen.coroutine, seen.kind) == (coroutine, kind));
        let at = seen.unwrap_or_else(|| {
            self.seen.push(Seen { coroutine, kind, next: 0, left_out: 0 });
            self.seen.len() - 1
        });
        let seen = &mut self.seen[at];
        if now < seen.next {
            seen.left_out += 1;
            return;
        }
        seen.next = now + PAUSE;
        let left_out = std::mem::take(&mut seen.left_out);
        self.untold.push(Failure { kind, coroutine, at: entry.place(pc), cause: cause(), left_out });
    }

    /// A failure that the log is to tell of now.
    #[inline]
    pub fn take(&mut self) -> Option<Failure> {
        self.untold.pop()
    }
}
