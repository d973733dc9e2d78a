//! The system calls behind the backends, each as a safe function over descriptor numbers.
//!
//! Invariants: `EINTR` is retried here (but by the wait of a backend, where it means "nothing happened");
//! every other error is passed on as the kernel gave it.

// The fence: system calls are foreign functions.
#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_int, c_void, socklen_t};

use crate::{Nanos, Positions};

const NANOS_PER_SECOND: Nanos = 1_000_000_000;

/// What the kernel takes at most in one vectored call (its `UIO_MAXIOV`).
const MAX_SLICES: usize = 1024;

fn check(result: impl Into<i64>) -> io::Result<usize> {
    usize::try_from(result.into()).map_err(|_| io::Error::last_os_error())
}

/// Makes a call until it is not interrupted.
#[inline]
fn uninterrupted<T: Into<i64>>(mut call: impl FnMut() -> T) -> io::Result<usize> {
    loop {
        match check(call()) {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            result => return result,
        }
    }
}

/// Makes a call that only sockets understand; for other descriptors the second one.
#[inline]
fn socket_or_file<T: Into<i64>>(socket: impl FnMut() -> T, file: impl FnMut() -> T) -> io::Result<usize> {
    match uninterrupted(socket) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => uninterrupted(file),
        result => result,
    }
}

#[inline]
pub fn read(fd: RawFd, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    match bufs {
        [one] => read_one(fd, one),
        [one, rest] if rest.is_empty() => read_one(fd, one),
        _ => {
            let count = bufs.len().min(MAX_SLICES) as c_int;
            // SAFETY: IoSliceMut has the layout of iovec (std promises it) and each is exclusively borrowed, by
            // `bufs`, for the length of the call.
            uninterrupted(|| unsafe { libc::readv(fd, bufs.as_mut_ptr().cast(), count) as i64 })
        }
    }
}

#[inline]
fn read_one(fd: RawFd, buf: &mut [u8]) -> io::Result<usize> {
    let (start, len) = (buf.as_mut_ptr().cast::<c_void>(), buf.len());
    socket_or_file(
        // SAFETY: `buf` is exclusively borrowed and `len` bytes long.
        || unsafe { libc::recv(fd, start, len, 0) as i64 },
        // SAFETY: as above.
        || unsafe { libc::read(fd, start, len) as i64 },
    )
}

#[inline]
pub fn write(fd: RawFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    match bufs {
        [one] => write_one(fd, one),
        [one, rest] if rest.is_empty() => write_one(fd, one),
        _ => {
            let count = bufs.len().min(MAX_SLICES);
            // SAFETY: a msghdr of zeroes is a valid one: no name, no slices, no control data.
            let mut message: libc::msghdr = unsafe { mem::zeroed() };
            message.msg_iov = bufs.as_ptr().cast_mut().cast();
            message.msg_iovlen = count as _;
            socket_or_file(
                // SAFETY: `message` points to `count` slices, which have the layout of iovec (std promises it) and
                // are only read.
                || unsafe { libc::sendmsg(fd, &message, libc::MSG_NOSIGNAL) as i64 },
                // SAFETY: as above.
                || unsafe { libc::writev(fd, bufs.as_ptr().cast(), count as c_int) as i64 },
            )
        }
    }
}

#[inline]
fn write_one(fd: RawFd, buf: &[u8]) -> io::Result<usize> {
    let (start, len) = (buf.as_ptr().cast::<c_void>(), buf.len());
    socket_or_file(
        // SAFETY: `buf` is borrowed and `len` bytes long.
        || unsafe { libc::send(fd, start, len, libc::MSG_NOSIGNAL) as i64 },
        // SAFETY: as above.
        || unsafe { libc::write(fd, start, len) as i64 },
    )
}

pub fn accept(listener: RawFd) -> io::Result<RawFd> {
    loop {
        // SAFETY: no address is asked for, so no memory is involved.
        let result = uninterrupted(|| unsafe {
            libc::accept4(
                listener,
                ptr::null_mut(),
                ptr::null_mut(),
                libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            )
        });
        match result {
            // It died in the queue: that is its affair, and another may stand behind it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ECONNABORTED | libc::EPROTO)) => {}
            result => return beyond_stdio(result? as RawFd),
        }
    }
}

