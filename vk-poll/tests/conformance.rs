//! The contract of `Backend`, written once and asked of each backend.
//!
//! A `Stage` sets up the world around a backend: real TCP on the loopback, or the simulator.

mod allowed;

use allowed::uring;
use std::collections::HashMap;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::time::Duration;

use vk_poll::{Backend, Epoll, Event, Faults, Nanos, Peer, Server, Sim, Token, Watch, set_nonblocking};

const MILLISECOND: Nanos = 1_000_000;
/// Long enough for anything that is to happen.
const PATIENCE: Nanos = 5_000 * MILLISECOND;
/// Long enough to say that something does not happen.
const SILENCE: Nanos = 30 * MILLISECOND;

/// The other end of a stream.
trait Remote {
    fn send(&mut self, bytes: &[u8]);
    /// At least one byte, unless the stream has ended.
    fn recv(&mut self) -> Vec<u8>;
    fn shutdown(&mut self);
    fn close(self: Box<Self>);
    fn reset(self: Box<Self>);
}

trait Stage {
    type Backend: Backend;
    fn backend(&mut self) -> &mut Self::Backend;
    fn listen(&mut self) -> RawFd;
    fn connect(&mut self, listener: RawFd) -> Box<dyn Remote>;
    fn file(&mut self, contents: &[u8]) -> RawFd;
    /// An address where someone accepts, and the accepting.
    fn serve(&mut self) -> (SocketAddr, Box<dyn FnMut() -> Box<dyn Remote>>);
    fn nowhere(&mut self) -> SocketAddr;
    /// Gives a descriptor a number of the test's own, the same at each call, where tests at the same time would
    /// take a free one.
    fn renumber(&mut self, fd: RawFd, test: RawFd) -> RawFd;

    /// A connected descriptor, not added yet, and its remote.
    fn stream(&mut self) -> (RawFd, Box<dyn Remote>) {
        let listener = self.listen();
        let remote = self.connect(listener);
        let fd = loop {
            match self.backend().accept(listener) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                fd => break fd.unwrap(),
            }
        };
        self.backend().close(listener);
        (fd, remote)
    }

    /// The events of at most one wait, joined by token.
    fn wait(&mut self, timeout: Nanos) -> HashMap<Token, Event> {
        let mut events = vec![Event {
            token: Token(404),
            readable: true,
            writable: true,
            closed: true,
            urgent: false,
            error: true,
        }];
        self.backend().wait(Some(timeout), &mut events).unwrap();
        let mut joined: HashMap<Token, Event> = HashMap::new();
        for event in events {
            assert!(!event.closed || event.readable);
            assert!(!event.error || event.readable && event.writable);
            let known = joined.entry(event.token).or_insert(event);
            known.readable |= event.readable;
            known.writable |= event.writable;
            known.closed |= event.closed;
            known.error |= event.error;
        }
        joined
    }

    /// Waits until an event of `token` is as wanted; others are let pass.
    fn until(&mut self, token: Token, wanted: impl Fn(&Event) -> bool) -> Event {
        let end = self.backend().now() + PATIENCE;
        while self.backend().now() < end {
            if let Some(event) = self.wait(PATIENCE).get(&token)
                && wanted(event)
            {
                return *event;
            }
        }
        panic!("{}: no such event of {token:?}", self.backend().name());
    }

    fn silent(&mut self) {
        let end = self.backend().now() + SILENCE;
        while self.backend().now() < end {
            let events = self.wait(SILENCE);
            assert!(events.is_empty(), "{}: {events:?}", self.backend().name());
        }
    }

    fn read(&mut self, fd: RawFd, len: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let count = self.backend().read(fd, &mut [IoSliceMut::new(&mut bytes)])?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn write(&mut self, fd: RawFd, bytes: &[u8]) -> std::io::Result<usize> {
        self.backend().write(fd, &[IoSlice::new(bytes)])
    }
}

struct Real<B>(B);

