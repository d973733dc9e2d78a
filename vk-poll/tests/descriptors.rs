//! What only real descriptors can show: kinds, signals, sleeping, and a kernel that forbids io_uring.

#![allow(unsafe_code)] // The tests make system calls of their own.

mod allowed;

use allowed::uring;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use vk_poll::{Backend, Epoll, Event, Token, Uring, Watch, set_nonblocking};

const MILLISECOND: u64 = 1_000_000;
const A: Token = Token(1);

fn each(mut test: impl FnMut(Box<dyn Backend>)) {
    test(Box::new(Epoll::new().unwrap()));
    if let Some(uring) = uring() {
        test(Box::new(uring));
    }
}

/// Waits for an event of `A`.
fn event(backend: &mut dyn Backend) -> Event {
    let mut events = Vec::new();
    for _ in 0..10 {
        backend.wait(Some(500 * MILLISECOND), &mut events).unwrap();
        if let Some(event) = events.iter().find(|event| event.token == A) {
            return *event;
        }
    }
    panic!("{}: no event", backend.name());
}

fn read(backend: &mut dyn Backend, fd: RawFd, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let count = backend.read(fd, &mut [IoSliceMut::new(&mut bytes)])?;
    bytes.truncate(count);
    Ok(bytes)
}

#[test]
fn pipes() {
    each(|mut backend| {
        let (from, mut to) = io::pipe().unwrap();
        let fd = from.into_raw_fd();
        set_nonblocking(fd, true).unwrap();
        assert_eq!(backend.add(fd, A).unwrap(), Watch::Edge);
        to.write_all(b"last").unwrap();
        assert!(event(&mut *backend).readable);
        drop(to);
        assert!(event(&mut *backend).closed);
        assert_eq!(read(&mut *backend, fd, 64).unwrap(), b"last");
        assert_eq!(read(&mut *backend, fd, 64).unwrap(), b"");
        backend.close(fd);

        let (from, to) = io::pipe().unwrap();
        let fd = to.into_raw_fd();
        set_nonblocking(fd, true).unwrap();
        backend.add(fd, A).unwrap();
        assert!(event(&mut *backend).writable);
        assert_eq!(backend.write(fd, &[IoSlice::new(b"ab"), IoSlice::new(b"c")]).unwrap(), 3);
        backend.shutdown(fd).unwrap();
        drop(from);
        assert!(event(&mut *backend).error);
        assert_eq!(backend.write(fd, &[IoSlice::new(b"x")]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        backend.close(fd);
    });
}

/// A full pipe: room is told, also after a short write.
#[test]
fn a_pipe_has_room_again() {
    each(|mut backend| {
        let (mut from, to) = io::pipe().unwrap();
        let fd = to.into_raw_fd();
        set_nonblocking(fd, true).unwrap();
        backend.add(fd, A).unwrap();
        event(&mut *backend);
        let chunk = vec![b'x'; 100_000];
        let taken = backend.write(fd, &[IoSlice::new(&chunk)]).unwrap();
        assert!(taken < chunk.len());
        let mut bytes = vec![0; taken];
        from.read_exact(&mut bytes).unwrap();
        assert!(event(&mut *backend).writable);
        backend.close(fd);
    });
}

#[test]
fn terminals_and_counters() {
    each(|mut backend| {
        let (mut master, mut slave) = (-1, -1);
        // SAFETY: both numbers are written; no name, settings or size are given.
        let opened = unsafe { libc::openpty(&raw mut master, &raw mut slave, null_mut(), null(), null()) };
        assert_eq!(opened, 0);
        // SAFETY: openpty has just given us the descriptor.
        let mut master = File::from(unsafe { OwnedFd::from_raw_fd(master) });
        set_nonblocking(slave, true).unwrap();
        assert_eq!(backend.add(slave, A).unwrap(), Watch::Edge);
        event(&mut *backend);
        master.write_all(b"one\ntwo\n").unwrap();
        while !event(&mut *backend).readable {}
        assert_eq!(read(&mut *backend, slave, 64).unwrap(), b"one\n");
        assert_eq!(read(&mut *backend, slave, 64).unwrap(), b"two\n");
        assert_eq!(read(&mut *backend, slave, 64).unwrap_err().kind(), ErrorKind::WouldBlock);
        backend.close(slave);

        // SAFETY: no memory is involved.
        let counter = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        assert_eq!(backend.add(counter, A).unwrap(), Watch::Edge);
        event(&mut *backend);
        backend.write(counter, &[IoSlice::new(&3u64.to_ne_bytes())]).unwrap();
        assert!(event(&mut *backend).readable);
        assert_eq!(read(&mut *backend, counter, 8).unwrap(), 3u64.to_ne_bytes());
        backend.close(counter);

        let null = File::options().read(true).write(true).open("/dev/null").unwrap().into_raw_fd();
        assert_eq!(backend.add(null, A).unwrap(), Watch::Always);
        assert_eq!(read(&mut *backend, null, 8).unwrap(), b"");
        backend.close(null);
    });
}

/// The peer sees the end while the backend sleeps, and not when something else wakes it.
#[test]
fn the_end_is_prompt() {
    each(|mut backend| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let fd = listener.accept().unwrap().0.into_raw_fd();
        set_nonblocking(fd, true).unwrap();
        backend.add(fd, A).unwrap();
        event(&mut *backend);

        let peer = std::thread::spawn(move || {
            peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            peer.read(&mut [0; 8]).map(|count| (count, Instant::now()))
        });
        let closed = Instant::now();
        backend.close(fd);
        let mut events = Vec::new();
        for _ in 0..3 {
            backend.wait(Some(300 * MILLISECOND), &mut events).unwrap();
            assert!(events.is_empty());
        }
        let (count, seen) = peer.join().unwrap().unwrap();
        assert_eq!(count, 0);
        assert!(seen - closed < Duration::from_millis(250), "{}: {:?}", backend.name(), seen - closed);
    });
}

/// epoll's list is by open file: a copy elsewhere must not keep a closed descriptor listed.
#[test]
fn a_copy_elsewhere_brings_no_events() {
    each(|mut backend| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let copy = ours.try_clone().unwrap();
        let fd = ours.into_raw_fd();
        set_nonblocking(fd, true).unwrap();
        backend.add(fd, A).unwrap();
        event(&mut *backend);
        backend.close(fd);
        theirs.write_all(b"x").unwrap();
        let mut events = Vec::new();
        for _ in 0..3 {
            backend.wait(Some(20 * MILLISECOND), &mut events).unwrap();
            assert!(events.is_empty(), "{}: {events:?}", backend.name());
        }
        drop(copy);
    });
}