/// The descriptor at a number beyond those of standard input, output and error: where a handler has closed one of these, the
/// next line of a log would go to a client. The low number is given to something that takes no line.
fn beyond_stdio(fd: RawFd) -> io::Result<RawFd> {
    if fd > libc::STDERR_FILENO {
        return Ok(fd);
    }
    // SAFETY: numbers; `fd` has just been opened by the caller, who gives it up for the copy.
    unsafe {
        let moved = check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1));
        libc::close(fd);
        libc::eventfd(0, libc::EFD_CLOEXEC);
        moved.map(|fd| fd as RawFd)
    }
}

pub fn connect(addr: &SocketAddr) -> io::Result<RawFd> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is involved.
    let fd = beyond_stdio(check(unsafe { libc::socket(family, kind, 0) })? as RawFd)?;
    // SAFETY: the kernel has just given us `fd`; nobody else closes it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };

    let on: c_int = 1;
    for (level, option) in [(libc::IPPROTO_TCP, libc::TCP_NODELAY), (libc::SOL_SOCKET, libc::SO_OOBINLINE)] {
        // SAFETY: both options are an int, and `on` is one.
        check(unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), size_of_val(&on) as _) })?;
    }
    let begun = match addr {
        SocketAddr::V4(addr) => {
            // SAFETY: sockaddr_in is plain numbers, for which zeroes are valid.
            let mut name: libc::sockaddr_in = unsafe { mem::zeroed() };
            name.sin_family = libc::AF_INET as _;
            name.sin_port = addr.port().to_be();
            name.sin_addr.s_addr = u32::from_ne_bytes(addr.ip().octets());
            // SAFETY: `name` is an address of that length, only read.
            unsafe { libc::connect(fd, (&raw const name).cast(), size_of_val(&name) as socklen_t) }
        }
        SocketAddr::V6(addr) => {
            // SAFETY: sockaddr_in6 is plain numbers, for which zeroes are valid.
            let mut name: libc::sockaddr_in6 = unsafe { mem::zeroed() };
            name.sin6_family = libc::AF_INET6 as _;
            name.sin6_port = addr.port().to_be();
            name.sin6_flowinfo = addr.flowinfo();
            name.sin6_addr.s6_addr = addr.ip().octets();
            name.sin6_scope_id = addr.scope_id();
            // SAFETY: `name` is an address of that length, only read.
            unsafe { libc::connect(fd, (&raw const name).cast(), size_of_val(&name) as socklen_t) }
        }
    };
    match check(begun) {
        // Interrupted, it goes on in the background, as one in progress does.
        Err(error) if !matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => Err(error),
        _ => {
            mem::forget(socket);
            Ok(fd)
        }
    }
}

/// The error of a socket that was not told yet.
fn pending_error(fd: RawFd) -> io::Result<()> {
    let mut error: c_int = 0;
    let mut len = size_of_val(&error) as socklen_t;
    // SAFETY: the option is an int, `error` is one, and `len` says so.
    check(unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut error).cast(), &raw mut len)
    })?;
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

pub fn outcome(fd: RawFd) -> io::Result<()> {
    pending_error(fd)?;
    let mut name = MaybeUninit::<libc::sockaddr_storage>::uninit();
    let mut len = size_of_val(&name) as socklen_t;
    // SAFETY: `name` has room for `len` bytes, and is not read.
    match check(unsafe { libc::getpeername(fd, name.as_mut_ptr().cast(), &raw mut len) }) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
            if TcpInfo::read(fd)?.state() != CLOSE {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            // It stood when its error was looked at, and was reset since.
            pending_error(fd)?;
            // The kernel tells the error once, and told it to somebody who died of something else.
            Err(io::Error::from_raw_os_error(libc::ECONNABORTED))
        }
        result => result.map(drop),
    }
}

pub fn shutdown(fd: RawFd) -> io::Result<()> {
    // SAFETY: no memory is involved.
    match check(unsafe { libc::shutdown(fd, libc::SHUT_WR) }) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Ok(()),
        result => result.map(drop),
    }
}

/// The beginning of `struct tcp_info` (linux/tcp.h), as far as it matters, in words.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TcpInfo([u64; 17]);

