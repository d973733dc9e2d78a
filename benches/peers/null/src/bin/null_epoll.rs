//! The null server on epoll: edge-triggered readiness, one `recv` and one `send` per batch of requests.
#![allow(unsafe_code)] // The system calls themselves: nothing stands between this loop and the kernel.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use clap::Parser;
use peer_null::{Answers, Ends, Options, Seam};

/// Bytes received at once: a batch of pipelined requests and more.
const RECEIVE: usize = 16 * 1024;
/// Events taken from one wait.
const EVENTS: usize = 1024;

/// What is remembered of a connection, found by its descriptor.
#[derive(Clone, Copy, Default)]
struct Connection {
    seam: Seam,
    /// Bytes of answers not sent yet.
    owed: usize,
}

struct Server {
    epoll: RawFd,
    ends: Ends,
    answers: Answers,
    close: bool,
    buffer: Box<[u8; RECEIVE]>,
    connections: Vec<Connection>,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let listener = options.listen.bind()?;
    let mut server = Server {
        // SAFETY: no memory is passed.
        epoll: check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?,
        ends: Ends::new(),
        answers: Answers::new(options.close),
        close: options.close,
        buffer: Box::new([0; RECEIVE]),
        connections: Vec::new(),
    };
    server.watch(listener.as_raw_fd(), libc::EPOLLIN)?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    loop {
        // SAFETY: `events` is EVENTS long and outlives the call.
        let ready = unsafe { libc::epoll_wait(server.epoll, events.as_mut_ptr(), EVENTS as i32, -1) };
        for event in events.iter().take(ready.max(0) as usize) {
            let fd = event.u64 as RawFd;
            if fd == listener.as_raw_fd() {
                server.accept(fd)?;
            } else {
                server.serve(fd, event.events as i32);
            }
        }
    }
}

impl Server {
    fn watch(&self, fd: RawFd, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: fd as u64 };
        // SAFETY: `event` outlives the call.
        check(unsafe { libc::epoll_ctl(self.epoll, libc::EPOLL_CTL_ADD, fd, &mut event) })?;
        Ok(())
    }

    /// Accepts all who wait. Out of descriptors ends the server: a measurement beyond the limit is none.
    fn accept(&mut self, listener: RawFd) -> io::Result<()> {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        loop {
            // SAFETY: null pointers ask for no address.
            let accepted =
                unsafe { libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), flags) };
            let fd = match check(accepted) {
                Ok(fd) => fd,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => continue,
                Err(error) => return Err(error),
            };
            let index = fd as usize;
            if self.connections.len() <= index {
                self.connections.resize(index + 1, Connection::default());
            }
            self.connections[index] = Connection::default();
            self.watch(fd, libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET)?;
        }
    }

    /// Receives what is there, answers it with one write, and closes at the end of the stream.
    fn serve(&mut self, fd: RawFd, events: i32) {
        let connection = &mut self.connections[fd as usize];
        let hangup = events & (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) != 0;
        let mut open = true;
        let mut more = hangup || events & libc::EPOLLIN != 0;
        while more {
            // SAFETY: the buffer is RECEIVE long and outlives the call.
            let received = unsafe { libc::recv(fd, self.buffer.as_mut_ptr().cast(), RECEIVE, 0) };
            match received {
                1.. => {
                    let bytes = &self.buffer[..received as usize];
                    connection.owed += self.ends.count(&mut connection.seam, bytes) * self.answers.size();
                    // A short read has emptied the socket; only the end of the stream can still be there.
                    more = hangup || bytes.len() == RECEIVE;
                }
                0 => (open, more) = (false, false),
                _ => {
                    open = io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock;
                    more = false;
                }
            }
        }
        let answers = connection.owed > 0;
        while connection.owed > 0 {
            let bytes = self.answers.next(connection.owed);
            // SAFETY: `bytes` outlives the call.
            let sent = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
            if sent <= 0 {
                open &= io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock;
                break;
            }
            connection.owed -= sent as usize;
        }
        if !open || self.close && answers && connection.owed == 0 {
            // SAFETY: the descriptor came from accept4 and is closed only here.
            unsafe { libc::close(fd) };
        }
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
