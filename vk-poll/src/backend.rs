//! The checklist that every backend answers.
//!
//! ```text
//! add(fd, token) ─▶ Edge ──▶ wait ─▶ Event(token) ─▶ read/write/accept until short or WouldBlock ─▶ wait …
//!                └▶ Always: never wait for it, just read and write
//! ```
//!
//! Edge-triggered readiness, both directions at once. The contract, which the conformance test checks on
//! each backend:
//!
//! 1. *Now, and each change.* After `add` an event tells what is ready already; later events tell what has
//!    become ready since. Whoever keeps going until `WouldBlock` (or until a short transfer, 3) misses nothing.
//! 2. *A hint, not a promise.* An event may be spurious, may flag a direction that was drained meanwhile, and
//!    one descriptor may have two events in one batch. `WouldBlock` is always a possible answer.
//! 3. *Short means drained.* On a stream socket or a pipe, a `read` that returned less than asked has
//!    emptied it, and more bytes mean another event; **unless `closed` was seen**: then the end of the stream
//!    may be waiting behind the bytes with no further event, so read on until 0 or an error; **and unless `urgent` was seen**:
//!    then the read may have stopped before the urgent byte. A `write` that
//!    took less than given has filled it, and room means another event. A tty, a datagram socket or a counter
//!    (eventfd, signalfd) gives one unit per read: go on until `WouldBlock`.
//! 4. *Listeners too*: `accept` until `WouldBlock`. What stops earlier (no descriptor is left, say) gets no
//!    further event for what waits already, and has to try again by itself, after a while.
//! 5. *After `close` or `forget` returned, no later `wait` delivers that token.* Events of the batch in hand
//!    are with the caller, so its token should carry a generation.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use crate::sys;

/// A point in time or a length of it, in nanoseconds of `CLOCK_MONOTONIC` (in [`Sim`](crate::Sim): of its
/// virtual clock).
pub type Nanos = u64;

/// What the caller calls a watched descriptor; comes back in each of its events. Any value is fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What has become ready. `closed` implies `readable`; `error` implies both directions, since reading or
/// writing is how the error is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The token given to [`Backend::add`].
    pub token: Token,
    /// There may be bytes to read, their end, or a connection to accept.
    pub readable: bool,
    /// There may be room to write, or a connect has come to its [`outcome`](Backend::outcome).
    pub writable: bool,
    /// The peer will send no more (FIN, hang-up, last writer of a pipe gone): read on until 0 or an error.
    pub closed: bool,
    /// There is urgent data (TCP), which is read like any other, and before which a read stops.
    pub urgent: bool,
    /// The descriptor is in error; a read or write tells which.
    pub error: bool,
}

/// How far the two streams of a connection have come, in bytes since it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// Bytes that were read from it.
    pub received: u64,
    /// Bytes that were written to it; `None` once the connection is no more, when nothing can be written.
    /// On a connection that was made by `connect` the count begins with 1.
    pub sent: Option<u64>,
}

/// How a descriptor is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Events will come.
    Edge,
    /// A regular file, `/dev/null` and their like: always ready, no event ever comes, nothing to forget.
    Always,
}

/// Who is ready, what time it is, and the system calls between. One thread uses it, the one that made it.
///
/// The input and output methods have bodies here, plain system calls that any backend over real
/// descriptors shares; a backend of another world ([`Sim`](crate::Sim)) answers all of them.
///
/// Errors are the world's. `WouldBlock` (wait for an event) is the one that belongs to the normal course.
/// `EINTR` never surfaces.
pub trait Backend {
    /// What it is called in a log line: as [`Choice`](crate::Choice) spells it.
    fn name(&self) -> &'static str;

    /// Its own descriptor, if it has one: where descriptors outlive the worker, somebody has to close it.
    fn descriptor(&self) -> Option<RawFd> {
        None
    }

    /// Watches `fd`, which must be non-blocking (see [`set_nonblocking`](crate::set_nonblocking)) and not
    /// watched yet.
    ///
    /// # Errors
    /// `AlreadyExists` when it is watched already; `EBADF`; no memory.
    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<Watch>;

    /// Stops watching `fd`, if it is watched, and closes it; its number may be somebody else's at once.
    ///
    /// The peer sees the end at the latest when the next [`wait`](Backend::wait) goes to sleep. Where other
    /// processes hold the same open file, the peer sees nothing before `shutdown` or their close.
    fn close(&mut self, fd: RawFd);

    /// Stops watching `fd`, if it is watched, and leaves it open: standard input is not ours.
    fn forget(&mut self, fd: RawFd);