impl Remote for TcpStream {
    fn send(&mut self, bytes: &[u8]) {
        self.write_all(bytes).unwrap();
    }
    fn recv(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        let count = Read::read(self, &mut bytes).expect("bytes, or the end of the stream, within the time");
        bytes.truncate(count);
        bytes
    }
    fn shutdown(&mut self) {
        TcpStream::shutdown(self, Shutdown::Write).unwrap();
    }
    fn close(self: Box<Self>) {}
    fn reset(self: Box<Self>) {
        // An end by reset: nothing is lingered for.
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        #[allow(unsafe_code)]
        // SAFETY: the option is a linger, and `linger` is one.
        let result = unsafe {
            let size = size_of_val(&linger) as libc::socklen_t;
            libc::setsockopt(
                self.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size,
            )
        };
        assert_eq!(result, 0);
    }
}

fn patient(stream: TcpStream) -> Box<dyn Remote> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.set_nodelay(true).unwrap();
    Box::new(stream)
}

impl<B: Backend> Stage for Real<B> {
    type Backend = B;
    fn backend(&mut self) -> &mut B {
        &mut self.0
    }
    fn listen(&mut self) -> RawFd {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        listener.into_raw_fd()
    }
    fn connect(&mut self, listener: RawFd) -> Box<dyn Remote> {
        #[allow(unsafe_code)]
        // SAFETY: the descriptor is open; it is borrowed, not owned, so it is never dropped.
        let listener = std::mem::ManuallyDrop::new(unsafe {
            <TcpListener as std::os::fd::FromRawFd>::from_raw_fd(listener)
        });
        patient(TcpStream::connect(listener.local_addr().unwrap()).unwrap())
    }
    fn file(&mut self, contents: &[u8]) -> RawFd {
        let path = std::env::temp_dir().join(format!("vk-poll-{}-{}", std::process::id(), self.0.name()));
        std::fs::write(&path, contents).unwrap();
        let fd = std::fs::File::open(&path).unwrap().into_raw_fd();
        std::fs::remove_file(path).unwrap();
        fd
    }
    fn serve(&mut self) -> (SocketAddr, Box<dyn FnMut() -> Box<dyn Remote>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap(), Box::new(move || patient(listener.accept().unwrap().0)))
    }
    fn nowhere(&mut self) -> SocketAddr {
        "127.0.0.1:1".parse().unwrap()
    }
    fn renumber(&mut self, fd: RawFd, test: RawFd) -> RawFd {
        let number = 900 + 2 * test + RawFd::from(self.0.name() == "uring");
        #[allow(unsafe_code)]
        // SAFETY: no other test uses the number.
        let moved = unsafe { libc::dup3(fd, number, libc::O_CLOEXEC) };
        self.0.close(fd);
        moved
    }
}

impl Remote for Peer {
    fn send(&mut self, bytes: &[u8]) {
        assert_eq!(Peer::send(self, bytes), bytes.len());
    }
    fn recv(&mut self) -> Vec<u8> {
        let bytes = Peer::recv(self);
        assert!(!bytes.is_empty() || self.ended());
        bytes
    }
    fn shutdown(&mut self) {
        Peer::shutdown(self);
    }
    fn close(self: Box<Self>) {
        Peer::close(&self);
    }
    fn reset(self: Box<Self>) {
        Peer::reset(&self);
    }
}

impl Stage for Sim {
    type Backend = Sim;
    fn backend(&mut self) -> &mut Sim {
        self
    }
    fn listen(&mut self) -> RawFd {
        Sim::listen(self)
    }
    fn connect(&mut self, listener: RawFd) -> Box<dyn Remote> {
        Box::new(Sim::connect(self, listener))
    }
    fn file(&mut self, contents: &[u8]) -> RawFd {
        Sim::file(self, contents)
    }
    fn serve(&mut self) -> (SocketAddr, Box<dyn FnMut() -> Box<dyn Remote>>) {
        let addr = "10.0.0.1:80".parse().unwrap();
        let server: Server = Sim::serve(self, addr);
        (addr, Box::new(move || Box::new(server.accept().unwrap())))
    }
    fn nowhere(&mut self) -> SocketAddr {
        "10.0.0.2:80".parse().unwrap()
    }
    fn renumber(&mut self, fd: RawFd, _test: RawFd) -> RawFd {
        fd
    }
}

