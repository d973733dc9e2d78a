//! Readiness by epoll: the plain way, and the measure of the others.
//!
//! ```text
//! add ─▶ EPOLL_CTL_ADD (in, out, rdhup, edge)     close ─▶ EPOLL_CTL_DEL, close     wait ─▶ epoll_pwait2
//! ```
//!
//! Invariant: the kernel's list holds exactly what was added and neither closed nor forgotten. That is why
//! `close` removes first: while another process holds the same open file, a close alone would leave it
//! listed, with a number that is somebody else's.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use crate::{Backend, Event, Nanos, Token, Watch, sys};

/// Events taken in one wait. More stay in the kernel for the next; a batch much larger than the processor's
/// cache of connection state gains nothing.
const BATCH: usize = 1024;

/// Both directions, urgent data, the peer's end of stream, changes only. Errors and hang-ups are always reported.
pub(crate) const INTEREST: u32 =
    (libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET) as u32;

/// What a mask of epoll (or of poll: the bits are the same) means.
#[inline]
pub(crate) fn decode(token: Token, mask: u32) -> Event {
    let any = |bits: libc::c_int| mask & bits as u32 != 0;
    let error = any(libc::EPOLLERR);
    let closed = any(libc::EPOLLRDHUP | libc::EPOLLHUP);
    Event {
        token,
        readable: any(libc::EPOLLIN) || closed || error,
        writable: any(libc::EPOLLOUT | libc::EPOLLHUP) || error,
        closed,
        urgent: any(libc::EPOLLPRI),
        error,
    }
}

/// The backend of every Linux.
#[derive(Debug)]
pub struct Epoll {
    epoll: OwnedFd,
    batch: Vec<libc::epoll_event>,
}

impl Epoll {
    /// An epoll instance (close-on-exec) that watches nothing.
    ///
    /// # Errors
    /// No descriptor or no memory is left.
    pub fn new() -> io::Result<Epoll> {
        Ok(Epoll { epoll: sys::epoll_create()?, batch: Vec::with_capacity(BATCH) })
    }
}

impl Backend for Epoll {
    fn name(&self) -> &'static str {
        "epoll"
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.epoll.as_raw_fd())
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<Watch> {
        match sys::epoll_add(self.epoll.as_fd(), fd, INTEREST, token.0) {
            Ok(()) => Ok(Watch::Edge),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(Watch::Always),
            Err(error) => Err(error),
        }
    }

    fn close(&mut self, fd: RawFd) {
        self.forget(fd);
        sys::close(fd);
    }

    fn forget(&mut self, fd: RawFd) {
        // What was not watched needs no removing: the error says just that.
        let _ = sys::epoll_remove(self.epoll.as_fd(), fd);
    }

    #[inline]
    fn wait(&mut self, timeout: Option<Nanos>, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        match sys::epoll_wait(self.epoll.as_fd(), &mut self.batch, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        events.extend(self.batch.iter().map(|event| decode(Token(event.u64), event.events)));
        Ok(())
    }
}