impl TcpInfo {
    fn read(fd: RawFd) -> io::Result<TcpInfo> {
        let mut info = TcpInfo([0; 17]);
        let mut len = size_of_val(&info) as socklen_t;
        // SAFETY: `info` has room for `len` bytes, and any bytes are valid in it.
        check(unsafe {
            libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut len)
        })?;
        Ok(info)
    }

    /// `tcpi_state`, the first byte.
    fn state(&self) -> u8 {
        self.0[0].to_ne_bytes()[0]
    }

    /// `tcpi_bytes_acked` and `tcpi_bytes_received`.
    fn counts(&self) -> [u64; 2] {
        [self.0[15], self.0[16]]
    }
}

// States of TCP, as linux/tcp_states.h numbers them.
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// See [`Backend::positions`](crate::Backend::positions). What has been read is what has arrived and is not
/// waiting (`SIOCINQ`); what has been written is what is acknowledged and what waits for it (`SIOCOUTQ`). An end
/// (FIN) counts as one byte, the one that has come and the one that was sent.
pub fn positions(fd: RawFd) -> io::Result<Option<Positions>> {
    let queued = |request| {
        let mut bytes: c_int = 0;
        // SAFETY: both requests write an int.
        check(unsafe { libc::ioctl(fd, request, &raw mut bytes) }).map(|_| bytes as u64)
    };
    loop {
        let before = match TcpInfo::read(fd) {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::ENOPROTOOPT | libc::ENOTSOCK)
                ) =>
            {
                return Ok(None);
            }
            result => result?,
        };
        let (unread, unacknowledged) = (queued(libc::FIONREAD)?, queued(libc::TIOCOUTQ)?);
        // What arrives, or is acknowledged, between the calls would be counted once too often or not at all.
        let after = TcpInfo::read(fd)?;
        if (before.state(), before.counts()) != (after.state(), after.counts()) {
            continue;
        }
        let (state, [acked, arrived]) = (after.state(), after.counts());
        // A connection that is no more has mostly seen the other's end; and where it has not, it was reset.
        let has_ended = matches!(state, TIME_WAIT | CLOSE | CLOSE_WAIT | LAST_ACK | CLOSING);
        let we_ended = matches!(state, FIN_WAIT1 | FIN_WAIT2 | LAST_ACK | CLOSING);
        let is_over = matches!(state, TIME_WAIT | CLOSE);
        return Ok(Some(Positions {
            received: arrived.saturating_sub(unread + u64::from(has_ended)),
            sent: (!is_over).then(|| (acked + unacknowledged).saturating_sub(u64::from(we_ended))),
        }));
    }
}

pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// See [`Backend::peer`](crate::Backend::peer).
pub fn peer(fd: RawFd) -> io::Result<Option<SocketAddr>> {
    // SAFETY: the socket is borrowed for a question, and never closed.
    let socket = unsafe { mem::ManuallyDrop::new(socket2::Socket::from_raw_fd(fd)) };
    match socket.peer_addr() {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Ok(None),
        address => Ok(address?.as_socket()),
    }
}

pub fn is_accepted(fd: RawFd, listener: RawFd) -> bool {
    // SAFETY: the socket is borrowed for a question, and never closed.
    let socket = |fd: RawFd| unsafe { mem::ManuallyDrop::new(socket2::Socket::from_raw_fd(fd)) };
    let port = |fd: RawFd| socket(fd).local_addr().ok().and_then(|at| at.as_socket()).map(|at| at.port());
    fd >= 0
        && fd != listener
        && port(fd).is_some()
        && port(fd) == port(listener)
        && socket(fd).peer_addr().is_ok()
}