extern "C" fn ignore(_: libc::c_int) {}

/// Lets a signal come to this thread, again and again, while `during` runs.
fn signalled<T>(during: impl FnOnce() -> T) -> T {
    // SAFETY: a handler that does nothing, for a signal nobody else uses, without SA_RESTART.
    let this = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
        libc::pthread_self() as usize
    };
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let sender = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(5)).is_err() {
            // SAFETY: the thread joins this one before it ends.
            unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGUSR1) };
        }
    });
    let result = during();
    stop.send(()).unwrap();
    sender.join().unwrap();
    result
}

#[test]
fn a_signal_is_no_error() {
    each(|mut backend| {
        let mut events = Vec::new();
        signalled(|| {
            for _ in 0..3 {
                let begun = Instant::now();
                backend.wait(None, &mut events).unwrap();
                assert!(events.is_empty() && begun.elapsed() < Duration::from_secs(2));
            }
        });
        // A blocking read goes on.
        let (from, mut to) = io::pipe().unwrap();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            to.write_all(b"late").unwrap();
        });
        let bytes = signalled(|| read(&mut *backend, from.as_raw_fd(), 64));
        assert_eq!(bytes.unwrap(), b"late");
        writer.join().unwrap();
    });
}

/// Runs `child` in a process of its own: whether it returned true.
fn forked(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls what allocates, which glibc allows after a fork, and ends without unwinding into the
    // test harness.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(i32::from(!child())),
            pid => {
                let mut status = 0;
                assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
            }
        }
    }
}

/// Forbids a system call from now on, as a container's filter does.
fn forbid(call: libc::c_long, errno: i32) {
    let op = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the number of the call
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 0, 1),
        op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program points to a filter of that length.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

#[test]
fn a_forbidden_io_uring_says_so() {
    for (errno, kind, word) in [
        (libc::EPERM, ErrorKind::PermissionDenied, "forbidden"),
        (libc::ENOSYS, ErrorKind::Unsupported, "has none"),
        (libc::EINVAL, ErrorKind::InvalidInput, "too old"),
    ] {
        assert!(forked(|| {
            forbid(libc::SYS_io_uring_setup, errno);
            let error = Uring::new().err().unwrap();
            Epoll::new().is_ok() && error.kind() == kind && error.to_string().contains(word)
        }));
    }
}

/// Also where nobody ignores SIGPIPE.
#[test]
fn a_socket_raises_no_sigpipe() {
    assert!(forked(|| {
        // SAFETY: no handler, no memory.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let mut epoll = Epoll::new().unwrap();
        [&[IoSlice::new(b"x")][..], &[IoSlice::new(b"x"), IoSlice::new(b"y")]].iter().all(|bufs| {
            epoll.write(ours.as_raw_fd(), bufs).is_err_and(|error| error.kind() == ErrorKind::BrokenPipe)
        })
    }));
}

/// Who takes over from somebody who died finds the connection that he has just begun.
#[test]
fn a_connection_that_was_begun() {
    let mut poller = Epoll::new().unwrap();
    let places = ["127.0.0.1:0", "[::1]:0"];
    for listener in places.into_iter().filter_map(|place| TcpListener::bind(place).ok()) {
        let (there, elsewhere) = (listener.local_addr().unwrap(), "127.0.0.1:1".parse().unwrap());
        let begun = poller.connect(&there).unwrap();
        assert!(poller.is_begun(begun, &there) && !poller.is_begun(begun, &elsewhere));
        let (mut accepted, from) = listener.accept().unwrap();
        assert!(poller.is_begun(begun, &there), "it stands");
        // The other end has been begun, too, but not by us.
        assert!(!poller.is_begun(accepted.as_raw_fd(), &there));
        poller.write(begun, &[IoSlice::new(b"hello")]).unwrap();
        accepted.read_exact(&mut [0; 5]).unwrap();
        assert!(!poller.is_begun(begun, &there), "it was used");
        poller.close(begun);
        assert!(!poller.is_begun(begun, &from));
    }
    // A socket, as it is before it is told where to go.
    let fresh = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let anywhere = "127.0.0.1:1".parse().unwrap();
    assert!(poller.is_begun(fresh.as_raw_fd(), &anywhere));
    let bound = TcpListener::bind("127.0.0.1:0").unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(
        !poller.is_begun(bound.as_raw_fd(), &anywhere) && !poller.is_begun(datagrams.as_raw_fd(), &anywhere)
    );
    // Where nobody answers.
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = hole.local_addr().unwrap();
    let fill = || TcpStream::connect_timeout(&there, Duration::from_millis(100)).ok();
    let _fillers: Vec<_> = std::iter::from_fn(fill).take(20_000).collect();
    let begun = poller.connect(&there).unwrap();
    assert_eq!(poller.outcome(begun).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(poller.is_begun(begun, &there));
    poller.close(begun);
}