/// Asks each backend.
macro_rules! conformance {
    ($($(#[$doc:meta])* fn $name:ident($stage:ident) $body:block)*) => {
        $($(#[$doc])* fn $name(mut $stage: impl Stage) $body)*
        mod epoll { $(#[test] fn $name() { super::$name(super::Real(super::Epoll::new().unwrap())) })* }
        mod uring { $(#[test] fn $name() { if let Some(uring) = super::uring() { super::$name(super::Real(uring)) } })* }
        mod sim { $(#[test] fn $name() { super::$name(super::Sim::new(1, super::Faults::NONE)) })* }
    };
}

const A: Token = Token(u64::MAX);
const B: Token = Token(7);

conformance! {
    /// What is ready at `add` is told once.
    fn tells_what_is_ready_already(stage) {
        let (fd, mut remote) = stage.stream();
        remote.send(b"x");
        assert_eq!(stage.backend().add(fd, A).unwrap(), Watch::Edge);
        let mut seen = stage.until(A, |_| true);
        while !(seen.readable && seen.writable) {
            let more = stage.until(A, |_| true);
            (seen.readable, seen.writable) = (seen.readable | more.readable, seen.writable | more.writable);
        }
        assert!(!seen.closed && !seen.error);
        stage.silent();
        stage.backend().close(fd);
    }

    fn each_arrival_is_an_event(stage) {
        let (fd, mut remote) = stage.stream();
        stage.backend().add(fd, A).unwrap();
        stage.until(A, |event| event.writable);
        stage.silent();
        for round in 0..3 {
            remote.send(b"hello");
            let event = stage.until(A, |event| event.readable);
            assert!(!event.closed && !event.error, "{round}: {event:?}");
            // Drained in the first round by a short read, in the second to the block, in the third not at all.
            match round {
                0 => assert_eq!(stage.read(fd, 64).unwrap(), b"hello"),
                1 => {
                    assert_eq!(stage.read(fd, 5).unwrap(), b"hello");
                    assert_eq!(stage.read(fd, 5).unwrap_err().kind(), ErrorKind::WouldBlock);
                }
                _ => {
                    stage.silent();
                    remote.send(b"again");
                    stage.until(A, |event| event.readable);
                    assert_eq!(stage.read(fd, 64).unwrap(), b"helloagain");
                }
            }
            stage.silent();
        }
        stage.backend().close(fd);
    }

    /// Rule 3: the end may come with the bytes.
    fn the_end_behind_bytes_is_told(stage) {
        let (fd, mut remote) = stage.stream();
        stage.backend().add(fd, A).unwrap();
        stage.until(A, |event| event.writable);
        remote.send(b"last");
        remote.shutdown();
        stage.until(A, |event| event.closed);
        assert_eq!(stage.read(fd, 64).unwrap(), b"last");
        assert_eq!(stage.read(fd, 64).unwrap(), b"");
        assert_eq!(stage.write(fd, b"answer").unwrap(), 6);
        assert_eq!(remote.recv(), b"answer");
        stage.backend().close(fd);
    }

    fn an_end_that_was_there_before_add_is_told(stage) {
        let (fd, remote) = stage.stream();
        remote.close();
        stage.backend().add(fd, A).unwrap();
        stage.until(A, |event| event.closed);
        assert_eq!(stage.read(fd, 64).unwrap(), b"");
        stage.backend().close(fd);
    }

    fn a_reset_is_told(stage) {
        let (fd, remote) = stage.stream();
        stage.backend().add(fd, A).unwrap();
        stage.until(A, |event| event.writable);
        remote.reset();
        stage.until(A, |event| event.closed && event.error);
        assert_eq!(stage.read(fd, 64).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(stage.read(fd, 64).unwrap(), b"");
        assert_eq!(stage.write(fd, b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        stage.backend().close(fd);
    }

    fn room_is_told(stage) {
        let (fd, mut remote) = stage.stream();
        stage.backend().add(fd, A).unwrap();
        stage.until(A, |event| event.writable);
        let chunk = vec![b'x'; 1 << 20];
        let mut sent = 0;
        loop {
            match stage.write(fd, &chunk) {
                Ok(count) => sent += count,
                Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        stage.silent();
        let (mut received, mut told) = (0, false);
        while received < sent {
            received += remote.recv().len();
            told |= stage.wait(0).get(&A).is_some_and(|event| event.writable);
        }
        if !told {
            stage.until(A, |event| event.writable);
        }
        assert!(stage.write(fd, b"more").unwrap() == 4);
        stage.backend().close(fd);
    }

    fn listeners(stage) {
        let listener = stage.listen();
        stage.backend().add(listener, A).unwrap();
        stage.silent();
        let mut accepted = Vec::new();
        for round in 1..4 {
            let remotes: Vec<_> = (0..round).map(|_| stage.connect(listener)).collect();
            while accepted.len() < remotes.len() {
                stage.until(A, |event| event.readable);
                loop {
                    match stage.backend().accept(listener) {
                        Ok(fd) => accepted.push((fd, ())),
                        Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                }
            }
            for (fd, ()) in accepted.drain(..) {
                // It is non-blocking.
                assert_eq!(stage.read(fd, 1).unwrap_err().kind(), ErrorKind::WouldBlock);
                stage.backend().close(fd);
            }
            drop(remotes);
            stage.wait(0);
        }
        stage.backend().close(listener);
    }

    /// Rule 5, with the number of the closed one in use again.
    fn no_event_of_the_dead(stage) {
        let (fd, mut remote) = stage.stream();
        let fd = stage.renumber(fd, 0);
        stage.backend().add(fd, A).unwrap();
        stage.until(A, |event| event.writable);
        remote.send(b"for the dead");
        stage.backend().close(fd);

        // A second one lives between two waits only.
        let (brief, _remote) = stage.stream();
        let brief = stage.renumber(brief, 0);
        stage.backend().add(brief, A).unwrap();
        stage.backend().close(brief);

        let (next, mut remote) = stage.stream();
        let next = stage.renumber(next, 0);
        assert!(next == fd && next == brief);
        stage.backend().add(next, B).unwrap();
        remote.send(b"for the living");
        let mut readable = false;
        while !readable {
            let events = stage.wait(PATIENCE);
            assert!(!events.contains_key(&A), "{events:?}");
            assert!(events.values().all(|event| !event.closed && !event.error), "{events:?}");
            readable = events.get(&B).is_some_and(|event| event.readable);
        }
        assert_eq!(stage.read(next, 64).unwrap(), b"for the living");
        remote.send(b"more");
        stage.until(B, |event| event.readable);
        stage.backend().close(next);
        stage.silent();
    }

    /// A poll of io_uring that had just found something survived its removal, and the file with it.
    fn close_beside_an_arrival_ends_it_for_the_remote(stage) {
        for _ in 0..3 {
            let (fd, mut remote) = stage.stream();
            stage.backend().add(fd, A).unwrap();
            stage.until(A, |event| event.writable);
            remote.send(b"x");
            stage.read(fd, 64).unwrap();
            stage.backend().close(fd);
            stage.wait(0);
            assert_eq!(remote.recv(), b"");
        }
    }

    fn close_ends_it_for_the_remote(stage) {
        for add in [true, false] {
            let (fd, mut remote) = stage.stream();
            if add {
                stage.backend().add(fd, A).unwrap();
                stage.until(A, |event| event.writable);
            }
            stage.write(fd, b"bye").unwrap();
            stage.backend().close(fd);
            stage.wait(0);
            assert_eq!(remote.recv(), b"bye");
            assert_eq!(remote.recv(), b"");
        }
        // And so it is when it was never waited for.
        let (fd, mut remote) = stage.stream();
        stage.backend().add(fd, A).unwrap();
        stage.backend().close(fd);
        let (other, _other_remote) = stage.stream();
        stage.backend().add(other, B).unwrap();
        stage.wait(0);
        assert_eq!(remote.recv(), b"");
        stage.backend().close(other);
    }

    fn forgotten_but_alive(stage) {
        let (fd, mut remote) = stage.stream();
        stage.backend().add(fd, A).unwrap();
        stage.until(A, |event| event.writable);
        stage.backend().forget(fd);
        stage.backend().forget(fd);
        remote.send(b"x");
        stage.silent();
        assert_eq!(stage.read(fd, 64).unwrap(), b"x");
        remote.send(b"y");
        stage.backend().add(fd, B).unwrap();
        stage.until(B, |event| event.readable);
        stage.backend().close(fd);
    }

    fn files_are_always_ready(stage) {
        let fd = stage.file(b"some text");
        assert_eq!(stage.backend().add(fd, A).unwrap(), Watch::Always);
        stage.silent();
        assert_eq!(stage.read(fd, 5).unwrap(), b"some ");
        assert_eq!(stage.read(fd, 64).unwrap(), b"text");
        assert_eq!(stage.read(fd, 64).unwrap(), b"");
        stage.backend().shutdown(fd).unwrap();
        stage.backend().close(fd);
    }

    fn connecting(stage) {
        let (addr, mut accept) = stage.serve();
        let fd = stage.backend().connect(&addr).unwrap();
        stage.backend().add(fd, A).unwrap();
        stage.until(A, |event| event.writable);
        stage.backend().outcome(fd).unwrap();
        let mut remote = accept();
        assert_eq!(stage.write(fd, b"hello").unwrap(), 5);
        assert_eq!(remote.recv(), b"hello");
        stage.backend().close(fd);
        stage.wait(0);
        assert_eq!(remote.recv(), b"");
    }

    fn connecting_to_nobody(stage) {
        let addr = stage.nowhere();
        let fd = stage.backend().connect(&addr).unwrap();
        stage.backend().add(fd, A).unwrap();
        stage.until(A, |event| event.writable && event.error);
        assert_eq!(stage.backend().outcome(fd).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        stage.backend().close(fd);
    }

    fn half_an_end(stage) {
        let (fd, mut remote) = stage.stream();
        stage.backend().add(fd, A).unwrap();
        stage.write(fd, b"all").unwrap();
        stage.backend().shutdown(fd).unwrap();
        assert_eq!(stage.write(fd, b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(remote.recv(), b"all");
        assert_eq!(remote.recv(), b"");
        remote.send(b"thanks");
        stage.until(A, |event| event.readable);
        assert_eq!(stage.read(fd, 64).unwrap(), b"thanks");
        stage.backend().close(fd);
    }

    fn two_slices(stage) {
        let (fd, mut remote) = stage.stream();
        stage.backend().add(fd, A).unwrap();
        assert_eq!(stage.backend().write(fd, &[IoSlice::new(b"ab"), IoSlice::new(b"cde")]).unwrap(), 5);
        assert_eq!(stage.backend().write(fd, &[IoSlice::new(b"f"), IoSlice::new(b"")]).unwrap(), 1);
        let mut received = remote.recv();
        while received.len() < 6 {
            received.extend(remote.recv());
        }
        assert_eq!(received, b"abcdef");
        remote.send(b"uvwxyz");
        stage.until(A, |event| event.readable);
        let (mut one, mut two) = ([0; 2], [0; 3]);
        let bufs = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!(stage.backend().read(fd, bufs).unwrap(), 5);
        assert_eq!((&one, &two), (b"uv", b"wxy"));
        let bufs = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut [])];
        assert_eq!(stage.backend().read(fd, bufs).unwrap(), 1);
        assert_eq!(&one, b"zv");
        stage.backend().close(fd);
    }

    fn time(stage) {
        let before = stage.backend().now();
        assert!(stage.wait(SILENCE).is_empty());
        let between = stage.backend().now();
        assert!(between >= before + SILENCE, "{}", between - before);
        assert!(stage.wait(0).is_empty());
        assert!(stage.backend().now() < between + SILENCE / 2);
    }

    fn refusals(stage) {
        let (fd, _remote) = stage.stream();
        let fd = stage.renumber(fd, 1);
        stage.backend().add(fd, A).unwrap();
        assert_eq!(stage.backend().add(fd, A).unwrap_err().kind(), ErrorKind::AlreadyExists);
        stage.backend().close(fd);
        assert_eq!(stage.backend().add(fd, A).unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(stage.backend().add(-1, A).unwrap_err().raw_os_error(), Some(libc::EBADF));
        stage.backend().forget(-1);
    }
}

/// Keeps `set_nonblocking` honest beside the listener's own.
#[test]
fn set_nonblocking_tells_what_was() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = listener.as_raw_fd();
    assert!(!set_nonblocking(fd, true).unwrap());
    assert!(set_nonblocking(fd, true).unwrap());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(set_nonblocking(fd, false).unwrap());
    assert!(!set_nonblocking(fd, false).unwrap());
    assert!(set_nonblocking(-1, true).is_err());
}