    /// Waits for readiness, at most `timeout` nanoseconds from now (`Some(0)`: only looks; `None`: for ever).
    /// Clears `events` and puts there what has become ready.
    ///
    /// May come back early and empty-handed: a signal, a stale notice. No allocation once `events` has grown
    /// to the largest batch.
    ///
    /// # Errors
    /// Only what no retry can help.
    fn wait(&mut self, timeout: Option<Nanos>, events: &mut Vec<Event>) -> io::Result<()>;

    /// Reads into `bufs`, one after the other: bytes read, 0 at the end of the stream. Sockets, pipes, files,
    /// ttys. The buffers together must not be empty, or 0 tells nothing.
    ///
    /// # Errors
    /// `WouldBlock`, or the world's.
    #[inline]
    fn read(&mut self, fd: RawFd, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        sys::read(fd, bufs)
    }

    /// Writes `bufs`, one after the other: bytes taken. A socket whose peer is gone raises no `SIGPIPE`; for a
    /// pipe the process must ignore it, as std's start-up does.
    ///
    /// # Errors
    /// `WouldBlock`, `BrokenPipe`, or the world's.
    #[inline]
    fn write(&mut self, fd: RawFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        sys::write(fd, bufs)
    }

    /// Takes one connection from a listener: non-blocking, close-on-exec, not watched yet. Connections that
    /// died in the queue are passed over.
    ///
    /// # Errors
    /// `WouldBlock`; `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`: the connection still waits, see the module's rule 4.
    #[inline]
    fn accept(&mut self, fd: RawFd) -> io::Result<RawFd> {
        sys::accept(fd)
    }

    /// Begins a TCP connection: non-blocking, close-on-exec, `TCP_NODELAY`, not watched yet. Once it is added,
    /// an event with `writable` says that [`outcome`](Backend::outcome) has something to tell.
    ///
    /// # Errors
    /// What is known at once: no descriptor, no route. No descriptor is left behind.
    #[inline]
    fn connect(&mut self, addr: &SocketAddr) -> io::Result<RawFd> {
        sys::connect(addr)
    }

    /// How a connect ended. Tells an error once.
    ///
    /// # Errors
    /// `WouldBlock` while it is under way; `ConnectionRefused`, `TimedOut`, or another of the world's.
    #[inline]
    fn outcome(&mut self, fd: RawFd) -> io::Result<()> {
        sys::outcome(fd)
    }

    /// Ends the sending side; the peer reads the end after the last byte. `Ok` for what is no socket: there the
    /// end comes with `close`.
    ///
    /// # Errors
    /// `NotConnected` when the peer is gone, or another of the world's.
    #[inline]
    fn shutdown(&mut self, fd: RawFd) -> io::Result<()> {
        sys::shutdown(fd)
    }

    /// What the kernel has counted: exact, so that who takes over a connection learns which bytes its former
    /// holder had read and written without saying so. `None` for what keeps no count: all but TCP.
    ///
    /// # Errors
    /// `EBADF`, or another of the world's.
    fn positions(&mut self, fd: RawFd) -> io::Result<Option<Positions>> {
        sys::positions(fd)
    }

    /// Whom a connection leads to; `None` for what is no connection of IP.
    ///
    /// # Errors
    /// `EBADF`, `ENOTCONN`, or another of the world's.
    fn peer(&mut self, fd: RawFd) -> io::Result<Option<SocketAddr>> {
        sys::peer(fd)
    }

    /// Whether there is a descriptor of that number.
    fn is_open(&mut self, fd: RawFd) -> bool {
        sys::is_open(fd)
    }

    /// Whether `fd` is a connection that may have been accepted from `listener`: it has a peer, and the listener's
    /// port.
    fn is_accepted(&mut self, fd: RawFd, listener: RawFd) -> bool {
        sys::is_accepted(fd, listener)
    }

    /// Whether `fd` may be what [`connect`](Backend::connect) to `addr` had come to when it was interrupted for ever: a
    /// connection to there, on which nothing was sent or received yet, or a socket that leads nowhere yet.
    fn is_begun(&mut self, fd: RawFd, addr: &SocketAddr) -> bool {
        sys::is_begun(fd, addr)
    }

    /// What time it is.
    #[inline]
    fn now(&self) -> Nanos {
        sys::now()
    }

    /// What tells [what time it is](Backend::now) for as long as this backend is there.
    fn clock(&self) -> Box<dyn Fn() -> Nanos> {
        Box::new(sys::now)
    }
}