/// See [`Backend::is_begun`](crate::Backend::is_begun). Unlike getpeername(2), this tells while the connection is not
/// there yet, too.
pub fn is_begun(fd: RawFd, addr: &SocketAddr) -> bool {
    let size = if addr.is_ipv4() { size_of::<libc::sockaddr_in>() } else { size_of::<libc::sockaddr_in6>() };
    // SAFETY: `storage` has room for any address, `len` is told how many bytes are wanted, of which the kernel gives no
    // fewer: it refuses to say part of it, or more than there is.
    let peer = unsafe {
        socket2::SockAddr::try_init(|storage, len| {
            *len = size as socklen_t;
            check(libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERNAME, storage.cast(), len)).map(drop)
        })
    };
    match peer {
        // The one byte is the SYN, once it is acknowledged.
        Ok((_, peer)) if peer.as_socket() == Some(*addr) => {
            matches!(positions(fd), Ok(Some(at)) if at.received == 0 && at.sent.is_none_or(|sent| sent <= 1))
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => is_fresh(fd),
        _ => false,
    }
}

/// Whether a socket of TCP is neither bound, nor connected, nor listens.
fn is_fresh(fd: RawFd) -> bool {
    // SAFETY: the socket is borrowed for a question, and never closed.
    let socket = unsafe { mem::ManuallyDrop::new(socket2::Socket::from_raw_fd(fd)) };
    let port = socket.local_addr().ok().and_then(|at| at.as_socket()).map(|at| at.port());
    port == Some(0) && TcpInfo::read(fd).is_ok_and(|info| info.state() == CLOSE)
}

/// Closes `fd`. Linux frees the number whatever it answers, so the answer is of no use.
pub fn close(fd: RawFd) {
    // SAFETY: the caller owns `fd` (the contract of `Backend`), so nobody's descriptor is closed behind him.
    unsafe { libc::close(fd) };
}

#[inline]
pub fn now() -> Nanos {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` is a timespec to be written; CLOCK_MONOTONIC always exists, so it has been.
    let time = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr());
        time.assume_init()
    };
    time.tv_sec as Nanos * NANOS_PER_SECOND + time.tv_nsec as Nanos
}

/// Sets or clears `O_NONBLOCK` and returns whether it was set. It is a property of the open file, so whoever
/// shares it (the shell that gave us its terminal, say) is affected: put it back in the end.
///
/// # Errors
/// `EBADF`.
pub fn set_nonblocking(fd: RawFd, nonblocking: bool) -> io::Result<bool> {
    // SAFETY: no memory is involved.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })? as c_int;
    let was = flags & libc::O_NONBLOCK != 0;
    if was != nonblocking {
        // SAFETY: no memory is involved.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags ^ libc::O_NONBLOCK) })?;
    }
    Ok(was)
}

/// Whether `fd` is a socket or a pipe: what can be polled for certain.
pub fn is_stream(fd: RawFd) -> io::Result<bool> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `status` is a stat to be written.
    check(unsafe { libc::fstat(fd, status.as_mut_ptr()) })?;
    // SAFETY: fstat has succeeded, so it has been.
    let kind = unsafe { status.assume_init() }.st_mode & libc::S_IFMT;
    Ok(kind == libc::S_IFSOCK || kind == libc::S_IFIFO)
}

pub fn epoll_create() -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the kernel has just given us `fd`; nobody else closes it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

pub fn epoll_add(epoll: BorrowedFd<'_>, fd: RawFd, interest: u32, data: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: interest, u64: data };
    // SAFETY: `event` is only read.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(drop)
}

pub fn epoll_remove(epoll: BorrowedFd<'_>, fd: RawFd) -> io::Result<()> {
    // SAFETY: removing takes no event, since Linux 2.6.9.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, ptr::null_mut()) }).map(drop)
}

/// Waits and puts events into the spare capacity of `events`, which it clears first.
#[inline]
pub fn epoll_wait(
    epoll: BorrowedFd<'_>,
    events: &mut Vec<libc::epoll_event>,
    timeout: Option<Nanos>,
) -> io::Result<()> {
    let timeout = timeout.map(|nanos| libc::timespec {
        tv_sec: (nanos / NANOS_PER_SECOND) as _,
        tv_nsec: (nanos % NANOS_PER_SECOND) as _,
    });
    events.clear();
    // SAFETY: the vector has room for `capacity` events; the time is one or null; no signal mask is given.
    let count = check(unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            events.capacity() as c_int,
            timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
            ptr::null::<libc::sigset_t>(),
            0usize,
        )
    })?;
    // SAFETY: the kernel has written that many.
    unsafe { events.set_len(count) };
    Ok(())
}
